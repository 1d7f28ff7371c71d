"""A pickle is a program; ours is never run."""

import collections
import contextlib
import os
import pickle

import numpy as np
import pytest

from bodyreg.errors import UserError
from bodyreg.pickles import load_npz_objects, load_objects, load_pickle
from tests.body.smpl_files import smpl_arrays


def load(tmp_path, data):
    (tmp_path / "model.pkl").write_bytes(data)
    return load_pickle(tmp_path / "model.pkl", kind="body", names=("x", "y"))


class Call:
    """Pickles as a call of a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize("wrapped", [True, False])
def test_calls_are_refused_and_not_made(tmp_path, protocol, wrapped):
    trap = tmp_path / "sprung"
    for call in (
        Call(os.system, f"touch {trap}"),
        Call(eval, f"open({str(trap)!r}, 'w')"),
        Call(exec, f"open({str(trap)!r}, 'w')"),
        Call(open, str(trap), "w"),
        Call(getattr, "text", "format"),
        Call(np.save, str(trap), 1),
    ):
        content = smpl_arrays() | {"x": call} if wrapped else call
        with pytest.raises(UserError, match="could run code") as caught:
            load(tmp_path, pickle.dumps(content, protocol))
        assert "\n" not in str(caught.value)
    assert not trap.exists()


@pytest.mark.parametrize(
    "name",
    [
        b"os\nsystem", b"posix\nsystem", b"builtins\neval", b"__builtin__\nexec", b"builtins\ntype",
        b"numpy\nload", b"numpy.testing._private.utils\nrunstring", b"numpy.f2py\ncompile",
        b"scipy.sparse\nload_npz", b"scipy.sparse._csc\nsys", b"subprocess\nPopen",
        b"copyreg\nadd_extension", b"_codecs\nlookup", b"pickle\nloads", b"sys\nmodules",
    ],
)  # fmt: skip
def test_names_beyond_arrays_are_refused(tmp_path, name):
    with pytest.raises(UserError, match="could run code"):
        load(tmp_path, b"\x80\x02c" + name + b"\n.")


def test_reconstructing_a_plain_type_is_refused(tmp_path):
    with pytest.raises(UserError):
        load(tmp_path, b"\x80\x02}U\x01xccopy_reg\n_reconstructor\n(I1\nI2\nNtRs.")


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_arrays_of_numbers(tmp_path, protocol):
    rng = np.random.default_rng(protocol)
    for array in (
        rng.normal(size=(3, 5)), rng.normal(size=(4, 2, 3)).astype(">f4"),
        np.asfortranarray(rng.integers(0, 9, (3, 4))), np.arange(5, dtype=np.uint8),
        np.zeros((0, 3)), np.array([True, False]), rng.normal(size=6)[::2],
    ):  # fmt: skip
        result = load(tmp_path, pickle.dumps({"x": array, "y": np.float32(2.5)}, protocol))
        np.testing.assert_array_equal(result["x"], array)
        assert result["x"].dtype == array.dtype.newbyteorder("=")
        assert result["y"] == np.float32(2.5)
    assert load(tmp_path, pickle.dumps({"x": [[1, 2], [3, 4]]}, protocol))["x"].shape == (2, 2)


@pytest.mark.parametrize(
    "value",
    [
        np.array([{}, 1], dtype=object),
        np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
        np.array(["2026-01-01"], "datetime64[D]"),
        {"a": 1},
        None,
    ],
)
def test_arrays_of_anything_else_are_refused(tmp_path, value):
    with pytest.raises(UserError, match="not a readable"):
        load(tmp_path, pickle.dumps({"x": value}))


def test_unneeded_entries_do_not_matter(tmp_path):
    content = {"x": np.arange(3), "other": np.array([{}], dtype=object), 5: None}
    assert list(load(tmp_path, pickle.dumps(content))) == ["x"]


@pytest.mark.parametrize("content", [[], 3, "text", np.arange(3)])
def test_anything_but_a_dictionary(tmp_path, content):
    with pytest.raises(UserError, match="instead of a dictionary"):
        load(tmp_path, pickle.dumps(content))


def forged(shape, data, code="f8"):
    """A NumPy array whose shape and bytes need not agree."""
    import numpy._core.multiarray as multiarray

    class Forged:
        def __reduce__(self):
            state = (1, shape, Call(np.dtype, code, False, True), False, data)
            return multiarray._reconstruct, (np.ndarray, (0,), b"b"), state

    return Forged()


@pytest.mark.parametrize(
    ("shape", "data", "code"),
    [
        ((1 << 40,), b"\0" * 8, "f8"),
        ((-1,), b"\0" * 8, "f8"),
        ((1,), b"\0" * 7, "f8"),
        ((1,), b"\0" * 8, "O8"),
        ((1,), b"\0" * 16, "f8,O"),
        ((1,), b"\0" * 8, "f8,i4"),
        ("abc", b"\0" * 8, "f8"),
    ],
)
def test_forged_arrays(tmp_path, shape, data, code):
    with pytest.raises(UserError, match="not a readable"):
        load(tmp_path, pickle.dumps({"x": forged(shape, data, code)}))


def test_forged_sparse_matrices(tmp_path):
    from scipy import sparse

    for change in (
        {"indices": np.full(3, 10**6, np.int32)},
        {"indptr": np.array([0, 1, 2, 900], np.int32)},
        {"_shape": (10**9, 10**9)},
        {"_shape": (-3, 3)},
        {"data": None},
    ):
        matrix = sparse.csc_matrix(np.eye(3))
        matrix.__dict__.update(change)
        with pytest.raises(UserError, match="not a readable"):
            load(tmp_path, pickle.dumps({"x": matrix}))
    assert load(tmp_path, pickle.dumps({"x": sparse.csc_matrix(np.eye(3))}))["x"].trace() == 3


def test_random_bytes(tmp_path):
    rng = np.random.default_rng(0)
    good = pickle.dumps({"x": np.arange(9.0)}, 2)
    for _ in range(300):
        data = bytearray(good)
        for position in rng.integers(0, len(data), 3):
            data[position] = rng.integers(0, 256)
        with contextlib.suppress(UserError):  # and nothing else
            load(tmp_path, bytes(data))


NESTED = {
    "S1": {
        "Walking 1": [np.arange(6.0).reshape(3, 2), np.zeros((0, 2), np.float32)],
        "names": ("a", b"b", 3, 2.5, None, True, np.float32(1.5)),
    },
    "objects": np.array([[1, "x"], [None, np.arange(2)]], dtype=object),
    5: collections.OrderedDict(a=[]),
}


def check_nested(found):
    walking = found["S1"]["Walking 1"]
    np.testing.assert_array_equal(walking[0], NESTED["S1"]["Walking 1"][0])
    assert (walking[1].shape, walking[1].dtype) == ((0, 2), np.float32)
    assert found["S1"]["names"] == ["a", "b", 3, 2.5, None, True, 1.5]
    assert found["objects"][0] == [1, "x"]
    assert found["objects"][1][0] is None
    np.testing.assert_array_equal(found["objects"][1][1], [0, 1])
    assert found[5] == {"a": []}


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_nested_objects(tmp_path, protocol):
    path = tmp_path / "nested.pkl"
    path.write_bytes(pickle.dumps(NESTED, protocol))
    check_nested(load_objects(path, kind="pose"))


def test_objects_in_npz_files(tmp_path):
    path = tmp_path / "nested.npz"
    np.savez_compressed(path, nested=NESTED, plain=np.arange(3), text=np.array(["a", "bc"]))
    found = load_npz_objects(path, kind="pose")
    check_nested(found["nested"])
    np.testing.assert_array_equal(found["plain"], [0, 1, 2])
    np.testing.assert_array_equal(found["text"], ["a", "bc"])


@pytest.mark.parametrize("name", ["caf\xe9", "caf\xe9".encode("latin1"), "\u65e5".encode("gbk")])
def test_a_text_of_python_two(tmp_path, name):
    """As cPickle wrote it: texts are bytes there, most of them names of files."""
    data = name.encode() if isinstance(name, str) else name
    path = tmp_path / "labels.pkl"
    path.write_bytes(
        b"\x80\x02}q\x01U" + bytes([len(data)]) + data + b"q\x02]q\x03(]q\x04(G@%\x00\x00\x00\x00"
        b"\x00\x00K\x02eJ\xff\xff\xff\xffes."
    )
    (found,) = content = load_objects(path, kind="pose")
    assert content == {found: [[10.5, 2], -1]}
    assert os.fsencode(found) == data
    assert found == name or isinstance(name, bytes)


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_texts_and_numbers_of_numpy(tmp_path, protocol):
    """As keys and as values, where a file was made of what np.unique and the like return."""
    path, text, number = tmp_path / "a.pkl", np.str_("caf\xe9 \U0001f600"), np.int64(-7)
    content = {
        text: [text, np.str_("")], number: number, np.bytes_(b"b"): np.bytes_(b"c"),
        (1, (text, b"t")): b"d",
        "array": np.array(["a", "bc"]), np.float32(0.5): {np.str_("inner"): np.bool_(True)},
        "bytes": np.array([b"a", b"caf\xc3\xa9"]), "big": np.array(["a", "bc"], ">U2"),
    }  # fmt: skip
    path.write_bytes(pickle.dumps(content, protocol))
    found = load_objects(path, kind="pose")
    assert list(found) == [str(text), -7, "b", (1, (str(text), "t")), "array", 0.5, "bytes", "big"]
    assert found[str(text)] == [str(text), ""] and found[-7] == -7
    assert {type(key) for key in found} == {str, int, tuple, float}
    assert (found["b"], found[1, (str(text), "t")], found[0.5]) == ("c", "d", {"inner": True})
    np.testing.assert_array_equal(found["array"], ["a", "bc"])
    np.testing.assert_array_equal(found["big"], ["a", "bc"])
    np.testing.assert_array_equal(found["bytes"], [b"a", b"caf\xc3\xa9"])
    assert list(load(tmp_path, pickle.dumps({np.str_("x"): np.arange(3)}, protocol))) == ["x"]


def test_a_key_in_two_kinds_of_text(tmp_path):
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"a": 1, b"a": 2}))
    with pytest.raises(UserError, match="a key twice"):
        load_objects(tmp_path / "a.pkl", kind="pose")


def test_a_character_that_does_not_exist(tmp_path):
    bad = np.frombuffer(np.array([97, 0x110000], np.uint32).tobytes(), "U2")
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"a": bad}))
    np.savez(tmp_path / "a.npz", a=bad, object=np.array([{"b": bad[0]}], object))
    for name, read in (("a.pkl", load_objects), ("a.npz", load_npz_objects)):
        with pytest.raises(UserError, match="where a character should be"):
            read(tmp_path / name, kind="pose")


def test_calls_in_npz_files_are_refused_and_not_made(tmp_path):
    trap = tmp_path / "sprung"
    for value in (Call(os.system, f"touch {trap}"), {"a": [Call(open, str(trap), "w")]}):
        np.savez(tmp_path / "bad.npz", positions=np.array(value, dtype=object))
        with pytest.raises(UserError, match=r"bad\.npz.*could run code"):
            load_npz_objects(tmp_path / "bad.npz", kind="pose")
    assert not trap.exists()


def test_what_a_pickle_shares_stays_shared(tmp_path):
    """Forty lists of two, each twice the one before: small as a file, huge as a tree."""
    tree = []
    for _ in range(40):
        tree = [tree, tree]
    (tmp_path / "bomb.pkl").write_bytes(pickle.dumps(tree))
    assert len(load_objects(tmp_path / "bomb.pkl", kind="pose")) == 2
    endless = []
    endless.append(endless)
    (tmp_path / "endless.pkl").write_bytes(pickle.dumps(endless))
    with pytest.raises(UserError, match=r"endless\.pkl"):
        load_objects(tmp_path / "endless.pkl", kind="pose")


def test_damaged_npz_files(tmp_path):
    path = tmp_path / "nested.npz"
    np.savez_compressed(path, nested=NESTED, plain=np.arange(99))
    good = path.read_bytes()
    rng = np.random.default_rng(1)
    for _ in range(100):
        data = bytearray(good)
        for position in rng.integers(0, len(data), 3):
            data[position] = rng.integers(0, 256)
        path.write_bytes(data[: rng.integers(len(data) // 2, len(data) + 1)])
        with contextlib.suppress(UserError):  # and nothing else
            load_npz_objects(path, kind="pose")
    with pytest.raises(UserError, match="no such pose file"):
        load_npz_objects(tmp_path / "none.npz", kind="pose")
