"""BVH files: a skeleton as a tree of joints, and its motion as angles of each frame.

The format is that of Biovision ("BVH file format", 1999). A joint's rotation is the product of the
rotations about its channels' axes in the order of the file. A joint's position channels replace its
offset. End sites have a position and no name.
"""

from __future__ import annotations

import itertools
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np
from scipy.spatial.transform import Rotation

from bodyreg.errors import UserError
from bodyreg.files import reading, require_file

LARGEST_FILE = 2**30
"""Most bytes of a file."""

MOST_JOINTS, MOST_FRAMES = 1000, 10**7
LONGEST_LINE = 2**20
"""Most characters of a line; a frame of that many joints has fewer."""

# Larger numbers are damage; the earth's size in millimetres is not.
LARGEST = 1e12
FASTEST, SLOWEST = 1e-6, 10.0
"""The times of a frame, seconds."""

ROTATIONS = {"xrotation": "X", "yrotation": "Y", "zrotation": "Z"}
POSITIONS = {"xposition": 0, "yposition": 1, "zposition": 2}


@dataclass(frozen=True, eq=False)
class Joint:
    """A joint of a file.

    Attributes:
        name: Its name, as it is written.
        parent: Index of its parent, -1 for the root.
        offset: (3,) from the parent, in the parent's axes and the file's unit.
        channels: Names of its channels, in lower case.
        first: Index of its first channel in a frame.
    """

    name: str
    parent: int
    offset: np.ndarray
    channels: tuple[str, ...]
    first: int


@dataclass(frozen=True, eq=False)
class Bvh:
    """A skeleton and some frames of its motion.

    Attributes:
        path: The file.
        joints: J joints, parents first; without end sites.
        values: (F, C) float64 the channels of the frames, degrees and the file's unit.
    """

    path: Path
    joints: tuple[Joint, ...]
    values: np.ndarray

    def place(self) -> tuple[np.ndarray, np.ndarray]:
        """The joints in the file's world axes.

        Returns:
            positions (F, J, 3) float64 in the file's unit, and rotations (F, J, 3, 3), joint to
            world axes.
        """
        frames = len(self.values)
        positions = np.zeros((frames, len(self.joints), 3))
        rotations = np.zeros((frames, len(self.joints), 3, 3))
        for number, joint in enumerate(self.joints):
            offset, turn = self._local(joint)
            if joint.parent >= 0:
                above = rotations[:, joint.parent]
                offset = positions[:, joint.parent] + np.einsum("fij,fj->fi", above, offset)
                turn = above @ turn
            positions[:, number], rotations[:, number] = offset, turn
        return positions, rotations

    def rest(self) -> np.ndarray:
        """(J, 3) the joints where no joint is turned, from the root."""
        positions = np.zeros((len(self.joints), 3))
        for number, joint in enumerate(self.joints):
            if joint.parent >= 0:
                positions[number] = positions[joint.parent] + joint.offset
        return positions

    @property
    def at_rest(self) -> np.ndarray:
        """(F,) bool: frames in which no joint is turned, which only show the skeleton."""
        columns = [
            joint.first + place
            for joint in self.joints
            for place, channel in enumerate(joint.channels)
            if channel in ROTATIONS
        ]
        return ~self.values[:, columns].any(1)

    def _local(self, joint: Joint) -> tuple[np.ndarray, np.ndarray]:
        offset = np.repeat(joint.offset[None], len(self.values), 0)
        axes, angles = "", []
        for place, channel in enumerate(joint.channels):
            column = self.values[:, joint.first + place]
            if channel in POSITIONS:
                offset[:, POSITIONS[channel]] = column
            else:
                axes += ROTATIONS[channel]
                angles.append(column)
        if not axes:
            return offset, np.repeat(np.eye(3)[None], len(offset), 0)
        turn = Rotation.from_euler(axes, np.stack(angles, 1), degrees=True)
        return offset, turn.as_matrix()


def read_bvh(path: str | os.PathLike, rate: float) -> Bvh:
    """Read a BVH file.

    Args:
        path: The file.
        rate: Frames a second to keep, the nearest that leave out the same number each time; all
            frames of a slower file.

    Raises:
        UserError: the file is missing, too large, damaged, or of another kind; names the line.
    """
    path = Path(path)
    require_file(path, "BVH")
    with reading(path):
        if path.stat().st_size > LARGEST_FILE:
            raise UserError(f"{path}: larger than {LARGEST_FILE:,} bytes; cut the motion in pieces")
        with open(path, encoding="utf-8-sig", errors="replace") as stream:
            lines = _Lines(path, stream)
            joints = _hierarchy(lines)
            return Bvh(path, joints, _motion(lines, joints, rate))


class _Lines:
    """The lines of a file that are not empty, and the number of the last one."""

    def __init__(self, path: Path, stream: TextIO) -> None:
        self._path, self._stream, self.number = path, stream, 0

    def next(self, expected: str) -> list[str]:
        """The words of the next line.

        Raises:
            UserError: the file ends.
        """
        words = self.next_or_end()
        if words is None:
            raise self.error(f"the file ends where {expected} should stand; it may be truncated")
        return words

    def next_or_end(self) -> list[str] | None:
        """The words of the next line, or None at the end."""
        while line := self._stream.readline(LONGEST_LINE):
            self.number += 1
            if len(line) == LONGEST_LINE:
                raise self.error(f"longer than {LONGEST_LINE:,} characters; correct the file")
            if words := line.split():
                return words
        return None

    def error(self, what: str) -> UserError:
        """An error at the last line."""
        return UserError(f"{self._path}, line {self.number}: {what}")

    def numbers(self, words: list[str], count: int, what: str) -> list[float]:
        """Finite numbers.

        Raises:
            UserError: there are not `count`, or one is something else.
        """
        if len(words) != count:
            raise self.error(f"{what} has {len(words)} numbers, expected {count}; correct the file")
        try:
            values = list(map(float, words))
        except ValueError:
            values = [math.nan]
        if not all(abs(value) < LARGEST for value in values):  # NaN, too
            raise self.error(f"{what} holds something that is not a number; correct the file")
        return values


