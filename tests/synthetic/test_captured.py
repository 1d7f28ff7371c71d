"""Captured motions: directions and twists of a retargeted body, names, axes, units, refusals."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from bodyreg import UserError
from bodyreg.body import JOINT_NAMES
from bodyreg.synthetic.cameras import WeakPerspective
from bodyreg.synthetic.figure import make_figure
from bodyreg.synthetic.motions.actions import ACTIONS
from bodyreg.synthetic.motions.captured import find_motions
from bodyreg.synthetic.motions.clip_to_rig import retarget
from bodyreg.synthetic.motions.clips import AXES, BONES, read_clip
from bodyreg.synthetic.motions.performance import perform
from bodyreg.synthetic.people import sample_person

from .bvh_files import MIXAMO, both_sides, positions, world_rotations, write_bvh

NAMES = both_sides(MIXAMO)
INDEX = JOINT_NAMES.index
FRAMES = 12


@pytest.fixture(scope="module")
def people(body):
    return [sample_person(body, 5, number) for number in range(6)]


@pytest.fixture
def motion(people):
    """Joint rotations and turns of the pelvis of a person who acts."""
    random = np.random.default_rng()
    return acted(people[0], random, *random.choice(ACTIONS, 3))


def acted(person, random, *actions):
    shown = [perform(person, action, random, FRAMES // len(actions)) for action in actions]
    pose = np.concatenate([each.pose for each in shown]).astype(np.float64)
    heading = Rotation.from_euler("y", random.uniform(-180, 180), degrees=True).as_matrix()
    turn = heading @ np.concatenate([each.turn for each in shown]).astype(np.float64)
    turn = Rotation.from_matrix(turn).as_matrix()
    return Rotation.from_rotvec(pose.reshape(-1, 3)).as_matrix().reshape(-1, 24, 3, 3), turn


def directions(points, bones=BONES):
    ways = np.stack([points[:, INDEX(two)] - points[:, INDEX(one)] for one, two in bones], 1)
    return ways / np.linalg.norm(ways, axis=2, keepdims=True)


def bend(points, side, one, two, three):
    limb = [(f"{side}_{one}", f"{side}_{two}"), (f"{side}_{two}", f"{side}_{three}")]
    upper, lower = directions(points, limb).swapaxes(0, 1)
    return np.linalg.norm(np.cross(upper, lower), axis=1)


def random_axes(random):
    return Rotation.random(24, random_state=random).as_matrix()


@pytest.mark.parametrize("rest", ["T-pose", "any"])
@pytest.mark.parametrize("up", sorted(AXES))
def test_directions_of_limbs_are_exact(people, motion, tmp_path, rest, up):
    """For another body, from files with any units, Euler orders, up axes and own axes of joints."""
    random, source, other = np.random.default_rng(), people[0], people[3]
    turns, pelvis = motion
    orders = [str(random.choice(["ZYX", "XYZ", "YXZ", "ZXY", "XZY"])) for _ in range(24)]
    path, unit = tmp_path / "clip.bvh", float(10 ** random.uniform(-2, 3))
    write_bvh(
        path, source.body.joints, turns, pelvis, names=NAMES, orders=orders,
        axes=random_axes(random) if rest == "any" else None, unit=unit,
        up=Rotation.align_vectors([AXES[up]], [[0, 1, 0]])[0].as_matrix(), moving=rest == "any",
    )  # fmt: skip
    clip = read_clip(path, {}, up)
    assert len(clip) == len(turns)
    found, turn = retarget(clip, other.body.joints)
    true = positions(world_rotations(turns, pelvis), source.body.joints)
    there = positions(world_rotations(found, turn), other.body.joints)
    bones = [*BONES, ("right_hip", "left_hip"), ("spine3", "neck")]
    # The file's up axis may differ by a turn about the vertical.
    swing = Rotation.align_vectors(directions(true, bones)[0], directions(there, bones)[0])[0]
    assert abs(swing.as_matrix()[1, 1] - 1) < 1e-6
    there = there @ swing.as_matrix().T
    np.testing.assert_allclose(directions(there, bones), directions(true, bones), atol=2e-6)


def test_twists_are_those_of_elbows_and_knees(people, tmp_path):
    """A body's own motion comes back, where a limb is bent enough to tell its twist."""
    random, checked = np.random.default_rng(), 0
    for action in ("Photo", "Sitting", "Walking"):
        turns, pelvis = acted(people[1], random, action)
        write_bvh(tmp_path / "a.bvh", people[1].body.joints, turns, pelvis, names=NAMES)
        clip = read_clip(tmp_path / "a.bvh", {}, "+y")
        found, turn = retarget(clip, people[1].body.joints)
        true, there = world_rotations(turns, pelvis), world_rotations(found, turn)
        points = positions(true, people[1].body.joints)
        for side in ("left", "right"):
            for one, two, three, both in (("hip", "knee", "ankle", True),
                                          ("shoulder", "elbow", "wrist", False)):  # fmt: skip
                bent = bend(points, side, one, two, three) > 0.31
                checked += bent.sum()
                upper, lower = INDEX(f"{side}_{one}"), INDEX(f"{side}_{two}")
                np.testing.assert_allclose(there[bent, upper], true[bent, upper], atol=3e-6)
                if both:
                    np.testing.assert_allclose(there[bent, lower], true[bent, lower], atol=3e-6)
                # Elbows and knees only bend: knees about x, elbows about -y and y.
                axis = np.eye(3)[0] if both else np.eye(3)[1]
                turned = Rotation.from_matrix(found[bent, lower]).as_rotvec()
                along = turned @ axis
                np.testing.assert_allclose(turned, along[:, None] * axis, atol=3e-6)
                assert (along * (-1 if not both and side == "left" else 1) > 0.3).all()
        chest = INDEX("spine3")
        lines = points[:, INDEX("left_shoulder")] - points[:, INDEX("right_shoulder")]
        # The chest faces across the line of the shoulders.
        rest = people[1].body.joints.astype(np.float64)
        front = np.cross(*(rest[INDEX(two)] - rest[INDEX(one)] for one, two in (
            ("right_shoulder", "left_shoulder"), ("spine3", "neck"))))  # fmt: skip
        assert abs(np.einsum("fc,fc->f", there[:, chest] @ front, lines)).max() < 1e-6
        assert (np.einsum("fc,fc->f", there[:, chest, :, 2], true[:, chest, :, 2]) > 0.8).all()
    assert checked > 30


