"""The ops alone, inside a training loop: a small network learns poses from 2-D keypoints.

    python examples/train_with_ops.py --steps 400    # beside other programs: OMP_NUM_THREADS=1

The ops pose and project random bodies. The network gets the projected keypoints and returns a
rotation for each joint. The ops pose that body too; the loss compares both bodies in 3-D, and its
gradient goes back through the ops.
"""

import argparse

import torch

from bodyreg import ops
from bodyreg.body import Body, rotation_matrices

body = Body.default()
rest = torch.from_numpy(body.joints)
points = body.keypoints((*body.joint_names, *body.landmarks))  # K points of the body


def posed(rotations: torch.Tensor) -> torch.Tensor:
    """(B, 24, 3, 3) rotations of the joints -> (B, K, 3) keypoints, metres."""
    scale = torch.ones(rotations.shape[:2])
    transforms, _ = ops.kinematics(rotations, scale, rest, body.parents)
    return ops.lbs(transforms, points.joint_ids, points.anchors)


def seen(keypoints: torch.Tensor) -> torch.Tensor:
    """(B, K, 3) keypoints -> (B, K, 2) in the picture of a camera in front of the body."""
    people = len(keypoints)
    front = torch.eye(3).repeat(people, 1, 1)
    return ops.projection(keypoints, front, torch.ones(people), torch.zeros(people, 2))[0]


def main() -> None:
    parser = argparse.ArgumentParser(description="Train a small network through the ops.")
    parser.add_argument("--steps", type=int, default=400)
    steps = parser.parse_args().steps
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Linear(2 * len(points), 256), torch.nn.ReLU(),
        torch.nn.Linear(256, 256), torch.nn.ReLU(), torch.nn.Linear(256, 24 * 9),
    )  # fmt: skip
    adam = torch.optim.Adam(network.parameters(), lr=1e-3)
    for step in range(steps):
        pose = 0.3 * torch.randn(128, 24, 3)  # radians
        truth = posed(rotation_matrices(pose))
        matrices = torch.eye(3) + network(seen(truth).flatten(1)).view(-1, 3, 3)
        guess = posed(ops.gram_schmidt(matrices, six=True).view(-1, 24, 3, 3))
        error = (guess - truth).norm(dim=2).mean()
        adam.zero_grad()
        error.backward()
        adam.step()
        if step % 100 == 0 or step == steps - 1:
            print(f"step {step:4d}: mean error of the keypoints {100 * error.item():.1f} cm")


if __name__ == "__main__":
    main()
