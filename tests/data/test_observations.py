"""Observations: what is written is read back, and what is wrong is refused with its name."""

import dataclasses

import numpy as np
import pytest

from bodyreg.data.frames import frame_from_image
from bodyreg.data.observation_arrays import FORMAT
from bodyreg.data.observations import Observations
from bodyreg.errors import UserError
from bodyreg.npz import save_npz

CAMERA = ("focal", "principal_point", "picture_size")


def make(people=5, seed=0, depth=True, camera=True) -> Observations:
    random = np.random.default_rng(seed)
    start = np.cumsum([0, *random.integers(0, 6, people)])
    points = start[-1]
    barycentric = random.dirichlet(np.ones(3), points)
    return Observations(
        id=random.permutation(1000)[:people],
        frame=np.column_stack([random.uniform(0, 300, (people, 2)), np.full(people, 100)]),
        point_start=start,
        point_xy=random.uniform(0, 300, (points, 2)),
        point_vertex=random.integers(0, 96, (points, 3)),
        point_barycentric=barycentric,
        point_weight=random.uniform(0, 2, points),
        keypoint_name=("pelvis", "nose"),
        keypoint_xy=random.uniform(0, 300, (people, 2, 2)),
        keypoint_weight=random.integers(0, 2, (people, 2)),
        keypoint_depth=random.normal(size=(people, 2)) if depth else None,
        keypoint_depth_spread=random.uniform(0.1, 1, (people, 2)) if depth else None,
        body="squares",
        picture=np.array([f"{number}.jpg" for number in range(people)], dtype=np.str_),
        **(cameras(people, random) if camera else {}),
    )


def cameras(people: int, random: np.random.Generator) -> dict[str, np.ndarray]:
    """Cameras of which something is known: every second focal length, every third picture."""
    number = np.arange(people)
    focal, size = random.uniform(300, 900, people), random.integers(100, 900, (people, 2))
    point = random.uniform(0, 300, (people, 2))
    focal[1::4] = np.inf
    return {
        "focal": np.where(number % 2, np.nan, focal),
        "principal_point": np.where(number[:, None] % 2, np.nan, point),
        "picture_size": np.where(number[:, None] % 3, 0, size),
    }


def arrays(observations: Observations) -> dict:
    return {f.name: getattr(observations, f.name) for f in dataclasses.fields(observations)}


def assert_same(left: Observations, right: Observations) -> None:
    for name, value in arrays(left).items():
        np.testing.assert_array_equal(value, getattr(right, name), err_msg=name)


@pytest.mark.parametrize(
    ("people", "depth", "camera"),
    [(5, True, True), (5, False, True), (5, True, False), (1, True, True), (0, False, True)],
)
def test_saved_and_loaded_is_the_same(tmp_path, people, depth, camera):
    observations = make(people, depth=depth, camera=camera)
    observations.save(tmp_path / "o.npz", command="a test")
    assert_same(observations, Observations.load(tmp_path / "o.npz"))


def test_a_file_without_cameras_has_no_arrays_of_them(tmp_path):
    make(camera=False).save(tmp_path / "o.npz")
    with np.load(tmp_path / "o.npz") as content:
        assert not set(CAMERA) & set(content.files)


def test_select_is_people_one_by_one():
    observations = make(6)
    order = np.array([4, 0, 4])
    chosen = observations.select(order)
    chosen.check()
    for position, person in enumerate(order):
        assert_same(chosen.select([position]), observations.select([person]))
        points = observations.points_of(person)
        alone = observations.select([person])
        np.testing.assert_array_equal(alone.point_xy, observations.point_xy[points])
    mask = observations.id > observations.id.mean()
    assert_same(observations.select(mask), observations.select(np.flatnonzero(mask)))


@pytest.mark.parametrize(
    "some", [slice(1, 3), slice(None), slice(2, 1), slice(-2, 99), slice(0, 0)]
)
def test_a_slice_selects_what_its_numbers_do(some):
    observations = make(4)
    chosen = observations.select(some)
    assert_same(chosen, observations.select(np.arange(len(observations))[some]))
    assert not len(chosen.point_xy) or np.shares_memory(chosen.point_xy, observations.point_xy)


def test_points_and_keypoints_in_frames():
    observations = make(6)
    assert observations.point_count.sum() == len(observations.point_xy)
    points, keypoints = observations.points_in_frame(), observations.keypoints_in_frame()
    for person, frame in enumerate(observations.frame):
        own = observations.points_of(person)
        assert own.stop - own.start == observations.point_count[person]
        expected = frame_from_image(observations.point_xy[own], frame)
        np.testing.assert_array_equal(points[own], expected)
        expected = frame_from_image(observations.keypoint_xy[person], frame)
        np.testing.assert_array_equal(keypoints[person], expected)


