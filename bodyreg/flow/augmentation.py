"""How pairs of pictures are changed while a flow network learns: mirrored, and targets shifted."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bodyreg.data.flip import MIRROR_FLOW_PART
from bodyreg.data.skeletons import COCO_18
from bodyreg.training.loops import check_numbers


@dataclass(frozen=True)
class Changes:
    """What happens to B pairs.

    Attributes:
        mirror: (B,) bool, both pictures are mirrored.
        shift: (B, 2) int64 x and y, pixels by which targets are moved first.
    """

    mirror: Tensor
    shift: Tensor

    @classmethod
    def none(cls, count: int) -> Changes:
        """Pairs stay as they are."""
        return cls(torch.zeros(count, dtype=torch.bool), torch.zeros(count, 2, dtype=torch.int64))

    def select(self, pairs: slice) -> Changes:
        """The changes of some pairs."""
        return Changes(self.mirror[pairs], self.shift[pairs])


@dataclass(frozen=True)
class FlowAugmentation:
    """How pairs may be changed. The defaults are the paper's on DeepFashion, and mirroring.

    Attributes:
        mirror: Share of pairs that are mirrored.
        across, down: Targets move by at least minus so many pixels, and by less than so many.
    """

    mirror: float = 0.5
    across: int = 20
    down: int = 10

    def __post_init__(self) -> None:
        check_numbers(self, ())

    def draw(self, count: int, random: torch.Generator) -> Changes:
        """Changes of so many pairs."""
        mirror = torch.rand(count, generator=random) < self.mirror
        both = [
            torch.randint(-most, max(most, 1), (count,), generator=random)
            for most in (self.across, self.down)
        ]
        return Changes(mirror, torch.stack(both, 1))


def mirrored_joints(joints: Tensor, width: int) -> Tensor:
    """Joints (..., 18, 2) of COCO-18 in the mirrored pictures of this width."""
    other = joints[..., list(COCO_18.flip), :]
    return torch.stack([width - other[..., 0], other[..., 1]], -1)


def mirrored_flow(flow: Tensor) -> Tensor:
    """A flow (..., 2, H, W) between the mirrored pictures, which have the same width."""
    return flow.flip(-1) * flow.new_tensor([-1.0, 1.0])[:, None, None]


def mirrored_parts(parts: Tensor) -> Tensor:
    """Parts (..., H, W) uint8 of the mirrored pictures: left is right."""
    return torch.from_numpy(MIRROR_FLOW_PART)[parts.flip(-1).long()]
