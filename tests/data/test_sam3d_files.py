"""Files of SAM 3D Body: keypoints of the picture and in space."""

from __future__ import annotations

import numpy as np
import pytest

from bodyreg.data import read_keypoints
from bodyreg.data.skeletons import WHOLE_BODY_23
from bodyreg.errors import UserError

from .standing import METRE, pixels, places


def sam3d() -> dict[str, np.ndarray]:
    """SAM 3D Body's keypoints of the person: the wrists stand last in each hand."""
    order = [*range(9), 62, 41, *range(9, 21)]
    seen, metres = np.zeros((70, 2), np.float32), np.zeros((70, 3), np.float32)
    seen[order] = pixels(WHOLE_BODY_23)
    metres[order] = places(WHOLE_BODY_23) * [1, -1, -1] + [0.1, 0.2, 0.3]
    return {
        "pred_keypoints_2d": seen, "pred_keypoints_3d": metres, "focal_length": np.array(900.0),
    }  # fmt: skip


@pytest.mark.parametrize("form", ["arrays", "two people", "one camera", "dictionaries"])
def test_sam_3d_body(tmp_path, images, form):
    path, one = tmp_path / "7.npz", sam3d()
    if form == "arrays":
        np.savez(path, **one, pred_vertices=np.zeros((9, 3)))
    elif form in ("two people", "one camera"):
        two = {name: np.stack([array, array]) for name, array in one.items()}
        np.savez(path, **two | ({} if form == "two people" else {"focal_length": 900.0}))
    else:
        np.savez(path, data=np.array([one, one | {"mask": None}], object))
    path = path.rename(tmp_path / "7.dat")  # the content tells
    people, skipped = read_keypoints(path, images)
    assert not skipped and len(people) == 1 + (form != "arrays")
    assert people.keypoint_name == WHOLE_BODY_23.keypoints
    expected = places(WHOLE_BODY_23)[:, 2]
    hips = [WHOLE_BODY_23.joints.index(f"{side}_hip") for side in ("left", "right")]
    for row in range(len(people)):
        np.testing.assert_allclose(people.keypoint_xy[row], pixels(WHOLE_BODY_23), rtol=1e-5)
        in_metres = people.keypoint_depth[row] * people.frame[row, 2] / METRE
        np.testing.assert_allclose(in_metres, expected - expected[hips].mean(), atol=1e-5)
    assert np.isnan(people.keypoint_depth_spread).all()
    assert set(people.focal.tolist()) == {900} and set(people.picture.tolist()) == {"7.png"}


RAGGED = np.array([[1, 2], [3]], object)


class Hostile:
    def __reduce__(self):
        return print, ("run",)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"pred_keypoints_2d": None}, "pred_keypoints_2d is missing"),
        ({"pred_keypoints_3d": np.zeros((17, 3))}, "pred_keypoints_3d is missing or not an array"),
        ({"pred_keypoints_3d": np.full((70, 3), np.inf)}, "does not fit"),
        ({"pred_keypoints_3d": -sam3d()["pred_keypoints_3d"]}, "does not fit"),
        ({"pred_keypoints_2d": np.full((70, 2), np.nan)}, "not finite"),
        ({"focal_length": np.zeros(3)}, "focal_length is missing or not"),
        ({"focal_length": np.array(-4.0)}, "focal"),
        ({"pred_keypoints_2d": RAGGED}, "pred_keypoints_2d is not an array"),
        ({"data": np.array([{"pred_keypoints_2d": RAGGED}], object)}, "2d is not an array"),
        ({"data": np.array(3)}, "or a list of people, 'data'"),
        ({"data": np.array([Hostile()], object)}, "could run code"),
    ],
)
def test_broken_files_of_sam_3d_body(tmp_path, capsys, changes, expected):
    path = tmp_path / "7.npz"
    content = sam3d() | changes
    np.savez(path, **{name: value for name, value in content.items() if value is not None})
    with pytest.raises(UserError, match=expected) as caught:
        read_keypoints(path)
    assert "\n" not in str(caught.value) and not capsys.readouterr().out
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(UserError, match=r"7\.npz"):
        read_keypoints(path)
