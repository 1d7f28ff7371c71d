"""FID and the inception score: sets of pictures, by the network that their papers use.

The network is TensorFlow's "inception-2015-12-05", whose pooling differs from torchvision's. Its
parameters have the names of the converted weights that pytorch-fid and torch-fidelity publish
(pt_inception-2015-12-05-6726825d.pth). torchmetrics computes the statistics.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from bodyreg.errors import InstallationError, UserError
from bodyreg.metrics.lpips import as_tensor
from bodyreg.training.checkpoints import load_module, load_weights

SIDE = 299
EPSILON = 1e-3
SPLITS = 10
Shape = tuple[int, int]


class InceptionScores(NamedTuple):
    """Statistics of a set of generated pictures.

    Attributes:
        fid: Fréchet inception distance to the real pictures.
        inception: Inception score, the mean over `SPLITS` splits of shuffled pictures.
        inception_deviation: Its standard deviation over the splits.
    """

    fid: float
    inception: float
    inception_deviation: float


class Inception(nn.Module):
    """Features and logits of pictures.

    Attributes:
        widths: How many features, and how many logits, a picture has.
    """

    widths = (2048, 1008)

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = Convolution(3, 32, 3, stride=2)
        self.Conv2d_2a_3x3 = Convolution(32, 32, 3)
        self.Conv2d_2b_3x3 = Convolution(32, 64, 3, padded=True)
        self.Conv2d_3b_1x1 = Convolution(64, 80, 1)
        self.Conv2d_4a_3x3 = Convolution(80, 192, 3)
        for name, channels, pooled in (("b", 192, 32), ("c", 256, 64), ("d", 288, 64)):
            self.add_module(f"Mixed_5{name}", _mixed_5(channels, pooled))
        self.Mixed_6a = _mixed_6a()
        for name, width in (("b", 128), ("c", 160), ("d", 160), ("e", 192)):
            self.add_module(f"Mixed_6{name}", _mixed_6(width))
        self.Mixed_7a = _mixed_7a()
        self.Mixed_7b = _mixed_7(1280, "mean")
        self.Mixed_7c = _mixed_7(2048, "largest")
        self.fc = nn.Linear(*self.widths)
        self.requires_grad_(False)
        self.eval()

    @classmethod
    def load(cls, path: str | os.PathLike) -> Inception:
        """Read the published weights.

        Raises:
            UserError: the file is missing or damaged, or is of another network.
        """
        network = cls()
        # Some files count batches, which nothing here reads.
        counts = {n: t for n, t in network.state_dict().items() if n.endswith("_tracked")}
        load_module(network, counts | dict(load_weights(path)), "", path)
        return network

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Features (N, 2048), and logits (N, 1008) without their bias, as the score takes them.

        Args:
            pictures: (N, 3, H, W) red, green, blue from 0 to 255, of any size.
        """
        height, width = pictures.shape[-2:]
        rows, columns = _resizing(height).to(pictures), _resizing(width).to(pictures)
        values = (rows @ pictures @ columns.T - 128) / 128
        for name, layer in self.named_children():
            if name in ("Conv2d_3b_1x1", "Mixed_5b"):
                values = functional.max_pool2d(values, 3, 2)
            if name != "fc":
                values = layer(values)
        features = values.mean((2, 3))
        return features, features @ self.fc.weight.T


