"""A pickle is a program; ours is never run."""

import contextlib
import os
import pickle

import numpy as np
import pytest

from bodyreg.body.pickles import load_pickle
from bodyreg.errors import UserError
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
        np.array(["a"]),
        {"a": 1},
        None,
    ],
)
def test_arrays_of_anything_else_are_refused(tmp_path, value):
    with pytest.raises(UserError, match="not a readable"):
        load(tmp_path, pickle.dumps({"x": value}))


def test_entries_nobody_asks_for_do_not_matter(tmp_path):
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
