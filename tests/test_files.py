"""Files: what is written is whole and repeatable; what is read is not trusted."""

import errno
import json
import os
import pickle
import zipfile

import numpy as np
import pytest

from bodyreg.data.corr import read_corr
from bodyreg.data.json_files import load_json
from bodyreg.errors import UserError
from bodyreg.files import (
    atomic_path,
    entries,
    fingerprint,
    is_file,
    is_folder,
    is_there,
    path_inside,
)
from bodyreg.matlab import load_mat
from bodyreg.npz import NpzReader, load_npy, load_npz, save_npz
from bodyreg.pickles import load_npz_objects, load_objects, load_pickle
from tests.refusals import file_limit, locked_folder, no_more_files


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


READERS = {
    "npz": lambda path: load_npz(path, kind="test"),
    "npz by rows": lambda path: NpzReader(path, kind="test"),
    "npy": lambda path: load_npy(path, kind="test"),
    "pickle": lambda path: load_objects(path, kind="test"),
    "pickled arrays": lambda path: load_pickle(path, kind="test", names=("x",)),
    "pickles in npz": lambda path: load_npz_objects(path, kind="test"),
    "mat": lambda path: load_mat(path, kind="test", names=("x",)),
    "corr": read_corr,
    "json": load_json,
    "fingerprint": fingerprint,
}
every_reader = pytest.mark.parametrize("read", READERS.values(), ids=READERS.keys())


def refusal(function, *arguments):
    """The one line of a refusal."""
    with pytest.raises(UserError) as caught:
        function(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@every_reader
def test_files_in_a_folder_that_may_not_be_entered(read):
    with locked_folder() as folder:
        said = refusal(read, folder / "a.npz")
    assert "/a.npz: cannot be rea" in said and "(Permission denied); check the permissions" in said


@every_reader
def test_files_that_may_not_be_read(read):
    with locked_folder() as folder:
        path = folder.parent / "a.npz"
        path.touch(mode=0)
        assert "a.npz: cannot be read (Permission denied); check the perm" in refusal(read, path)


@every_reader
@pytest.mark.parametrize("name", ["n" * 256, "ü" * 128, "d/" * 3000 + "a"])
def test_names_that_are_too_long(tmp_path, read, name):
    said = refusal(read, tmp_path / name)
    assert "(File name too long); choose a shorter name" in said
    assert len(said) < 500


@every_reader
def test_a_link_to_itself(tmp_path, read):
    (tmp_path / "a.npz").symlink_to("b.npz")
    (tmp_path / "b.npz").symlink_to("a.npz")
    said = refusal(read, tmp_path / "a.npz")
    assert "symbolic links); a symbolic link points back" in said


@every_reader
def test_a_folder_where_a_file_should_be(tmp_path, read):
    assert "is a folder; name a" in refusal(read, tmp_path)


@every_reader
def test_a_pipe_where_a_file_should_be(tmp_path, read):
    """It would wait for a writer that never comes."""
    os.mkfifo(tmp_path / "a.npz")
    assert "is a device or a pipe, not a file; name a" in refusal(read, tmp_path / "a.npz")


@every_reader
def test_a_file_where_a_folder_should_be(tmp_path, read):
    (tmp_path / "file").write_text("")
    said = refusal(read, tmp_path / "file" / "a.npz")
    assert "no such" in said or "(Not a directory)" in said


@every_reader
def test_too_many_open_files(tmp_path, read):
    (tmp_path / "a.npz").write_bytes(b"")
    with no_more_files():
        said = refusal(read, tmp_path / "a.npz")
    assert "a.npz: cannot be read (Too many open files); close other files" in said


@every_reader
def test_a_file_that_vanishes_while_it_is_opened(tmp_path, read, monkeypatch):
    path = tmp_path / "a.npz"
    path.write_bytes(b"")
    found = os.stat(path)
    path.unlink()
    monkeypatch.setattr(os, "stat", lambda *_, **__: found)
    assert refusal(read, path) == (
        f"{path}: cannot be read (No such file or directory); check the path"
    )


def test_what_lies_in_a_folder(tmp_path):
    for name in ("b", "a", ".c"):
        (tmp_path / name).write_text("")
    assert [path.name for path in entries(tmp_path)] == [".c", "a", "b"]
    assert "cannot be read (No such file" in refusal(entries, tmp_path / "none")
    assert "cannot be read (Not a directory)" in refusal(entries, tmp_path / "a")
    with locked_folder() as folder:
        assert "cannot be read (Permission denied)" in refusal(entries, folder)


def test_what_is_there(tmp_path):
    (tmp_path / "file").write_text("")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "gone").symlink_to("nothing")
    what = {
        name: (is_there(tmp_path / name), is_file(tmp_path / name), is_folder(tmp_path / name))
        for name in ("file", ".", "pipe", "gone", "none", "file/none", "a\0b", "\ud800")
    }
    assert what == {
        "file": (True, True, False),
        ".": (True, False, True),
        "pipe": (True, False, False),
        **dict.fromkeys(("gone", "none", "file/none", "a\0b", "\ud800"), (False, False, False)),
    }
    with locked_folder() as folder:
        for ask in (is_there, is_file, is_folder):
            assert "cannot be reached (Permission denied)" in refusal(ask, folder / "a")


