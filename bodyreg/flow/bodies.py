"""Flow between two pictures of a person, by the bodies in both."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from bodyreg import ops
from bodyreg.body import Body
from bodyreg.data.bodies import Bodies, are_near, in_pixels
from bodyreg.data.deepfashion import PARTS
from bodyreg.data.fits import Fits
from bodyreg.ops import Flow, Raster
from bodyreg.reference.flow import BACKGROUND, HIDDEN, VISIBLE

PIXELS_AT_ONCE = 2**22
"""Pixels of the pairs that are drawn in one step; this keeps their rasters below 100 MB."""

Test = Literal["point", "face"]


def between(
    body: Body,
    source: Bodies,
    target: Bodies,
    size: tuple[int, int],
    source_size: tuple[int, int] | None = None,
    *,
    visible: Test = "point",
) -> Flow:
    """Where each pixel of targets is in their sources, and whether it is visible there.

    Both fits of a pair are of the same person. With or without perspective, in any picture: the
    fits know where their frames lie. Places that the source hides have a flow, too. The truth of
    made people can stand for fits.

    Args:
        body: The fitted body, or the one that people were made from.
        source: N fits, in the pictures that are read.
        target: N fits of the same people, in the pictures that are made.
        size: Height and width of the targets' pictures, pixels.
        source_size: The same of the sources' pictures; that of the targets if left out.
        visible: "point": a pixel is visible if nothing lies in front of its place in the source.
            "face": it is visible if the source shows any pixel of its face, as in "Dense Intrinsic
            Appearance Flow for Human Pose Transfer". Faces smaller than a pixel are then often
            hidden although they could be seen.

    Returns:
        See `bodyreg.ops.Flow`; on the CPU, float32.
    """
    if len(source) != len(target):
        raise ValueError(f"source: expected {len(target)} fits as target has, got {len(source)}")
    count, source_size = len(target), source_size or size
    out = Flow(torch.empty(count, *size, 2), torch.empty(count, *size, dtype=torch.uint8))
    pixels = math.prod(size) + math.prod(source_size)
    for pairs in _alike(source, target, max(1, PIXELS_AT_ONCE // max(1, pixels))):
        some = source.select(pairs), target.select(pairs)
        found = _between(body, *some, size, source_size, visible)
        for whole, part in zip(out, found, strict=True):
            whole[torch.from_numpy(pairs)] = part
    return out


def extended(flow: Flow) -> Flow:
    """The same, with a flow on the background too: that of the nearest pixel with a body.

    Pictures without a body keep the flow 0.
    """
    out = flow.flow.clone()
    for picture, kind in zip(out.numpy(), flow.visibility.numpy(), strict=True):
        if (kind < BACKGROUND).any():
            row, column = distance_transform_edt(
                kind == BACKGROUND, return_distances=False, return_indices=True
            )
            picture[:] = picture[row, column]
    return Flow(out, flow.visibility)


def parts(body: Body, people: Bodies, size: tuple[int, int]) -> Tensor:
    """(N, H, W) uint8, the part that pixels show: `PARTS` of DeepFashion, 0 = background.

    Args:
        body: As of `between`.
        people: N fits, in pictures of `size`.
        size: Height and width, pixels.
    """
    faces = torch.from_numpy(body.faces.astype(np.int32))
    label = np.zeros(1 + len(body.faces), np.uint8)
    for number, joints in PARTS.items():
        label[1:][np.isin(body.segment[body.faces[:, 0]], joints)] = number
    label_of = torch.from_numpy(label)
    out = torch.empty(len(people), *size, dtype=torch.uint8)
    for some in _alike(people, people, max(1, PIXELS_AT_ONCE // max(1, math.prod(size)))):
        drawn = _drawn(_placed(body, people.select(some)), faces, size)
        out[torch.from_numpy(some)] = label_of[1 + drawn.face.long()]
    return out


def _alike(source: Bodies, target: Bodies, most: int) -> list[np.ndarray]:
    """Positions of pairs that one call of the ops takes: of equal cameras and bodies, so many."""
    kinds = np.column_stack([are_near(source), are_near(target), _are_mirrored(source)])
    found = []
    for kind in np.unique(kinds, axis=0):
        pairs = np.flatnonzero((kinds == kind).all(axis=1))
        found += [pairs[i : i + most] for i in range(0, len(pairs), most)]
    return found


def _are_mirrored(people: Bodies) -> np.ndarray:
    """(N,) bool; made people never are."""
    return people.mirrored if isinstance(people, Fits) else np.zeros(len(people), bool)


def _between(
    body: Body,
    source: Bodies,
    target: Bodies,
    size: tuple[int, int],
    source_size: tuple[int, int],
    visible: Test,
) -> Flow:
    """`between` of pairs of one kind."""
    faces = torch.from_numpy(body.faces.astype(np.int32))
    places, near = _placed(body, source)
    shown = _drawn(_placed(body, target), faces, size)
    read = _drawn((places, near), faces, source_size)
    # A mirrored body is inside out. The order of a face's vertices tells which side is seen.
    order = [0, 2, 1] if _are_mirrored(source)[0] else [0, 1, 2]
    share = shown.barycentric[..., order].contiguous()
    corners = faces[:, order].contiguous()
    flow = ops.flow(shown.face, share, places, corners, read.depth, perspective=near)
    if visible == "face":
        return Flow(flow.flow, _by_faces(shown.face, read.face, len(faces)))
    return flow


def _placed(body: Body, people: Bodies) -> tuple[Tensor, bool]:
    """Vertices (N, V, 3) as of `in_pixels`, and whether these people are in perspective."""
    if isinstance(people, Fits):
        places = people.vertices(body)
    else:
        places = people.placed(people.vertices)
    return torch.from_numpy(in_pixels(people, places)), bool(are_near(people)[0])


def _drawn(placed: tuple[Tensor, bool], faces: Tensor, size: tuple[int, int]) -> Raster:
    vertices, near = placed
    return ops.raster(vertices, faces, *size, perspective=near)


def _by_faces(target: Tensor, source: Tensor, count: int) -> Tensor:
    """(N, H, W) uint8: whether the source shows a pixel of the face that the target shows.

    Args:
        target, source: (N, H, W) and (N, h, w) int32, faces as of `ops.raster`.
        count: The number of faces.
    """
    people = len(target)
    shown = torch.zeros(people, 1 + count, dtype=torch.bool)
    shown.scatter_(1, 1 + source.flatten(1).long(), True)
    kind = torch.where(shown.gather(1, 1 + target.flatten(1).long()), VISIBLE, HIDDEN)
    return kind.view_as(target).masked_fill(target < 0, BACKGROUND).to(torch.uint8)
