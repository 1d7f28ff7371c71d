"""A million made people through `bodyreg register`: time, people per second and peak memory.

    python -m benchmarks.million                      # a million, some 6 GB in a temporary folder
    python -m benchmarks.million --people 20000 --folder runs/many

`benchmarks.crowd` makes a few thousand people. The others repeat these people, with their own noise
on every point and keypoint and their own frame; they serve to measure speed, not accuracy. They are
written as a folder of shards; the command itself reads, fits and writes the rest.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.crowd import PIXEL_SD, crowd
from bodyreg.body import Body
from bodyreg.data import Observations
from bodyreg.data.frames import pixel_sizes
from bodyreg.files import atomic_path

BASE = 4096
SHARD = 16 * BASE
SHIFT_SD, ZOOM_SD = 0.03, 0.03  # of a frame, in its half sides


def write_shards(folder: Path, people: int, seed: int = 0) -> None:
    """Write the missing shards of a folder with this many people."""
    body = Body.default()
    base = crowd(body, min(BASE, people), seed)
    for number, begin in enumerate(range(0, people, SHARD)):
        path = folder / f"{number:05}.npz"
        if path.exists():
            continue
        copies = []
        for first in range(begin, min(begin + SHARD, people), BASE):
            some = base.select(slice(0, people - first))
            copies.append(_again(some, first, np.random.default_rng([seed, first])))
        Observations.concatenate(copies).save(path)


def _again(base: Observations, first: int, random: np.random.Generator) -> Observations:
    """The same people with new noise and frames."""
    half = base.frame[:, 2:]
    noise = PIXEL_SD * pixel_sizes(base.frame)[:, None]

    def seen(xy: np.ndarray, deviation: np.ndarray) -> np.ndarray:
        return xy + deviation * random.standard_normal(xy.shape, np.float32)

    shift = SHIFT_SD * half * random.standard_normal((len(base), 2), np.float32)
    zoom = np.exp(ZOOM_SD * random.standard_normal((len(base), 1), np.float32))
    return replace(
        base,
        id=np.arange(first, first + len(base)),
        frame=np.concatenate([base.frame[:, :2] + shift, half * zoom], axis=1),
        point_xy=seen(base.point_xy, noise.repeat(base.point_count, axis=0)),
        keypoint_xy=seen(base.keypoint_xy, noise[:, None]),
    )


def measure(people: Path, out: Path, options: list[str]) -> dict:
    """Register a folder of shards; returns time and memory of the whole command."""
    command = [sys.executable, "-m", "bodyreg", "register", "--observations", str(people)]
    started = time.perf_counter()
    process = subprocess.Popen([*command, "--out", str(out), *options])
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    if status:
        raise SystemExit(os.waitstatus_to_exitcode(status))
    record = json.loads((out / "run.json").read_text())
    return {
        "people": record["people"],
        "seconds": round(seconds, 2),
        "people_per_second": round(record["people"] / seconds, 1),
        "share_of_fitting": round(record["seconds_fitting"] / seconds, 3),
        "seconds_fitting": record["seconds_fitting"],
        "seconds_preparing": record["seconds_preparing"],
        "seconds_registering": record["seconds"],
        "seconds_writing": record["seconds_writing"],
        "processor_seconds": round(usage.ru_utime + usage.ru_stime, 2),
        "peak_memory_mb": round(usage.ru_maxrss / 1024, 1),
        "read_mb": round(sum(shard.stat().st_size for shard in people.glob("*.npz")) / 2**20, 1),
        "wrote_mb": round((out / "fits.npz").stat().st_size / 2**20, 1),
        "loss": record["loss"],
        "median_pixel": record["median_pixel"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, help="keep shards and results here")
    parser.add_argument("--iterations", type=int, default=300)
    parser.add_argument("--preset", default="paper")
    arguments, options = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        shards = folder / f"people-{arguments.people}"
        started = time.perf_counter()
        write_shards(shards, arguments.people)
        print(
            f"{arguments.people:,} people made in {time.perf_counter() - started:.1f} s: {shards}"
        )
        options += ["--preset", arguments.preset, "--iterations", str(arguments.iterations)]
        result = measure(shards, folder / "out", options)
        with atomic_path(folder / "million.json") as path:
            path.write_text(json.dumps(result, indent=2) + "\n")
    print("\n".join(f"{name:<22}{value}" for name, value in result.items()))


if __name__ == "__main__":
    main()
