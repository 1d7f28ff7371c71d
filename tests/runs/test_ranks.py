"""Processes that share a run part in order."""

import subprocess
import sys

import pytest

PARTED = """
from pathlib import Path
from bodyreg.runs import ranks
with ranks.joined() as processes, processes.together():
    import torch
    weight = torch.nn.Parameter(torch.ones(3))
    torch.optim.Adam([weight])
    torch.distributed.all_reduce(weight.detach())
print(*[(task / "comm").read_text().strip() for task in Path("/proc/self/task").iterdir()])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="threads are listed by Linux")
def test_the_threads_of_the_group_end_with_it(tmp_path):
    """One that is left may want Python's lock while Python ends; then the process aborts."""
    (tmp_path / "parted.py").write_text(PARTED)
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [sys.executable, *launcher, "parted.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("python") >= 2 and "gloo" not in done.stdout
