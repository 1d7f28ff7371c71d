"""Motions of a person: hands at their spots, no limb inside another, weight above the feet."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist
from scipy.spatial.transform import Rotation

from bodyreg.body import JOINT_NAMES
from bodyreg.synthetic.cameras import WeakPerspective
from bodyreg.synthetic.figure import Figure, make_figure
from bodyreg.synthetic.motions import contact
from bodyreg.synthetic.motions.actions import ACTIONS, family
from bodyreg.synthetic.motions.contact import Skin
from bodyreg.synthetic.motions.performance import balance, perform
from bodyreg.synthetic.motions.poses import (
    COLUMNS,
    HIGH,
    LOW,
    Arm,
    Posture,
    as_row,
    to_rotations,
)
from bodyreg.synthetic.motions.retarget import BOUND, Retargeter
from bodyreg.synthetic.people import sample_person

UP = np.array([0.0, 1, 0])


@pytest.fixture(scope="module")
def people(body):
    return [sample_person(body, 12, number) for number in range(24)]


def show(person, pose, turn) -> Figure:
    return make_figure(person, "", pose, turn, UP, WeakPerspective(1.0, np.zeros(2)))


def depth(person, pose: np.ndarray) -> float:
    """Metres; poses (T, 24, 3)."""
    turns = Rotation.from_rotvec(pose.reshape(-1, 3)).as_matrix().reshape(-1, 24, 3, 3)
    points, normals, _ = (skin := Skin(person)).place(turns)
    return float(skin.depths(points, normals).depth.max())


def test_no_limb_lies_inside_the_body(people):
    """Every action of two dozen people: 360 poses, and some motions at every frame."""
    for person in people:
        for number, action in enumerate(ACTIONS):
            random = np.random.default_rng([person.number, number])
            frames = 12 if person.number % 12 == 0 else 1
            shown = perform(person, action, random, frames)
            assert depth(person, shown.pose) <= BOUND + 1e-3, (person.number, action)


def test_depth_is_that_of_a_hand_pushed_into_the_belly(body):
    """The measured depth grows as the forearm moves into the belly."""
    person = sample_person(body, 1, 0)
    depths = []
    for inward in (30, 50, 65, 80):
        row = as_row(Posture(left_arm=Arm(12, 60, inward, 95)))[None]
        points, normals, _ = (skin := Skin(person)).place(to_rotations(row))
        depths.append(float(skin.depths(points, normals).depth[0, 0]))
    assert depths[0] < 0.015
    assert depths[-1] > 0.05
    assert depths == sorted(depths)


def test_depths_are_those_behind_the_nearest_probe(people):
    """Every limb's deepest probe, by all distances in double precision; no limb meets itself."""
    skin = Skin(people[0])
    rows = np.random.default_rng(0).uniform(LOW, HIGH, (20, len(LOW)))
    points, normals, _ = skin.place(to_rotations(rows))
    found, probes = skin.depths(points, normals), skin.probes
    forbidden = probes.left[:, 4:] @ probes.right[4:] > 0
    assert forbidden[np.arange(len(probes.mine)), probes.mine].all()
    for row, (skin_points, outward) in enumerate(zip(points, normals, strict=True)):
        apart = cdist(skin_points[probes.mine], skin_points)
        nearest = np.where(forbidden, np.inf, apart).argmin(1)
        offset = skin_points[probes.mine] - skin_points[nearest]
        depth = -(offset * outward[nearest]).sum(1)
        apart = np.linalg.norm(offset, axis=1)
        beside = np.sqrt(np.maximum(apart**2 - depth**2, 0))
        depth[(beside > np.maximum(contact.SIDEWAYS, depth)) | (apart >= contact.DEEPEST)] = 0
        deepest = [max(depth[a:b].max(), 0) for a, b in itertools.pairwise(probes.ends)]
        np.testing.assert_allclose(found.depth[row], deepest, atol=1e-5)
    assert (found.depth > 0.02).any()