def write_much(path):
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        stream.write(bytes(1 << 16))


WRITERS = {
    "arrays": lambda path: save_npz(path, x=np.ones(1 << 13)),
    "compressed": lambda path: save_npz(
        path, x=np.random.default_rng(0).bytes(1 << 16), compressed=True
    ),
    "bytes": write_much,
}
every_writer = pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS.keys())


@every_writer
@pytest.mark.parametrize("old", [True, False])
def test_a_disk_that_is_full_in_the_middle(tmp_path, write, old):
    path = tmp_path / "a.npz"
    if old:
        path.write_text("old")
    with file_limit(1 << 14):
        said = refusal(write, path)
    assert said.startswith(f"{path}: cannot be written (File too large); choose another disk")
    assert [p.read_text() for p in tmp_path.iterdir()] == ["old"] * old


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO])
def test_what_the_disk_says_of_what_is_written(tmp_path, number):
    def write():
        with atomic_path(tmp_path / "a.txt") as temporary:
            temporary.write_text("half")
            raise OSError(number, os.strerror(number))

    said = refusal(write)
    assert said.startswith(f"{tmp_path}/a.txt: cannot be written ({os.strerror(number)}); ")
    assert not list(tmp_path.iterdir())


@every_writer
def test_folders_that_may_not_be_written(write):
    with locked_folder() as folder:
        said = refusal(write, folder / "a.npz")
        assert said.startswith(f"{folder}/a.npz: cannot be ")
        assert "(Permission denied); check the permissions" in said
        closed = folder.parent / "closed"
        closed.mkdir(mode=0o555)
        assert "cannot be written (Permission denied)" in refusal(write, closed / "a.npz")
        assert "cannot be written (Permission denied)" in refusal(write, closed / "b" / "a.npz")
        assert not list(closed.iterdir())


@every_writer
def test_names_of_255_bytes_are_written_and_no_longer_ones(tmp_path, write):
    write(tmp_path / ("n" * 251 + ".npz"))
    assert "(File name too long)" in refusal(write, tmp_path / ("n" * 252 + ".npz"))
    assert "(File name too long)" in refusal(write, tmp_path / ("d" * 256) / "a.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["n" * 251 + ".npz"]


def test_folders_that_vanish_while_a_file_is_written(tmp_path):
    def write():
        with atomic_path(tmp_path / "folder" / "a.txt", within=tmp_path / "within") as temporary:
            temporary.write_text("whole")
            (tmp_path / "folder").rmdir()

    assert "a.txt: cannot be written (No such file or directory)" in refusal(write)
    assert not list((tmp_path / "within").iterdir())


def test_devices_and_pipes_are_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/null"):
        assert "is a device or a pipe, not a file" in refusal(write_much, path)
        assert not is_file(path)


def test_a_broken_pipe_is_not_an_error_of_the_file(tmp_path):
    with pytest.raises(BrokenPipeError), atomic_path(tmp_path / "a.txt"):
        raise BrokenPipeError(errno.EPIPE, "what is printed meanwhile has lost its reader")
    assert not list(tmp_path.iterdir())


def test_errors_of_ours_stay_loud_while_a_file_is_written(tmp_path):
    for error in (KeyError("x"), AssertionError(), json.JSONDecodeError("x", "y", 0)):
        with pytest.raises(type(error)), atomic_path(tmp_path / "a.txt"):
            raise error
    assert not list(tmp_path.iterdir())