def test_depths_are_given_and_taken_away():
    observations = make(4, depth=False)
    depths = np.random.default_rng(1).normal(size=(4, 2))
    deep = observations.with_depths(depths)
    np.testing.assert_array_equal(deep.keypoint_depth, depths.astype(np.float32))
    assert observations.keypoint_depth is None
    flat = deep.with_depths(None)
    assert flat.keypoint_depth_spread is None and deep.keypoint_depth_spread is None
    assert flat.keypoint_depth is None and deep.keypoint_depth is not None
    assert_same(flat, observations)


def test_evidence_is_a_point_or_keypoint_of_positive_weight():
    observations = make(4)
    observations.point_weight[:] = 0
    observations.keypoint_weight[:] = 0
    observations.keypoint_weight[1, 0] = 1
    point = np.flatnonzero(observations.point_person == 2)[0]
    observations.point_weight[point] = 0.5
    np.testing.assert_array_equal(observations.has_evidence, [False, True, True, False])


def test_an_absent_keypoint_may_be_nan():
    values = arrays(make(3))
    values["keypoint_weight"][1, 1] = 0
    values["keypoint_xy"][1, 1] = np.nan
    observations = Observations(**values)
    observations.check()
    assert np.isfinite(observations.keypoint_xy).all()


def put(array, index, value):
    array = np.array(array, np.float64 if isinstance(value, float) else None)
    array[index] = value
    return array


BAD = {
    "NaN point": ("point_xy", lambda a: put(a, (3, 1), np.nan)),
    "infinite frame": ("frame", lambda a: put(a, (0, 0), np.inf)),
    "overflow to infinity": ("frame", lambda a: put(a, (0, 0), 1e300)),
    "a frame larger than any picture": ("frame", lambda a: put(a, (0, 2), 1e9)),
    "flat frame": ("frame", lambda a: put(a, (1, 2), 0.0)),
    "negative weight": ("point_weight", lambda a: put(a, 2, -1.0)),
    "huge weight": ("point_weight", lambda a: put(a, 2, 3e38)),
    "huge keypoint weight": ("keypoint_weight", lambda a: put(a, (1, 0), 2e9)),
    "negative vertex": ("point_vertex", lambda a: put(a, (0, 0), -1)),
    "vertex too large": ("point_vertex", lambda a: put(a, (0, 0), 96)),
    "vertex too large for its type": ("point_vertex", lambda a: a.astype(np.int64) + 2**33),
    "barycentric sum": ("point_barycentric", lambda a: a * 1.1),
    "falling start": ("point_start", lambda a: put(a, 1, int(a[-1] + 1))),
    "short start": ("point_start", lambda a: a[:-1]),
    "wrong start": ("point_start", lambda a: put(a, 0, 1)),
    "NaN keypoint": ("keypoint_xy", lambda a: a * np.nan),
    "negative keypoint weight": ("keypoint_weight", lambda a: a - 2),
    "infinite depth": ("keypoint_depth", lambda a: a * np.inf),
    "infinite spread": ("keypoint_depth_spread", lambda a: a * np.inf),
    "no spread": ("keypoint_depth_spread", lambda a: a * 0),
    "hardly any spread": ("keypoint_depth_spread", lambda a: a * 0 + 1e-30),
    "depth in another unit": ("keypoint_depth", lambda a: put(a, (0, 0), -1e20)),
    "wrong shape": ("keypoint_depth", lambda a: a[:, :1]),
    "metres for pixels": ("point_xy", lambda a: a * 1e6),
    "text": ("id", lambda a: a.astype(str)),
    "fractions": ("point_vertex", lambda a: a + 0.5),
    "focal length of 0": ("focal", lambda a: put(a, 0, 0.0)),
    "negative focal length": ("focal", lambda a: put(a, 4, -900.0)),
    "focal lengths of two axes": ("focal", lambda a: np.stack([a, a], axis=1)),
    "focal length in metres": ("focal", lambda a: put(a, 2, 0.035)),
    "principal point in another unit": ("principal_point", lambda a: put(a, (0, 0), 1e7)),
    "infinite principal point": ("principal_point", lambda a: put(a, (2, 1), np.inf)),
    "negative size": ("picture_size", lambda a: put(a, (1, 0), -640)),
    "size too large": ("picture_size", lambda a: put(a, (1, 1), 2**25)),
    "size in fractions": ("picture_size", lambda a: a + 0.5),
    "negative barycentric": ("point_barycentric", lambda a: a * 0 + np.array([2, -1, 0])),
}


