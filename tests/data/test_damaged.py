"""Files damaged at random, format by format: a reader reads them, or refuses them in one line."""

import copy
import io
import json
import pickle
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from bodyreg.body import Body
from bodyreg.body.storage import load_regressor
from bodyreg.data import (
    Fits,
    Observations,
    Truth,
    fits,
    read_deepfashion,
    read_densepose_coco,
    read_keypoints,
    read_mpii,
    read_openpose,
    read_spin,
    read_videopose3d,
    truth,
)
from bodyreg.data.flip_coco import flip_annotation
from bodyreg.data.skeletons import COCO_17
from bodyreg.errors import UserError
from bodyreg.npz import save_npz
from bodyreg.pickles import load_objects
from bodyreg.pictures import write_picture
from tests.body.smpl_files import smpl_arrays

from .test_densepose_coco import annotation, random_masks
from .test_human36m import SYMMETRY, poses_2d, poses_3d, write_cameras
from .test_keypoint_files import GOOD as GOOD_KEYPOINTS
from .test_mpii import mat_file
from .test_mpii import person as mpii_person
from .test_observations import make
from .test_spin import arrays as spin_arrays

ROUNDS = 80
# A command's user sees one line, so nothing may be warned of beside it.
pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")
ODD = (
    None, True, "", "x", "../x", -1, 0, 3.5, 10**30, 1e300, float("nan"), float("inf"), [], {},
    [[]], [None], {"a": 1}, [1, 2], "9" * 300, np.zeros(3), np.zeros((2, 17, 2)), np.array("x"),
)  # fmt: skip


def places(tree: Any, path: tuple = ()) -> list[tuple]:
    """Where something stands in nested dictionaries and lists."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    found = []
    for key, value in items:
        found.append((*path, key))
        if isinstance(value, dict | list):
            found += places(value, (*path, key))
    return found


def damaged(tree: Any, random: np.random.Generator, odd: tuple) -> Any:
    """A copy with something odd in one or two places, or something missing."""
    tree = copy.deepcopy(tree)
    for _ in range(random.integers(1, 3)):
        path = (found := places(tree))[random.integers(len(found))] if places(tree) else ()
        if not path:
            return tree
        parent = tree
        for key in path[:-1]:
            parent = parent[key]
        if random.uniform() < 0.2:
            del parent[path[-1]]
        else:
            parent[path[-1]] = copy.deepcopy(odd[random.integers(len(odd))])
    return tree


def attempt(read: Callable[[], Any], name: str) -> bool:
    """Read a file; returns whether it was refused. A UserError of one line is the only error."""
    try:
        read()
    except UserError as error:
        line = str(error)
    else:
        return False
    assert name in line
    assert "\n" not in line
    return True


PLAIN = tuple(value for value in ODD if not isinstance(value, np.ndarray))


@pytest.fixture(scope="module")
def body() -> Body:
    return Body.default()


def coco(body) -> dict:
    people = [
        annotation(number, seed=number) | {"dp_masks": random_masks()[0], "dp_I": [2.0] * 30}
        for number in (1, 2)
    ]
    people[0]["segmentation"] = [[50, 40, 178, 40, 178, 300]]
    people[0]["keypoint_depths"] = [0.5] * 17
    images = [{"id": 1, "width": 640, "height": 480, "file_name": "a.jpg"}]
    return {
        "info": {"charts": body.charts.name}, "images": images, "annotations": people,
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO_17.joints)}],
    }  # fmt: skip


def openpose() -> dict:
    return {"people": [{"pose_keypoints_2d": np.linspace(1, 75, 75).tolist()}] * 2}


def hourglass() -> dict:
    person = mpii_person()
    return {
        "img_paths": "a.jpg", "joint_self": [[x, y, 1] for x, y in person["joints"]],
        "objpos": [200.0, 210.0], "scale_provided": 1.6,
    }  # fmt: skip


def test_json_with_odd_values(tmp_path, body):
    random, path = np.random.default_rng(0), tmp_path / "a_keypoints.json"
    cases = {
        "coco": (coco(body), lambda: read_densepose_coco(path, body, whole_body=True)),
        "mpii": ([mpii_person(), mpii_person()], lambda: read_mpii(path)),
        "hourglass": ([hourglass(), hourglass()], lambda: read_mpii(path)),
        "openpose": (openpose(), lambda: read_openpose(tmp_path)),
    }
    for name, (content, read) in cases.items():
        path.write_text(json.dumps(content))
        assert not attempt(read, name)
        refused = 0
        for _ in range(ROUNDS):
            path.write_text(json.dumps(damaged(content, random, PLAIN)))
            refused += attempt(read, str(tmp_path))
        assert 0 < refused < ROUNDS, name


@pytest.mark.parametrize("name", GOOD_KEYPOINTS)
def test_keypoints_with_odd_values(tmp_path, name):
    """What detectors write: most of a file's numbers are of keypoints, which may be absent."""
    random, path = np.random.default_rng(7), tmp_path / "7.json"
    (tmp_path / "images").mkdir()
    write_picture(tmp_path / "images" / "7.png", np.zeros((600, 600, 3), np.uint8))
    content = [GOOD_KEYPOINTS[name][0]]
    refused = 0
    for number in range(ROUNDS):
        changed = damaged(content, random, PLAIN) if number else content
        path.write_text(json.dumps(changed[0] if isinstance(changed, list) and changed else 0))
        refused += attempt(lambda: read_keypoints(path, tmp_path / "images"), str(tmp_path))
    assert 0 < refused < ROUNDS


