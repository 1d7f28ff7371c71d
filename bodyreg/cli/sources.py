"""The options that name people to register: one for each format that can be read."""

from __future__ import annotations

from dataclasses import field, make_dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from bodyreg.cli.flags import OptionalFolder, Switch
from bodyreg.data.focal import Focal
from bodyreg.data.formats import FORMATS, Format, Source
from bodyreg.errors import UserError


def _field(name: str) -> str:
    return name.replace("-", "_")


def _named(options: Any) -> list[Format]:
    return [form for form in FORMATS.values() if getattr(options, _field(form.name)) is not None]


def _paths(form: Format) -> tuple[str, Any, Any]:
    argument = tyro.conf.arg(metavar=form.reads, help=form.what, help_behavior_hint="")
    return _field(form.name), Annotated[Path | None, argument], field(default=None)


def _switches(form: Format) -> list[tuple[str, Any, Any]]:
    return [
        (
            name,
            Annotated[
                Switch, tyro.conf.arg(help=f"With {form.option}: {what}.", help_behavior_hint="")
            ],
            False,
        )
        for name, what in form.switches.items()
    ]


IMAGES = (
    "Folder of the pictures that people are in. Fits are drawn over them: by --overlays, and later "
    "by `bodyreg report` and `bodyreg view`. Their sizes and focal lengths (EXIF) are used where "
    "the people's files do not tell them."
)

FOCAL = (
    "Focal length of all pictures: pixels (1145), or millimetres as on 35-mm film (35mm), which "
    "need the sizes of the pictures. If left out: what the files or pictures tell; else it is "
    "found, if the size of the picture is known."
)

Sources = make_dataclass(
    "Sources",
    [
        *(_paths(form) for form in FORMATS.values()),
        *(switch for form in FORMATS.values() for switch in _switches(form)),
        (
            "focal",
            Annotated[
                str | None,
                tyro.conf.arg(metavar="PIXELS|MM", help=FOCAL, help_behavior_hint=""),
            ],
            field(default=None),
        ),
        ("images", Annotated[OptionalFolder, tyro.conf.arg(help=IMAGES)], field(default=None)),
    ],
    namespace={"__doc__": "The people to register, and their pictures."},
    frozen=True,
)


def missing_source(options: Any) -> list[str]:
    """What is missing if options name no people; empty if they do."""
    if _named(options):
        return []
    *first, last = (form.option for form in FORMATS.values())
    return [f"one of {', '.join(first)} and {last}"]


def source_of(options: Any) -> Source:
    """The source that options name; there is one (`missing_source`).

    Raises:
        UserError: several are named, or other options do not fit it.
    """
    form, *more = _named(options)
    if more:
        raise UserError(f"give only one of {' and '.join(f.option for f in (form, *more))}")
    for other in FORMATS.values():
        for name in other.switches:
            if getattr(options, name) and name not in form.switches:
                raise UserError(f"--{name.replace('_', '-')} belongs to {other.option}")
    return Source(
        format=form.name,
        path=getattr(options, _field(form.name)),
        images=options.images,
        switches=tuple(name for name in form.switches if getattr(options, name)),
        focal=None if options.focal is None else Focal.of_text(options.focal),
    )
