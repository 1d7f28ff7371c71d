"""Dumps and results of DensePose's networks: every layout gives the same points."""

import base64
import copy
import json
import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from bodyreg.body import Body
from bodyreg.data.coco import NO_PERSON
from bodyreg.data.dense_maps import LOW_SCORE, NO_PART
from bodyreg.data.densepose_results import read_densepose_results
from bodyreg.data.result_lists import floats
from bodyreg.errors import UserError
from bodyreg.pictures import encode_picture

from ..test_torch_files import saved_by_densepose
from .test_damaged import PLAIN, ROUNDS, attempt, damaged, memory_of

BOX = [20.25, 30.5, 40.75, 60.5]  # x, y, width, height
H, W = 60, 40

# A command's user sees one line, so nothing may be warned of beside it.
pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")


@pytest.fixture(scope="module")
def body() -> Body:
    return Body.default()


def labels_and_uv(seed=0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = np.zeros((H, W), np.int64)
    for number, part in enumerate(random.choice(np.arange(1, 25), 4, replace=False)):
        labels[4 + 13 * number : 17 + 13 * number, 5:35] = part
    # Floats that 8 bits hold exactly at the middle of what they stand for.
    uv = (random.integers(0, 255, (2, H, W)) + 0.5) / 255
    return labels, np.where(labels > 0, uv, 0)


def bits(seed=0) -> np.ndarray:
    labels, uv = labels_and_uv(seed)
    return np.concatenate([labels[None], (uv * 255).astype(int)]).astype(np.uint8)


def png(iuv: np.ndarray) -> str:
    """As detectron2 writes it: lines of base64, red is the part."""
    return base64.encodebytes(encode_picture(np.moveaxis(iuv, 0, 2)[..., ::-1], ".png")).decode()


def entry(**rest) -> dict:
    return {"image_id": 7, "category_id": 1, "bbox": BOX, "score": 0.9,
            "charts": "makehuman-24", **rest}  # fmt: skip


def dump(*results, **rest) -> dict:
    x, y, w, h = BOX
    return {
        "file_name": "/home/someone/pictures/a.jpg", "charts": "makehuman-24",
        "scores": [0.9] * len(results), "pred_boxes_XYXY": [[x, y, x + w, y + h]] * len(results),
        "pred_densepose": list(results), **rest,
    }  # fmt: skip


def tensors(tree):
    """The same tree with tensors for lists of numbers, as in files of torch."""
    if isinstance(tree, np.ndarray):
        return torch.from_numpy(tree)
    if isinstance(tree, dict):
        return {k: torch.tensor(v) if k in ("scores", "pred_boxes_XYXY") else tensors(v)
                for k, v in tree.items()}  # fmt: skip
    return [tensors(v) for v in tree] if isinstance(tree, list) else tree


labels, uv = labels_and_uv()
compressed = {"shape_chw": [3, H, W], "labels_uv_str": png(bits())}
LAYOUTS = {
    "challenge": [entry(uv_shape=[3, H, W], uv_data=png(bits()))],
    "shape and text": [entry(densepose=[[3, H, W], png(bits())])],
    "quantised": [entry(densepose=compressed)],
    "quantised at once": [entry(**compressed)],
    "lists of bits": [entry(uv=bits().tolist())],
    "dump": [dump({"labels": labels.tolist(), "uv": uv.tolist()})],
    "quantised dump": [dump(compressed)],
    "a picture of nobody": [dump(compressed), dump()],
    "dump of encoded maps": [dump([[3, H, W], png(bits())])],
    "dump of before": [dump() | {"pred_densepose": {"results": [[[3, H, W], png(bits())]],
                                                    "boxes_xywh": [BOX]},
                                 "scores": None,
                                 "pred_boxes_XYXY": [[20.25, 30.5, 61, 91]]}],
}  # fmt: skip


@pytest.mark.parametrize("content", LAYOUTS.values(), ids=LAYOUTS)
def test_layouts_of_json(tmp_path, body, content):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content))
    people, skipped = read_densepose_results(path, body, points=100)
    assert not skipped and people.id.tolist() == [0]
    check(people, body)
    dumped = "file_name" in content[0]
    assert people.picture == (["a.jpg"] if dumped else None)
    weight = 1 if content[0].get("scores", 0.9) is None else 0.9
    np.testing.assert_allclose(people.point_weight, weight, rtol=1e-6)