def _hierarchy(lines: _Lines) -> tuple[Joint, ...]:
    """Read up to the word MOTION."""
    if lines.next("HIERARCHY")[0].upper() != "HIERARCHY":
        raise lines.error("not a BVH file, which begins with HIERARCHY; name another file")
    joints: list[Joint] = []
    channels = 0
    open_blocks: list[int] = []  # the joint of each open block; an end site repeats its parent
    while True:
        words = lines.next("a joint")
        kind = words[0].upper()
        if kind == "MOTION":
            break
        if kind == "}":
            if not open_blocks:
                raise lines.error("a bracket closes nothing; correct the file")
            open_blocks.pop()
        elif kind in ("ROOT", "JOINT"):
            if (kind == "ROOT") != (not open_blocks) or (kind == "ROOT" and joints):
                raise lines.error("expected one ROOT with all JOINTs inside; correct the file")
            if len(joints) == MOST_JOINTS:
                raise lines.error(f"more than {MOST_JOINTS:,} joints; name another file")
            name = " ".join(words[1:]).removesuffix("{").strip()
            opened = words[-1].endswith("{")
            offset, its_channels = _block(lines, opened, is_end=False)
            parent = open_blocks[-1] if open_blocks else -1
            joints.append(Joint(name, parent, np.array(offset), its_channels, channels))
            channels += len(its_channels)
            open_blocks.append(len(joints) - 1)
        elif kind == "END" and open_blocks:
            _block(lines, words[-1].endswith("{"), is_end=True)
            open_blocks.append(open_blocks[-1])
        else:
            raise lines.error(f"unknown word '{words[0]}'; correct the file")
    if open_blocks or not joints:
        raise lines.error("MOTION comes before the end of the joints; correct the file")
    if not channels:
        raise lines.error("no joint has channels; name a file with a motion")
    return tuple(joints)


def _block(lines: _Lines, opened: bool, *, is_end: bool) -> tuple[list[float], tuple[str, ...]]:
    """Read a block's bracket, offset and, if it is not an end site's, its channels."""
    if not opened and lines.next("{") != ["{"]:
        raise lines.error("expected { after the joint's name; correct the file")
    words = lines.next("OFFSET")
    if words[0].upper() != "OFFSET":
        raise lines.error("expected OFFSET; correct the file")
    offset = lines.numbers(words[1:], 3, "OFFSET")
    if is_end:
        return offset, ()
    words = lines.next("CHANNELS")
    channels = tuple(word.lower() for word in words[2:])
    known = all(name in POSITIONS or name in ROTATIONS for name in channels)
    if words[0].upper() != "CHANNELS" or words[1:2] != [str(len(channels))] or not known:
        raise lines.error("expected CHANNELS, their number, and names such as Xrotation")
    axes = [name for name in channels if name in ROTATIONS]
    repeated = any(one == two for one, two in itertools.pairwise(axes))
    if len(axes) > 3 or repeated or len(set(channels) - set(axes)) != len(channels) - len(axes):
        raise lines.error("a joint has at most three positions and three rotations, in turn")
    return offset, channels


def _motion(lines: _Lines, joints: tuple[Joint, ...], rate: float) -> np.ndarray:
    """Read the frames to keep: (F, C)."""
    words = lines.next("Frames:")
    label, _, count = " ".join(words).partition(":")
    if label.strip().upper() != "FRAMES" or not count.strip().isdecimal():
        raise lines.error("expected Frames: and their number; correct the file")
    frames = int(count) if len(count) < 20 else MOST_FRAMES + 1
    if not 1 <= frames <= MOST_FRAMES:
        raise lines.error(f"{count.strip()[:20]} frames; expected 1 to {MOST_FRAMES:,}")
    words = lines.next("Frame Time:")
    label, _, seconds = " ".join(words).partition(":")
    if label.strip().upper() != "FRAME TIME":
        raise lines.error("expected Frame Time: and seconds; correct the file")
    (time,) = lines.numbers(seconds.split(), 1, "Frame Time")
    if not FASTEST <= time <= SLOWEST:
        raise lines.error(f"Frame Time {time:g}: must be {FASTEST:g} to {SLOWEST:g} seconds")
    step, kept = max(1, round(1 / (rate * time))), []
    width = joints[-1].first + len(joints[-1].channels)
    for frame in range(frames):
        words = lines.next_or_end()
        if words is None:
            raise lines.error(
                f"{frame:,} of {frames:,} frames; the file may be truncated: correct Frames"
            )
        if frame % step == 0:
            kept.append(np.array(lines.numbers(words, width, f"frame {frame + 1:,}")))
    if lines.next_or_end() is not None:
        raise lines.error(f"more than the {frames:,} frames that the file tells; correct Frames")
    return np.stack(kept)
