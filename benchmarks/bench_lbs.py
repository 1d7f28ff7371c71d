"""lbs, forward + backward: the built-in body's vertices, from transforms and from the pose."""

from __future__ import annotations

import pytest
import torch

from benchmarks import workloads
from benchmarks.conftest import backward
from bodyreg import ops, reference
from bodyreg.body import Body

SPARSE = {
    "reference, eager": reference.lbs,
    "reference, torch.compile": torch.compile(reference.lbs),
    "bodyreg": ops.lbs,
}
DENSE = "one dense matrix product, eager"


def work(rig: workloads.Rig) -> dict[str, float]:
    """Bytes and operations of lbs, forward and backward."""
    people, vertices, joints = workloads.PEOPLE, len(rig.anchors), len(rig.parents)
    entries = rig.joint_ids.numel()
    return {
        "bytes_moved": 4 * (2 * people * vertices * 3 + 2 * people * joints * 12 + 2 * entries * 5),
        "flops": 2 * people * rig.influences * 12 * 2,
    }


def cotangent(rig: workloads.Rig, device: str) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(workloads.PEOPLE, len(rig.anchors), 3, generator=generator).to(device)


@pytest.mark.parametrize("row", [*SPARSE, DENSE])
def bench_lbs(row, measure, device):
    rig = workloads.rig(device)
    grad = cotangent(rig, device)
    function = DenseProduct(rig) if row == DENSE else SPARSE[row]

    def step(transforms):
        points = function(transforms, rig.joint_ids, rig.anchors)
        return backward(points, (transforms,), (grad,))

    measure(
        f"lbs forward + backward, {workloads.PEOPLE} people, {len(rig.anchors):,} vertices",
        row,
        step,
        lambda seed: (workloads.transforms(seed, device),),
        **work(rig),
    )


class DenseProduct:
    """lbs as one matrix product: all anchors in a matrix (4 J, V), mostly zeros."""

    def __init__(self, rig: workloads.Rig):
        vertices, joints = len(rig.anchors), len(rig.parents)
        rows = torch.arange(vertices, device=rig.anchors.device)[:, None].expand_as(rig.joint_ids)
        dense = rig.anchors.new_zeros(vertices, joints, 4)
        dense.index_put_((rows, rig.joint_ids.long()), rig.anchors, accumulate=True)
        self.matrix = dense.flatten(1).T.contiguous()

    def __call__(self, transforms, joint_ids, anchors):
        people, joints = transforms.shape[:2]
        rows = transforms.permute(0, 2, 1, 3).reshape(people * 3, joints * 4)
        return (rows @ self.matrix).view(people, 3, -1).mT


@pytest.mark.parametrize("row", ["reference, eager", "bodyreg", "smplx.lbs"])
def bench_pose_to_vertices(row, measure, device):
    rig, people = workloads.rig(device), workloads.PEOPLE
    grad = cotangent(rig, device)
    if row == "smplx.lbs":
        function = smplx_lbs(rig, device)
    else:
        module = ops if row == "bodyreg" else reference

        def function(rotations, scale):
            transforms, _ = module.kinematics(rotations, scale, rig.joints, rig.parents)
            return module.lbs(transforms, rig.joint_ids, rig.anchors)

    def step(rotations, scale):
        vertices = function(rotations, scale)
        return torch.autograd.grad(vertices, rotations, grad)

    measure(
        f"pose to vertices, forward + backward, {people} people, {len(rig.anchors):,} vertices",
        row,
        step,
        lambda seed: workloads.pose(seed, device),
        **work(rig),
    )


def smplx_lbs(rig: workloads.Rig, device: str):
    """The lbs of smplx on the same mesh, joints and weights.

    It cannot omit blend shapes, so it gets one shape coefficient and pose blend shapes of zero.
    """
    peer = pytest.importorskip("smplx.lbs", reason="smplx is not installed")
    body = Body.default()
    vertices, joints = len(body.vertices), len(rig.parents)
    as_tensor = {"dtype": workloads.FLOAT, "device": device}
    template = torch.as_tensor(body.vertices, **as_tensor)
    weights = torch.as_tensor(body.dense_weights, **as_tensor)
    # A least-squares regressor that returns the body's own joints.
    regressor = (torch.linalg.pinv(template.double().cpu()).T @ rig.joints.double().cpu().T).T
    constants = {
        "betas": torch.zeros(workloads.PEOPLE, 1, **as_tensor),
        "v_template": template,
        "shapedirs": torch.zeros(vertices, 3, 1, **as_tensor),
        "posedirs": torch.zeros(9 * (joints - 1), 3 * vertices, **as_tensor),
        "J_regressor": regressor.to(**as_tensor),
        "parents": torch.tensor(rig.parents, device=device),
        "lbs_weights": weights,
    }
    return lambda rotations, scale: peer.lbs(pose=rotations, pose2rot=False, **constants)[0]
