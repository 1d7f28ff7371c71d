"""BVH files: a skeleton with a person's proportions, and its poses as angles."""

from __future__ import annotations

import warnings

import numpy as np
from scipy.spatial.transform import Rotation

from bodyreg.errors import UserError
from bodyreg.exchange.motion import Motion

ORDER = "ZXY"
"""The order of a joint's angles: R = Rz Rx Ry, which most programs write."""
ROUND = 2 * np.pi


def to_bvh(motion: Motion, rate: float = 30.0) -> str:
    """The text of a BVH file: metres, y up, angles in degrees, joints with the rig's names.

    With all angles at 0 it shows the T-pose. Only the pelvis has a position. Where an angle about x
    is ±90 degrees, the other two are not unique; any of them gives the same rotation.

    Args:
        motion: The poses.
        rate: Poses a second.

    Raises:
        UserError: the person is mirrored, which angles cannot tell.
    """
    if motion.mirrored:
        raise UserError("the person is mirrored, which BVH cannot hold; write GLB instead")
    body, bones = motion.body, motion.bones
    ends, lines = _ends(motion), ["HIERARCHY"]
    order: list[int] = []

    def write(joint: int, depth: int) -> None:
        tab = "\t" * depth
        order.append(joint)
        places = "" if depth else "Xposition Yposition Zposition "
        angles = " ".join(f"{axis}rotation" for axis in ORDER)
        lines.extend([
            f"{tab}{'JOINT' if depth else 'ROOT'} {body.joint_names[joint]}", f"{tab}{{",
            f"{tab}\tOFFSET {_text(bones[joint])}",
            f"{tab}\tCHANNELS {3 if depth else 6} {places}{angles}",
        ])  # fmt: skip
        children = [child for child, parent in enumerate(body.parents) if parent == joint]
        for child in children:
            write(child, depth + 1)
        if not children:
            lines.extend([
                f"{tab}\tEnd Site", f"{tab}\t{{", f"{tab}\t\tOFFSET {_text(ends[joint])}",
                f"{tab}\t}}",
            ])  # fmt: skip
        lines.append(f"{tab}}}")

    write(0, 0)
    angles = [_angles(motion.rotations[:, joint]) for joint in order]
    rows = np.concatenate([motion.place, *angles], 1)
    lines += ["MOTION", f"Frames: {len(rows)}", f"Frame Time: {1 / rate:.9f}"]
    return "\n".join([*lines, *map(_text, rows), ""])


def _angles(rotations: np.ndarray) -> np.ndarray:
    """(T, 3) degrees in the order of `ORDER`, each pose's near those of the pose before."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Gimbal lock")
        angles = Rotation.from_matrix(rotations).as_euler(ORDER)
    both = np.stack([angles, angles * [1, -1, 1] + np.pi])  # the same rotation, the other way round
    for pose in range(1, len(angles)):
        before = angles[pose - 1]
        near = both[:, pose] + ROUND * np.round((before - both[:, pose]) / ROUND)
        angles[pose] = near[abs(near - before).sum(1).argmin()]
    return np.degrees(angles)


def _ends(motion: Motion) -> np.ndarray:
    """(24, 3) from each joint to the end of its segment, along its middle; only ends need it."""
    body = motion.body
    ends = np.zeros((len(body.parents), 3))
    for joint in range(len(ends)):
        own = body.vertices[body.segment == joint].astype(np.float64) - body.joints[joint]
        length = np.linalg.norm(own.mean(0)) if len(own) else 0.0
        if length > 0:
            along = own.mean(0) / length
            ends[joint] = motion.scale[joint] * (own @ along).max() * along
    return ends


def _text(numbers: np.ndarray) -> str:
    return " ".join(f"{number:.9g}" for number in numbers.tolist())