def test_annotations_with_odd_values_flipped(body):
    random, good = np.random.default_rng(1), coco(body)["annotations"][0]
    refused = 0
    for _ in range(ROUNDS):
        item = damaged(good, random, PLAIN)
        refused += attempt(lambda i=item: flip_annotation(i, body, 640, 480, where="here"), "here")
    assert 0 < refused < ROUNDS


def test_pickled_trees_with_odd_values(tmp_path):
    random = np.random.default_rng(2)
    facts = {"layout_name": "h36m", "num_joints": 17, "keypoints_symmetry": SYMMETRY}
    two, three = tmp_path / "2d.npz", tmp_path / "3d.npz"
    cameras = Path(write_cameras(tmp_path / "cameras.json", "S1"))
    content = {
        "two": {"positions_2d": {"S1": {"Eating": poses_2d()}}, "metadata": facts},
        "three": {"positions_3d": {"S1": {"Eating": poses_3d()}}},
        "cameras": json.loads(cameras.read_text()),
    }
    refused = 0
    for number in range(ROUNDS):
        tree = damaged(content, random, PLAIN if number % 3 == 0 else ODD) if number else content
        tree = tree if isinstance(tree.get("two"), dict) else content
        np.savez(two, **{str(k): np.array(v, object) for k, v in _items(tree.get("two"))})
        np.savez(three, **{str(k): np.array(v, object) for k, v in _items(tree.get("three"))})
        cameras.write_text(json.dumps(tree.get("cameras"), default=str))
        refused += attempt(lambda: read_videopose3d(two, three, cameras), str(tmp_path))
    assert 0 < refused < ROUNDS


def _items(tree: Any) -> list:
    """Objects of an .npz file, wrapped so that NumPy pickles them as they are."""
    found = tree.items() if isinstance(tree, dict) else []
    wrapped = []
    for key, value in found:
        array = np.empty((), object)
        array[()] = value
        wrapped.append((key, array))
    return wrapped


def test_labels_with_odd_values(tmp_path):
    random = np.random.default_rng(3)
    (tmp_path / "Label").mkdir()
    content = {
        "labels": {name: [[3.0, 4.0]] * 9 + [[5.0, 6.0]] * 8 + [[-1, -1]] for name in ("a", "b")},
        "pairs": {"train": [["a", "b"], ["b", "a"]], "test": []},
    }
    refused = 0
    for number in range(ROUNDS):
        tree = damaged(content, random, PLAIN) if number else content
        labels, pairs = tree.get("labels"), tree.get("pairs")
        (tmp_path / "Label" / "pose_label.pkl").write_bytes(pickle.dumps(labels, 2))
        (tmp_path / "Label" / "pair_split.json").write_text(json.dumps(pairs))
        refused += attempt(lambda: read_deepfashion(tmp_path).observations(), str(tmp_path))
    assert 0 < refused < ROUNDS


def test_arrays_with_odd_values(tmp_path):
    random, good, path = np.random.default_rng(4), spin_arrays(), tmp_path / "spin.npz"
    refused = 0
    for number in range(ROUNDS):
        content = dict(good)
        name = list(content)[random.integers(len(content))]
        odd = ODD[random.integers(len(ODD))]
        if number:
            content[name] = np.asarray(odd if not isinstance(odd, dict) else None)
        np.savez(path, **content)
        refused += attempt(lambda: read_spin(path), str(path))
    assert 0 < refused < ROUNDS


