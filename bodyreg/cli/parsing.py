"""Options from the command line, by tyro. Its errors, boxes of many lines, become one line."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import tyro

from bodyreg.errors import UserError
from bodyreg.runs import ranks

Options = TypeVar("Options")

# Kinds of numbers as the options declare them, and what a value must be.
NUMBERS = {
    int: "a whole number",
    int | None: "a whole number",
    float: "a number",
    float | None: "a number",
}
PAIR = tuple[float, float] | None
# The parts of a box that do not say what is wrong.
ASIDE = ("Argument helptext", "For full helptext", "Got errors")
# Explanations of options are indented by more than this.
INDENT = 6
# What lines and frames consist of, where a terminal has such characters and elsewhere.
RULES = "╭─╮│╰╯ -"
ANSI = re.compile(r"\x1b\[[0-9;]*m")
# Values that look like options.
AXIS = re.compile("-[xyz]")


def parse(
    options: type[Options], program: str, description: str, arguments: Sequence[str]
) -> Options:
    """The options that the arguments of a command name. `--help` prints and exits.

    Args:
        options: A dataclass.
        program: The command, as a user calls it.
        description: What it does.
        arguments: What follows its name.

    Raises:
        UserError: an argument is unknown, missing, or not what it must be.
    """
    for place, word in enumerate(arguments):
        # "$FOLDER" of a shell that does not know it; as a path it would be the current folder.
        if not word or (word.startswith("--") and word.endswith("=")):
            option = word.rstrip("=") or (arguments[place - 1] if place else program)
            raise UserError(f"{option}: an empty value; see {program} --help")
    arguments = _with_axes_joined(arguments)
    box = io.StringIO()
    try:
        with contextlib.redirect_stderr(box), _numbers():
            return tyro.cli(
                options,
                prog=program,
                description=description,
                args=arguments,
                console_outputs=ranks.rank() == 0,
                config=(tyro.conf.DisallowNone,),
            )
    except SystemExit as end:
        if not end.code:
            raise
    raise UserError(f"{_one_line(box.getvalue())}; see {program} --help")


def _with_axes_joined(arguments: Sequence[str]) -> list[str]:
    """The arguments with "--up", "-y" as "--up=-y"."""
    joined: list[str] = []
    for word in arguments:
        if AXIS.fullmatch(word) and joined and joined[-1].startswith("--"):
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


def _one_line(box: str) -> str:
    """What a box says: its title, its advice and the explanations of options left out."""
    parts: list[list[str]] = [[]]
    for line in ANSI.sub("", box).splitlines()[1:]:
        text = line.strip("│").rstrip()
        if not text.strip(RULES):
            parts.append([])
        elif len(text) - len(text.lstrip()) <= INDENT:
            parts[-1].append(text.strip())
    said = [" ".join(part) for part in parts if part and not part[0].startswith(ASIDE)]
    return "; ".join(part.removeprefix("Error parsing ").rstrip(".") for part in said)


def _numbers() -> tyro.constructors.ConstructorRegistry:
    """Reads numbers as tyro does, but says in plain English what is none."""
    registry = tyro.constructors.ConstructorRegistry()

    @registry.primitive_rule
    def rule(info: tyro.constructors.PrimitiveTypeInfo) -> Any:
        if info.type == PAIR:
            return tyro.constructors.PrimitiveConstructorSpec(
                nargs=2,
                metavar="FLOAT FLOAT",
                instance_from_str=lambda words: tuple(_number(float, w, "a number") for w in words),
                is_instance=lambda value: value is None or isinstance(value, tuple),
                str_from_instance=lambda value: [str(number) for number in value or ()],
            )
        if info.type not in NUMBERS:
            return None
        kind = float if info.type in (float, float | None) else int
        return tyro.constructors.PrimitiveConstructorSpec(
            nargs=1,
            metavar=kind.__name__.upper(),
            instance_from_str=lambda words: _number(kind, words[0], NUMBERS[info.type]),
            is_instance=lambda value: value is None or isinstance(value, kind),
            str_from_instance=lambda value: [str(value)],
        )

    return registry


def _number(kind: Callable[[str], Any], word: str, what: str) -> Any:
    try:
        return kind(word)
    except ValueError:
        raise ValueError(f"'{word}' is not {what}") from None
