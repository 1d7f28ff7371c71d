"""Closest vertices of DensePose CSE: arrays of pictures, results of people, what is refused."""

import copy
import json

import cv2
import numpy as np
import pytest
import torch

from bodyreg.body import Body
from bodyreg.body.smpl import CSE_VERTEX_COUNT
from bodyreg.data.cse import NO_VERTEX, read_cse
from bodyreg.data.dense_maps import LOW_SCORE
from bodyreg.errors import UserError

from .test_damaged import PLAIN, ROUNDS, attempt, damaged

H, W = 70, 50
BOX = [10.5, 20.25, 50.75, 70.5]

# A command's user sees one line, so nothing may be warned of beside it.
pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")


@pytest.fixture(scope="module")
def body() -> Body:
    return Body.default()


def vertices(seed=0) -> np.ndarray:
    """(70, 50) vertices of smpl_27554; a quarter of them is SMPL's own. -1 outside."""
    random = np.random.default_rng(seed)
    found = np.full((H, W), -1)
    found[5:65, 5:45] = random.integers(0, CSE_VERTEX_COUNT, (60, 40))
    return found


def entry(**rest) -> dict:
    found = vertices()
    return {
        "image_id": 3, "category_id": 0, "bbox": BOX, "score": 0.8,
        "cse_mask": (found >= 0).astype(int).tolist(),
        "cse_indices": np.maximum(found, 0).astype(float).tolist(), **rest,
    }  # fmt: skip


def check(people, body, region, seed=0) -> None:
    place = (people.point_xy - region[:2]) / region[2:] * [W, H] - 0.5
    column, row = np.rint(place).astype(int).T
    np.testing.assert_allclose(place, np.column_stack([column, row]), atol=1e-4)
    assert 7 <= row.min() and row.max() <= 62 and 7 <= column.min() and column.max() <= 42
    vertex, barycentric = body.smpl_points(vertices(seed)[row, column])
    np.testing.assert_array_equal(people.point_vertex, vertex)
    np.testing.assert_allclose(people.point_barycentric, barycentric, atol=1e-6)


def test_arrays_of_pictures(tmp_path, body):
    (tmp_path / "maps").mkdir()
    (tmp_path / "images").mkdir()
    np.save(tmp_path / "maps" / "a.npy", vertices(0).astype(np.int32))
    np.savez_compressed(tmp_path / "maps" / "b.npz", vertices(1).astype(np.float32))
    np.save(tmp_path / "maps" / "c.npy", np.full((H, W), -1))
    for name in "abc":
        cv2.imwrite(str(tmp_path / "images" / f"{name}.png"), np.zeros((H, W, 3), np.uint8))
    people, skipped = read_cse(tmp_path / "maps", body, tmp_path / "images", points=150)
    assert skipped == {NO_VERTEX: 1} and people.id.tolist() == [0, 1]
    assert people.picture.tolist() == ["a.png", "b.png"]
    assert people.point_count.tolist() == [150, 150]
    for seed in (0, 1):
        check(people.select([seed]), body, np.array([0, 0, W, H]), seed)


@pytest.mark.parametrize("kind", ["json", "pth"])
def test_results(tmp_path, body, kind):
    path = tmp_path / f"a.{kind}"
    content = [entry(), entry(score=0.5), entry(cse_mask=np.zeros((H, W), int).tolist())]
    if kind == "json":
        path.write_text(json.dumps(content))
    else:
        for item in content:
            item["cse_mask"] = np.array(item["cse_mask"], np.int8)
            item["cse_indices"] = torch.tensor(item["cse_indices"])
        torch.save(content, path)
    people, skipped = read_cse(path, body, points=120)
    assert skipped == {LOW_SCORE: 1, NO_VERTEX: 1} and people.id.tolist() == [0]
    check(people, body, np.array(BOX))
    np.testing.assert_allclose(people.point_weight, 0.8, rtol=1e-6)
    assert people.picture is None
    cv2.imwrite(str(tmp_path / "img_003.png"), np.zeros((9, 9, 3), np.uint8))
    assert read_cse(path, body, tmp_path)[0].picture.tolist() == ["img_003.png"]


REFUSED = {
    "embeddings": ([{"bbox": BOX, "embedding": []}], "no closest vertices"),
    "no list": ({}, "expected a list"),
    "another box": ([entry(bbox=[0, 0, 9, 9])], "a map fills its box"),
    "another shape": ([entry(cse_indices=[[1.0]])], "cse_indices is missing or not"),
    "no mask": ([entry(cse_mask=[1])], "cse_mask is not"),
    "too many vertices": ([entry(cse_indices=np.full((H, W), 27554).tolist())], "smpl_27554 lacks"),
    "half a vertex": ([entry(cse_indices=np.full((H, W), 0.5).tolist())], "smpl_27554 lacks"),
    "NaN": ([entry(cse_indices=np.full((H, W), np.nan).tolist())], "not finite"),
}


@pytest.mark.parametrize(("content", "words"), REFUSED.values(), ids=REFUSED)
def test_results_that_are_refused(tmp_path, body, content, words):
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=words) as caught:
        read_cse(tmp_path / "a.json", body)
    assert "a.json" in str(caught.value) and "\n" not in str(caught.value)


def test_arrays_that_are_refused(tmp_path, body):
    path = tmp_path / "a.npy"
    for array in (np.zeros(3), np.zeros((0, 3)), np.full((3, 3), "a"), np.full((3, 3), 27554),
                  np.full((3, 3), 0.5), np.full((3, 3), np.inf)):  # fmt: skip
        np.save(path, array)
        assert attempt(lambda: read_cse(tmp_path, body), "a.npy")
    path.unlink()
    np.savez(tmp_path / "a.npz", a=np.zeros((3, 3)), b=np.zeros((3, 3)))
    assert attempt(lambda: read_cse(tmp_path, body), "a.npz")
    (tmp_path / "a.npz").unlink()
    with pytest.raises(UserError, match=r"no \.npy or \.npz array of vertices"):
        read_cse(tmp_path, body)


def test_odd_values(tmp_path, body):
    random, path, refused = np.random.default_rng(6), tmp_path / "a.json", 0
    small = entry(bbox=[0, 0, 3, 3], cse_mask=[[1] * 3] * 3, cse_indices=[[5.0] * 3] * 3)
    for _ in range(ROUNDS):
        path.write_text(json.dumps(damaged(copy.deepcopy([small] * 2), random, PLAIN)))
        refused += attempt(lambda: read_cse(path, body), str(path))
    assert 0 < refused < ROUNDS
