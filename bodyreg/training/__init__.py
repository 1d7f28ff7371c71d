"""What loops of training share: checkpoints, resuming, curves. The loops are where they belong.

A checkpoint is one safetensors file: tensors, and JSON in its header. Nothing in it is unpickled.
Everything random in a loop comes from one generator, whose state is in the checkpoint, so a run
that was killed ends with the numbers of one that was not.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from bodyreg.errors import InstallationError, UserError
from bodyreg.files import atomic_path, is_file, reading, require_file

FACTS = "bodyreg"
"""The entry of a header that has the facts."""

LARGEST = 1 << 33
"""Bytes of a checkpoint; no network here is nearly as large."""

PICTURE_MEAN, PICTURE_SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and standard deviation of ImageNet's red, green and blue."""


def save_checkpoint(
    path: str | os.PathLike, form: str, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]
) -> None:
    """Write tensors and facts to a safetensors file, whole or not at all.

    Args:
        path: The file.
        form: The kind of checkpoint, which `load_checkpoint` asks for.
        tensors: By name.
        facts: Plain values for JSON.

    Raises:
        UserError: a number is not finite, because what learns has diverged; nothing is written.
    """
    safetensors = _safetensors()
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise UserError(
                f"{path}: not written, because '{name}' is not finite; lower the learning rate"
            )
    header = {FACTS: json.dumps({"format": form, **facts}, sort_keys=True)}
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with atomic_path(path) as temporary:
        temporary.write_bytes(safetensors.save(plain, header))


