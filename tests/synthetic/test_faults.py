"""Faults of detectors: as many and as large as told, and consistent with the body."""

from __future__ import annotations

import numpy as np

from bodyreg.body import JOINT_NAMES
from bodyreg.body.joints import mirror_name
from bodyreg.body.surface import face_normals
from bodyreg.data.skeletons import COCO_17
from bodyreg.synthetic.dataset import make_dataset
from bodyreg.synthetic.faults import (
    Faults,
    _mirrored_faces,
    exchanged_keypoints,
    found_points,
    missing_keypoints,
)
from bodyreg.synthetic.observe import Noise

NONE = {"segment": 0.0, "keypoint": 0.0, "exchanged": 0.0, "missing": 0.0, "misplaced": 0.0}


def faults(**some):
    return Faults(**NONE | some)


def places(body, random, count=400):
    _, area = face_normals(body.vertices, body.faces)
    face = random.choice(len(area), count, p=area / area.sum())
    barycentric = random.dirichlet(np.ones(3), count)
    return face, barycentric


def on(body, face, barycentric):
    return np.einsum("pk,pkc->pc", barycentric, body.vertices[body.faces[face]])


def test_points_of_a_segment_share_an_offset(body):
    random = np.random.default_rng()
    face, barycentric = places(body, random)
    offsets = []
    for _ in range(60):
        found = found_points(body, face, barycentric, faults(segment=2.5), random)
        assert found.kept.all()
        np.testing.assert_array_equal(found.face, face)
        np.testing.assert_array_equal(found.barycentric, barycentric)
        segment = body.segment[body.faces[face, barycentric.argmax(1)]]
        for number in np.unique(segment):
            mine = found.offset[segment == number]
            assert (mine == mine[0]).all()
            offsets.append(mine[0])
    sd, count = np.std(offsets), 2 * len(offsets)
    assert abs(sd / 2.5 - 1) < 5 / np.sqrt(2 * count)


def test_exchanged_limbs_are_mirrored_on_the_surface(body):
    random = np.random.default_rng()
    face, barycentric = places(body, random)
    found = found_points(body, face, barycentric, faults(exchanged=1.0), random)
    limbs = [n for n in JOINT_NAMES if mirror_name(n) != n and "collar" not in n]
    moved = np.isin(
        body.segment[body.faces[face, barycentric.argmax(1)]],
        [JOINT_NAMES.index(name) for name in limbs],
    )
    before, after = on(body, face, barycentric), on(body, found.face, found.barycentric)
    np.testing.assert_array_equal(after[~moved], before[~moved])
    np.testing.assert_allclose(after[moved], before[moved] * [-1, 1, 1], atol=2e-3)
    assert moved.sum() > 100
    other, _ = _mirrored_faces(body)
    np.testing.assert_array_equal(other[other], np.arange(len(body.faces)))


def test_a_missing_limb_has_no_points(body):
    random = np.random.default_rng()
    face, barycentric = places(body, random, 4000)  # so many that every segment has some
    found = found_points(body, face, barycentric, faults(missing=1.0), random)
    names = np.array(JOINT_NAMES)[body.segment[body.faces[face, barycentric.argmax(1)]]]
    trunk = [mirror_name(name) == name or "collar" in name for name in names]
    np.testing.assert_array_equal(found.kept, trunk)
    lost = [0, 0]
    for _ in range(400):
        some = found_points(body, face, barycentric, faults(missing=0.1), random)
        lost[0] += not some.kept[names == "left_knee"].any()
        lost[1] += not some.kept[names == "right_wrist"].any()
    assert abs(np.array(lost) - 40).max() < 5 * np.sqrt(36)


def test_a_share_of_points_is_taken_for_others(body):
    random = np.random.default_rng()
    face, barycentric = places(body, random, 4000)
    found = found_points(body, face, barycentric, faults(misplaced=0.2), random)
    moved = found.face != face
    assert abs(moved.mean() - 0.2) < 5 * np.sqrt(0.16 / 4000)
    assert np.isin(found.face, face).all()


def test_keypoints_are_exchanged_and_missing_by_limbs():
    names, random = COCO_17.joints, np.random.default_rng()
    order = exchanged_keypoints(names, faults(exchanged=1.0), random)
    for name, taken in zip(names, order, strict=True):
        limb = name.rpartition("_")[2] in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
        assert names[taken] == (mirror_name(name) if limb else name)
    gone = missing_keypoints(names, faults(missing=1.0), random)
    for name, lost in zip(names, gone, strict=True):
        assert lost == (name.rpartition("_")[2] in ("elbow", "wrist", "knee", "ankle"))
    assert (exchanged_keypoints(names, faults(), random) == np.arange(17)).all()
    assert not missing_keypoints(names, faults(), random).any()


def test_no_faults_are_no_noise(body):
    """A detector without faults makes what an annotator makes, and a limb's absence is written."""
    noise = Noise(points=40)
    plain, _ = make_dataset(body, 6, 3, noise)
    other, _ = make_dataset(body, 6, 3, Noise(points=40, faults=faults(missing=1.0)))
    elbow = COCO_17.joints.index("left_elbow")
    for one, two in zip(plain, other, strict=True):
        for a, b in zip(one.annotations, two.annotations, strict=True):
            assert b.keypoints[elbow, 2] == 0
            assert len(b.point_xy) < len(a.point_xy)
            assert not np.isin(b.point_part, [15, 16, 17, 18, 19, 20, 21, 22]).any()
    again, _ = make_dataset(body, 6, 3, Noise(points=40, faults=Faults()))
    once_more, _ = make_dataset(body, 6, 3, Noise(points=40, faults=Faults()))
    np.testing.assert_array_equal(
        again[0].annotations[0].point_xy, once_more[0].annotations[0].point_xy
    )
