"""BVH files of a rig in given postures, in any style of names, axes, units and Euler orders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from bodyreg.body import JOINT_NAMES, PARENTS

MIXAMO = {
    "pelvis": "Hips", "spine1": "Spine", "spine2": "Spine1", "spine3": "Spine2", "neck": "Neck",
    "head": "Head", "left_collar": "LeftShoulder", "left_shoulder": "LeftArm",
    "left_elbow": "LeftForeArm", "left_wrist": "LeftHand", "left_hand": "LeftHandMiddle1",
    "left_hip": "LeftUpLeg", "left_knee": "LeftLeg", "left_ankle": "LeftFoot",
    "left_foot": "LeftToeBase",
}  # fmt: skip
"""Names of the central and left joints; those of the right side follow from them."""


def both_sides(left: Mapping[str, str], one: str = "Left", other: str = "Right") -> dict[str, str]:
    """The names of all joints, from those of the central and left ones."""
    names = dict(left)
    for joint, name in left.items():
        if joint.startswith("left_"):
            names[joint.replace("left_", "right_")] = name.replace(one, other)
    return names


def world_rotations(turns: np.ndarray, pelvis: np.ndarray) -> np.ndarray:
    """(F, 24, 3, 3) rotations to world axes, of joint rotations and the pelvis' turns (F, 3, 3)."""
    world = np.empty_like(turns)
    world[:, 0] = pelvis
    for joint, parent in enumerate(PARENTS[1:], 1):
        world[:, joint] = world[:, parent] @ turns[:, joint]
    return world


def positions(world: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """(F, 24, 3) joints with the pelvis at 0, of rotations to world axes and joints at rest."""
    points = np.zeros((len(world), len(PARENTS), 3))
    for joint, parent in enumerate(PARENTS[1:], 1):
        bone = (joints[joint] - joints[parent]).astype(np.float64)
        points[:, joint] = points[:, parent] + world[:, parent] @ bone
    return points


def write_bvh(
    path: Path,
    joints: np.ndarray,
    turns: np.ndarray,
    pelvis: np.ndarray,
    *,
    names: Mapping[str, str],
    axes: np.ndarray | None = None,
    orders: Sequence[str] = ("ZYX",) * 24,
    unit: float = 100.0,
    up: np.ndarray | None = None,
    frame_time: float = 0.1,
    moving: bool = False,
) -> None:
    """Write a motion of the rig.

    Args:
        path: The file.
        joints: (24, 3) at rest, metres.
        turns: (F, 24, 3, 3) joint rotations, relative to the rest pose.
        pelvis: (F, 3, 3) the pelvis' turns.
        names: The rig's joints -> names in the file; other joints are left out with all below.
        axes: (24, 3, 3) each joint's own axes at rest; the file's own rest pose follows from them.
        orders: The Euler order of each joint.
        unit: The file's units in a metre.
        up: (3, 3) our world axes to the file's.
        frame_time: Seconds.
        moving: All joints have position channels.
    """
    axes = np.broadcast_to(np.eye(3), (24, 3, 3)) if axes is None else axes
    up = np.eye(3) if up is None else up
    world = world_rotations(turns, pelvis) @ axes
    lines, columns = ["HIERARCHY"], []

    def write(joint: int, depth: int) -> None:
        tab, parent = "\t" * depth, PARENTS[joint]
        if parent < 0:
            offset, local = np.zeros(3), up @ world[:, 0]
        else:
            offset = unit * axes[parent].T @ (joints[joint] - joints[parent])
            local = world[:, parent].swapaxes(1, 2) @ world[:, joint]
        kind = "ROOT" if parent < 0 else "JOINT"
        places = " Xposition Yposition Zposition" if parent < 0 or moving else ""
        rotations = " ".join(f"{axis}rotation" for axis in orders[joint])
        lines.extend([
            f"{tab}{kind} {names[JOINT_NAMES[joint]]}", f"{tab}{{",
            f"{tab}\tOFFSET {offset[0]:.9f} {offset[1]:.9f} {offset[2]:.9f}",
            f"{tab}\tCHANNELS {6 if places else 3}{places} {rotations}",
        ])  # fmt: skip
        if places:
            columns.append(np.repeat(offset[None], len(turns), 0))
        columns.append(Rotation.from_matrix(local).as_euler(orders[joint], degrees=True))
        children = [c for c, p in enumerate(PARENTS) if p == joint and JOINT_NAMES[c] in names]
        for child in children:
            write(child, depth + 1)
        if not children:
            lines.extend([f"{tab}\tEnd Site", f"{tab}\t{{", f"{tab}\t\tOFFSET 0 1 0", f"{tab}\t}}"])
        lines.append(f"{tab}}}")

    write(0, 0)
    lines += ["MOTION", f"Frames: {len(turns)}", f"Frame Time: {frame_time}"]
    rows = np.concatenate(columns, 1)
    lines += [" ".join(f"{value:.9f}" for value in row) for row in rows]
    path.write_text("\n".join(lines) + "\n")
