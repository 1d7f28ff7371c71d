"""Fits: the file, selections, frames, and points against the pose they are made of."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from bodyreg import reference
from bodyreg.body import Body
from bodyreg.body.rotations import rotation_matrices
from bodyreg.data import Fits, FitsById
from bodyreg.data.bodies import are_near, in_pixels
from bodyreg.data.fits_files import join_fits
from bodyreg.data.flip import flip_fits
from bodyreg.data.frames import image_from_frame
from bodyreg.errors import UserError
from bodyreg.npz import load_npz, save_npz
from tests.registration.conftest import ellipsoid_body


@pytest.fixture(scope="module")
def body() -> Body:
    return ellipsoid_body()


def some_fits(count: int = 3, seed: int = 0) -> Fits:
    rng = np.random.default_rng(seed)
    pose = rng.normal(0, 0.5, (count, 24, 3)).astype(np.float32)
    pose[:, 0] = 0
    rotation = rotation_matrices(torch.from_numpy(rng.normal(size=(count, 3)))).numpy()
    return Fits(
        id=np.arange(count) + 10,
        frame=np.float32(rng.uniform(50, 200, (count, 3))),
        pose=pose,
        segment_scale=np.float32(rng.uniform(0.8, 1.2, (count, 24))),
        rotation=np.float32(rotation),
        scale=np.float32(rng.uniform(0.5, 1, count)),
        translation=np.float32(rng.normal(0, 0.1, (count, 2))),
        loss=np.float32(rng.uniform(0, 1, count)),
        terms={"dense": np.float32(rng.uniform(0, 1, count))},
        exchanged=rng.integers(0, 256, count).astype(np.uint8),
        rejected=rng.integers(0, 32, count).astype(np.uint8),
        doubts={name: np.float32(rng.uniform(0, 2, count)) for name in ("parts", "of later")},
    )


def assert_equal(got: Fits, expected: Fits) -> None:
    """Equal arrays, terms and doubts included; a loss is absent in both or in neither."""
    for field in fields(Fits):
        one, other = getattr(got, field.name), getattr(expected, field.name)
        if field.name in ("terms", "doubts"):
            assert one.keys() == other.keys()
            assert all(np.array_equal(one[name], other[name]) for name in one)
        else:
            np.testing.assert_array_equal(one, other, err_msg=field.name)


def without_loss(fits: Fits) -> Fits:
    return replace(fits, loss=None, terms={})


def with_camera(fits: Fits) -> Fits:
    """In perspective, but for the second person."""
    random = np.random.default_rng(len(fits))
    focal, point = random.uniform(300, 900, len(fits)), random.uniform(0, 300, (len(fits), 2))
    focal[1:2], point[1:2] = np.nan, np.nan
    return replace(fits, focal=np.float32(focal), principal_point=np.float32(point))


def with_deviations(fits: Fits) -> Fits:
    deviation = np.random.default_rng(0).uniform(0, 300, (len(fits), 24, 2))
    return replace(fits, joint_deviation=np.float32(deviation))


def with_tracks(fits: Fits) -> Fits:
    return replace(fits, track=np.arange(len(fits)) % 2, moment=np.arange(len(fits))[::-1].copy())


KINDS = [lambda fits: fits, without_loss, with_camera, with_deviations, with_tracks]


@pytest.mark.parametrize("made_by", KINDS)
def test_round_trip(tmp_path, made_by):
    fits = made_by(some_fits())
    fits.save(tmp_path / "fits.npz", command="a test")
    loaded = Fits.load(tmp_path / "fits.npz")
    assert_equal(loaded, fits)
    arrays = load_npz(tmp_path / "fits.npz", kind="fits")
    assert str(arrays["format"]) == "bodyreg-fits-1" and str(arrays["command"]) == "a test"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"format": "bodyreg-fits-2"}, "bodyreg-fits-2"),
        ({"pose": np.zeros((3, 23, 3), np.float32)}, "pose has shape"),
        ({"loss": np.float32([0, np.nan, 0])}, "loss of person 11 is not finite"),
        ({"loss": np.array([0, 1e300, 0])}, "loss of person 11 is not finite"),
        ({"pose": np.full((3, 24, 3), 1e300)}, "pose of person 10 is not finite"),
        ({"scale": np.array([1, 1, -2e8])}, r"scale of person 12 is not below 1e\+08; check the"),
        ({"rotation": np.full((3, 3, 3), 10**10)}, "rotation of person 10 is not below"),
        ({"loss": np.zeros((3, 1), np.float32)}, "loss has shape"),
        ({"joint_deviation": np.full((3, 24, 2), -1e-3)}, "joint_deviation of person 10 is negat"),
        ({"focal": np.float32([500, -1, 500])}, "focal of person 11 is not positive"),
        ({"focal": np.float32([500, 500, np.inf])}, "focal of person 12 is not finite"),
        ({"principal_point": np.full((3, 2), -np.inf)}, "principal_point of person 10 is not fin"),
        ({"principal_point": np.zeros((3, 3))}, "principal_point has shape"),
        ({"scale": np.array(["a", "b", "c"])}, "scale has dtype"),
        ({"track": np.zeros(3)}, "track has dtype"),
        ({"moment": np.zeros((3, 1), int)}, "moment has shape"),
        ({"rotation": None}, "'rotation' is missing"),
    ],
)
def test_damaged_files_are_user_errors(tmp_path, damage, message):
    fits = with_camera(some_fits())
    fits.save(tmp_path / "fits.npz")
    arrays = load_npz(tmp_path / "fits.npz", kind="fits") | damage
    save_npz(tmp_path / "bad.npz", **{k: v for k, v in arrays.items() if v is not None})
    with pytest.raises(UserError, match=message):
        Fits.load(tmp_path / "bad.npz")


def test_select_and_concatenate():
    fits = some_fits(5)
    again = Fits.concatenate([fits.select([3, 1]), fits.select(slice(0, 1)), fits.select([2, 4])])
    assert again.id.tolist() == [13, 11, 10, 12, 14]
    assert np.array_equal(again.terms["dense"], fits.terms["dense"][[3, 1, 0, 2, 4]])
    assert fits.select(fits.scale > 10).id.shape == (0,)
    assert len(Fits.empty()) == 0


def test_a_prediction_has_no_loss(tmp_path):
    """What works on fits works without a loss, and gives the rest as it does with one."""
    fits = some_fits(5)
    plain, frame = without_loss(fits), fits.frame[::-1]
    parts = [slice(3, 5), slice(0, 3)]
    assert_equal(
        Fits.concatenate([plain.select(part) for part in parts]),
        without_loss(Fits.concatenate([fits.select(part) for part in parts])),
    )
    assert_equal(plain.in_frames(frame), without_loss(fits.in_frames(frame)))
    assert_equal(flip_fits(plain, 640), without_loss(flip_fits(fits, 640)))
    plain.save(tmp_path / "fits.npz")
    by_id = FitsById(tmp_path / "fits.npz")
    assert_equal(by_id.of(np.array([12, 11])), plain.select([1, 2]))
    assert by_id.of(np.array([99])).loss is None


def test_points_of_a_fit(body):
    """Reference: the plain-torch engine, and image = frame units · half side, y down."""
    fits = some_fits()
    _, positions = reference.kinematics(
        rotation_matrices(torch.from_numpy(fits.pose)),
        torch.from_numpy(fits.segment_scale), torch.from_numpy(body.joints), body.parents,
    )  # fmt: skip
    camera = [torch.from_numpy(a) for a in (fits.rotation, fits.scale, fits.translation)]
    xy, depth = reference.projection(positions, *camera)
    joints = fits.joints(body)
    assert joints.shape == (3, 24, 3)
    np.testing.assert_allclose(joints[..., :2], xy.numpy(), atol=2e-6)
    np.testing.assert_allclose(joints[..., 2], depth.numpy(), atol=2e-6)
    vertices = fits.vertices(body)
    assert vertices.shape == (3, len(body.vertices), 3)
    nose = fits.keypoints(body, ("left_knee", "nose"))
    np.testing.assert_array_equal(nose[:, 0], joints[:, 4])
    np.testing.assert_array_equal(nose[:, 1], vertices[:, body.landmarks["nose"].vertices[0]])


def test_other_frames_show_the_same_picture(body):
    """The image position of every joint stays where it was."""
    fits = some_fits()
    frame = np.float32([[100, 50, 70], [10, 90, 30], [60, 60, 60]])
    before = image_from_frame(fits.joints(body)[..., :2], fits.frame[:, None])
    after = image_from_frame(fits.in_frames(frame).joints(body)[..., :2], frame[:, None])
    np.testing.assert_allclose(after, before, atol=1e-3)


@pytest.mark.parametrize("change", [lambda fits, _: fits, lambda fits, f: fits.in_frames(f)])
def test_bodies_keep_their_shape_and_pictures_show_perspective(body, change):
    """Places in pixels follow the law of the pinhole, with the pelvis where scale has it."""
    fits = with_camera(some_fits())
    weak = replace(fits, focal=None, principal_point=None)
    fits = change(fits, np.float32([[100, 50, 70], [10, 90, 30], [60, 60, 60]]))
    joints, seen = fits.joints(body), fits.seen(fits.joints(body))
    np.testing.assert_array_equal(fits.seen(joints)[1], joints[1])
    np.testing.assert_array_equal(weak.seen(weak.vertices(body)), weak.vertices(body))
    shape = joints[..., :3] / fits.scale[:, None, None]
    expected = weak.joints(body) / weak.scale[:, None, None]
    np.testing.assert_allclose(np.ptp(shape, axis=1), np.ptp(expected, axis=1), atol=1e-4)
    for person in (0, 2):
        size = fits.scale[person] * fits.frame[person, 2]  # pixels per metre at the pelvis
        distance = fits.focal[person] / size
        pixels = image_from_frame(joints[person, :, :2], fits.frame[person])
        centre = fits.principal_point[person]
        metres = (pixels - centre) / size
        z = distance - joints[person, :, 2] / fits.scale[person]
        pinhole = centre + fits.focal[person] * metres / z[:, None]
        np.testing.assert_allclose(
            image_from_frame(seen[person, :, :2], fits.frame[person]), pinhole, rtol=1e-4
        )


def test_bodies_in_pixels(body):
    """Depths begin at the pelvis, or at the camera if it is near, whoever else is in the call."""
    fits = with_camera(some_fits())
    joints, near = fits.joints(body), are_near(fits)
    assert near.tolist() == [True, False, True] and not are_near(some_fits()).any()
    half, places = fits.frame[:, 2], in_pixels(fits, joints)
    begin = np.where(near, fits.focal, 0)
    np.testing.assert_allclose(
        places[:, :, 2], half[:, None] * joints[..., 2] - begin[:, None], 1e-5
    )
    np.testing.assert_allclose(places[:, 0, 2], -begin, atol=1e-4)
    shown = image_from_frame(fits.seen(joints)[..., :2], fits.frame[:, None])
    np.testing.assert_array_equal(places[..., :2], shown)
    for person in range(3):
        np.testing.assert_array_equal(
            in_pixels(fits.select([person]), joints[person : person + 1])[0], places[person]
        )


def test_the_mirror_image_is_seen_mirrored(body):
    fits = with_camera(some_fits(4))
    mirrored = flip_fits(fits, 640)
    left, right = (
        image_from_frame(f.seen(f.keypoints(body, names))[..., :2], f.frame[:, None])
        for f, names in ((fits, ("left_knee",)), (mirrored, ("right_knee",)))
    )
    np.testing.assert_allclose(right, [640, 0] + left * [-1, 1], rtol=1e-4)


def test_mirrored_counts_reflections():
    fits = some_fits()
    fits.rotation[1] *= -1
    assert fits.mirrored.tolist() == [False, True, False]
    fits.scale[:2] *= -1
    assert fits.mirrored.tolist() == [True, False, False]


@pytest.mark.parametrize("made_by", KINDS)
@pytest.mark.parametrize("cuts", [[5], [2, 2, 5], [0, 1, 5, 5]])
def test_joined_files_have_the_bytes_of_one(tmp_path, cuts, made_by):
    fits, parts = made_by(some_fits(5)), []
    for part, (start, stop) in enumerate(zip([0, *cuts], cuts, strict=False)):
        parts.append(tmp_path / f"{part}.npz")
        some = fits.select(slice(start, stop)) if stop > start else Fits.empty()
        some.save(parts[-1], part_note="of no interest")
    fits.save(tmp_path / "whole.npz", command="a test")
    assert join_fits(tmp_path / "joined.npz", parts, within=tmp_path, command="a test") == 5
    assert (tmp_path / "joined.npz").read_bytes() == (tmp_path / "whole.npz").read_bytes()


@pytest.mark.parametrize("other", [without_loss, with_camera, lambda fits: replace(fits, terms={})])
@pytest.mark.parametrize("order", [1, -1])
def test_files_with_other_arrays_are_not_joined(tmp_path, other, order):
    shards = []
    for number, fits in enumerate([some_fits(), Fits.empty(), other(some_fits())][::order]):
        shards.append(tmp_path / f"{number}.npz")
        fits.save(shards[-1])
    with pytest.raises(UserError, match=r"2\.npz: its arrays are not those of 0\.npz"):
        join_fits(tmp_path / "joined.npz", shards)
    assert not (tmp_path / "joined.npz").exists()


def test_fits_are_found_by_id(tmp_path):
    fits = some_fits(6).select([3, 0, 5, 1, 4, 2])
    fits.save(tmp_path / "fits.npz")
    by_id = FitsById(tmp_path / "fits.npz")
    found = by_id.of(np.array([15, 10, 99, -1]))
    assert found.id.tolist() == [10, 15]
    assert np.array_equal(found.pose, fits.pose[1:3])
    assert by_id.of(np.array([13, 12])).id.tolist() == fits.id.tolist()
    assert len(by_id.of(np.array([7]))) == 0
    fits.select([0, 1, 0]).save(tmp_path / "twice.npz")
    with pytest.raises(UserError, match="names a person twice"):
        FitsById(tmp_path / "twice.npz")


def test_doubts_say_which_fits_are_doubtful_and_why(tmp_path):
    fits = replace(
        some_fits(3),
        doubts={
            "parts": np.float32([0.5, 3, 1]),
            "small": np.float32([0, 1.5, 0.2]),
            "of later": np.float32([1.1, 0, 1]),
        },
    )
    fits.save(tmp_path / "fits.npz")
    for one in (fits, Fits.load(tmp_path / "fits.npz")):
        np.testing.assert_array_equal(one.doubt, np.float32([1.1, 3, 1]))
        assert one.doubtful.tolist() == [True, True, False]
        assert one.reasons(0) == ["of later"]
        assert one.reasons(1) == ["few parts of the body are seen", "small in the picture"]
        assert one.reasons(2) == []


def test_files_without_doubts_load(tmp_path):
    fits = some_fits()
    fits.save(tmp_path / "fits.npz")
    arrays = load_npz(tmp_path / "fits.npz", kind="fits")
    old = {
        n: a
        for n, a in arrays.items()
        if n not in ("exchanged", "rejected") and not n.startswith("doubt_")
    }
    save_npz(tmp_path / "old.npz", **old)
    loaded = Fits.load(tmp_path / "old.npz")
    assert loaded.exchanged is None and loaded.rejected is None and loaded.doubts == {}
    assert not loaded.doubtful.any() and loaded.reasons(0) == []
    odd = {"doubt_words": np.array(["a"] * len(fits)), "doubt_short": np.zeros(1)}
    save_npz(tmp_path / "odd.npz", **old, **odd)
    assert Fits.load(tmp_path / "odd.npz").doubts == {}
