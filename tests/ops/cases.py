"""Random inputs for every op, and what tests do with them.

A case is drawn in float64 and rounded to float32, so that it is the same point in both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

SMPL_PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21)

# Nothing, one, around a warp, and beyond a block.
ODD_SIZES = (0, 1, 31, 33, 257)


def assert_same_bits(ours: Iterable[Tensor], expected: Iterable[Tensor]) -> None:
    for a, b in zip(ours, expected, strict=True):
        assert torch.equal(a, b)


@dataclass(frozen=True)
class Case:
    """Arguments of an op, and which of them have gradients."""

    op: str
    arguments: tuple[Any, ...]
    differentiable: tuple[int, ...]

    def to(self, dtype: torch.dtype, device: str = "cpu") -> Case:
        def move(argument: Any) -> Any:
            if not isinstance(argument, Tensor):
                return argument
            return argument.to(device, dtype if argument.is_floating_point() else None)

        return replace(self, arguments=tuple(move(a) for a in self.arguments))

    def with_argument(self, index: int, value: Any) -> Case:
        arguments = [*self.arguments]
        arguments[index] = value
        return replace(self, arguments=tuple(arguments))

    def call(self, module: Any) -> tuple[Tensor, ...]:
        """The outputs of the op of this name in `module`: bodyreg.ops or bodyreg.reference."""
        return as_tuple(getattr(module, self.op)(*self.arguments))

    def results(self, module: Any) -> list[Tensor]:
        """Outputs, then the gradients of a fixed random combination of them."""
        arguments = [*self.arguments]
        leaves = [arguments[i].clone().requires_grad_() for i in self.differentiable]
        for i, leaf in zip(self.differentiable, leaves, strict=True):
            arguments[i] = leaf
        outputs = as_tuple(getattr(module, self.op)(*arguments))
        generator = torch.Generator().manual_seed(7)
        cotangents = [
            torch.randn(x.shape, generator=generator, dtype=torch.float64).float().to(x)
            for x in outputs
        ]
        gradients = torch.autograd.grad(outputs, leaves, cotangents)
        return [*(x.detach() for x in outputs), *gradients]


def as_tuple(outputs: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return outputs if isinstance(outputs, tuple) else (outputs,)


class Draw:
    """Seeded random tensors whose numbers float32 can hold."""

    def __init__(self, seed: int):
        self.generator = torch.Generator().manual_seed(seed)

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self.generator).double()

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        return (low + (high - low) * torch.rand(shape, generator=self.generator)).double()

    def integers(self, high: int, *shape: int) -> Tensor:
        return torch.randint(high, shape, generator=self.generator, dtype=torch.int32)

    def rotations(self, *shape: int) -> Tensor:
        """Uniform rotations, rounded to float32."""
        q, r = torch.linalg.qr(self.normal(*shape, 3, 3))
        q = q * r.diagonal(dim1=-2, dim2=-1).sign()[..., None, :]
        q = q * torch.linalg.det(q).sign()[..., None, None]
        return q.float().double().contiguous()

    def anchors(self, *shape: int) -> Tensor:
        """Anchors (..., K, 4) of weighted points; about half of the influences are padding."""
        weight = self.uniform(0.1, 1, *shape, 1) * (self.uniform(0, 1, *shape, 1) < 0.5)
        ones = torch.ones(*shape, 1, dtype=torch.float64)
        return (weight * torch.cat([self.normal(*shape, 3), ones], -1)).float().double()


def kinematics_case(people: int, *, parents=SMPL_PARENTS, shared: bool = True, seed: int = 0):
    draw, joints = Draw(seed), len(parents)
    rest = draw.normal(joints, 3) if shared else draw.normal(people, joints, 3)
    rotations, scale = draw.rotations(people, joints), draw.uniform(0.5, 1.5, people, joints)
    return Case("kinematics", (rotations, scale, rest, list(parents)), (0, 1, 2))


def lbs_case(
    people: int,
    points: int,
    *,
    influences: int = 4,
    joints: int = 24,
    shared: str = "both",  # "both", "ids" or "none": what all people share
    seed: int = 0,
):
    draw = Draw(seed)
    own = (people, points, influences)
    ids = draw.integers(joints, *(own if shared == "none" else own[1:]))
    anchors = draw.anchors(*(own[1:] if shared == "both" else own))
    return Case("lbs", (draw.normal(people, joints, 3, 4), ids, anchors), (0, 2))


def projection_case(people: int, points: int, *, seed: int = 0):
    draw = Draw(seed)
    arguments = (
        draw.normal(people, points, 3),
        draw.rotations(people),
        draw.uniform(0.5, 1.5, people),
        draw.normal(people, 2),
        # Every third person is seen in weak perspective; some points are behind the camera.
        torch.cat([draw.uniform(0, 1, people, 1), draw.normal(people, 2)], 1),
    )
    arguments[-1][::3, 0] = 0
    return Case("projection", arguments, (0, 1, 2, 3, 4))


def gram_schmidt_case(people: int, *, six: bool, seed: int = 0):
    return Case("gram_schmidt", (Draw(seed).normal(people, 3, 3), six), (0,))


def correspondence_case(
    people: int,
    points: int,
    *,
    influences: int = 4,
    joints: int = 24,
    width: float = math.inf,
    seed: int = 0,
):
    draw = Draw(seed)
    arguments = (
        draw.normal(people, joints, 3, 4),
        draw.rotations(people),
        draw.uniform(0.5, 1.5, people),
        draw.normal(people, 2),
        draw.integers(joints, people, points, influences),
        draw.anchors(people, points, influences),
        draw.normal(people, points, 2),
        draw.uniform(0, 1, people, points) * (draw.uniform(0, 1, people, points) < 0.8),
        width,
    )
    return Case("correspondence", arguments, (0, 1, 2, 3))


def flow(draw: Draw, pictures: int, high: int, wide: int, reach: int = 3) -> Tensor:
    """(B, 2, H, W): far enough from whole numbers for differences to be slopes."""
    size = (pictures, 2, high, wide)
    whole = draw.integers(2 * reach + 1, *size) - reach
    return (whole + draw.uniform(0.05, 0.95, *size)).float().double()


def warp_case(
    pictures: int,
    wide: int,
    *,
    channels: int = 5,
    high: int = 4,
    source: tuple[int, int] | None = None,  # the target's size if left out
    form: str = "all",  # "all", "seen" or "apart": what the visibility does
    seed: int = 0,
):
    draw = Draw(seed)
    features = draw.normal(pictures, channels, *(source or (high, wide)))
    moves = flow(draw, pictures, high, wide)
    codes = draw.integers(4, pictures, high, wide).to(torch.uint8)
    visibility = None if form == "all" else codes
    return Case("warp", (features, moves, visibility, 0.25, form == "apart"), (0, 1))


# Every op in every form it takes, by size.
FORMS: dict[str, Callable[[int, int], Case]] = {
    "kinematics": lambda people, points: kinematics_case(people),
    "kinematics-own-joints": lambda people, points: kinematics_case(people, shared=False),
    "lbs": lambda people, points: lbs_case(people, points),
    "lbs-own-anchors": lambda people, points: lbs_case(people, points, shared="ids"),
    "lbs-own-points": lambda people, points: lbs_case(people, points, shared="none"),
    "projection": projection_case,
    "gram_schmidt": lambda people, points: gram_schmidt_case(people, six=False),
    "gram_schmidt-six": lambda people, points: gram_schmidt_case(people, six=True),
    "correspondence": lambda people, points: correspondence_case(people, points),
    "warp": warp_case,
    "warp-seen": lambda people, points: warp_case(people, points, form="seen"),
    "warp-apart": lambda people, points: warp_case(people, points, form="apart", channels=17),
    "correspondence-robust": lambda people, points: correspondence_case(people, points, width=0.7),
}
