"""All checks that need a GPU, in one run of at most ten minutes.

    python -m benchmarks.device             # builds, tests, measures, looks for races
    python -m benchmarks.device --dry-run   # prints the plan; needs no GPU

The script writes benchmarks/results/<gpu>.json: the measurements, and for every step its outcome
and the end of its output. It rewrites the file after each step, and every step has a time limit, so
a step that hangs costs only its share. It needs torch with CUDA, nvcc, ninja, pybind11, NumPy and
pytest with pytest-benchmark; rows that need more are skipped.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from benchmarks.table import rows_of

ROOT = Path(__file__).resolve().parent.parent
MINUTES = 10.0
TAIL = 4000  # characters of a step's output that are kept
OPS = [
    f"benchmarks/bench_{op}.py"
    for op in ("correspondence", "flow", "kinematics", "lbs", "projection", "raster", "warp")
]
# A file that needs a missing package is an error, but the other files still run.
TESTS = ["tests/ops", "tests/device", "--continue-on-collection-errors"]
SANITIZERS = {"memcheck": 40, "racecheck": 40, "synccheck": 30}


@dataclass
class Step:
    """A command, its time limit in seconds, and its outcome."""

    name: str
    command: list[str]
    seconds: float
    environment: dict[str, str] = field(default_factory=dict)
    measures: bool = False  # whether it writes a pytest-benchmark file, its last argument
    outcome: str = "not begun"
    took: float = 0.0
    tail: str = ""

    def run(self, left: float) -> None:
        """Run it and its child processes, no longer than its time limit and the time left."""
        limit = min(self.seconds, left)
        if limit <= 0:
            self.outcome = "no time left"
            return
        begin = time.perf_counter()
        with tempfile.TemporaryFile() as printed:
            process = subprocess.Popen(
                self.command,
                cwd=ROOT,
                env={**os.environ, **self.environment},
                stdout=printed,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                status = process.wait(limit)
                self.outcome = "passed" if status == 0 else f"failed, status {status}"
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                self.outcome = f"stopped after {limit:.0f} s"
            printed.seek(0)
            self.tail = printed.read().decode(errors="replace")[-TAIL:]
        self.took = time.perf_counter() - begin

    def record(self) -> dict[str, Any]:
        """The step's entry in the result file."""
        return {
            "step": self.name,
            "command": shlex.join(self.command),
            "outcome": self.outcome,
            "seconds": round(self.took, 1),
            "limit_s": self.seconds,
            "tail": self.tail,
        }


def steps(arch: str, scratch: Path) -> list[Step]:
    """The steps in order: the most important first, the slowest last.

    Args:
        arch: Compute capability to build for, such as "90".
        scratch: Folder for pytest-benchmark's files.
    """
    python, pytest = (
        sys.executable,
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
    )

    def measure(name: str, what: list[str], seconds: float) -> Step:
        out = scratch / f"{name.replace(' ', '-')}.json"
        command = [*pytest, *what, "--benchmark-json", str(out)]
        return Step(name, command, seconds, measures=True)

    plan = [
        Step(
            "build",
            # egg_info, because the package reads its own version.
            [python, "setup.py", "-q", "egg_info", "build_ext", "--inplace"],
            150,
            {"BODYREG_CUDA": "1", "BODYREG_CUDA_ARCHS": arch},
        ),
        Step(
            "tests",
            [*pytest, *TESTS, "-m", "rung7", "-k", "not sanitizer"],
            120,
        ),
        measure("fit", ["benchmarks/bench_fit.py", "-k", "cuda and not compile"], 120),
        measure("ops", [*OPS, "-k", "cuda and not compile"], 60),
    ]
    plan += [_sanitizer(tool, seconds) for tool, seconds in SANITIZERS.items()]
    return [*plan, measure("compiled peers", ["benchmarks", "-k", "cuda and compile"], 90)]


def _sanitizer(tool: str, seconds: float) -> Step:
    program = shutil.which("compute-sanitizer")
    command = [program or "compute-sanitizer", "--tool", tool, "--error-exitcode", "9"]
    command += ["--kernel-regex", "kns=bodyreg", sys.executable, "-m", "tests.device.exercise"]
    # Torch's cache would hide an access past the end of a tensor.
    step = Step(tool, command, seconds, {"PYTORCH_NO_CUDA_MEMORY_CACHING": "1"})
    if program is None:
        step.outcome = "skipped: compute-sanitizer is not on PATH"
    return step


def measured(plan: list[Step]) -> list[dict[str, Any]]:
    """The rows of all finished steps that measure."""
    files = [Path(step.command[-1]) for step in plan if step.measures]
    runs = [json.loads(file.read_text()) for file in files if file.exists()]
    return rows_of({"benchmarks": [item for run in runs for item in run["benchmarks"]]})


def show(plan: list[Step], minutes: float) -> None:
    """Print the plan."""
    for step in plan:
        variables = "".join(f"{name}={value} " for name, value in step.environment.items())
        skipped = f"  ({step.outcome})" if step.outcome.startswith("skipped") else ""
        print(f"{step.name}, at most {step.seconds:g} s{skipped}")
        print(f"    {variables}{shlex.join(step.command)}")
    print(f"together at most {60 * minutes:g} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--dry-run", action="store_true", help="print the plan, run nothing")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="for everything together")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results")
    options = parser.parse_args()
    import torch

    if options.dry_run:
        show(steps("90", Path("build")), options.minutes)
        return
    if not torch.cuda.is_available():
        sys.exit("benchmarks.device: no CUDA device here; --dry-run prints what would be done")
    deadline = time.monotonic() + 60 * options.minutes
    from benchmarks.ceilings import machine

    name, capability = machine("cuda"), torch.cuda.get_device_capability()
    content: dict[str, Any] = {
        "machine": name,
        "datetime": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "gpu": torch.cuda.get_device_name(),
        "capability": capability,
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
    }
    options.results.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        plan = steps("".join(map(str, capability)), Path(scratch))
        for step in plan:
            if not step.outcome.startswith("skipped"):
                step.run(deadline - time.monotonic())
            print(f"{step.name}: {step.outcome} ({step.took:.0f} s)", flush=True)
            content |= {"steps": [s.record() for s in plan], "rows": measured(plan)}
            text = json.dumps(content, indent=1) + "\n"
            (options.results / f"{name}.json").write_text(text)
            if step.name == "build" and step.outcome != "passed":
                break
    if any(not step.outcome.startswith(("passed", "skipped")) for step in plan):
        sys.exit(1)


if __name__ == "__main__":
    main()
