"""Files: what is written is whole and repeatable; what is read is not trusted."""

import pickle
import zipfile

import numpy as np
import pytest

from bodyreg.errors import UserError
from bodyreg.files import atomic_path, path_inside
from bodyreg.npz import load_npz, save_npz


def arrays(seed=0):
    rng = np.random.default_rng(seed)
    return {
        "format": np.array("bodyreg-test-1"),
        "points": rng.normal(size=(33, 2)).astype(np.float32),
        "fortran": np.asfortranarray(rng.integers(0, 9, (5, 7, 3))),
        "empty": np.zeros((0, 4), np.int64),
        "names": np.array(["nose", "left_ear"]),
        "flag": np.array(True),
    }


@pytest.mark.parametrize("compressed", [False, True])
def test_round_trip(tmp_path, compressed):
    expected = arrays()
    save_npz(tmp_path / "a.npz", compressed=compressed, **expected)
    actual = load_npz(tmp_path / "a.npz", kind="test")
    assert actual.keys() == expected.keys()
    for name, value in expected.items():
        assert actual[name].dtype == value.dtype
        np.testing.assert_array_equal(actual[name], value)
        assert actual[name].flags.writeable
    with np.load(tmp_path / "a.npz", allow_pickle=False) as theirs:  # and NumPy reads it as well
        np.testing.assert_array_equal(theirs["fortran"], expected["fortran"])


def test_reads_what_numpy_writes(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", **arrays(3))
    actual = load_npz(tmp_path / "a.npz", kind="test")
    np.testing.assert_array_equal(actual["points"], arrays(3)["points"])


def test_equal_arrays_give_equal_bytes(tmp_path):
    save_npz(tmp_path / "a.npz", **arrays())
    save_npz(tmp_path / "b.npz", **arrays())
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def fail_while_writing(path):
    with atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError


def test_atomic_path_leaves_the_old_file_when_the_writer_fails(tmp_path):
    target = tmp_path / "new" / "file.txt"
    with atomic_path(target) as temporary:
        temporary.write_text("old")
        assert (temporary.suffix, temporary.parent) == (".txt", target.parent)
    with pytest.raises(RuntimeError):
        fail_while_writing(target)
    assert target.read_text() == "old"
    assert list(target.parent.iterdir()) == [target]


def test_unwritable_places_are_user_errors(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "a.npz", tmp_path):
        with pytest.raises(UserError, match=str(tmp_path)) as caught:
            save_npz(path, x=np.zeros(3))
        assert "\n" not in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_objects_are_refused_when_writing(tmp_path):
    with pytest.raises(TypeError, match="'x'"):
        save_npz(tmp_path / "a.npz", x=np.array([{}], dtype=object))
    assert not list(tmp_path.iterdir())


def test_missing_file(tmp_path):
    with pytest.raises(UserError, match="no such fits file"):
        load_npz(tmp_path / "none.npz", kind="fits")


@pytest.mark.parametrize("keep", [0, 1, 10, 100, 700, -30, -1])
@pytest.mark.parametrize("compressed", [False, True])
def test_truncated_file(tmp_path, keep, compressed):
    save_npz(tmp_path / "a.npz", compressed=compressed, **arrays())
    data = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(data[:keep])
    with pytest.raises(UserError, match="not a readable test file") as caught:
        load_npz(tmp_path / "a.npz", kind="test")
    assert "\n" not in str(caught.value)


def test_flipped_bits_are_noticed(tmp_path):
    save_npz(tmp_path / "a.npz", **arrays())
    data = bytearray((tmp_path / "a.npz").read_bytes())
    data[data.index(arrays()["points"].tobytes()) + 5] ^= 64
    (tmp_path / "a.npz").write_bytes(data)
    with pytest.raises(UserError, match="CRC"):
        load_npz(tmp_path / "a.npz", kind="test")


def test_pickled_members_are_never_loaded(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "exploded"), "w"))

    np.savez(tmp_path / "a.npz", x=np.array([Bomb()], dtype=object))
    with pytest.raises(UserError, match="pickled"):
        load_npz(tmp_path / "a.npz", kind="test")
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        archive.writestr("x.npy", pickle.dumps(Bomb()))
    with pytest.raises(UserError):
        load_npz(tmp_path / "b.npz", kind="test")
    assert not (tmp_path / "exploded").exists()


def npy_header(shape):
    text = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize("shape", ["(1 << 40,)", f"({1 << 40},)", "(-2,)", "(3, 3)"])
def test_shapes_that_do_not_match_the_bytes(tmp_path, shape):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", npy_header(shape) + b"\0" * 16)
    with pytest.raises(UserError, match="not a readable"):
        load_npz(tmp_path / "a.npz", kind="test")


def test_other_zip_files(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(UserError, match="readme"):
        load_npz(tmp_path / "a.npz", kind="test")


def test_paths_stay_inside_of_their_folder(tmp_path):
    assert path_inside(tmp_path, "a/b.jpg", "x.json") == tmp_path / "a" / "b.jpg"
    for name in ("", ".", "..", "../a.jpg", "a/../../b.jpg", "/etc/passwd", "a\0b"):
        with pytest.raises(UserError, match=r"^x\.json: ") as caught:
            path_inside(tmp_path, name, "x.json")
        assert "\n" not in str(caught.value)