class Convolution(nn.Module):
    """Convolution, batch normalisation, ReLU."""

    def __init__(
        self,
        channels: int,
        width: int,
        shape: int | Shape,
        *,
        stride: int = 1,
        padded: bool = False,
    ) -> None:
        super().__init__()
        height, length = (shape, shape) if isinstance(shape, int) else shape
        padding = (height // 2, length // 2) if padded else (0, 0)
        self.conv = nn.Conv2d(channels, width, (height, length), stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(width, EPSILON)

    def forward(self, values: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, width, H', W')."""
        return functional.relu(self.bn(self.conv(values)))


class Mixed(nn.Module):
    """Branches that see the same values, side by side.

    Args:
        branches: Each is a chain of names of convolutions; a tuple at its end are two that see the
            same values.
        pooling: "mean" or "largest" of 3 x 3 values, before the convolution `branch_pool`; "halved"
            for the largest ones of every second place, without a convolution.
        convolutions: By name.
    """

    def __init__(
        self,
        branches: tuple[tuple[str | tuple[str, str], ...], ...],
        pooling: str,
        convolutions: dict[str, Convolution],
    ) -> None:
        super().__init__()
        self.branches, self.pooling = branches, pooling
        for name, convolution in convolutions.items():
            self.add_module(f"branch{name}", convolution)

    def forward(self, values: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, the sum of the branches' channels, H', W')."""
        found = []
        for branch in self.branches:
            outputs = [values]
            for step in branch:
                names = (step,) if isinstance(step, str) else step
                outputs = [self.get_submodule(f"branch{name}")(outputs[0]) for name in names]
            found += outputs
        if self.pooling == "halved":
            found.append(functional.max_pool2d(values, 3, 2))
        else:
            if self.pooling == "largest":
                pooled = functional.max_pool2d(values, 3, 1, 1)
            else:
                pooled = functional.avg_pool2d(values, 3, 1, 1, count_include_pad=False)
            found.append(self.get_submodule("branch_pool")(pooled))
        return torch.cat(found, 1)


def inception_scores(
    network: Inception, generated: Iterable[np.ndarray], real: Iterable[np.ndarray]
) -> InceptionScores:
    """FID and inception score.

    Sources: "GANs Trained by a Two Time-Scale Update Rule ..." (Heusel et al. 2017), "Improved
    Techniques for Training GANs" (Salimans et al. 2016).

    Args:
        network: Sees the pictures.
        generated: (H, W, 3) uint8 blue, green, red each; two at least.
        real: The same.

    Raises:
        InstallationError: torchmetrics cannot be imported.
        UserError: there are fewer than two pictures of a kind.
    """
    require_torchmetrics()
    from torchmetrics.image.fid import FrechetInceptionDistance
    from torchmetrics.image.inception import InceptionScore

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the memory for features
        distance = FrechetInceptionDistance(feature=Seen(network.widths[0]))
        score = InceptionScore(feature=Seen(network.widths[1]), splits=SPLITS)
        counts = {True: 0, False: 0}
        for is_real, pictures in ((True, real), (False, generated)):
            for picture in pictures:
                with torch.inference_mode():
                    features, logits = network(as_tensor(picture)[None])
                distance.update(features.double(), real=is_real)
                if not is_real:
                    score.update(logits.double())
                counts[is_real] += 1
        if min(counts.values()) < 2:
            raise UserError("FID needs two generated and two real pictures at least")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # the score shuffles the pictures
            mean, deviation = score.compute()
        return InceptionScores(distance.compute().item(), mean.item(), deviation.item())


def require_torchmetrics() -> None:
    """Refuse an installation without it.

    Raises:
        InstallationError: it is not installed, or cannot be imported.
    """
    try:
        import torchmetrics.image  # noqa: F401
    except (ImportError, RuntimeError) as error:  # a torchvision of another torch raises the latter
        raise InstallationError(
            f"FID and IS need torchmetrics: pip install 'bodyreg[images]' ({error})"
        ) from error


class Seen(nn.Module):
    """What torchmetrics takes for a network: the features are there already."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, features: Tensor) -> Tensor:
        """(N, num_features), unchanged."""
        return features


def _mixed_5(channels: int, pooled: int) -> Mixed:
    return Mixed(
        (("1x1",), ("5x5_1", "5x5_2"), ("3x3dbl_1", "3x3dbl_2", "3x3dbl_3")),
        "mean",
        {
            "1x1": Convolution(channels, 64, 1),
            "5x5_1": Convolution(channels, 48, 1),
            "5x5_2": Convolution(48, 64, 5, padded=True),
            "3x3dbl_1": Convolution(channels, 64, 1),
            "3x3dbl_2": Convolution(64, 96, 3, padded=True),
            "3x3dbl_3": Convolution(96, 96, 3, padded=True),
            "_pool": Convolution(channels, pooled, 1),
        },
    )


def _mixed_6a() -> Mixed:
    return Mixed(
        (("3x3",), ("3x3dbl_1", "3x3dbl_2", "3x3dbl_3")),
        "halved",
        {
            "3x3": Convolution(288, 384, 3, stride=2),
            "3x3dbl_1": Convolution(288, 64, 1),
            "3x3dbl_2": Convolution(64, 96, 3, padded=True),
            "3x3dbl_3": Convolution(96, 96, 3, stride=2),
        },
    )


def _mixed_6(width: int) -> Mixed:
    flat, tall = (1, 7), (7, 1)
    return Mixed(
        (
            ("1x1",),
            ("7x7_1", "7x7_2", "7x7_3"),
            tuple(f"7x7dbl_{step}" for step in range(1, 6)),
        ),
        "mean",
        {
            "1x1": Convolution(768, 192, 1),
            "7x7_1": Convolution(768, width, 1),
            "7x7_2": Convolution(width, width, flat, padded=True),
            "7x7_3": Convolution(width, 192, tall, padded=True),
            "7x7dbl_1": Convolution(768, width, 1),
            "7x7dbl_2": Convolution(width, width, tall, padded=True),
            "7x7dbl_3": Convolution(width, width, flat, padded=True),
            "7x7dbl_4": Convolution(width, width, tall, padded=True),
            "7x7dbl_5": Convolution(width, 192, flat, padded=True),
            "_pool": Convolution(768, 192, 1),
        },
    )


def _mixed_7a() -> Mixed:
    return Mixed(
        (("3x3_1", "3x3_2"), tuple(f"7x7x3_{step}" for step in range(1, 5))),
        "halved",
        {
            "3x3_1": Convolution(768, 192, 1),
            "3x3_2": Convolution(192, 320, 3, stride=2),
            "7x7x3_1": Convolution(768, 192, 1),
            "7x7x3_2": Convolution(192, 192, (1, 7), padded=True),
            "7x7x3_3": Convolution(192, 192, (7, 1), padded=True),
            "7x7x3_4": Convolution(192, 192, 3, stride=2),
        },
    )


def _mixed_7(channels: int, pooling: str) -> Mixed:
    flat, tall = (1, 3), (3, 1)
    return Mixed(
        (
            ("1x1",),
            ("3x3_1", ("3x3_2a", "3x3_2b")),
            ("3x3dbl_1", "3x3dbl_2", ("3x3dbl_3a", "3x3dbl_3b")),
        ),
        pooling,
        {
            "1x1": Convolution(channels, 320, 1),
            "3x3_1": Convolution(channels, 384, 1),
            "3x3_2a": Convolution(384, 384, flat, padded=True),
            "3x3_2b": Convolution(384, 384, tall, padded=True),
            "3x3dbl_1": Convolution(channels, 448, 1),
            "3x3dbl_2": Convolution(448, 384, 3, padded=True),
            "3x3dbl_3a": Convolution(384, 384, flat, padded=True),
            "3x3dbl_3b": Convolution(384, 384, tall, padded=True),
            "_pool": Convolution(channels, 192, 1),
        },
    )


def _resizing(old: int) -> Tensor:
    """(299, old) what each new row takes of the old ones: TensorFlow 1's bilinear resizing.

    New row r is at old row r · old / 299, without antialiasing and without a half pixel's shift.
    """
    place = torch.arange(SIDE, dtype=torch.float64) * (old / SIDE)
    below = place.floor().long()
    share = place - below
    weights = torch.zeros(SIDE, old, dtype=torch.float64)
    weights[torch.arange(SIDE), below] += 1 - share
    weights[torch.arange(SIDE), (below + 1).clamp(max=old - 1)] += share
    return weights
