"""A person's poses as the rotations and the place of one skeleton, in metres."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial.transform import Rotation, Slerp

from bodyreg import ops
from bodyreg.body import Body, RigPoints
from bodyreg.data.bodies import pixels_per_metre
from bodyreg.data.fits import Fits
from bodyreg.errors import UserError

ORTHONORMAL = 1e-3
"""Most that R R^T may differ from the identity."""

MOST_POSES = 10**6
"""Of a person, with those that are interpolated."""


@dataclass(frozen=True, eq=False)
class Motion:
    """T poses of one person, in the axes of the camera: x right, y up, z toward the viewer.

    Where the focal length is known, the camera is at the origin. Otherwise the distance to the
    camera is not known: the pelvis of the first pose is at the origin, and moves across the view.

    Attributes:
        body: The fitted body, in the person's shape.
        scale: (24,) segment scales, the same in all poses.
        rotations: (T, 24, 3, 3) float64, each joint in its parent's axes, and the pelvis in those
            of the camera. The pelvis of a mirrored person is a reflection.
        place: (T, 3) float64 the pelvis, metres.
    """

    body: Body
    scale: np.ndarray
    rotations: np.ndarray
    place: np.ndarray

    def __len__(self) -> int:
        return len(self.place)

    @property
    def mirrored(self) -> bool:
        """Whether left and right are exchanged."""
        return bool(np.linalg.det(self.rotations[0, 0]) < 0)

    def points(self, points: RigPoints) -> np.ndarray:
        """(T, P, 3) float64 positions of rig points of the body, metres."""
        joints = torch.from_numpy(self.body.joints).double()
        transforms, places = ops.kinematics(
            torch.from_numpy(self.rotations),
            torch.from_numpy(np.tile(self.scale, (len(self), 1))),
            joints,
            self.body.parents,
        )
        transforms[..., 3] += torch.from_numpy(self.place)[:, None] - places[:, :1]
        return ops.lbs(transforms, points.joint_ids, points.anchors.double()).numpy()

    @property
    def bones(self) -> np.ndarray:
        """(24, 3) float64 each joint at rest, from its parent, with the person's proportions.

        That of the pelvis is 0.
        """
        joints = self.body.joints.astype(np.float64)
        parents = list(self.body.parents[1:])
        bones = np.zeros_like(joints)
        bones[1:] = self.scale[parents, None] * (joints[1:] - joints[parents])
        return bones


def motion_of(body: Body, fits: Fits, moments: np.ndarray | None = None) -> Motion:
    """The motion of one person.

    Its segment scales and its shape are the means of those of the fits.

    Args:
        body: The fitted body.
        fits: The fits of the person in T pictures, in the order of time.
        moments: (T,) integers that rise: the numbers of the pictures. Poses at numbers that are
            missing between them are interpolated. None: none is missing.

    Raises:
        UserError: a segment scale is not positive, a camera's scale is 0, a rotation is not
            orthonormal, the person is mirrored in some of the fits only, or moments do not rise or
            are too far apart.
    """
    square = fits.rotation @ fits.rotation.swapaxes(1, 2)
    for what, bad in (
        ("a segment scale is not positive", (fits.segment_scale <= 0).any(1)),
        ("the scale is 0", fits.scale == 0),
        ("the rotation is not orthonormal", abs(square - np.eye(3)).max((1, 2)) > ORTHONORMAL),
    ):
        if bad.any():
            raise UserError(f"the fit of person {fits.id[bad.argmax()]}: {what}; fit it again")
    if fits.mirrored.any() and not fits.mirrored.all():
        raise UserError(
            f"the fit of person {fits.id[fits.mirrored.argmax()]} is mirrored, and others of the "
            "same person are not; fit them again"
        )
    sign = np.sign(fits.scale.astype(np.float64))[:, None, None]
    shape = fits.pose.shape[:2]
    turns = Rotation.from_rotvec(fits.pose.reshape(-1, 3).astype(np.float64)).as_matrix()
    rotations = turns.reshape(*shape, 3, 3)
    rotations[:, 0] = sign * fits.rotation.astype(np.float64) @ rotations[:, 0]
    scale = fits.segment_scale.astype(np.float64).mean(0)
    own = body if fits.shape is None else body.with_shape(fits.shape.mean(0))
    motion = Motion(own, scale, rotations, _place(body, fits))
    return motion if moments is None else _filled(motion, moments)


def _place(body: Body, fits: Fits) -> np.ndarray:
    """(T, 3) the pelvis in metres."""
    metre = abs(fits.scale.astype(np.float64))  # frame units
    rest = [np.tile(own.joints[0], (len(some), 1)) for some, own in fits.by_body(body)]
    turned = fits.rotation.astype(np.float64) @ np.concatenate(rest)[..., None]
    pelvis = fits.scale[:, None] * turned[..., 0]
    pelvis[:, :2] += fits.translation
    near = fits.perspective.astype(np.float64)
    if (near[:, 0] > 0).all():
        pelvis[:, :2] -= near[:, 1:]
        pelvis[:, 2] -= 1 / near[:, 0]
        return pelvis / metre[:, None]
    frame = fits.frame.astype(np.float64)
    pixels = pelvis[:, :2] * frame[:, 2:] + frame[:, :2] * [1, -1]
    place = np.zeros((len(fits), 3))
    place[:, :2] = (pixels - pixels[0]) / np.median(pixels_per_metre(fits))
    return place


def _filled(motion: Motion, moments: np.ndarray) -> Motion:
    first, last = int(moments[0]), int(moments[-1])
    if (np.diff(moments) <= 0).any() or last - first >= MOST_POSES:
        raise UserError("the moments of a track do not rise, or are too far apart; track it again")
    wanted = np.arange(first, last + 1)
    if len(wanted) == len(moments):
        return motion
    place = np.stack([np.interp(wanted, moments, along) for along in motion.place.T], 1)
    sign = -1.0 if motion.mirrored else 1.0
    proper = motion.rotations.copy()
    proper[:, 0] *= sign
    turns = [
        Slerp(moments, Rotation.from_matrix(joint))(wanted).as_matrix()
        for joint in proper.swapaxes(0, 1)
    ]
    rotations = np.stack(turns, 1)
    rotations[:, 0] *= sign
    return Motion(motion.body, motion.scale, rotations, place)
