"""A body's parameters: their blocks by name, and the flat vectors that hold them.

Solvers and networks work on one vector per person. `AXIS_ANGLE` is the layout of its 108 numbers in
a fit, `QUATERNION` that of the 132 numbers of a network, whose poses are quaternions, and
`SIX_NUMBERS` that of a network with six numbers for each rotation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from bodyreg.body.joints import JOINT_NAMES, MIRROR_JOINTS, mirror_pose


class Parameters(NamedTuple):
    """The blocks of people's parameters, in the order of the flat vectors.

    Attributes:
        pose: (...,24,3) axis-angle, radians; in networks (...,24,4) quaternions w, x, y, z.
        segment_scale: (...,24).
        rotation: (...,3,3) model axes to frame axes. In a flat vector it is raw: Gram-Schmidt
            makes it orthonormal.
        translation: (...,2) frame units.
        scale: (...) frame units per metre.
    """

    pose: Tensor
    segment_scale: Tensor
    rotation: Tensor
    translation: Tensor
    scale: Tensor

    @classmethod
    def of(cls, people: Any) -> Parameters:
        """The blocks of `Fits` or `Truth`, contiguous, on the CPU; memory is shared if possible."""
        arrays = (getattr(people, name) for name in cls._fields)
        return cls(*(torch.from_numpy(np.ascontiguousarray(array)) for array in arrays))

    def arrays(self) -> dict[str, np.ndarray]:
        """Name -> block, for `Fits` or `Truth`; the blocks are on the CPU."""
        return {name: block.numpy() for name, block in self._asdict().items()}


@dataclass(frozen=True)
class Layout:
    """Where each block lies in a flat vector.

    Attributes:
        pose: Shape of one person's pose.
    """

    pose: tuple[int, int]

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Block -> its shape for one person."""
        return {
            "pose": self.pose,
            "segment_scale": (len(JOINT_NAMES),),
            "rotation": (3, 3),
            "translation": (2,),
            "scale": (),
        }

    @cached_property
    def sizes(self) -> list[int]:
        """How many numbers each block has, in order."""
        return [math.prod(shape) for shape in self.shapes.values()]

    @cached_property
    def count(self) -> int:
        """How many numbers there are."""
        return sum(self.sizes)

    @cached_property
    def slices(self) -> dict[str, slice]:
        """Block -> its place in the vector."""
        ends = np.cumsum(self.sizes).tolist()
        starts = [0, *ends[:-1]]
        return {
            name: slice(start, end)
            for name, start, end in zip(self.shapes, starts, ends, strict=True)
        }

    def split(self, flat: Tensor) -> Parameters:
        """(...,count) -> its blocks, each contiguous, as the ops want them; differentiable.

        Raises:
            ValueError: the vectors have another length.
        """
        if flat.shape[-1] != self.count:
            raise ValueError(f"flat: expected {self.count} numbers each, got {flat.shape[-1]}")
        blocks = flat.split(self.sizes, dim=-1)
        shapes = self.shapes.values()
        return Parameters(
            *(
                block.contiguous().view((*flat.shape[:-1], *shape))
                for block, shape in zip(blocks, shapes, strict=True)
            )
        )

    def join(self, parameters: Parameters) -> Tensor:
        """The blocks -> (...,count); the inverse of `split`, differentiable.

        Raises:
            ValueError: a block has another shape.
        """
        people = parameters.scale.shape
        for name, shape in self.shapes.items():
            found, expected = getattr(parameters, name).shape, (*people, *shape)
            if found != expected:
                raise ValueError(f"{name}: expected shape {expected}, got {tuple(found)}")
        blocks = zip(parameters, self.sizes, strict=True)
        return torch.cat([block.reshape(*people, size) for block, size in blocks], dim=-1)


AXIS_ANGLE = Layout((len(JOINT_NAMES), 3))
"""A fit's 108 numbers: pose (24,3) axis-angle, segment scale (24), rotation (9, row-major),
translation (2), scale (1)."""

QUATERNION = Layout((len(JOINT_NAMES), 4))
"""A network's 132 numbers: the same with pose as 24 quaternions w, x, y, z."""

SIX_NUMBERS = Layout((len(JOINT_NAMES), 6))
"""A network's 180 numbers: the same with pose as the first two columns of 24 rotations, one after
the other, which Gram-Schmidt makes orthonormal (Zhou et al., "On the Continuity of Rotation
Representations in Neural Networks", 2019)."""


def mirrored(parameters: Parameters) -> Parameters:
    """The parameters of the same people in mirrored pictures.

    Formula: Yoshiyasu & Gamez, "Learning Body Shape and Pose from Dense Correspondences" (2019),
    2.2. Exact: numbers change their place or their sign. Applied twice, it gives back the first.
    """
    mirror_x = parameters.rotation.new_tensor([-1.0, 1.0, 1.0])
    return Parameters(
        pose=mirror_pose(parameters.pose),
        segment_scale=parameters.segment_scale[..., list(MIRROR_JOINTS)],
        rotation=parameters.rotation * mirror_x * mirror_x[:, None],
        translation=parameters.translation * mirror_x[:2],
        scale=parameters.scale,
    )
