"""Work shared by processes: results and errors come back, a killed process is told of."""

import os
import sys
from multiprocessing.forkserver import _forkserver

import pytest

from bodyreg.errors import UserError
from bodyreg.runs.workers import foresee, in_processes


def test_results_and_errors_come_back(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.setenv("OF_THE_PARENT", "3")
    names = ["OMP_NUM_THREADS", "OF_THE_PARENT"] * 4
    assert sorted(in_processes(os.getenv, names, 1)) == ["1"] * 4 + ["3"] * 4
    assert os.environ["OMP_NUM_THREADS"] == "7"
    with pytest.raises(ValueError, match="no number"):
        list(in_processes(int, ["no number"], 1))


def test_a_killed_process_is_told_of():
    with pytest.raises(UserError, match="a worker process was killed"):
        list(in_processes(os._exit, [1], 1))


def is_loaded(module: str) -> bool:
    return module in sys.modules


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no server loads modules")
def test_what_is_foreseen_is_there():
    _forkserver._stop()
    foresee("tabnanny")
    assert not is_loaded("tabnanny")
    assert list(in_processes(is_loaded, ["tabnanny"] * 2, 2)) == [True, True]