def load_checkpoint(path: str | os.PathLike, form: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and facts of a file of `save_checkpoint`.

    Raises:
        UserError: the file is missing, damaged, or of another kind, or a number is not finite.
    """
    data = _read(path)
    tensors = _tensors(data, path)
    try:
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        facts = json.loads(header["__metadata__"][FACTS])
        found = facts.pop("format")
    except Exception as error:  # JSON may hold anything
        raise UserError(f"{path}: not a checkpoint of bodyreg, or damaged") from error
    if found != form:
        raise UserError(f"{path}: is '{found}', expected '{form}'")
    require_finite(tensors, path)
    return tensors, facts


def load_weights(path: str | os.PathLike) -> Mapping[str, Tensor]:
    """Name -> tensor of a network's weights, which need not be of `save_checkpoint`.

    Args:
        path: .safetensors, or a state dict of torch, such as torchvision's .pth, of which only
            tensors are read.

    Raises:
        UserError: the file is missing, damaged or something else, or a number is not finite.
    """
    require_file(path, "weights")
    if Path(path).suffix == ".safetensors":
        found: Any = _tensors(_read(path), path)
    else:
        try:
            found = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # torch.load has no kind of error for files it does not know
            raise UserError(f"{path}: no weights of torch, or damaged") from error
    if not isinstance(found, dict) or not all(isinstance(t, Tensor) for t in found.values()):
        raise UserError(f"{path}: no state dict; expected names and tensors")
    require_finite(found, path)
    return found


def for_imagenet(pictures: Tensor) -> Tensor:
    """Pictures as networks expect them that have learnt from ImageNet.

    Args:
        pictures: (N, 3, H, W) red, green, blue, from 0 to 1.
    """
    mean, spread = pictures.new_tensor((PICTURE_MEAN, PICTURE_SPREAD))[..., None, None]
    return (pictures - mean) / spread


def require_finite(tensors: Mapping[str, Tensor], path: object) -> None:
    """Refuse tensors of a file that hold a number that is not finite.

    Raises:
        UserError: naming the first one.
    """
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise UserError(f"{path}: tensor '{name}' is not finite")


def load_module(
    module: nn.Module,
    tensors: Mapping[str, Tensor],
    prefix: str,
    path: object,
    *,
    assign: bool = False,
) -> None:
    """Give a module the tensors whose names begin with `prefix`.

    Args:
        module: The module.
        tensors: By name.
        prefix: Of the module's own names.
        path: The file, for messages.
        assign: Let the module own these tensors, instead of copying their numbers.

    Raises:
        UserError: they are not those of this module.
    """
    own = {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
    expected = module.state_dict()
    kinds = [{n: (t.shape, t.dtype) for n, t in some.items()} for some in (own, expected)]
    if kinds[0] != kinds[1]:
        raise UserError(f"{path}: its tensors are not those of this network")
    module.load_state_dict(own, assign=assign)


@dataclass
class Progress:
    """All that changes while a loop runs, and the file that keeps it.

    Attributes:
        path: The file; None keeps nothing.
        made_of: What the loop's result depends on, plain values; another run's file is refused.
        modules, adams: By name. Learning rates follow from the step.
        random: The loop's only source of random numbers.
        step: Steps that are done.
    """

    path: Path | None
    made_of: Mapping[str, Any]
    modules: Mapping[str, nn.Module]
    adams: Mapping[str, torch.optim.Adam]
    random: torch.Generator
    step: int = 0

    FORMAT = "bodyreg-progress-1"

    def save(self) -> None:
        """Keep the state of now. Of several processes, the first one does."""
        if self.path is None or not is_first():
            return
        tensors = {"random": self.random.get_state()}
        for name, module in self.modules.items():
            tensors |= {f"module.{name}.{key}": t for key, t in module.state_dict().items()}
        for name, adam in self.adams.items():
            for number, state in adam.state_dict()["state"].items():
                tensors |= {f"adam.{name}.{number}.{key}": t for key, t in state.items()}
        facts = {"step": self.step, "made_of": dict(self.made_of)}
        save_checkpoint(self.path, self.FORMAT, tensors, facts)

    def resume(self) -> None:
        """Go back to the state that the file keeps, if there is one.

        Raises:
            UserError: the file is damaged, or of a run that was made of something else.
        """
        if self.path is None or not is_file(self.path):
            return
        tensors, facts = load_checkpoint(self.path, self.FORMAT)
        ours, theirs = json.loads(json.dumps(dict(self.made_of))), facts.get("made_of")
        if theirs != ours:
            theirs = theirs if isinstance(theirs, dict) else {}
            other = [n for n in {**ours, **theirs} if n not in ours or theirs.get(n) != ours[n]]
            raise UserError(
                f"{self.path}: of a run with other {', '.join(other)}; give the same data and "
                "options, or another folder"
            )
        for name, module in self.modules.items():
            load_module(module, tensors, f"module.{name}.", self.path)
        try:
            for name, adam in self.adams.items():
                adam.load_state_dict(_adam_state(adam, tensors, f"adam.{name}."))
            self.random.set_state(tensors["random"])
            self.step = facts["step"]
            if type(self.step) is not int or self.step < 0:
                raise ValueError("step")
        except (KeyError, ValueError, TypeError, RuntimeError) as error:
            raise UserError(f"{self.path}: damaged; remove it to begin again") from error


def _adam_state(
    adam: torch.optim.Adam, tensors: Mapping[str, Tensor], prefix: str
) -> dict[str, Any]:
    """What `adam` can load, of the tensors whose names begin with `prefix`.

    Raises:
        ValueError: they are not those of its weights; Adam itself would notice it steps later.
    """
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith(prefix):
            number, key = name.removeprefix(prefix).split(".")
            state.setdefault(int(number), {})[key] = tensor
    weights = [weight for group in adam.param_groups for weight in group["params"]]
    expected = [{"step": (), "exp_avg": w.shape, "exp_avg_sq": w.shape} for w in weights]
    found = [{key: t.shape for key, t in state[number].items()} for number in sorted(state)]
    if found not in ([], expected):
        raise ValueError(f"{prefix} is not the state of this Adam")
    return {"state": state, "param_groups": adam.state_dict()["param_groups"]}


def check_numbers(config: Any, positive: Collection[str]) -> None:
    """Refuse a configuration, a dataclass, with a number that no training can have.

    Args:
        config: Its numbers are at least 0, and finite.
        positive: Names of numbers that are not 0.

    Raises:
        UserError: names the first field with another number.
    """
    for name, value in vars(config).items():
        if isinstance(value, int | float):
            least = "above" if name in positive else "at least"
            if not (0 <= value < math.inf and (value > 0 or name not in positive)):
                raise UserError(f"option {name} is {value}; it must be finite and {least} 0")


def fingerprint_of(values: Iterable[Any]) -> str:
    """64 hexadecimal digits: a hash of arrays, tensors and plain values."""
    digest = hashlib.sha256()
    for value in values:
        array = value.numpy(force=True) if isinstance(value, Tensor) else value
        if isinstance(array, np.ndarray):
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        else:
            digest.update(repr(array).encode())
    return digest.hexdigest()


def generator(seed: int) -> torch.Generator:
    """Random numbers of a seed."""
    return torch.Generator().manual_seed(seed)


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """A section in which modules are born with the weights of a seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def set_learning_rate(rate: float, *optimizers: torch.optim.Optimizer) -> None:
    """Give all parameters this learning rate."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate


def cosine(progress: float, end: float = 0.0) -> float:
    """From 1 to `end` along half a cosine, as progress goes from 0 to 1."""
    return end + (1 - end) * 0.5 * (1 + math.cos(math.pi * progress))


@torch.no_grad()
def follow(average: nn.Module, module: nn.Module, decay: float) -> None:
    """Move the weights of a moving average toward those of a module; statistics are copied."""
    for mean, weight in zip(average.parameters(), module.parameters(), strict=True):
        mean.lerp_(weight, 1 - decay)
    for statistic, now in zip(average.buffers(), module.buffers(), strict=True):
        statistic.copy_(now)


def processes() -> tuple[int, int]:
    """The number of this process, from 0, and how many train together by torch.distributed."""
    if not torch.distributed.is_available() or not torch.distributed.is_initialized():
        return 0, 1
    return torch.distributed.get_rank(), torch.distributed.get_world_size()


def is_first() -> bool:
    """Whether this process is the first one, which writes the files."""
    return processes()[0] == 0


def mixed_precision(device: torch.device, wanted: bool) -> torch.autocast:
    """A section in which a GPU computes networks in bfloat16; every other device in float32."""
    able = device.type == "cuda" and torch.cuda.is_bf16_supported()
    return torch.autocast(device.type, torch.bfloat16, enabled=wanted and able)


def own_share(count: int) -> slice:
    """The part of a batch of this size that this process computes."""
    number, together = processes()
    return slice(count * number // together, count * (number + 1) // together)


def add_up(tensors: Sequence[Tensor]) -> None:
    """Give tensors the sums over all processes, in place."""
    if processes()[1] == 1:
        return
    flat = torch.cat([tensor.flatten() for tensor in tensors])
    torch.distributed.all_reduce(flat)
    parts = flat.split([tensor.numel() for tensor in tensors])
    for tensor, part in zip(tensors, parts, strict=True):
        tensor.copy_(part.view_as(tensor))


class Curves(Protocol):
    """Where a loop writes its numbers."""

    def add_scalar(self, name: str, value: float, step: int) -> None:
        """Write a number of a step."""

    def add_image(self, name: str, picture: np.ndarray, step: int, *, dataformats: str) -> None:
        """Write a picture of a step, (H, W, 3) uint8 red, green, blue if `dataformats` is HWC."""


class _NoCurves:
    def add_scalar(self, name: str, value: float, step: int) -> None:
        pass

    def add_image(self, name: str, picture: np.ndarray, step: int, *, dataformats: str) -> None:
        pass


NO_CURVES: Curves = _NoCurves()


@dataclass(frozen=True)
class _NamedCurves:
    curves: Curves
    name: str

    def add_scalar(self, name: str, value: float, step: int) -> None:
        self.curves.add_scalar(f"{self.name}/{name}", value, step)

    def add_image(self, name: str, picture: np.ndarray, step: int, *, dataformats: str) -> None:
        self.curves.add_image(f"{self.name}/{name}", picture, step, dataformats=dataformats)


def named(curves: Curves, name: str) -> Curves:
    """Curves whose names begin with this one, for a loop that runs several times."""
    return curves if curves is NO_CURVES else _NamedCurves(curves, name)


@contextlib.contextmanager
def curves(folder: Path | None) -> Iterator[Curves]:
    """TensorBoard's curves in this folder; None writes nothing.

    Raises:
        InstallationError: TensorBoard is not installed.
    """
    if folder is None:
        yield NO_CURVES
        return
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise InstallationError("curves need TensorBoard: pip install tensorboard") from error
    with SummaryWriter(str(folder)) as writer:
        yield writer


def _read(path: str | os.PathLike) -> bytes:
    require_file(path, "checkpoint")
    with reading(path), open(path, "rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        if size > LARGEST:
            raise UserError(f"{path}: {size:,} bytes; checkpoints have up to {LARGEST:,}")
        return stream.read()


def _tensors(data: bytes, path: object) -> dict[str, Tensor]:
    safetensors = _safetensors()
    try:
        return safetensors.load(data)
    except Exception as error:  # safetensors has an error of its own
        raise UserError(f"{path}: not a checkpoint (safetensors), or damaged") from error


def _safetensors() -> Any:
    try:
        import safetensors.torch
    except ImportError as error:
        raise InstallationError(
            "checkpoints need safetensors: pip install 'bodyreg[train]'"
        ) from error
    return safetensors.torch
