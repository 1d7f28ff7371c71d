"""A short run over every reader; `python -m tests.fuzz` is a long one."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from bodyreg.data.formats import FORMATS
from bodyreg.errors import UserError

from .mutate import damaged
from .targets import Target, prepare
from .watch import FAULT, REFUSED, fuzz

FILES, SECONDS = 8, 10


@pytest.fixture(scope="module")
def targets(tmp_path_factory):
    return list(prepare(tmp_path_factory.mktemp("fuzz")))


def test_every_reader_takes_damaged_files_or_refuses_them_in_one_line(targets, tmp_path):
    faults, refused = {}, 0
    for target, good in targets:
        (tmp_path / target.name).mkdir()
        seed = int(np.random.default_rng().integers(2**31))
        result = fuzz(target, good, tmp_path / target.name, seed, FILES, SECONDS)
        refused += result.counts[REFUSED]
        if result.counts[FAULT]:
            faults[f"{target.name}, seed {seed}"] = result.faults
        assert result.counts.total() > 0
    assert not faults
    assert refused > 2 * len(targets)


def test_every_format_is_fuzzed(targets):
    assert {target.format for target, _ in targets} >= set(FORMATS)


def talk(data: bytes) -> None:
    raise UserError("word " * 1000)


def hang(data: bytes) -> None:
    try:
        time.sleep(60)
    except Exception:  # as readers have it
        time.sleep(60)


def outside(data: bytes) -> None:
    Path("/tmp/stray").write_bytes(data)


def curious(data: bytes) -> None:
    Path("/root/secret").read_bytes()


def divide(data: bytes) -> None:
    _ = len(data) // 0


def allocate(data: bytes) -> None:
    np.zeros(2**32, np.uint8)


def die(data: bytes) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (divide, "ZeroDivisionError"),
        (talk, "a line of 5000 characters"),
        (hang, "more than 0.2 s"),
        (outside, "open of /tmp/stray"),
        (curious, "open of /root/secret"),
        (allocate, "MemoryError"),
        (die, "the process ended with -9"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_faults_of_readers_are_seen(tmp_path, monkeypatch, fault, words):
    monkeypatch.setattr("tests.fuzz.watch.SLOWEST", 0.2)
    (tmp_path / "good").mkdir()
    (tmp_path / "good" / "a.bin").write_bytes(b"good")

    def read(folder: Path) -> None:
        data = (folder / "a.bin").read_bytes()
        if data != b"good":
            fault(data)

    target = Target("a reader", ("a.bin",), read)
    result = fuzz(target, tmp_path / "good", tmp_path, 0, 3, 60)
    assert result.counts[FAULT] >= 1 and result.counts[FAULT] == result.counts.total()
    assert any(words in found for found in result.faults), result.faults
    assert not Path("/tmp/stray").exists()


def test_a_seed_and_a_number_give_the_same_damage():
    from random import Random

    data = bytes(range(256)) * 4
    for number in range(50):
        one, other = (damaged(data, "a.bin", Random(f"7 {number}")) for _ in range(2))
        assert one == other
