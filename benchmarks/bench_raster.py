"""raster: the visible face of a posed body at every pixel, against OpenGL on the same processor."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks import workloads
from benchmarks.peers.llvmpipe import FaceIds
from bodyreg import ops, reference
from bodyreg.body import Body

SIDE = 256
LLVMPIPE = "Mesa's llvmpipe, faces alone"
PEERS = ["reference, eager", LLVMPIPE]
# Other sizes: number of pictures, their side, and how often each face is split into four.
OTHERS = [(1, SIDE, 0), (8, SIDE, 0), (256, SIDE, 0), (64, 512, 0), (64, SIDE, 1)]

# Operations of the formulas, on integers and floats alike; a multiply-add counts as two.
ROUND = 2 * 3  # a vertex's positions
BOUNDS = 8 + 8  # of a face, in pixels
EDGES = 7 + 3 * 4 + 3 * 7  # area, edges and their functions at one pixel
STEP = 3 * 2  # edge functions at the next pixel, and their signs
PIXEL = 3 * 2 + 6 + 1  # barycentrics, depth, the comparison


@pytest.mark.parametrize("row", ["bodyreg", *PEERS])
def bench_raster(row, measure, device):
    if device == "cuda" and row != "bodyreg":
        pytest.skip("the reference asks how many pixels there are, and llvmpipe runs on a CPU")
    vertices, faces = (x.to(device) for x in mesh(workloads.PEOPLE, 0, SIDE, 0))
    if row == LLVMPIPE:
        peer = FaceIds(vertices.shape[1], faces.numpy(), SIDE)
        assert_same_faces(peer, vertices[:4], faces)

    def draw(vertices):
        if row == LLVMPIPE:
            return peer.draw(vertices.numpy())
        module = ops if row == "bodyreg" else reference
        return module.raster(vertices, faces, SIDE, SIDE)

    measure(
        f"raster, {workloads.PEOPLE} pictures of {SIDE} x {SIDE}, {len(faces):,} faces",
        row,
        draw,
        lambda seed: (mesh(workloads.PEOPLE, 0, SIDE, seed)[0].to(device),),
        against=PEERS,
        **work(vertices, faces, SIDE),
    )


@pytest.mark.parametrize(("pictures", "side", "cuts"), OTHERS)
def bench_raster_of_other_sizes(pictures, side, cuts, measure, device):
    vertices, faces = (x.to(device) for x in mesh(pictures, cuts, side, 0))
    measure(
        "raster of other sizes",
        f"{pictures} of {side} x {side}, {len(faces):,} faces",
        lambda vertices: ops.raster(vertices, faces, side, side),
        lambda seed: (mesh(pictures, cuts, side, seed)[0].to(device),),
        against=[],
        **work(vertices, faces, side),
    )


def assert_same_faces(peer: FaceIds, vertices: Tensor, faces: Tensor) -> None:
    """Both draw the same pictures, except for depths that only one of them can distinguish."""
    ours = ops.raster(vertices, faces, peer.side, peer.side).face.clamp(min=0).numpy()
    assert (peer.draw(vertices.numpy()) != ours).mean() < 1e-4


@functools.cache
def mesh(pictures: int, cuts: int, side: int, seed: int) -> tuple[Tensor, Tensor]:
    """The built-in body in random poses and orientations: pixels and depths, and faces."""
    generator = torch.Generator().manual_seed(seed)
    body = Body.default()
    points = body.vertex_points()
    transforms, _ = body.pose(0.25 * torch.randn(pictures, 24, 3, generator=generator))
    vertices = ops.lbs(transforms.float(), points.joint_ids, points.anchors.float())
    yaw = 2 * torch.pi * torch.rand(pictures, generator=generator)
    turn = torch.eye(3).repeat(pictures, 1, 1)
    turn[:, 0, 0], turn[:, 0, 2] = yaw.cos(), yaw.sin()
    turn[:, 2, 0], turn[:, 2, 2] = -yaw.sin(), yaw.cos()
    vertices = vertices @ turn.mT
    low, high = vertices.amin(1, keepdim=True), vertices.amax(1, keepdim=True)
    scale = 0.9 * side / (high - low).amax(-1, keepdim=True)
    pixels = (vertices - (low + high) / 2) * scale * torch.tensor([1.0, -1.0, 1.0])
    pixels = pixels + torch.tensor([side / 2, side / 2, 0.0])
    faces = body.faces
    for _ in range(cuts):  # all pictures at once: one long vector per vertex
        flat = pixels.transpose(0, 1).flatten(1).numpy()
        remesh = pytest.importorskip("trimesh.remesh")
        _, faces, cut = remesh.subdivide(flat[:, :3], faces, vertex_attributes={"all": flat})
        pixels = torch.from_numpy(cut["all"]).view(-1, pictures, 3).transpose(0, 1).float()
    return pixels.contiguous(), torch.from_numpy(np.ascontiguousarray(faces, np.int32))


def work(vertices: Tensor, faces: Tensor, side: int) -> dict[str, float]:
    """Bytes and operations for vertices, faces, pixels in bounds of faces, and pixels in faces."""
    bounded = covered = 0.0
    for picture in vertices.cpu():
        corners = picture[faces.cpu().long(), :2]
        first, last = (corners.amin(1) - 0.5).ceil(), (corners.amax(1) + 0.5).floor()
        bounded += float((last - first).clamp(min=0).prod(1).sum())
        a, b, c = corners.unbind(1)
        covered += float(torch.linalg.det(torch.stack([b - a, c - a], 1)).abs().sum() / 2)
    pictures, count, _ = vertices.shape
    return {
        "bytes_moved": pictures * (12 * count + 20 * side**2) + 12 * len(faces),
        "flops": pictures * (ROUND * count + (BOUNDS + EDGES) * len(faces))
        + STEP * bounded
        + PIXEL * covered,
    }
