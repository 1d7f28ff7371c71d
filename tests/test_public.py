"""What `import bodyreg` offers: names, dir() and the reference agree."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import bodyreg

PAGES = Path(__file__).parent.parent / "docs" / "reference"
PACKAGES = (
    "body",
    "data",
    "exchange",
    "lifting",
    "metrics",
    "ops",
    "painting",
    "registration",
    "regression",
    "transfer",
)


def documented(page: Path) -> list[str]:
    return re.findall(r"^::: (\S+)", page.read_text(), re.M)


@pytest.mark.parametrize("name", bodyreg.__all__)
def test_a_name_is_that_of_its_package(name):
    value = getattr(bodyreg, name)
    home = importlib.import_module(".".join(value.__module__.split(".")[:2]))
    assert getattr(home, name) is value


def test_another_name_is_an_error():
    with pytest.raises(AttributeError, match="module 'bodyreg' has no attribute 'nothing'"):
        bodyreg.nothing  # noqa: B018


def test_dir_has_the_public_names():
    program = "import bodyreg; print(*(n for n in dir(bodyreg) if n[0] != '_'))"
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout
    assert printed.split() == sorted(bodyreg.__all__)


@pytest.mark.parametrize("package", PACKAGES)
def test_the_reference_has_every_name_of_a_package(package):
    module = importlib.import_module(f"bodyreg.{package}")
    _, *names = documented(PAGES / f"{package}.md")
    assert sorted(name.split(".")[-1] for name in names) == sorted(module.__all__)


def test_the_reference_has_every_name_of_bodyreg():
    text = (PAGES / "bodyreg.md").read_text()
    assert sorted(re.findall(r"\[`(\w+)`\]\[", text)) == sorted(bodyreg.__all__)
