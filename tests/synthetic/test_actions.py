"""Fifteen families of motions: within the joints' limits, smooth, and at human speed."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import PchipInterpolator
from scipy.spatial.transform import Rotation

from bodyreg.body import JOINT_NAMES
from bodyreg.registration.prior import pose_prior
from bodyreg.synthetic.motions.actions import ACTIONS, family, sample_motion
from bodyreg.synthetic.motions.motion import Cycle, Motion, _along, sample_times
from bodyreg.synthetic.motions.poses import COLUMNS, HIGH, LOW, Arm, Posture

# No joint turns farther than this from one frame to the next, degrees: 400 in a second.
FARTHEST = 40


@pytest.fixture(scope="module")
def motions() -> dict[str, np.ndarray]:
    random = np.random.default_rng(2)
    return {a: np.stack([sample_motion(a, random, 25) for _ in range(12)]) for a in ACTIONS}


def test_actions_are_those_of_human36m():
    assert ACTIONS == (
        "Directions", "Discussion", "Eating", "Greeting", "Phoning", "Photo", "Posing", "Purchases",
        "Sitting", "SittingDown", "Smoking", "Waiting", "WalkDog", "Walking", "WalkTogether",
    )  # fmt: skip


def test_motions_leave_the_root_alone_and_vary(motions):
    poses = np.concatenate([motion.reshape(-1, 24, 3) for motion in motions.values()])
    assert poses.dtype == np.float32
    assert (poses[:, 0] == 0).all()
    assert (poses.std(0)[[1, 2, 4, 5, 16, 17, 18, 19]].max(1) > 0.25).all()


@pytest.mark.parametrize("action", ACTIONS)
def test_joints_stay_within_what_the_prior_allows(motions, action):
    prior = pose_prior()
    over = np.maximum(motions[action] - prior.high, prior.low - motions[action])
    over = np.degrees(over.max((0, 1, 3)))
    # A large rotation mixes the axes, so crossing thighs may exceed the limits a little.
    hips = [JOINT_NAMES.index(name) for name in ("left_hip", "right_hip")]
    assert over[hips].max() <= 15
    assert np.delete(over, hips).max() <= 0.1, JOINT_NAMES[over.argmax()]


@pytest.mark.parametrize("action", ACTIONS)
def test_joints_move_no_faster_than_people_do(motions, action):
    turns = Rotation.from_rotvec(motions[action].reshape(-1, 3)).as_matrix()
    turns = turns.reshape(*motions[action].shape[:3], 3, 3)
    between = turns[:, :-1].swapaxes(-1, -2) @ turns[:, 1:]
    angle = np.degrees(Rotation.from_matrix(between.reshape(-1, 3, 3)).magnitude())
    assert 0.5 < angle.max() < FARTHEST


def test_a_family_is_the_same_for_the_same_seed():
    first, again = (sample_motion("Greeting", np.random.default_rng(8), 4) for _ in "12")
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, sample_motion("Greeting", np.random.default_rng(9), 4))


def test_walking_swings_arms_against_legs():
    """The left thigh is forward when the right hand is."""
    motion = family("Walking", np.random.default_rng(3))
    rows = motion.rows(sample_times(np.random.default_rng(4), 40))
    left_thigh = rows[:, COLUMNS["left_leg"].start]
    arm = rows[:, COLUMNS["right_arm"]]
    forward = arm[:, 0] * np.sin(np.radians(arm[:, 1]))
    assert np.corrcoef(left_thigh, forward)[0, 1] > 0.7
    right_thigh = rows[:, COLUMNS["right_leg"].start]
    assert np.corrcoef(left_thigh, right_thigh)[0, 1] < -0.5


def test_curves_are_the_monotone_cubics_of_the_books():
    random = np.random.default_rng(0)
    values, seconds = random.normal(size=(7, 5)), random.uniform(0.3, 2, 7)
    times = random.uniform(0, 50, 300)
    at = np.concatenate([[0], np.tile(seconds, 3).cumsum()]) - seconds.sum()
    expected = PchipInterpolator(at, np.concatenate([np.tile(values, (3, 1)), values[:1]]))
    np.testing.assert_allclose(
        _along(values, seconds, times), expected(times % seconds.sum()), atol=1e-10
    )


def test_holds_hold_and_keys_that_are_too_near_are_put_off():
    seconds = [1.0, 0.1]
    far, near = Arm(raised=150), Arm(raised=0)
    motion = Motion(Posture(), {"left_arm": Cycle([near, far], seconds)})
    motion.moves["nod"] = Cycle([0.0, 10.0], seconds)
    rows = motion.rows(np.linspace(0, 20, 4001))
    raised = rows[:, COLUMNS["left_arm"].start]
    speed = np.diff(raised) / (20 / 4000)
    assert abs(speed).max() < 1.01 * 300
    # Two fields with the same seconds stay in step.
    np.testing.assert_allclose(rows[:, COLUMNS["nod"].start], raised / 15, atol=1e-9)
    held = Motion(Posture(), {"bend": Cycle([20.0, 20.0, 50.0, 50.0], [2, 1, 2, 1])})
    bend = held.rows(np.array([0.1, 1.9, 3.1, 4.9, 6.5]))[:, COLUMNS["bend"].start]
    np.testing.assert_allclose(bend, [20, 20, 50, 50, 20], atol=1e-9)


def test_limits_hold_the_defaults():
    assert (LOW < HIGH).all()
    for action in ACTIONS:
        rows = family(action, np.random.default_rng(1)).rows(np.linspace(0, 8, 40))
        # Families stay within the limits: hardly any value is clipped.
        assert (np.maximum(rows - HIGH, LOW - rows) <= 3).all(), action