def test_a_principal_point_is_a_place_of_a_picture():
    """However large the frame is: files of fits hold no larger number."""
    people = make(5)
    people.frame[:], people.principal_point[:] = [50, 50, 1e5], np.nan
    people.check()
    people.principal_point[3] = 50, -1e8
    with pytest.raises(UserError, match=f"principal_point of person {people.id[3]} is outs"):
        people.check()


@pytest.mark.parametrize(("name", "change"), BAD.values(), ids=BAD.keys())
def test_bad_arrays_are_refused_by_name(tmp_path, body, name, change):
    values = arrays(make(5))
    values["keypoint_weight"] = np.ones((5, 2), np.float32)
    values[name] = change(values[name])
    path = tmp_path / "bad.npz"
    save_npz(path, format=FORMAT, **values)
    with pytest.raises(UserError) as caught:
        Observations.load(path).check(body, source=str(path))
    message = str(caught.value)
    assert name in message
    assert str(path) in message
    assert "\n" not in message


def test_an_error_names_the_person():
    observations = make(5)
    point = np.flatnonzero(observations.point_person == 3)[0]
    observations.point_xy[point] = np.nan
    with pytest.raises(UserError, match=f"point_xy of person {observations.id[3]} "):
        observations.check()


def test_points_of_another_body_are_refused(body):
    observations = make(5)
    observations.check(body)
    body.fingerprint = "other"
    with pytest.raises(UserError, match="another body"):
        observations.check(body)


@pytest.mark.parametrize("change", [{"format": "bodyreg-observations-2"}, {"id": None}])
def test_other_formats_and_missing_arrays_are_refused(tmp_path, change):
    values = {"format": FORMAT, **arrays(make(2)), **change}
    save_npz(tmp_path / "o.npz", **{k: v for k, v in values.items() if v is not None})
    with pytest.raises(UserError, match="bodyreg-observations-"):
        Observations.load(tmp_path / "o.npz")


def test_keypoints_alone_have_the_frames_of_their_boxes():
    xy = np.random.default_rng(0).uniform(0, 300, (2, 3, 2))
    xy[1, 2] = np.nan
    people = Observations.of_keypoints(
        ("pelvis", "nose", "neck"), xy, np.array([[1, 1, 1.0], [1, 2, 0]])
    )
    people.check()
    low, high = xy[1, :2].min(0), xy[1, :2].max(0)
    np.testing.assert_allclose(people.frame[1, :2], (low + high) / 2, rtol=1e-6)
    np.testing.assert_allclose(people.frame[1, 2], 0.6 * (high - low).max(), rtol=1e-6)
    np.testing.assert_array_equal(people.keypoint_xy[1, 2], 0)
    np.testing.assert_array_equal(people.id, [0, 1])


def test_pictures_are_texts():
    with pytest.raises(UserError, match="picture has dtype"):
        dataclasses.replace(make(), picture=np.arange(5))
    with pytest.raises(UserError, match="picture has shape"):
        dataclasses.replace(make(), picture=np.array(["a.jpg"])).check()
    known, unknown = make(2), dataclasses.replace(make(3), picture=None)
    joined = Observations.concatenate([known, unknown])
    assert joined.picture.tolist() == ["0.jpg", "1.jpg", "", "", ""]


def test_cameras_that_some_have_are_unknown_of_the_others():
    known, other = make(2), make(3, camera=False)
    joined = Observations.concatenate([other, known])
    joined.check()
    assert np.isnan(joined.focal[:3]).all() and np.isnan(joined.principal_point[:3]).all()
    np.testing.assert_array_equal(joined.picture_size[:3], 0)
    for name in CAMERA:
        np.testing.assert_array_equal(getattr(joined, name)[3:], getattr(known, name))
        assert getattr(Observations.concatenate([other, other]), name) is None


def test_people_of_keypoints_take_their_camera():
    known = make(3)
    given = {name: getattr(known, name) for name in CAMERA}
    people = Observations.of_keypoints(
        known.keypoint_name, known.keypoint_xy, np.ones((3, 2)), **given
    )
    for name, value in given.items():
        np.testing.assert_array_equal(getattr(people, name), value)