def check(people, body, seed=0) -> None:
    labels, uv = labels_and_uv(seed)
    place = (people.point_xy - BOX[:2]) / BOX[2:] * [W, H] - 0.5
    column, row = np.rint(place).astype(int).T
    np.testing.assert_allclose(place, np.column_stack([column, row]), atol=1e-4)
    assert len(place) == 100
    vertex, barycentric = body.charts.locate(labels[row, column], uv[:, row, column].T)
    np.testing.assert_array_equal(people.point_vertex, vertex)
    np.testing.assert_allclose(people.point_barycentric, barycentric, atol=1e-5)


@pytest.mark.parametrize("old", [False, True])
def test_dumps_of_torch(tmp_path, body, monkeypatch, old):
    """Objects of DensePose's classes, in archives of torch and in plain pickles."""
    kind, path = saved_by_densepose(monkeypatch), tmp_path / "results.pkl"
    results = [kind(torch.from_numpy(part), torch.from_numpy(uv).float())
               for part, uv in (labels_and_uv(seed) for seed in (0, 1))]  # fmt: skip
    content = [tensors(dump()) | {"pred_densepose": [], "pred_boxes_XYXY": torch.zeros(0, 4),
                                  "scores": torch.zeros(0)}]  # fmt: skip
    content.append(tensors(dump(*results)) | {"pred_densepose": results})
    path.write_bytes(pickle.dumps(content)) if old else torch.save(content, path)
    monkeypatch.undo()
    people, skipped = read_densepose_results(path, body, points=100)
    assert not skipped and people.id.tolist() == [0, 1]
    assert people.picture.tolist() == ["a.jpg"] * 2
    for seed in (0, 1):
        check(people.select([seed]), body, seed)


def test_results_of_the_evaluator(tmp_path, body):
    """coco_densepose_predictions.pth: quantised maps, classes from 0."""
    path = tmp_path / "coco_densepose_predictions.pth"
    item = entry(category_id=0, densepose={"labels_uv_uint8": torch.from_numpy(bits())})
    torch.save([item], path)
    people, _ = read_densepose_results(path, body, points=100)
    check(people, body)


def test_confidences_are_weights(tmp_path, body):
    random, path = np.random.default_rng(3), tmp_path / "a.pkl"
    segm = random.uniform(0.5, 3, (H, W)).astype(np.float32)
    sigma = random.uniform(0.01, 0.2, (H, W)).astype(np.float32)
    result = {"labels": labels, "uv": uv, "fine_segm_confidence": segm, "sigma_2": sigma,
              "kappa_u": None}  # fmt: skip
    torch.save([tensors(dump(result))], path)
    people, _ = read_densepose_results(path, body, points=100)
    check(people, body)
    place = (people.point_xy - BOX[:2]) / BOX[2:] * [W, H] - 0.5
    column, row = np.rint(place).astype(int).T
    there = labels > 0
    expected = np.minimum(segm / np.median(segm[there]), 1)
    expected *= np.minimum(np.median(sigma[there]) / sigma, 1)
    np.testing.assert_allclose(people.point_weight, 0.9 * expected[row, column], rtol=1e-5)


def test_people_who_are_left_out(tmp_path, body):
    path, nothing = tmp_path / "a.json", np.zeros((3, H, W), np.uint8)
    content = [
        entry(uv=bits().tolist(), score=0.6), entry(uv=nothing.tolist()),
        entry(uv=bits().tolist(), category_id=3), entry(uv=bits().tolist()),
    ]  # fmt: skip
    path.write_text(json.dumps(content))
    people, skipped = read_densepose_results(path, body)
    assert skipped == {LOW_SCORE: 1, NO_PART: 1, NO_PERSON: 1}
    assert people.id.tolist() == [3]


def test_pictures_by_number(tmp_path, body):
    path = tmp_path / "a.json"
    path.write_text(json.dumps([entry(uv=bits().tolist())]))
    cv2.imwrite(str(tmp_path / "COCO_val2014_000000000007.jpg"), np.zeros((9, 9, 3), np.uint8))
    people, _ = read_densepose_results(path, body, tmp_path)
    assert people.picture.tolist() == ["COCO_val2014_000000000007.jpg"]
    path.write_text(json.dumps([entry(uv=bits().tolist(), image_id=8)]))
    with pytest.raises(UserError, match=r"\[0\]: no picture in .* image_id, 8"):
        read_densepose_results(path, body, tmp_path)


