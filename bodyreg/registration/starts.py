"""Where a fit begins: the T-pose at yaws around the circle, or an earlier fit."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from bodyreg.body import AXIS_ANGLE, Body, Parameters
from bodyreg.body.rotations import rotation_matrices
from bodyreg.data.fits import Fits
from bodyreg.data.observations import Observations
from bodyreg.registration.config import RegistrationConfig

WARM_LENGTH = 2.0
"""Length of the raw rotation's columns in a warm start, about the length after a cold fit. The
determinant term falls with their length, which has no other effect; from length 1, the few
iterations of a warm fit would be spent on it."""


def cold_starts(
    people: int, config: RegistrationConfig, device: torch.device, dtype: torch.dtype
) -> Tensor:
    """T-poses in the middle of the frame, at `config.starts` yaws evenly around the circle.

    Returns:
        (people, starts, 108) parameters; the first start faces the viewer.
    """
    one = _cold_start(config.starts, config.camera_scale, dtype)
    return torch.from_numpy(one.repeat(people, axis=0)).to(device)


@lru_cache(maxsize=8)
def _cold_start(starts: int, camera_scale: float, dtype: torch.dtype) -> np.ndarray:
    """(1, starts, 108) parameters of one person's cold starts; kept for the next call."""
    yaws = [2 * math.pi * k / starts for k in range(starts)]
    turns = [(math.cos(yaw), math.sin(yaw)) for yaw in yaws]
    zeros = np.zeros((starts, AXIS_ANGLE.count))
    start = AXIS_ANGLE.split(torch.from_numpy(zeros))
    flat = AXIS_ANGLE.join(
        start._replace(
            segment_scale=torch.ones_like(start.segment_scale),
            rotation=start.rotation.new_tensor(
                [[[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]] for cos, sin in turns]
            ),
            scale=torch.full_like(start.scale, camera_scale),
        )
    )
    return flat.to(dtype)[None].numpy()


def turned_as_seen(start: Tensor, observations: Observations, config: RegistrationConfig) -> Tensor:
    """Cold starts (N, S, 108), turned to where the people's trunks point.

    With `roll_starts` they are turned about the view: the spine points as hips and shoulders lie on
    the picture. Where depths are lifted (of known spread, if the configuration reads spreads), the
    first start has its hips and shoulders as they are lifted, and the others stand at their yaws
    about this one's spine. Starts of people without such keypoints stay.
    """
    columns = _columns(observations)
    lifted = observations.keypoint_depth_spread is not None and bool(config.depth_spread)
    if columns is None or not (config.roll_starts or lifted):
        return start
    still = np.tile(np.eye(3), (len(observations), 1, 1))
    turn = _rolls(observations, columns) if config.roll_starts else still
    if lifted:
        trunks, known = _trunks(observations, columns)
        turn[known] = trunks[known]
    place = AXIS_ANGLE.slices["rotation"]
    before = start[..., place].reshape(*start.shape[:2], 3, 3)
    turns = torch.from_numpy(turn[:, None]).to(start)
    turned = start.clone()
    # Written out: the bits of a matrix product may depend on how many people there are.
    rows = [turns[..., i : i + 1] * before[..., i : i + 1, :] for i in range(3)]
    turned[..., place] = (rows[0] + rows[1] + rows[2]).flatten(2)
    return turned


def _columns(observations: Observations) -> list[int] | None:
    """Columns of the keypoints of `TRUNK`, or None if one of them is missing."""
    names = {
        name.rpartition("/")[2]: place for place, name in enumerate(observations.keypoint_name)
    }
    return [names[joint] for joint in TRUNK] if all(joint in names for joint in TRUNK) else None