def test_heads_hands_and_feet_turn_as_in_a_file_whose_rest_pose_stands(people, tmp_path):
    """A body's own motion comes back up to what positions of shoulders tell of the chest."""
    turns, pelvis = acted(people[1], np.random.default_rng(), "Waiting")
    write_bvh(tmp_path / "a.bvh", people[1].body.joints, turns, pelvis, names=NAMES)
    found, turn = retarget(read_clip(tmp_path / "a.bvh", {}, None), people[1].body.joints)
    true, there = world_rotations(turns, pelvis), world_rotations(found, turn)
    for name in ("head", "left_wrist", "right_wrist"):
        np.testing.assert_allclose(there[:, INDEX(name)], true[:, INDEX(name)], atol=3e-6)
    points = [positions(each, people[1].body.joints) for each in (true, there)]
    toes = [("left_ankle", "left_foot"), ("right_ankle", "right_foot")]
    one, two = (directions(each, toes) for each in points)
    assert (np.einsum("fbc,fbc->fb", one, two) > np.cos(np.radians(3))).all()


def test_a_rest_pose_that_does_not_stand_gives_no_neutral_posture(people, tmp_path):
    """Then joints move about their mean: turned axes of the file's joints change nothing."""
    random = np.random.default_rng()
    turns, pelvis = acted(people[1], random, "Greeting")
    found = []
    for name in "ab":
        write_bvh(tmp_path / name, people[1].body.joints, turns, pelvis, names=NAMES,
                  axes=random_axes(random))  # fmt: skip
        clip = read_clip(tmp_path / name, {}, None)
        assert not clip.rest
        found.append(retarget(clip, people[1].body.joints)[0])
        mean = Rotation.from_matrix(found[-1][:, INDEX("left_wrist")]).mean()
        assert mean.magnitude() < 1e-6
    np.testing.assert_allclose(*found, atol=1e-5)


