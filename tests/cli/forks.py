"""The command in forked processes, which may be killed at any moment: a program for test_scale.py.

Forks cost nothing once torch is there, so that one program can kill many of them. It prints what
each came to as a line of JSON.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch  # noqa: F401 - before the forks

from bodyreg import body, data, npz, registration, viz  # noqa: F401
from bodyreg.cli import main, register  # noqa: F401
from bodyreg.metrics import reprojection  # noqa: F401
from bodyreg.runs import fitted_shards

fitted_shards.PEOPLE_PER_SHARD = 4


def forked(folder: Path, arguments: list[str], prepare: Callable[[], None] = lambda: None) -> int:
    """The process number of a fork that runs the command in a folder."""
    number = os.fork()
    if number == 0:
        status = 1
        try:
            os.chdir(folder)
            prepare()
            status = main(arguments)
        finally:
            os._exit(status)
    return number


def ended(number: int) -> tuple[int, int]:
    """The exit status of a fork, or minus its signal, and its largest memory in kB."""
    _, status, usage = os.wait4(number, 0)
    return os.waitstatus_to_exitcode(status), usage.ru_maxrss


class Moments:
    """Counts the steps of writing: before and after each array, name given and file removed.

    Args:
        deadly: The moment at which the process is killed.
        note: Where to write how many there were.
    """

    def __init__(self, deadly: int | None, note: Path) -> None:
        self.count, self.deadly, self.note = 0, deadly, note

    def watch(self) -> None:
        for module, name in (
            (npz, "_write_array"), (os, "replace"), (os, "unlink"), (os, "rmdir"),
        ):  # fmt: skip
            setattr(module, name, self._watched(getattr(module, name)))

    def _watched(self, function: Callable) -> Callable:
        def call(*arguments, **options):
            self._pass()
            result = function(*arguments, **options)
            self._pass()
            return result

        return call

    def _pass(self) -> None:
        self.count += 1
        if self.count == self.deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        self.note.write_text(str(self.count))


def outcome(folder: Path, **facts: object) -> None:
    """Print what a finished run has left."""
    out = folder / "out"
    record = json.loads((out / "run.json").read_text())
    print(
        json.dumps(
            {
                **facts,
                "fits": (out / "fits.npz").read_bytes().hex(),
                "left": sorted(path.name for path in out.iterdir()),
                "record": {k: v for k, v in record.items() if "seconds" not in k},
            }
        ),
        flush=True,
    )


def warm_up(root: Path, arguments: list[str]) -> None:
    """Run the command in this process: forks then need not import what it imports."""
    folder = root / "warm"
    folder.mkdir()
    os.chdir(folder)
    assert main(arguments) == 0


def kill_at_moments(root: Path, arguments: list[str], step: int) -> None:
    """The first moments of writing and every `step`th, and again while the second start works."""
    warm_up(root, arguments)
    note = root / "moments"
    folder = root / "whole"
    folder.mkdir()
    assert ended(forked(folder, arguments, Moments(None, note).watch))[0] == 0
    moments = int(note.read_text())
    outcome(folder, moments=moments)
    for moment in (*range(1, 9), *range(9, moments + 1, step)):
        folder = root / str(moment)
        folder.mkdir()
        first, _ = ended(forked(folder, arguments, Moments(moment, note).watch))
        second, _ = ended(forked(folder, arguments, Moments(1 + moment // 2, note).watch))
        last, _ = ended(forked(folder, arguments))
        outcome(folder, moment=moment, statuses=[first, second, last])
        shutil.rmtree(folder)


def kill_at_random(root: Path, arguments: list[str], runs: int) -> None:
    """Four times at random times of a run's usual length, and then let it finish."""
    warm_up(root, arguments)
    chance, usual = random.Random(0), 0.0
    for run in range(runs):
        folder = root / f"random{run}"
        folder.mkdir()
        kills = 0
        while True:
            started = time.perf_counter()
            number = forked(folder, arguments)
            if run and kills < 4:
                time.sleep(chance.uniform(0, usual))
                os.kill(number, signal.SIGKILL)
            status, _ = ended(number)
            assert status in (0, -signal.SIGKILL)
            if status == 0:
                break
            kills += 1
        usual = usual or time.perf_counter() - started
        outcome(folder, kills=kills)


def two_at_once(root: Path, arguments: list[str], rounds: int) -> None:
    """Pairs of runs that begin together in one folder: of other options, and every third of the
    same. Prints what each pair leaves, and the poses of each run when it is alone."""
    warm_up(root, arguments)
    weights = (0.1, 0.2)

    def start(folder: Path, weight: float) -> int:
        return forked(folder, [*arguments, "--set", f"det_weight={weight}"])

    def poses(folder: Path) -> str:
        return data.Fits.load(folder / "out" / "fits.npz").pose.tobytes().hex()

    pure = {}
    for weight in weights:
        folder = root / str(weight)
        folder.mkdir()
        assert ended(start(folder, weight))[0] == 0
        pure[str(weight)] = poses(folder)
    for number in range(rounds):
        folder = root / f"round{number}"
        folder.mkdir()
        pair = weights if number % 3 else weights[:1] * 2
        started = [start(folder, weight) for weight in pair]
        statuses = [ended(process)[0] for process in started]
        config = json.loads((folder / "out" / "run.json").read_text())["config"]
        print(
            json.dumps(
                {
                    "statuses": statuses,
                    "left": sorted(path.name for path in (folder / "out").iterdir()),
                    "det_weight": config["det_weight"],
                    "of_finished": [w for w, s in zip(pair, statuses, strict=True) if s == 0],
                    "poses": poses(folder),
                    "pure": pure,
                }
            ),
            flush=True,
        )


def measure_memory(root: Path, arguments: list[str], shard: int) -> None:
    """The largest memory that each of the given commands' forks had, in kB."""
    fitted_shards.PEOPLE_PER_SHARD = shard
    for name in arguments[0].split(","):
        folder = root / f"memory-{name}"
        folder.mkdir()
        status, memory = ended(forked(folder, [a.replace("NAME", name) for a in arguments[1:]]))
        print(json.dumps({"name": name, "status": status, "memory": memory}), flush=True)


if __name__ == "__main__":
    what, root, number, *rest = sys.argv[1:]
    globals()[what](Path(root), rest, int(number))
