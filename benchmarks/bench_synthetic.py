"""`bodyreg synthesize`: pictures per second with one process and two, and shares of their time."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter

import cv2
import numpy as np
import pytest
import torch

from benchmarks.ceilings import ceilings, machine
from bodyreg.body import Body
from bodyreg.synthetic.formats import FORMATS, Recipe, Shot
from bodyreg.synthetic.layout import lay_out
from bodyreg.synthetic.lens import encode_jpeg
from bodyreg.synthetic.observe import Noise, see
from bodyreg.synthetic.render import render
from bodyreg.synthetic.scenes.crowd import Crowd

PEOPLE, SEED, SIDE = 1024, 0, 256
# Number of pictures whose steps are timed, after a few that fill caches.
TIMED, BEFORE = 64, 4


@pytest.mark.parametrize("workers", [1, 2])
def bench_synthesize(workers: int, benchmark, device, tmp_path):
    if device != "cpu":
        pytest.skip("pictures are made on CPUs")
    command = [sys.executable, "-m", "bodyreg", "synthesize", "--people", str(PEOPLE), "--quiet"]
    command += ["--seed", str(SEED), "--size", str(SIDE), "--workers", str(workers)]
    folders = (tmp_path / str(number) for number in range(9))
    benchmark.group = f"bodyreg synthesize, pictures of {SIDE} × {SIDE} [{device}]"

    def run() -> None:
        subprocess.run([*command, "--out", str(next(folders))], check=True)

    benchmark.pedantic(run, rounds=1)
    pictures = len(Crowd(PEOPLE, SEED, SIDE))
    rate = pictures / benchmark.stats.stats.median
    benchmark.extra_info.update(
        row=f"{workers} process{'es' * (workers > 1)}, imports included",
        device=device,
        machine=machine(device),
        against=[],
        calls=1,
        people=PEOPLE,
        flops=0,
        result=("pictures/s, and where the time goes", f"{rate:.3g}: {shares_of_time()}"),
        **ceilings(device),
    )


def shares_of_time() -> str:
    """Shares of the steps in the time of one process with one thread, longest first."""
    form, recipe = FORMATS["densepose-coco"], Recipe(PEOPLE, SEED, SIDE, Noise())
    scenes, spent, body = form.scenes(recipe), Counter(), Body.default()

    def timed(name: str, function, *arguments):
        start = time.thread_time()
        made = function(*arguments)
        spent[name] += time.thread_time() - start
        return made

    threads = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    for number in range(-BEFORE, TIMED):
        if number == 0:
            spent.clear()
        scene = timed("people and poses", scenes.scene, body, number % len(scenes))
        layout = timed("layout", lay_out, scene)
        sights = timed("annotations", see, scene, layout)
        shot = Shot(recipe, scenes, body, scene, layout, sights)
        timed("annotations", form.describe, shot)
        picture = timed("rendering", render, scene)
        timed("JPEG", encode_jpeg, picture, np.random.default_rng(number % TIMED))
    torch.set_num_threads(threads[0])
    cv2.setNumThreads(threads[1])
    total = sum(spent.values())
    parts = ", ".join(f"{name} {100 * part / total:.0f} %" for name, part in spent.most_common())
    return f"{parts} of {1e3 * total / TIMED:.0f} ms a picture"
