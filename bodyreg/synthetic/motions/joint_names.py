"""Names of joints in motion files, recognised in the styles of common programs.

Known are CMU's and Biovision's names, Mixamo, LaFAN, Rokoko, Vicon, OptiTrack, Xsens, Daz, Unreal,
3ds Max Biped and SMPL: a side at either end, with or without a prefix for the character.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from bodyreg.errors import UserError
from bodyreg.synthetic.motions.bvh import Bvh

SIDES = {"left": "left", "l": "left", "right": "right", "r": "right"}

LIMBS: dict[str, tuple[tuple[str, ...], ...]] = {
    "hip": (("upleg", "upperleg", "thigh", "femur"), ("hip",)),
    "knee": (("knee", "shin", "lowerleg", "lowleg", "calf", "tibia"), ("leg",)),
    "ankle": (("ankle",), ("foot",)),
    "foot": (("toe", "toebase", "toes", "ball"), ("foot",)),
    "shoulder": (("upperarm", "uparm", "uarm", "shldr", "humerus"), ("arm",), ("shoulder",)),
    "elbow": (("elbow", "forearm", "lowerarm", "lowarm", "farm", "radius"),),
    "wrist": (("wrist",), ("hand",)),
}
"""Joint of a side -> words for it, the surest first. A word that two joints know belongs to the
first of them in this order that has no surer one."""

CENTRE: dict[str, tuple[tuple[str, ...], ...]] = {
    "neck": (("neck",), ("neck1", "upperneck", "lowerneck")),
    "head": (("head",),),
}
"""Joint of the middle -> words for it, the surest first."""

OPTIONAL = ("left_foot", "right_foot", "head")
NAMES = (*(f"{side}_{limb}" for limb in LIMBS for side in ("left", "right")), *CENTRE)
"""The joints of the rig that a motion is taken from; its feet are the balls of the feet."""

ABOVE = {"knee": "hip", "ankle": "knee", "foot": "ankle", "elbow": "shoulder", "wrist": "elbow"}
"""Joint of a limb -> the joint that it must follow in the file's tree."""

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def recognised(names: Sequence[str]) -> dict[str, int]:
    """The joints that have known names: one of `NAMES` -> its place among the names."""
    sided: dict[str, dict[str, int]] = {"left": {}, "right": {}, "": {}}
    for place, name in enumerate(names):
        side, words = _split(name)
        for start in range(len(words)) if not side else (0,):
            sided[side].setdefault("".join(words[start:]), place)
    found = {}
    for side in ("left", "right"):
        used: set[str] = set()
        for joint, choices in LIMBS.items():
            if word := _first(choices, sided[side], used):
                used.add(word)
                found[f"{side}_{joint}"] = sided[side][word]
    for joint, choices in CENTRE.items():
        if word := _first(choices, sided[""], set()):
            found[joint] = sided[""][word]
    return found


def _first(
    choices: Sequence[Sequence[str]], there: Mapping[str, int], used: set[str]
) -> str | None:
    words = (word for group in choices for word in group)
    return next((word for word in words if word in there and word not in used), None)


def _split(name: str) -> tuple[str, list[str]]:
    """The side of a name ("" for none), and its other words in lower case without a prefix."""
    words = [word.lower() for word in _WORD.findall(name.rpartition(":")[2])]
    for place, word in enumerate(words):
        if word in SIDES:
            # A side stands before the joint or after it: LeftLeg, thigh_l.
            rest = words[place + 1 :] or words[:place]
            return SIDES[word], [w for w in rest if not w.isdecimal()]
        if word[0] in "lr" and _is_known(word[1:]) and not _is_known(word):
            return SIDES[word[0]], [word[1:], *words[place + 1 :]]  # lfemur
        if word in ("lu", "ru", "lf", "rf"):
            return SIDES[word[0]], [word[1:], *words[place + 1 :]]  # LUArm
    return "", [word.lstrip("0") if word.isdecimal() else word for word in words]  # neck_01


def _is_known(word: str) -> bool:
    return any(word in group for choices in LIMBS.values() for group in choices)


def joints_of(bvh: Bvh, told: Mapping[str, str]) -> dict[str, int]:
    """The joints of a file: those that are told, and the recognised ones.

    Args:
        bvh: The file.
        told: Name of a joint -> its name in the file; names that the file lacks are ignored.

    Returns:
        One of `NAMES` -> index of the file's joint.

    Raises:
        UserError: a joint is missing, two are the same, or they do not follow the tree.
    """
    names = [joint.name for joint in bvh.joints]
    found = recognised(names)
    found |= {joint: names.index(name) for joint, name in told.items() if name in names}
    missing = [name for name in NAMES if name not in found and name not in OPTIONAL]
    if missing == ["neck"] and "head" in found:
        found["neck"], missing = found["head"], []
    if missing:
        raise UserError(
            f"{bvh.path}: no joint is recognised as {missing[0]}; name it with --motion-names "
            f"(its joints: {', '.join(names[:40])}{' ...' if len(names) > 40 else ''})"
        )
    if found["neck"] in _ancestors(bvh, found["left_hip"]):
        raise UserError(
            f"{bvh.path}: '{names[found['neck']]}', taken as neck, is above "
            f"'{names[found['left_hip']]}'; name the joints with --motion-names"
        )
    for joint, number in found.items():
        twin = next(other for other in found if found[other] == number)
        if joint != twin and {joint, twin} != {"neck", "head"}:
            raise UserError(
                f"{bvh.path}: '{names[number]}' is taken as {twin} and as {joint}; name the joints "
                "with --motion-names"
            )
        side, _, limb = joint.rpartition("_")
        above = found.get(f"{side}_{ABOVE.get(limb)}", number)
        if above != number and above not in _ancestors(bvh, number):
            raise UserError(
                f"{bvh.path}: '{names[number]}', taken as {joint}, does not follow "
                f"'{names[above]}'; name the joints with --motion-names"
            )
    return found


def _ancestors(bvh: Bvh, number: int) -> set[int]:
    found = set()
    while (number := bvh.joints[number].parent) >= 0:
        found.add(number)
    return found