def test_straight_limbs_have_a_plain_twist(people, tmp_path):
    """Legs face where the feet do, also if a knee bends back a little; so do hanging arms."""
    turns = np.broadcast_to(np.eye(3), (3, 24, 3, 3)).copy()
    for side, sign in (("left", 1), ("right", -1)):
        turns[:, INDEX(f"{side}_shoulder")] = Rotation.from_rotvec([0, 0, -1.4 * sign]).as_matrix()
    turns[1, INDEX("left_knee")] = Rotation.from_rotvec([-0.1, 0, 0]).as_matrix()
    outward = Rotation.from_rotvec([0, 0.5, 0]).as_matrix()
    turns[2, INDEX("left_hip")] = outward
    pelvis = np.broadcast_to(np.eye(3), (3, 3, 3))
    write_bvh(tmp_path / "a.bvh", people[0].body.joints, turns, pelvis, names=NAMES)
    found, turn = retarget(read_clip(tmp_path / "a.bvh", {}, None), people[0].body.joints)
    world = world_rotations(found, turn)
    assert (world[:2, INDEX("left_hip"), 2, 2] > 0.995).all()
    assert world[2, INDEX("left_hip"), :, 2] @ outward[:, 2] > np.cos(np.radians(8))
    for side in ("left", "right"):
        # The elbow's axis of a hanging arm is across the body.
        assert (abs(world[:, INDEX(f"{side}_shoulder"), 0, 1]) > 0.9).all()


def test_performances_are_pieces_of_files(people, motion, tmp_path):
    turns, pelvis = motion
    write_bvh(tmp_path / "Walk 1.BVH", people[0].body.joints, turns, pelvis, names=NAMES)
    motions = find_motions(tmp_path)
    shown = motions.perform(people[3], ACTIONS, np.random.default_rng(3), 30)
    again = find_motions(tmp_path).perform(people[3], (), np.random.default_rng(3), 30)
    assert shown.action == "Walk 1"
    assert shown.pose.shape == (30, 24, 3)
    assert not shown.pose[:, 0].any()
    np.testing.assert_array_equal(shown.pose, again.pose)
    # It goes on frame by frame, back and forth, and begins with the front toward the viewer.
    clip = read_clip(motions.files[0], {}, None)
    pose = Rotation.from_matrix(retarget(clip, people[3].body.joints)[0].reshape(-1, 3, 3))
    pose = pose.as_rotvec().reshape(-1, 24, 3)
    place = [int(abs(pose - row).sum((1, 2)).argmin()) for row in shown.pose]
    np.testing.assert_allclose(shown.pose, pose[place], atol=1e-5)
    assert set(np.abs(np.diff(place))) == {1}
    front = shown.turn[0, :, 2]
    assert abs(front[0]) < 1e-5
    assert front[2] > 0
    figure = make_figure(people[3], shown.action, shown.pose[0], shown.turn[0], [0, 1, 0],
                         WeakPerspective(1, np.zeros(2)))  # fmt: skip
    assert np.isfinite(figure.vertices).all()


def test_frames_that_are_broken_or_at_rest_are_left_out(people, motion, tmp_path):
    turns, pelvis = (part.copy() for part in motion)
    forward = Rotation.from_rotvec([-1.2, 0, 0]).as_matrix()
    turns[2, INDEX("right_knee")] = forward
    turns[5:7], pelvis[5:7] = np.eye(3), np.eye(3)
    write_bvh(tmp_path / "a.bvh", people[0].body.joints, turns, pelvis, names=NAMES)
    assert len(read_clip(tmp_path / "a.bvh", {}, "+y")) == len(turns) - 3
    write_bvh(tmp_path / "b.bvh", people[0].body.joints, turns, pelvis, names=NAMES, moving=True)
    lines = (tmp_path / "b.bvh").read_text().splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("Frame Time")) + 1
    values = lines[start].split()
    place = 6 + 6 + 1  # y of the knee's position: the hips', the thigh's, then the knee's channels
    values[place] = str(2 * float(values[place]))
    lines[start] = " ".join(values)
    (tmp_path / "b.bvh").write_text("\n".join(lines))
    assert len(read_clip(tmp_path / "b.bvh", {}, "+y")) == len(turns) - 4


