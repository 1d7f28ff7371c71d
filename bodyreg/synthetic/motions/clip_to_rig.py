"""Clips brought to a rig.

Only directions are taken from a clip, so its unit and the lengths of its limbs do not matter. What
positions tell is exact: the directions of upper arms, forearms, thighs, shanks, of the line of the
hips and of the chest. A limb's twist is that of the plane of its elbow or knee; that of the trunk
comes from the lines of hips and shoulders. What depends on a skeleton's habits (head, shoulders,
hands and feet) moves as in the file about a neutral posture: the file's rest pose if it stands, or
else the mean of its frames.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.spatial.transform import Rotation

from bodyreg.body import JOINT_NAMES, PARENTS
from bodyreg.synthetic.motions.clips import SIDES, Clip, hinge, knee_axis, shortest_turn, unit

# Sine of a bend below which a limb has no plane, and from which on its plane alone gives the twist.
STRAIGHT, BENT = 0.1, 0.3
# Fingers at rest are curled by this angle, radians.
CURL = np.radians(20.0)


def retarget(clip: Clip, joints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bring the frames of a clip to a rig.

    Args:
        clip: The motion.
        joints: (24, 3) the rig's joints at rest, arms along x, legs down.

    Returns:
        Joint rotations (F, 24, 3, 3) float64, the root's the identity, and turns (F, 3, 3) of the
        pelvis, model to world axes.
    """
    at, number = clip.at, JOINT_NAMES.index
    rest = {name: joints[place].astype(np.float64) for place, name in enumerate(JOINT_NAMES)}
    x, y, z = np.eye(3)
    world = np.zeros((len(at["neck"]), len(JOINT_NAMES), 3, 3))

    def way(points: Mapping[str, np.ndarray], one: str, two: str) -> np.ndarray:
        return points[two] - points[one]

    hips, rest_hips = ((p["left_hip"] + p["right_hip"]) / 2 for p in (at, rest))
    pelvis = turn_between(
        (way(rest, "right_hip", "left_hip"), rest["spine3"] - rest_hips),
        (way(at, "right_hip", "left_hip"), at["waist"] - hips),
    )
    chest = turn_between(
        (way(rest, "spine3", "neck"), way(rest, "right_shoulder", "left_shoulder")),
        (way(at, "waist", "neck"), way(at, "right_shoulder", "left_shoulder")),
    )
    head = _about_neutral(clip, chest, "head") if "head" in clip.turns else np.eye(3)
    for first, last, names in (
        (pelvis, chest, ("pelvis", "spine1", "spine2", "spine3")),
        (chest, chest @ head, ("spine3", "neck", "head")),
    ):
        bend = Rotation.from_matrix(first.swapaxes(1, 2) @ last).as_rotvec()
        for place, name in enumerate(names):
            share = Rotation.from_rotvec(bend * place / (len(names) - 1)).as_matrix()
            world[:, number(name)] = first @ share

    for side, sign in zip(SIDES, (1, -1), strict=True):
        rise = unit(way(at, "neck", f"{side}_shoulder"))
        rise = np.einsum("fji,fj->fi", chest, rise)
        neutral = rise[-1] if clip.rest else unit(np.median(rise, 0))
        collar = chest @ shortest_turn(neutral, rise)
        world[:, number(f"{side}_collar")] = collar

        (upper, lower), plane, sine = hinge(at, side, "shoulder", "elbow", "wrist")
        # An arm that is lifted the shortest way from where it hangs bends forward.
        lifted = chest @ shortest_turn(-y, np.einsum("fji,fj->fi", chest, upper))
        axis = _axis(plane, sine, -lifted[..., 0])
        for name, direction, end in (("shoulder", upper, "elbow"), ("elbow", lower, "wrist")):
            bone = way(rest, f"{side}_{name}", f"{side}_{end}")
            turn = turn_between((bone, -sign * y), (direction, axis))
            world[:, number(f"{side}_{name}")] = turn
        hand = turn @ _about_neutral(clip, turn, f"{side}_wrist")
        world[:, number(f"{side}_wrist")] = hand
        curl = Rotation.from_rotvec(-sign * CURL * z).as_matrix()
        world[:, number(f"{side}_hand")] = hand @ curl

        (upper, lower), plane, sine = hinge(at, side, "hip", "knee", "ankle")
        level = knee_axis(at, side, way(at, "right_hip", "left_hip"))
        forward = (plane * level).sum(1) > 0  # a knee that is bent forward is as good as straight
        axis = _axis(plane, sine * forward, level)
        for name, direction, end in (("hip", upper, "knee"), ("knee", lower, "ankle")):
            bone = way(rest, f"{side}_{name}", f"{side}_{end}")
            turn = turn_between((bone, x), (direction, axis))
            world[:, number(f"{side}_{name}")] = turn
        foot = turn @ _ankle(clip, side, turn, way(rest, f"{side}_ankle", f"{side}_foot"))
        world[:, number(f"{side}_ankle")] = world[:, number(f"{side}_foot")] = foot

    local = np.empty_like(world)
    local[:, 0] = np.eye(3)
    above = list(PARENTS[1:])
    local[:, 1:] = world[:, above].swapaxes(2, 3) @ world[:, 1:]
    return local[: len(clip)], pelvis[: len(clip)]


def _axis(plane: np.ndarray, sine: np.ndarray, straight: np.ndarray) -> np.ndarray:
    """The axis (F, 3) of a hinge: of its plane where it is bent, else that of a straight limb."""
    share = ((sine - STRAIGHT) / (BENT - STRAIGHT)).clip(0, 1)[:, None]
    mixed = share * plane + (1 - share) * straight
    return np.where((mixed**2).sum(1, keepdims=True) > 1e-6, mixed, straight)


def _about_neutral(clip: Clip, parent: np.ndarray, name: str) -> np.ndarray:
    """Rotations (F, 3, 3) of a joint in its parent's axes, none in the neutral posture.

    Args:
        clip: The motion; the joint's own axes may lie in any way.
        parent: (F, 3, 3) the rig's parent, to world axes.
        name: The joint.
    """
    relative = parent.swapaxes(1, 2) @ clip.turns[name]
    neutral = relative[-1] if clip.rest else Rotation.from_matrix(relative).mean().as_matrix()
    return relative @ neutral.T


def _ankle(clip: Clip, side: str, shank: np.ndarray, bone: np.ndarray) -> np.ndarray:
    """Rotations (F, 3, 3) of an ankle; at its neutral flexion in the file, the rig's is at rest."""
    if f"{side}_foot" not in clip.at:
        return np.eye(3)
    toes = clip.at[f"{side}_foot"] - clip.at[f"{side}_ankle"]
    toes = unit(np.einsum("fji,fj->fi", shank, toes))
    flexion = np.arctan2(-toes[:, 1], toes[:, 2])
    neutral = flexion[-1] if clip.rest else np.median(flexion)
    change = np.arctan2(-bone[1], bone[2]) - neutral
    level = Rotation.from_rotvec([change, 0, 0]).as_matrix()
    return shortest_turn(unit(bone), toes @ level.T)


def axes_of(along: np.ndarray, beside: np.ndarray) -> np.ndarray:
    """Rotations (..., 3, 3) whose first column is along a vector, the second toward another."""
    first = unit(along)
    second = unit(beside - (beside * first).sum(-1, keepdims=True) * first)
    return np.stack([first, second, np.cross(first, second)], -1)


def turn_between(
    rest: tuple[np.ndarray, np.ndarray], now: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """Rotations (F, 3, 3) of two directions (3,) to two others (F, 3), the first exactly."""
    return axes_of(*now) @ axes_of(*rest).T
