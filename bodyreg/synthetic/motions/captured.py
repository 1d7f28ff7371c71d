"""Captured motions of the user: BVH files, performed by made people."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from bodyreg.body import JOINT_NAMES
from bodyreg.data.json_files import load_json
from bodyreg.errors import UserError
from bodyreg.files import fingerprint, is_folder, reading
from bodyreg.synthetic.motions.bvh import read_bvh
from bodyreg.synthetic.motions.clip_to_rig import retarget
from bodyreg.synthetic.motions.clips import Clip, read_clip
from bodyreg.synthetic.motions.joint_names import NAMES
from bodyreg.synthetic.motions.motion import FRAME_RATE
from bodyreg.synthetic.motions.performance import Performance
from bodyreg.synthetic.people import Person

SUFFIX = ".bvh"
MOST_FILES = 100_000


@dataclass(frozen=True)
class Captured:
    """The motions of a folder of BVH files.

    Attributes:
        folder: The folder.
        files: Its files.
        names: The file that names joints, or None.
        told: Pairs of a joint's name and its name in the files.
        up: The files' up axis, a key of `AXES`; None to recognise it.
    """

    folder: Path
    files: tuple[Path, ...]
    names: Path | None = None
    told: tuple[tuple[str, str], ...] = ()
    up: str | None = None

    def perform(
        self, person: Person, actions: Sequence[str], random: np.random.Generator, frames: int
    ) -> Performance:
        """A piece of one of the motions, by a person; the action's name is the file's.

        Longer pieces than the file go back and forth in it.

        Args:
            person: The person.
            actions: Ignored: the files have their own actions.
            random: Source of random numbers.
            frames: T.
        """
        clip = _clip(self.files[random.integers(len(self.files))], self.told, self.up)
        turns, pelvis = retarget(clip, person.body.joints)
        there = np.concatenate([np.arange(len(clip)), np.arange(len(clip) - 1)[:0:-1]])
        rows = there[(random.integers(len(clip)) + np.arange(frames)) % len(there)]
        pose = Rotation.from_matrix(turns[rows].reshape(-1, 3, 3)).as_rotvec()
        pose = pose.reshape(frames, len(JOINT_NAMES), 3).astype(np.float32)
        front = pelvis[rows[0], :, 2]
        facing = Rotation.from_euler("y", -np.arctan2(front[0], front[2])).as_matrix()
        return Performance(clip.name, pose, (facing @ pelvis[rows]).astype(np.float32))

    @property
    def fingerprint(self) -> str:
        """A hash of the files' content, and of what is told about them."""
        content = [[path.stem, fingerprint(path)] for path in self.files]
        return hashlib.sha256(json.dumps([content, self.told, self.up]).encode()).hexdigest()

    @property
    def words(self) -> list[str]:
        """As of `Motions`."""
        words = ["--motions", self.folder.name]
        if self.names is not None:
            words += ["--motion-names", self.names.name]
        if self.up is not None:
            words += ["--motion-up", self.up]
        return words


@lru_cache(maxsize=256)
def _clip(path: Path, told: tuple[tuple[str, str], ...], up: str | None) -> Clip:
    return read_clip(path, dict(told), up)


def find_motions(folder: Path, names: Path | None = None, up: str | None = None) -> Captured:
    """The motions of all BVH files in a folder and in the folders inside it. Reads all of them.

    Args:
        folder: The folder.
        names: A JSON file, an object: name of a joint (`joint_names.NAMES`) -> its name in the
            BVH files.
        up: The files' up axis, a key of `AXES`; None to recognise it in each file.

    Raises:
        UserError: a file is damaged, or its joints or axis are not recognised; there is no BVH
            file; a name is not that of a joint.
    """
    if not is_folder(folder):
        raise UserError(f"--motions {folder}: no such folder; check the path")
    files: list[Path] = []
    with reading(folder):
        for place, folders, held in os.walk(folder, onerror=_raise):
            folders.sort()
            files += [Path(place, name) for name in sorted(held) if name.lower().endswith(SUFFIX)]
    if not 1 <= len(files) <= MOST_FILES:
        raise UserError(
            f"--motions {folder}: {len(files):,} BVH files; expected 1 to {MOST_FILES:,}"
        )
    told = {} if names is None else read_names(names)
    found = Captured(folder, tuple(files), names, tuple(told.items()), up)
    unknown = set(told.values())
    for path in files:
        _clip(path, found.told, up)
        if unknown:
            unknown -= {joint.name for joint in read_bvh(path, FRAME_RATE).joints}
    if unknown:
        raise UserError(f"{names}: no file of {folder} has a joint '{min(unknown)}'; correct it")
    return found


def _raise(error: OSError) -> None:
    raise error


def read_names(path: Path) -> dict[str, str]:
    """Read names of joints: name of a joint -> its name in the BVH files.

    Raises:
        UserError: the file is not an object of texts, or holds an unknown joint.
    """
    told = load_json(path)
    if not isinstance(told, dict) or not all(isinstance(value, str) for value in told.values()):
        raise UserError(f'{path}: expected an object such as {{"left_knee": "LeftLeg"}}')
    for name in told:
        if name not in NAMES:
            raise UserError(f"{path}: '{name}' is not one of {', '.join(NAMES)}; correct it")
    return told
