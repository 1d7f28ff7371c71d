"""Rooms import only rooms below them, and modules do not import each other in a circle.

Imports are read from the source, so that those inside functions and those for type checkers count.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "bodyreg"

ROOMS = (
    ("bodyreg",),
    ("__main__",),
    ("cli",),
    ("runs",),
    ("painting", "regression"),
    ("flow", "lifting", "transfer"),
    ("exchange", "registration", "synthetic", "viz"),
    ("metrics",),
    ("data",),
    ("body",),
    ("ops",),
    ("reference",),
    ("torch_files",),
    ("native", "matlab", "pickles", "pictures", "training"),
    ("npz",),
    ("files",),
    ("version", "_C"),
    ("errors",),
)
"""From top to bottom. Rooms of one row do not import each other. "bodyreg" has the public names."""


def modules() -> dict[str, Path]:
    """Name -> file; packages have the names of their folders."""
    names = {path: ["bodyreg", *path.relative_to(PACKAGE).parts] for path in PACKAGE.rglob("*.py")}
    return {
        ".".join(parts).removesuffix(".py").removesuffix(".__init__"): path
        for path, parts in names.items()
    }


MODULES = modules()


def imports(name: str) -> Iterator[str]:
    """The names of all modules that a module imports; of a package's member, the member."""
    path = MODULES[name]
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*parents, *filter(None, [node.module])])
            for alias in node.names:
                member = f"{base}.{alias.name}"
                yield member if member in MODULES or alias.name == "_C" else base
        elif isinstance(node, ast.Constant) and node.value in MODULES and node.value != "bodyreg":
            yield node.value  # for importlib


GRAPH = {
    name: {found for found in imports(name) if found.split(".")[0] == "bodyreg" and found != name}
    for name in MODULES
}


def room(name: str) -> str:
    return name.split(".")[1] if "." in name else name


ROW = {room: row for row, rooms in enumerate(ROOMS) for room in rooms}


def test_every_room_has_a_place():
    assert {room(name) for name in MODULES} == ROW.keys() - {"_C"}


def test_rooms_import_only_those_below():
    upward = [
        f"{name} imports {found}"
        for name, others in GRAPH.items()
        for found in others
        if room(found) != room(name) and ROW[room(found)] <= ROW[room(name)]
    ]
    assert not upward


def test_no_circle():
    try:
        TopologicalSorter(GRAPH).prepare()
    except CycleError as error:
        pytest.fail(" <- ".join(error.args[1]))


def test_only_the_door_imports_commands():
    importing = {
        name
        for name, others in GRAPH.items()
        if room(name) != "cli" and any(room(found) == "cli" for found in others)
    }
    assert importing == {"bodyreg.__main__"}


@pytest.mark.parametrize("package", ["bodyreg.ops", "bodyreg.reference"])
def test_kernels_need_torch_and_numpy_alone(package):
    """Neither they nor anything they import, at any depth, names another package."""
    reached, pending = set(), [name for name in MODULES if name.startswith(package)]
    while pending:
        name = pending.pop()
        if name not in reached and name in MODULES:
            reached.add(name)
            pending += GRAPH[name]
    packages = {found.split(".")[0] for name in reached for found in imports(name)}
    assert packages - sys.stdlib_module_names <= {"bodyreg", "torch", "numpy"}
    assert {room(name) for name in reached} <= {"ops", "reference", "native", "errors"}