TOKENS = (
    b"'", b"(", b")", b"[", b"{", b",", b"\\", b"\n", b"\0", b"L", b"-", b"9" * 12, b"<U4", b"|O",
    b"<c8", b"\xff", b"#", b"1e9", b"(2**40,)", b"\t", b'"',
)  # fmt: skip


def damaged_header(data: bytes, random: np.random.Generator) -> bytes:
    """An .npy file whose header has other bytes in it, or more or fewer."""
    data = bytearray(data)
    for _ in range(random.integers(1, 4)):
        place, token = int(random.integers(6, 118)), TOKENS[random.integers(len(TOKENS))]
        kind = random.integers(4)
        if kind == 0:
            data[place] = random.integers(256)
        elif kind == 1:
            data[place : place + len(token)] = token
        elif kind == 2:
            data[place:place] = token
        else:
            del data[place : place + int(random.integers(1, 9))]
    return bytes(data)


def with_member(path: Path, name: str, data: bytes) -> bytes:
    """An .npz file with another member of this name, whose checksum is right."""
    changed = io.BytesIO()
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(changed, "w") as archive:
        for member in source.namelist():
            archive.writestr(member, data if member == f"{name}.npy" else source.read(member))
    return changed.getvalue()


def archives(folder: Path) -> dict[str, tuple[Path, Callable[[], Any]]]:
    """Files of every kind of arrays, and how each is read."""
    people = make(4)
    people.picture = np.array(["a.jpg", "b.jpg", "", "c.jpg"])
    people.save(folder / "observations.npz")
    sizes = {"V": 3, "S": 2}
    arrays = {
        name: np.ones((4, *(sizes.get(n, n) for n in shape)), "i8" if kind == "iu" else "f4")
        for name, (kind, shape) in fits.ARRAYS.items()
    }
    Fits(**arrays | {"id": np.arange(4)}).save(folder / "fits.npz")
    kinds = {"iu": "i8", "f": "f4", "iuf": "f4", "b": "?", "U": "U3"}
    arrays = {
        name: np.ones((4, *(sizes.get(n, n) for n in shape)), kinds[kind])
        for name, (kind, shape) in truth.ARRAYS.items()
    }
    arrays["scale"] += 1
    save_npz(folder / "truth.npz", format=truth.FORMAT, body="a body", **arrays)
    np.savez(folder / "body.npz", **smpl_arrays())
    np.savez(folder / "spin.npz", **spin_arrays())
    np.savez(folder / "2d.npz", positions_2d={"S1": {"Eating": poses_2d()}}, plain=np.arange(3))
    readers = {
        "observations": Observations.load, "fits": Fits.load, "truth": Truth.load,
        "body": Body.load, "spin": read_spin, "2d": read_videopose3d,
    }  # fmt: skip
    paths = {name: folder / f"{name}.npz" for name in readers}
    return {name: (paths[name], partial(read, paths[name])) for name, read in readers.items()}


@pytest.mark.parametrize("kind", ["observations", "fits", "truth", "body", "spin", "2d"])
def test_headers_of_arrays_with_odd_bytes(tmp_path, kind):
    """NumPy's parser of headers runs Python's tokenizer, which has errors of its own."""
    random = np.random.default_rng(6)
    path, read = archives(tmp_path)[kind]
    assert not attempt(read, kind)
    good = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        arrays = {name.removesuffix(".npy"): archive.read(name) for name in archive.namelist()}
    refused = 0
    for _ in range(ROUNDS):
        path.write_bytes(good)
        name = list(arrays)[random.integers(len(arrays))]
        path.write_bytes(with_member(path, name, damaged_header(arrays[name], random)))
        refused += attempt(read, str(path))
    assert refused > ROUNDS // 3


HEADERS = {
    "an open bracket": "{'descr': '<f8', 'fortran_order': False, 'shape': (3,",
    "an open text": "{'descr': '<f8, 'fortran_order': False, 'shape': (3,), }",
    "a text over lines": "{'descr': '''<f8, 'fortran_order': False, 'shape': (3,), }",
    "brackets without end": "(" * 9000,
    "signs without end": "-" * 9000 + "1",
    "an indentation": "    {'descr': '<f8'\n  , 'shape': (3,)}",
    "a zero byte": "{'descr': '<f8', 'fortran_order': False, 'shape': (3\0,), }",
    "a name": "{'descr': open, 'fortran_order': False, 'shape': (3,), }",
    "a huge shape": "{'descr': '<f8', 'fortran_order': False, 'shape': (9" + "0" * 5000 + ",), }",
    "an empty dtype": "{'descr': '', 'fortran_order': False, 'shape': (3,), }",
    "elements of no bytes": "{'descr': '<U0', 'fortran_order': False, 'shape': (1099511627776,), }",
    "a dtype that contains itself": "{'descr': [('a', [('b', []" + ")]" * 2 + ", 'shape': (3,), }",
    "not text": "\xff\xfe\xe9",
}


