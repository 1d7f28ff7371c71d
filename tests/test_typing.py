"""py.typed keeps its promise: a type checker passes right programs and refuses wrong ones."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest

from bodyreg import native

ROOT = Path(__file__).parent.parent
PROGRAM = """
from typing import Any

import numpy as np
import torch
from typing_extensions import assert_type

import bodyreg
from bodyreg import _C, data, ops
from bodyreg.body import Parameters, RigPoints
from bodyreg.registration import ExtraLoss, Padded

body = bodyreg.Body.default()
assert_type(body, bodyreg.Body)
assert_type(body.keypoints(["nose"]), RigPoints)
people, skipped = bodyreg.read_densepose_coco("a.json", body)
assert_type(people, bodyreg.Observations)
fits = bodyreg.register(body, people, bodyreg.RegistrationConfig.preset("paper"))
assert_type(fits, bodyreg.Fits)
assert_type(fits.vertices(body), np.ndarray[tuple[Any, ...], np.dtype[Any]])
assert_type(ops.gram_schmidt(torch.eye(3)[None]), torch.Tensor)
assert_type(ops.raster(torch.ones(1, 3, 3), torch.ones(1, 3), 8, 8).face, torch.Tensor)
assert_type(ops.warp(torch.ones(1, 1, 2, 2), torch.ones(1, 2, 2, 2)), torch.Tensor)
assert_type(_C.build_info()["cuda_archs"], list[str])


def small(parameters: Parameters, evidence: Padded) -> torch.Tensor:
    return parameters.pose.square().sum((1, 2))


own: ExtraLoss = small
bodyreg.register(body, people, extra_loss=own)

bodyreg.register(people, body)  # wrong: the arguments change places
bodyreg.register(body, people, "paper")  # wrong: a configuration, not its name
bodyreg.register(body, people, extra_loss=lambda parameters: 0.0)  # wrong: a loss of one argument
bodyreg.RegistrationConfig(solver="newton")  # wrong: no such solver
bodyreg.Fits.load(3)  # wrong: a path
fits.vertex(body)  # wrong: no such method
ops.lbs(torch.eye(3), 3, torch.eye(3))  # wrong: joints are a tensor
bodyreg.nothing  # wrong: no such name
data.read_nothing  # wrong: no such reader
"""


def check(*paths: Path) -> str:
    """What mypy prints about programs."""
    api = pytest.importorskip("mypy.api", reason="mypy is not installed")
    flags = [f"--python-executable={sys.executable}", f"--cache-dir={ROOT / '.mypy_cache'}"]
    config = f"--config-file={ROOT / 'pyproject.toml'}"
    printed, complaints, _ = api.run([config, *flags, *map(str, paths)])
    assert not complaints
    return printed


def test_right_lines_pass_and_wrong_ones_do_not(tmp_path):
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    printed = check(path)
    errors = re.findall(r"program\.py:(\d+): error", printed)
    wrong = [n for n, line in enumerate(PROGRAM.splitlines(), 1) if "# wrong" in line]
    assert sorted({int(number) for number in errors}) == wrong, printed


def test_the_examples_pass(tmp_path):
    (program,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    (tmp_path / "first_program.py").write_text(program)
    printed = check(tmp_path / "first_program.py", *(ROOT / "examples").glob("*.py"))
    assert printed.startswith("Success: no issues found in 5 source files"), printed


def test_the_stub_is_that_of_the_native_library():
    stub, library = ast.parse((ROOT / "bodyreg" / "_C.pyi").read_text()), native.load()
    functions = {node.name for node in stub.body if isinstance(node, ast.FunctionDef)}
    (facts,) = (node for node in stub.body if isinstance(node, ast.ClassDef))
    assert functions == {name for name in dir(library) if not name.startswith("_")}
    assert [field.target.id for field in facts.body] == list(library.build_info())