def test_names_of_pictures_stay_in_their_folder(tmp_path, body):
    path = tmp_path / "a.json"
    for name, found in (("../../etc/a.jpg", "a.jpg"), ("C:\\people\\b.png", "b.png")):
        path.write_text(json.dumps([dump(compressed, file_name=name)]))
        assert read_densepose_results(path, body)[0].picture.tolist() == [found]
    for name in ("..", "/", "a/..", ""):
        path.write_text(json.dumps([dump(compressed, file_name=name)]))
        with pytest.raises(UserError, match="names no file"):
            read_densepose_results(path, body)


def png_of(width: int, height: int) -> str:
    return base64.b64encode(encode_picture(np.zeros((height, width, 3), np.uint8), ".png")).decode()


REFUSED = {
    "no list": ({"a": 1}, "expected a list"),
    "no object": ([3], r"\[0\] is not an object"),
    "no map": ([entry()], "has no map of DensePose's"),
    "no box": ([entry(uv=bits().tolist(), bbox=None)], "bbox is missing"),
    "no area": ([entry(uv=bits().tolist(), bbox=[0, 0, 40, 0])], "bbox has no area"),
    "another box": ([entry(uv=bits().tolist(), bbox=[0, 0, 90, 90])], "a map fills its box"),
    "another shape": ([entry(densepose=[[3, H, 99], png(bits())])], "its shape says otherwise"),
    "a huge shape": ([entry(densepose=[[3, 2**31, 2**31], png(bits())])], "its shape says other"),
    "a huge picture": ([entry(uv_shape=[3, 9000, 9000], uv_data=png_of(9000, 9000))], "fills its"),
    "no base64": ([entry(densepose=[[3, H, W], "%%%"])], "readable map"),
    "no picture": ([entry(densepose=[[3, H, W], "aGVsbG8="])], "no readable map"),
    "a part of 25": ([entry(uv=np.full((3, H, W), 25).tolist())], "parts that are not 0 to 24"),
    "no 8 bits": ([entry(uv=np.full((3, H, W), 256).tolist())], "more than 8 bits"),
    "floats": ([entry(uv=(bits() * 1.0).tolist())], "not .3, H, W. of 8 bits"),
    "rows that differ": ([entry(uv=[[[1]], [[1, 2]], [[1]]])], "not an array"),
    "labels that are none": ([dump({"labels": np.full((H, W), 0.5).tolist(), "uv": uv.tolist()})],
                             "parts that are not 0 to 24"),
    "uv of another shape": ([dump({"labels": labels.tolist(), "uv": uv[:, :9].tolist()})],
                            "uv is missing or not"),
    "uv that is not finite": ([dump({"labels": labels.tolist(), "uv": (uv * np.nan).tolist()})],
                              "uv is not finite"),
    "fewer boxes": ([dump(compressed) | {"pred_boxes_XYXY": []}], "pred_boxes_XYXY is missing or"),
    "fewer scores": ([dump(compressed) | {"scores": []}], "scores is missing or"),
    "a score of NaN": ([entry(uv=bits().tolist(), score=float("nan"))], "score is not finite"),
    "embeddings": ([dump() | {"pred_densepose": {"embedding": [], "coarse_segm": []}}],
                   "closest vertices"),
    "other charts": ([entry(uv=bits().tolist(), charts="densepose")], "the charts 'densepose'"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "words"), REFUSED.values(), ids=REFUSED)
def test_files_that_are_refused(tmp_path, body, content, words):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=words) as caught:
        read_densepose_results(path, body)
    assert "a.json" in str(caught.value) and "\n" not in str(caught.value)


def test_claims_take_no_memory(tmp_path, body):
    path = tmp_path / "a.json"
    path.write_text(json.dumps([entry(uv_shape=[3, 9000, 9000], uv_data=png_of(9000, 9000))]))
    assert memory_of(lambda: read_densepose_results(path, body)) < 2**22


@pytest.mark.parametrize("name", ["challenge", "dump"])
def test_odd_values(tmp_path, body, name):
    random, path, refused = np.random.default_rng(9), tmp_path / "a.json", 0
    content = copy.deepcopy(LAYOUTS[name])
    if name == "dump":  # fewer places inside the maps, more outside of them
        content[0]["pred_densepose"][0] = compressed
    for _ in range(ROUNDS):
        path.write_text(json.dumps(damaged(content, random, PLAIN)))
        refused += attempt(lambda: read_densepose_results(path, body), str(Path(path)))
    assert 0 < refused < ROUNDS


def test_a_signalling_nan_is_not_finite():
    values = np.array([0x7F800001], np.uint32).view(np.float32)
    with pytest.raises(UserError, match="here: z is not finite"):
        floats(values, (1,), "z", "here")
