"""Fitted bodies and what pictures show of them, exactly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from bodyreg import Body, Fits, Observations, ops
from bodyreg.data.frames import image_from_frame
from bodyreg.data.skeletons import COCO_17
from bodyreg.regression import Lessons
from bodyreg.regression.outputs import labels_of
from bodyreg.regression.views import MARGIN


def some_fits(count: int, seed: int, *, root: bool = False, focal: bool = False) -> Fits:
    """Random bodies; every second one is seen in perspective if there are focal lengths."""
    random = np.random.default_rng(seed)
    rotation = np.linalg.qr(random.normal(size=(count, 3, 3)))[0]
    rotation *= np.linalg.det(rotation)[:, None, None]
    pose = random.normal(0, 0.4, (count, 24, 3))
    if not root:
        pose[:, 0] = 0
    camera = {}
    if focal:
        lengths = np.where(np.arange(count) % 2, 400, np.nan).astype(np.float32)
        camera = {"focal": lengths, "principal_point": np.full((count, 2), 160, np.float32)}
        camera["principal_point"][np.isnan(lengths)] = np.nan
    return Fits(
        id=np.arange(count),
        frame=random.uniform(80, 200, (count, 3)).astype(np.float32),
        pose=pose.astype(np.float32),
        segment_scale=random.uniform(0.8, 1.3, (count, 24)).astype(np.float32),
        rotation=rotation.astype(np.float32),
        scale=random.uniform(0.5, 0.9, count).astype(np.float32),
        translation=random.normal(0, 0.1, (count, 2)).astype(np.float32),
        loss=random.uniform(0.01, 0.02, count).astype(np.float32),
        **camera,
    )


def seen_in(fits: Fits, **camera) -> Observations:
    """Observations of the same people, of one keypoint each."""
    count = len(fits)
    xy = np.full((count, 1, 2), 3.0)
    return Observations.of_keypoints(
        ["left_hip"], xy, np.ones((count, 1)), id=fits.id, frame=fits.frame, **camera
    )


def seen_exactly(body: Body, fits: Fits, seed: int, *, points: int = 20) -> Observations:
    """Keypoints with depths, and dense points, where the fits show them."""
    random, count = np.random.default_rng(seed), len(fits)
    start = np.concatenate([[0], np.cumsum(random.integers(1, points, count))])
    vertex = body.faces[random.integers(len(body.faces), size=start[-1])]
    barycentric = random.dirichlet([1, 1, 1], start[-1]).astype(np.float32)
    owner = np.repeat(np.arange(count), np.diff(start))
    mesh = fits.vertices(body)
    places = (mesh[owner[:, None], vertex] * barycentric[..., None]).sum(1)
    frame = fits.frame[owner]
    dense = fits.select(owner).seen(places[:, None])[:, 0]
    keypoints = fits.keypoints(body, ("pelvis", *COCO_17.keypoints))
    shown = fits.seen(keypoints)[:, 1:, :2]
    return Observations(
        id=fits.id,
        frame=fits.frame,
        point_start=start,
        point_xy=image_from_frame(dense[:, :2], frame),
        point_vertex=vertex,
        point_barycentric=barycentric,
        point_weight=random.uniform(0.5, 1, start[-1]),
        keypoint_name=COCO_17.keypoints,
        keypoint_xy=image_from_frame(shown, fits.frame[:, None]),
        keypoint_weight=random.uniform(0.5, 1, shown.shape[:2]),
        keypoint_depth=keypoints[:, 1:, 2] - keypoints[:, :1, 2],
        focal=fits.focal,
        principal_point=fits.principal_point,
    )


def drawn(body: Body, fits: Fits, side: int) -> torch.Tensor:
    """(N, 3, side, side) uint8: the fits' bodies in crops of `MARGIN`, lit from the viewer."""
    vertices = torch.from_numpy(fits.seen(fits.vertices(body))).contiguous()
    faces = torch.from_numpy(body.faces.astype(np.int32))
    pixels = vertices.clone()
    pixels[..., :2] = (1 + vertices[..., :2] * torch.tensor([1.0, -1.0]) / MARGIN) * side / 2
    face = ops.raster(pixels, faces, side, side).face.long()
    corners = vertices[:, faces.long()]
    normals = torch.linalg.cross(
        corners[:, :, 1] - corners[:, :, 0], corners[:, :, 2] - corners[:, :, 0]
    )
    normals = torch.nn.functional.normalize(normals, dim=2)
    shown = normals[torch.arange(len(fits))[:, None, None], face.clamp(min=0)]
    light = torch.where(face[..., None] >= 0, 0.3 + 0.6 * shown.abs(), 0.1)
    return (255 * light).to(torch.uint8).permute(0, 3, 1, 2).contiguous()


def standing(count: int, seed: int) -> Fits:
    """People who face the viewer, more or less, with arms and legs at various angles."""
    random, fits = np.random.default_rng(seed), some_fits(count, seed)
    turn = random.uniform(-0.5, 0.5, count)
    cos, sin, zero, one = np.cos(turn), np.sin(turn), np.zeros(count), np.ones(count)
    rotation = np.array([[cos, zero, sin], [zero, one, zero], [-sin, zero, cos]])
    pose = random.normal(0, 0.1, (count, 24, 3))
    pose[:, 0] = 0
    pose[:, [16, 17], 2] += random.uniform(-1.2, 1.2, (count, 2))
    pose[:, [1, 2], 2] += random.uniform(-0.5, 0.5, (count, 2))
    return replace(
        fits, rotation=rotation.transpose(2, 0, 1).astype(np.float32), pose=pose.astype(np.float32)
    )


def lessons_of(body: Body, fits: Fits, side: int) -> Lessons:
    """Lessons with pictures of the fits themselves."""
    return Lessons(
        drawn(body, fits, round(MARGIN * side)),
        seen_exactly(body, fits, 5),
        labels_of(fits, body),
        torch.ones(len(fits)),
    )