def _rolls(observations: Observations, columns: list[int]) -> np.ndarray:
    """Rotations (N, 3, 3) about the view that turn +y to where the trunk points on the picture."""
    xy = observations.keypoints_in_frame()[:, columns].astype(np.float64)
    seen = observations.keypoint_weight[:, columns] > 0
    xy = np.where(seen[..., None], xy, 0)
    count = seen[:, :2].astype(np.float64) + seen[:, 2:]  # of hips, of shoulders
    # Of a pair, the middle of those that are seen.
    middle = (xy[:, :2] + xy[:, 2:]) / np.maximum(count, 1)[..., None]
    up = middle[:, 1] - middle[:, 0]
    length = np.hypot(up[:, 0], up[:, 1])
    known = (count > 0).all(axis=1) & (length > 0)
    x, y = np.where(known, up.T, [[0.0], [1.0]]) / np.where(known, length, 1)
    turn = np.tile(np.eye(3), (len(observations), 1, 1))
    turn[:, 0, 0], turn[:, 0, 1], turn[:, 1, 0], turn[:, 1, 1] = y, x, -x, y
    return turn


def _trunks(observations: Observations, columns: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Rotations (N, 3, 3) of trunks by their lifted hips and shoulders, and (N,) where known.

    The identity where it is not known.
    """
    turn, known = np.tile(np.eye(3), (len(observations), 1, 1)), np.zeros(len(observations), bool)
    depth, spread = observations.keypoint_depth, observations.keypoint_depth_spread
    assert spread is not None
    if depth is None:
        return turn, known
    places = np.concatenate(
        [observations.keypoints_in_frame()[:, columns], depth[:, columns, None]], axis=2
    ).astype(np.float64)
    left_hip, left_shoulder, right_hip, right_shoulder = np.moveaxis(places, 1, 0)
    left = left_hip - right_hip + left_shoulder - right_shoulder
    up = left_shoulder + right_shoulder - left_hip - right_hip
    front = np.cross(left, up)
    size = np.linalg.norm(front, axis=1)
    lifted = (observations.keypoint_weight[:, columns] > 0) & ~np.isnan(spread[:, columns])
    known = np.logical_and(lifted.all(axis=1), size > 0)
    front, up = front[known] / size[known, None], up[known]
    up = up / np.linalg.norm(up, axis=1, keepdims=True)
    turn[known] = np.stack([np.cross(up, front), up, front], axis=2)
    return turn, known


TRUNK = ("left_hip", "left_shoulder", "right_hip", "right_shoulder")
"""Keypoints that tell where a trunk points, of any convention."""


def warm_starts(fits: Fits, body: Body, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Parameters of earlier fits, (N,1,108). A turned root joint becomes part of the rotation."""
    reflected = np.linalg.det(fits.rotation.astype(np.float64)) < 0
    length = np.where(reflected, 1, WARM_LENGTH)  # a reflection has to turn round, not to grow
    start = without_root(fits, body)
    scale = start.segment_scale
    if body.proportions is not None:
        scale = scale / body.proportions.astype(np.float64)
    start = replace(start, segment_scale=scale, rotation=length[:, None, None] * start.rotation)
    return AXIS_ANGLE.join(Parameters.of(start))[:, None].to(device, dtype)


def without_root(fits: Fits, body: Body) -> Fits:
    """The same bodies with a root joint that is not turned, in float64.

    Its turn becomes part of the rotation. The root joint turns about the pelvis, the camera about
    the model's origin, so the translation changes, too. In perspective a person who comes nearer by
    this, d frame units, is 1 / (1 - d / focal length) times as large.
    """
    pose = fits.pose.astype(np.float64)
    root = rotation_matrices(torch.from_numpy(pose[:, 0])).numpy()
    rotation = fits.rotation @ root
    pelvis = body.joints[0].astype(np.float64)
    shift = (fits.rotation @ pelvis - rotation @ pelvis) * fits.scale[:, None]
    pose[:, 0] = 0
    near = fits.perspective.astype(np.float64)
    larger = 1 / (1 - near[:, 0] * shift[:, 2])
    moved = fits.translation + shift[:, :2]
    moved = moved + (larger - 1)[:, None] * (moved - near[:, 1:])
    return replace(fits, pose=pose, rotation=rotation, translation=moved, scale=larger * fits.scale)
