"""One command at a time in a folder: the lock goes with its process and leaves nothing behind."""

import errno
import fcntl
import multiprocessing
import os
import signal

import pytest

from bodyreg.errors import UserError
from bodyreg.runs import lock
from bodyreg.runs.lock import working_in

SPAWN = multiprocessing.get_context("fork")


def test_a_folder_is_made_and_locked(tmp_path):
    out = tmp_path / "a" / "b"
    with working_in(out):
        (out / "result").touch()
        with pytest.raises(UserError, match="b: another bodyreg command is working in this folder"):
            working_in(out).__enter__()
        with working_in(tmp_path / "a" / "c"):
            pass
    assert [path.name for path in out.iterdir()] == ["result"]
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]
    with working_in(out):
        pass


@pytest.mark.parametrize("existing", [0, 1, 3])
def test_what_was_made_and_is_empty_goes_after_an_error(tmp_path, existing):
    """Folders that were there before stay."""
    path = tmp_path
    for name in ("a", "b", "c")[:existing]:
        path /= name
        path.mkdir()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match="nothing"), working_in(tmp_path / "a" / "b" / "c"):
        raise UserError("nothing was done")
    assert sorted(tmp_path.rglob("*")) == before


def hold(folder, connection) -> None:
    with working_in(folder):
        connection.send("locked")
        connection.recv()


def test_a_killed_process_lets_go(tmp_path):
    ours, theirs = SPAWN.Pipe()
    process = SPAWN.Process(target=hold, args=(tmp_path / "out", theirs))
    process.start()
    assert ours.recv() == "locked"
    with pytest.raises(UserError, match="another bodyreg command"):
        working_in(tmp_path / "out").__enter__()
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    with working_in(tmp_path / "out"):
        pass
    # The folder is not this process' own, and stays; the killed one's file is gone.
    assert list((tmp_path / "out").iterdir()) == []


def compete(folder, rounds: int, results) -> None:
    """Take the folder as often as possible; say how often another was in it at the same time."""
    taken = clashes = 0
    while taken < rounds:
        try:
            with working_in(folder):
                taken += 1
                try:
                    os.close(os.open(folder / "occupied", os.O_CREAT | os.O_EXCL))
                    os.unlink(folder / "occupied")
                except FileExistsError:
                    clashes += 1
        except UserError:  # another process works here
            pass
    results.put(clashes)


def test_many_that_come_and_go_never_meet(tmp_path):
    """Each one makes the folder and the file, and removes both, under the others' hands."""
    results = SPAWN.Queue()
    processes = [
        SPAWN.Process(target=compete, args=(tmp_path / "out", 200, results)) for _ in range(4)
    ]
    for process in processes:
        process.start()
    assert [results.get(timeout=60) for _ in processes] == [0] * 4
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert list(tmp_path.rglob(".*")) == []


def test_a_file_whose_name_is_gone_is_not_taken(tmp_path, monkeypatch):
    """The command before removes it between opening and locking: the next one tries again."""
    flock, calls = fcntl.flock, []

    def remove_first(descriptor, how):
        if not calls:
            os.unlink(tmp_path / lock.NAME)
        calls.append(descriptor)
        flock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", remove_first)
    with working_in(tmp_path):
        assert len(calls) == 2
        assert (tmp_path / lock.NAME).exists()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF])
def test_a_disk_without_locks_is_worked_on(tmp_path, monkeypatch, number):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with working_in(tmp_path / "out"):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", ["file", "file/out", "link"])
def test_what_cannot_be_a_folder(tmp_path, path):
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("nowhere")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match="cannot be written"):
        working_in(tmp_path / path).__enter__()
    assert sorted(tmp_path.rglob("*")) == before