@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_headers_that_numpy_stumbles_over(tmp_path, header, version):
    text = header.encode("latin1") + b"\n"
    size = struct.pack("<H" if version == (1, 0) else "<I", len(text))
    data = b"\x93NUMPY" + bytes(version) + size + text + bytes(24)
    for kind, name in (("observations", "point_xy"), ("fits", "pose"), ("2d", "plain")):
        path, read = archives(tmp_path)[kind]
        path.write_bytes(with_member(path, name, data))
        assert attempt(read, str(path))
    (tmp_path / "poses.npy").write_bytes(data)
    assert attempt(lambda: read_mpii(tmp_path / "poses.npy"), "poses.npy")


def test_members_compressed_by_other_methods_are_refused(tmp_path):
    """Nothing bounds how much a few bytes of LZMA become."""
    path, read = archives(tmp_path)["fits"]
    with zipfile.ZipFile(path) as archive:
        arrays = {name: archive.read(name) for name in archive.namelist()}
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        with zipfile.ZipFile(path, "w", method) as archive:
            for name, data in arrays.items():
                archive.writestr(name, data)
        with pytest.raises(UserError, match="unknown method"):
            read()


def memory_of(read: Callable[[], Any]) -> int:
    """The most bytes that Python held for it, whether it was read or refused."""
    tracemalloc.start()
    try:
        attempt(read, "")
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x02]r\xff\xff\xff\x0f.",  # put at a place of the memory: 2^28 - 1
        b"\x80\x05\x96\0\0\0\x10\0\0\0\0.",  # an array of 2^28 bytes
        b"\x80\x04\x8e\0\0\0\x10\0\0\0\0.",  # bytes, likewise
        b"\x80\x04\x95\0\0\0\x10\0\0\0\0.",  # a frame
    ],
)
def test_claims_of_pickles_take_no_memory(tmp_path, data):
    path = tmp_path / "a.pkl"
    path.write_bytes(data)
    assert memory_of(lambda: load_objects(path, kind="label")) < 2**20


def test_claims_of_sparse_matrices_take_no_memory(tmp_path):
    path = tmp_path / "regressor.npz"
    sparse.save_npz(path, sparse.csr_matrix(np.eye(61)[:3]))
    content = dict(np.load(path)) | {"shape": np.array([3, 2**31 - 1])}
    np.savez(path, **content)
    assert memory_of(lambda: load_regressor(path, 61)) < 2**24


@pytest.mark.parametrize("kind", ["npz", "mat", "pkl", "json"])
def test_bytes_changed_and_ends_cut(tmp_path, body, kind):
    random = np.random.default_rng(5)
    if kind == "npz":
        path = tmp_path / "2d.npz"
        np.savez_compressed(path, positions_2d={"S1": {"Eating": poses_2d()}})
        read = lambda: read_videopose3d(path)  # noqa: E731
    elif kind == "mat":
        path = Path(mat_file(tmp_path / "mpii.mat"))
        read = lambda: read_mpii(path)  # noqa: E731
    elif kind == "pkl":
        (tmp_path / "Label").mkdir()
        path = tmp_path / "Label" / "pose_label.pkl"
        path.write_bytes(pickle.dumps({"a": [[3.0, 4.0]] * 18}, 2))
        (tmp_path / "Label" / "pair_split.json").write_text("{}")
        read = lambda: read_deepfashion(tmp_path)  # noqa: E731
    else:
        path = tmp_path / "people.json"
        path.write_text(json.dumps(coco(body)))
        read = lambda: read_densepose_coco(path, body)  # noqa: E731
    good = path.read_bytes()
    assert not attempt(read, "")
    refused = 0
    for _ in range(ROUNDS):
        data = bytearray(good)
        for place in random.integers(0, len(data), random.integers(1, 4)):
            data[place] = random.integers(0, 256)
        path.write_bytes(data[: random.integers(len(data) // 2, 2 * len(data))])
        refused += attempt(read, str(tmp_path))
    assert refused > ROUNDS // 3
