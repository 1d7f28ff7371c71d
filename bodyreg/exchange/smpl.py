"""Poses as SMPL's parameters, in the names of the package smplx."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from bodyreg.body.landmarks import SMPL_VERTEX_COUNT
from bodyreg.errors import UserError
from bodyreg.exchange.motion import Motion

BETAS = 10
"""Shape coefficients that programs expect."""


def smpl_parameters(motion: Motion) -> dict[str, np.ndarray]:
    """The parameters of SMPL (Loper et al. 2015) for T poses of a person.

    SMPL has shape coefficients where a fit has segment scales. The coefficients are 0: SMPL alone
    gives a person of the template's proportions in these poses. The vertices of the fit are those
    of SMPL's skinning with two changes: the bone from joint q to its child k is s_q (J_k - J_q),
    and the rotation that moves the vertices of segment k is multiplied by s_k. SMPL's corrections
    by pose are no part of a fit.

    The translation is that of the fitted body's origin. If the fitted body is SMPL, SMPL's pelvis
    is at its place. If not, add the J_0 of the fitted body to it and subtract that of SMPL.

    Args:
        motion: The poses. If its body is not SMPL, the angles are from its own T-pose.

    Returns:
        global_orient (T, 3) and body_pose (T, 69) axis-angle, radians · betas (T, 10), zeros ·
        transl (T, 3) metres, of the origin of the fitted body · segment_scale (T, 24). All are
        float32, in the axes of `motion`.

    Raises:
        UserError: the person is mirrored, which rotations cannot tell.
    """
    if motion.mirrored:
        raise UserError("the person is mirrored, which SMPL cannot be; write GLB instead")
    count = len(motion)
    turns = Rotation.from_matrix(motion.rotations.reshape(-1, 3, 3)).as_rotvec()
    turns = turns.reshape(count, -1)
    arrays = {
        "global_orient": turns[:, :3],
        "body_pose": turns[:, 3:],
        "betas": np.zeros((count, BETAS)),
        "transl": motion.place - motion.body.joints[0],
        "segment_scale": np.tile(motion.scale, (count, 1)),
    }
    return {name: array.astype(np.float32) for name, array in arrays.items()}


def smpl_vertices(motion: Motion) -> np.ndarray:
    """Where SMPL's vertices lie on the body, in T poses.

    SMPL's own vertices if it is fitted; on another body the points that `Body.smpl_points` tells.

    Returns:
        (T, 6890, 3) float32 metres, in the axes of `motion`.

    Raises:
        UserError: it is not known where they lie on this body.
    """
    body = motion.body
    points = body.surface_points(*body.smpl_points(np.arange(SMPL_VERTEX_COUNT)))
    return motion.points(points).astype(np.float32)
