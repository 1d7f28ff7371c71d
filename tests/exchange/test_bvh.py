"""BVH files, opened again by our reader and by another parser."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import bvh
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from bodyreg.body import JOINT_NAMES, Body
from bodyreg.data import Fits
from bodyreg.errors import UserError
from bodyreg.exchange import Motion, motion_of, to_bvh
from bodyreg.synthetic.motions.bvh import read_bvh
from bodyreg.synthetic.motions.clip_to_rig import retarget
from bodyreg.synthetic.motions.clips import read_clip
from bodyreg.synthetic.motions.motion import FRAME_RATE

from .people import from_pelvis, random_fits, with_camera


def by_our_reader(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Places (T, 24, 3) and rotations to the world (T, 24, 3, 3), in the rig's order."""
    file = read_bvh(path, 1000.0)
    names = [joint.name for joint in file.joints]
    order = [names.index(name) for name in JOINT_NAMES]
    return tuple(array[:, order] for array in file.place())


def by_another_parser(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The same: the package bvh reads offsets and channels, which are put together here."""
    file = bvh.Bvh(path.read_text())
    count = len(JOINT_NAMES)
    places, turns = np.zeros((file.nframes, count, 3)), np.zeros((file.nframes, count, 3, 3))
    for frame in range(file.nframes):
        for name in file.get_joints_names():
            number, turn, at = JOINT_NAMES.index(name), np.eye(3), np.array(file.joint_offset(name))
            for channel in file.joint_channels(name):
                value = float(file.frame_joint_channel(frame, name, channel))
                if channel.endswith("position"):
                    at["XYZ".index(channel[0])] = value
                else:
                    a, (i, j) = (
                        np.radians(value),
                        {"X": (1, 2), "Y": (2, 0), "Z": (0, 1)}[channel[0]],
                    )
                    one = np.eye(3)
                    one[i, i] = one[j, j] = np.cos(a)
                    one[i, j], one[j, i] = -np.sin(a), np.sin(a)
                    turn = turn @ one
            parent = file.joint_parent(name)
            if parent is not None:
                above = JOINT_NAMES.index(parent.name)
                at = places[frame, above] + turns[frame, above] @ at
                turn = turns[frame, above] @ turn
            places[frame, number], turns[frame, number] = at, turn
    return places, turns


READERS = [by_our_reader, by_another_parser]


def world(body: Body, motion: Motion) -> np.ndarray:
    turns = motion.rotations.copy()
    for joint, parent in enumerate(body.parents[1:], 1):
        turns[:, joint] = turns[:, parent] @ turns[:, joint]
    return turns


def assert_the_same(path: Path, body: Body, fits: Fits, motion: Motion) -> None:
    _, joints = from_pelvis(body, fits)
    for reader in READERS:
        places, turns = reader(path)
        np.testing.assert_allclose(places, joints + motion.place[:, None], atol=1e-5)
        np.testing.assert_allclose(turns, world(body, motion), atol=1e-5)


@pytest.mark.parametrize("count", [1, 9])
def test_poses_come_back(tmp_path, count):
    body, random = Body.default(), np.random.default_rng(count)
    fits = with_camera(random_fits(random, count), random)
    motion = motion_of(body, fits)
    (tmp_path / "a.bvh").write_text(to_bvh(motion, 12.5))
    assert_the_same(tmp_path / "a.bvh", body, fits, motion)
    assert bvh.Bvh((tmp_path / "a.bvh").read_text()).frame_time == 0.08


def test_poses_in_gimbal_lock_come_back(tmp_path):
    """Rotations with an angle of ±90 degrees about x, exactly and nearly."""
    body, random = Body.default(), np.random.default_rng(3)
    fits = random_fits(random, 8)
    near = np.array([0, 0, 1e-7, 1e-4])[:, None].repeat(2, 0).reshape(8, 1) * random.choice(
        [-1, 1], (8, 24)
    )
    angles = np.stack(
        [
            random.uniform(-np.pi, np.pi, (8, 24)),
            random.choice([-1, 1], (8, 24)) * np.pi / 2 + near,
            random.uniform(-np.pi, np.pi, (8, 24)),
        ],
        -1,
    )
    turns = Rotation.from_euler("ZXY", angles.reshape(-1, 3)).as_rotvec().reshape(8, 24, 3)
    fits = replace(
        fits,
        pose=np.float32(turns * (np.arange(24) > 0)[:, None]),
        rotation=np.float32(Rotation.from_rotvec(turns[:, 0]).as_matrix()),
    )
    motion = motion_of(body, fits)
    (tmp_path / "a.bvh").write_text(to_bvh(motion))
    assert_the_same(tmp_path / "a.bvh", body, fits, motion)


def test_angles_go_on_where_the_pose_before_ended(tmp_path):
    """A slow turn of several rounds about any axis has no jump of most of a round."""
    body, random = Body.default(), np.random.default_rng(4)
    fits = random_fits(random, 1).select(np.zeros(200, int))
    axis = random.normal(0, 1, (24, 3))
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    turn = np.linspace(0, 5 * np.pi, 200)[:, None, None] * axis
    turn = Rotation.from_rotvec(turn.reshape(-1, 3)).as_rotvec().reshape(200, 24, 3)
    motion = motion_of(body, replace(fits, pose=np.float32(turn)))
    (tmp_path / "a.bvh").write_text(to_bvh(motion))
    values = read_bvh(tmp_path / "a.bvh", 1000.0).values[:, 3:]
    assert abs(np.diff(values, axis=0)).max() < 185  # at the poles two angles may turn by 180


def test_our_commands_read_the_motion(tmp_path):
    """A clip of a person who stands, bends an arm and a knee, comes back by its directions."""
    body, random = Body.default(), np.random.default_rng(5)
    fits = random_fits(random, 1).select(np.zeros(6, int))
    pose = np.zeros((6, 24, 3), np.float32)
    pose[:, 18, 1] = -np.linspace(0.4, 1.2, 6)
    pose[:, 4, 0] = np.linspace(0.4, 1.2, 6)
    fits = replace(fits, pose=pose, rotation=np.tile(np.eye(3, dtype=np.float32), (6, 1, 1)))
    (tmp_path / "a.bvh").write_text(to_bvh(motion_of(body, fits), FRAME_RATE))
    turns, pelvis = retarget(read_clip(tmp_path / "a.bvh", {}, None), body.joints)
    again = replace(
        fits,
        pose=np.float32(
            Rotation.from_matrix(turns.reshape(-1, 3, 3)).as_rotvec().reshape(6, 24, 3)
        ),
        rotation=np.float32(pelvis),
    )
    (_, before), (_, after) = from_pelvis(body, fits), from_pelvis(body, again)
    for one, two in ((1, 4), (4, 7), (2, 5), (16, 18), (18, 20), (17, 19)):
        bones = [points[:, two] - points[:, one] for points in (before, after)]
        ways = [bone / np.linalg.norm(bone, axis=1, keepdims=True) for bone in bones]
        np.testing.assert_allclose(*ways, atol=1e-4)


def test_a_mirrored_person_is_refused():
    fits = random_fits(np.random.default_rng(6), 2)
    fits = replace(fits, rotation=-fits.rotation)
    with pytest.raises(UserError, match="mirrored, which BVH cannot hold"):
        to_bvh(motion_of(Body.default(), fits))