def winding_number(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """How often a mesh (F, 3, 3) goes round points (n, 3): 1 inside, 0 outside.

    By the solid angles of the triangles (van Oosterom & Strackee 1983).
    """
    corners = triangles[None] - points[:, None, None]
    a, b, c = np.moveaxis(corners, 2, 0)
    la, lb, lc = np.moveaxis(np.linalg.norm(corners, axis=-1), 2, 0)
    volume = (a * np.cross(b, c)).sum(-1)
    rest = la * lb * lc + (a * b).sum(-1) * lc + (b * c).sum(-1) * la + (c * a).sum(-1) * lb
    return np.arctan2(volume, rest).sum(1) / (2 * np.pi)


def test_the_mesh_itself_agrees(body, people):
    """Hands and forearms against the surface without their own arm, by winding numbers."""
    segment = np.array(JOINT_NAMES)[body.segment]
    checked = 0
    for person in people[:2]:
        for number, action in enumerate(ACTIONS):
            shown = perform(person, action, np.random.default_rng([person.number, number]), 1)
            vertices = show(person, shown.pose[0], shown.turn[0]).vertices
            for side in ("left", "right"):
                hand = np.isin(segment, [f"{side}_{j}" for j in ("elbow", "wrist", "hand")])
                arm = hand | (segment == f"{side}_shoulder")
                faces = body.faces[~arm[body.faces].any(1)]
                skin = cKDTree(vertices[np.unique(faces)])
                apart = skin.query(vertices[hand])[0]
                # Those beyond the bound, and near enough to be inside.
                doubtful = vertices[hand][(apart > BOUND) & (apart < 0.08)][::20]
                checked += len(doubtful)
                if len(doubtful):
                    assert winding_number(doubtful, vertices[faces]).max() < 0.5, action
    assert checked > 50


def test_hands_are_at_their_spots_whatever_the_body(people):
    """Children and tall men alike hold a phone at the ear."""
    for person in people:
        motion = family("Phoning", np.random.default_rng(person.number))
        assert [t.spot for t in motion.touches] == ["right_ear"]
        retargeter, times = Retargeter(person), np.arange(3) / 10
        rows = motion.rows(times)
        rows = retargeter.reach(rows, np.zeros_like(rows), times, motion)
        placed = retargeter.place(rows)
        spot = retargeter.skin.probes.spots["right_ear"]
        knuckles = placed.joints[:, JOINT_NAMES.index("right_hand")]
        apart = np.linalg.norm(knuckles - placed.points[:, spot], axis=1)
        assert (apart > 0.04).all()
        assert (apart < 0.08).all()


def test_standing_bodies_are_balanced(body):
    """A whole body that leans forward or back is set upright."""
    straight = Rotation.from_matrix(balance(body.joints[None])[0])
    assert straight.magnitude() < np.radians(6)
    for angle in (-40, 25, 70):
        tilt = Rotation.from_euler("x", angle, degrees=True)
        turn = Rotation.from_matrix(balance(tilt.apply(body.joints)[None])[0]) * tilt
        np.testing.assert_allclose(turn.apply([0, 1, 0]), straight.apply([0, 1, 0]), atol=1e-3)


def test_legs_of_sitting_people_lie_on_the_floor(people):
    """Feet neither float nor sink: they are as low as the seat, within the width of a foot."""
    for person in people[:8]:
        motion = family("SittingDown", np.random.default_rng(1))
        retargeter = Retargeter(person)
        for seed in range(40):
            motion = family("SittingDown", np.random.default_rng(seed))
            rows = motion.rows(np.zeros(1))
            if rows[0, COLUMNS["seat"].start] == 1 and rows[0, COLUMNS["pitch"].start] > -60:
                break
        placed = retargeter.place(retargeter.settle(rows))
        pitch = rows[0, COLUMNS["pitch"].start]
        up = Rotation.from_euler("x", pitch, degrees=True).as_matrix()[1]
        height = placed.points[0] @ up
        probes = retargeter.skin.probes
        floor = height[probes.bottom].min()
        for limb in (2, 3):
            assert height[probes.limbs[limb]].min() == pytest.approx(floor, abs=0.02)


@pytest.mark.parametrize("action", ["SittingDown", "Posing"])
def test_hands_do_not_dip_into_the_floor(body, people, action):
    segment = np.array(JOINT_NAMES)[body.segment]
    names = ("shoulder", "elbow", "wrist", "hand")
    arm = np.isin(segment, [f"{side}_{name}" for side in ("left", "right") for name in names])
    for person in people:
        shown = perform(person, action, np.random.default_rng(person.number), 1)
        height = show(person, shown.pose[0], shown.turn[0]).vertices[:, 1]
        assert height[arm].min() > height[~arm].min() - 0.05


def test_a_performance_does_not_depend_on_earlier_people(people):
    shown = []
    for first in (people[0], people[5]):
        contact._probes_of.cache_clear()
        Skin(first)
        shown.append(perform(people[3], "Sitting", np.random.default_rng(6), 3))
    np.testing.assert_array_equal(shown[0].pose, shown[1].pose)
    np.testing.assert_array_equal(shown[0].turn, shown[1].turn)


def test_performances_start_anywhere_and_turn_smoothly(people):
    for action in ACTIONS:
        shown = perform(people[1], action, np.random.default_rng(5), 10)
        assert shown.pose.shape == (10, 24, 3)
        assert shown.pose.dtype == shown.turn.dtype == np.float32
        assert (shown.pose[:, 0] == 0).all()
        between = shown.turn[:-1].swapaxes(1, 2) @ shown.turn[1:]
        assert np.degrees(Rotation.from_matrix(between).magnitude()).max() < 25
        assert torch.from_numpy(shown.pose).isfinite().all()
