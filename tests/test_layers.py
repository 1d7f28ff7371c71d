"""Imports point downward only, as docs/architecture.md draws them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "bodyreg"
LAYERS = (
    {"__main__"},
    {"cli"},
    {"runs"},
    {"registration", "synthetic", "viz"},
    {"metrics"},
    {"data"},
    {"body"},
    {"ops"},
    {"reference"},
    {"pictures", "pickles", "matlab"},
    {"npz"},
    {"files"},
    {"native"},
    {"_C", "errors"},
)
"""The highest first. Parts of one layer do not import each other."""
DEPTH = {name: depth for depth, names in enumerate(LAYERS) for name in names}


def imported(path: Path) -> set[str]:
    """The parts of bodyreg that a file imports, wherever in it."""
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "bodyreg":
            names += [f"bodyreg.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names.append(node.module or "")
    parts = [name.split(".") for name in names]
    return {part[1] for part in parts if part[0] == "bodyreg" and len(part) > 1}


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


@pytest.mark.parametrize("path", FILES, ids=[str(p.relative_to(PACKAGE)) for p in FILES])
def test_a_file_imports_downward(path):
    own = part_of(path)
    for other in imported(path) - {own, "__version__"}:
        assert DEPTH[own] < DEPTH[other], f"{own} imports {other}"