@pytest.mark.parametrize("up", sorted(AXES))
def test_the_up_axis_is_recognised(people, tmp_path, up):
    turns, pelvis = acted(people[0], np.random.default_rng(), "Walking")
    to_file = Rotation.align_vectors([AXES[up]], [[0, 1, 0]])[0].as_matrix()
    write_bvh(tmp_path / "a.bvh", people[0].body.joints, turns, pelvis, names=NAMES, up=to_file)
    clip, told = (read_clip(tmp_path / "a.bvh", {}, axis) for axis in (None, up))
    np.testing.assert_array_equal(clip.at["neck"], told.at["neck"])
    assert (clip.at["neck"][:-1, 1] > clip.at["left_ankle"][:-1, 1]).all()


def test_joints_are_named_by_the_user(people, motion, tmp_path):
    turns, pelvis = motion
    strange = NAMES | {"left_knee": "Articulatio genus sin."}
    write_bvh(tmp_path / "a.bvh", people[0].body.joints, turns, pelvis, names=strange)
    with pytest.raises(UserError, match="no joint is recognised as left_knee; name it with --mot"):
        find_motions(tmp_path)
    names = tmp_path / "names.json"
    names.write_text(json.dumps({"left_knee": strange["left_knee"]}))
    told = find_motions(tmp_path, names)
    write_bvh(tmp_path / "a.bvh", people[0].body.joints, turns, pelvis, names=NAMES)
    plain = read_clip(tmp_path / "a.bvh", {}, None)
    one = told.perform(people[0], (), np.random.default_rng(0), 3)
    assert told.fingerprint != find_motions(tmp_path).fingerprint
    np.testing.assert_array_equal(
        one.pose, find_motions(tmp_path).perform(people[0], (), np.random.default_rng(0), 3).pose
    )
    assert len(plain)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "expected an object such as"),
        ('{"left_knee": 3}', "expected an object such as"),
        ('{"left_nee": "LeftLeg"}', "'left_nee' is not one of left_hip, "),
        ('{"left_knee": "Leg"}', "no file of .* has a joint 'Leg'; correct it"),
        ('{"left_knee": "LeftToeBase"}', "'LeftFoot', taken as left_ankle, does not follow"),
        ('{"neck": "Hips"}', "'Hips', taken as neck, is above 'LeftUpLeg'; name the joints"),
        ('{"head": "LeftHand"}', "'LeftHand' is taken as left_wrist and as head; name the joints"),
        ('{"left_knee": "LeftUpLeg"}', "'LeftUpLeg' is taken as left_hip and as left_knee"),
    ],
)
def test_wrong_names_are_refused(people, motion, tmp_path, content, message):
    write_bvh(tmp_path / "a.bvh", people[0].body.joints, *motion, names=NAMES)
    names = tmp_path / "names.json"
    names.write_text(content)
    with pytest.raises(UserError, match=message):
        find_motions(tmp_path, names)


def test_folders_and_files_without_people_are_refused(people, motion, tmp_path):
    with pytest.raises(UserError, match="no such folder; check the path"):
        find_motions(tmp_path / "nowhere")
    with pytest.raises(UserError, match="0 BVH files"):
        find_motions(tmp_path)
    exchanged = {joint: NAMES[joint.replace("left", "?").replace("right", "left")
                              .replace("?", "right")] for joint in NAMES}  # fmt: skip
    turns, pelvis = motion
    write_bvh(tmp_path / "a.bvh", people[0].body.joints, turns, pelvis, names=exchanged)
    with pytest.raises(UserError, match="toes point backward, so left and right are exch"):
        find_motions(tmp_path, up="+y")
    still = np.broadcast_to(np.eye(3), turns.shape)
    write_bvh(tmp_path / "a.bvh", people[0].body.joints, still, still[:, 0], names=NAMES)
    with pytest.raises(UserError, match="no frame can be used"):
        find_motions(tmp_path, up="+y")
    lying = Rotation.from_rotvec(np.linspace(0, 2 * np.pi, len(turns), endpoint=False)[:, None]
                                 * [1, 0, 0]).as_matrix()  # fmt: skip
    write_bvh(tmp_path / "a.bvh", people[0].body.joints, motion[0], lying, names=NAMES)
    with pytest.raises(UserError, match="the up axis is not recognised"):
        find_motions(tmp_path)
