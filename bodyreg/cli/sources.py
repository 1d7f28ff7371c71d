"""The options that name people: one for each format that can be read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field, make_dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from bodyreg.cli.flags import MOST_POINTS, OptionalFolder, Switch, require
from bodyreg.data.focal import Focal
from bodyreg.data.formats import FORMATS, PICTURES, Format
from bodyreg.data.source import Source
from bodyreg.errors import UserError
from bodyreg.files import is_file, is_folder, require_file


def _field(name: str) -> str:
    return name.replace("-", "_")


def _named(options: Any) -> list[Format]:
    there = [form for form in SEEN if hasattr(options, _field(form.name))]
    return [form for form in there if getattr(options, _field(form.name)) is not None]


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


LOOKED_AT = "The folder of the pictures; or some picture files of one folder."

Pictures = Annotated[
    tuple[Path, ...],
    tyro.conf.Positional,
    tyro.conf.arg(metavar="PICTURES", help=LOOKED_AT, help_behavior_hint="(required)"),
]
"""The pictures that a command looks at."""

IMAGES = (
    "Folder of the pictures that people are in. Fits are drawn over them: by --overlays, and later "
    "by `bodyreg report` and `bodyreg view`. Their sizes and focal lengths (EXIF) are used where "
    "the people's files do not tell them. If nothing else names people, `bodyreg register` detects "
    "one person in each picture (pip install 'bodyreg[detect]')."
)

FOCAL = (
    "Focal length of all pictures: pixels (1145), or millimetres as on 35-mm film (35mm), which "
    "need the sizes of the pictures. If left out: what the files or pictures tell; else fits find "
    "it, and a network assumes one, if the size of the picture is known."
)

POINTS = (
    "Points of each person that are kept of a dense map ({formats}), spread over all parts of the "
    "body."
)

EVIDENCE = [form for form in FORMATS.values() if form.evidence]
"""The formats whose people can be registered."""

SEEN = [form for form in FORMATS.values() if form.name != PICTURES]
"""The formats that tell where people are in pictures."""


def _of_people(formats: Sequence[Format]) -> list[tuple[str, Any, Any]]:
    """The options that name people of these formats, and their focal length."""
    return [
        *(_paths(form) for form in formats),
        *(switch for form in formats for switch in _switches(form)),
        _points([form.option for form in formats if form.sampled]),
        (
            "focal",
            Annotated[
                str | None,
                tyro.conf.arg(metavar="PIXELS|MM", help=FOCAL, help_behavior_hint=""),
            ],
            field(default=None),
        ),
    ]


def _points(options: Sequence[str]) -> tuple[str, Any, Any]:
    words = POINTS.format(formats=", ".join(options))
    argument = tyro.conf.arg(metavar="N", help=words, help_behavior_hint="(default: 500)")
    return "points", Annotated[int | None, argument], field(default=None)


def _in_pictures(name: str, formats: Sequence[Format]) -> type:
    """Options of a command that looks at pictures."""
    return make_dataclass(
        name,
        [("pictures", Pictures, field(default=())), *_of_people(formats)],
        namespace={"__doc__": "The people to see in pictures."},
        frozen=True,
        kw_only=True,
    )


Sources = make_dataclass(
    "Sources",
    [
        *_of_people(EVIDENCE),
        ("images", Annotated[OptionalFolder, tyro.conf.arg(help=IMAGES)], field(default=None)),
    ],
    namespace={"__doc__": "The people to register, and their pictures."},
    frozen=True,
)
PeopleInPictures = _in_pictures("PeopleInPictures", SEEN)
EvidenceInPictures = _in_pictures("EvidenceInPictures", EVIDENCE)


def missing_source(options: Any) -> list[str]:
    """What is missing if options name no people; empty if they do."""
    if _named(options):
        return []
    *first, last = (form.option for form in EVIDENCE)
    return [f"one of {', '.join(first)} and {last}"]


def source_of(options: Any) -> Source:
    """The source that options of `Sources` name; there is one (`missing_source`).

    Raises:
        UserError: several are named, or other options do not fit it.
    """
    if options.images is not None and is_file(options.images):
        raise UserError(f"{options.images}: is a file; --images is the folder of the pictures")
    return _source(options, options.images)


def require_run_or_people(options: Any) -> None:
    """Refuse options that name people or a body beside a finished run, which has its own."""
    if options.run is None:
        return
    given = [f"--{name}" for name in ("body", "uv", "landmarks") if getattr(options, name)]
    if not missing_source(options):
        given.insert(0, f"--{source_of(options).format}")
    if given:
        raise UserError(f"{given[0]} is for a registration; a finished run (--run) has its own")


def source_to_detect(options: Any, path: Path) -> Source:
    """The source of people that no option names: they are detected in the pictures, into a file.

    Args:
        options: As of `Sources`; `images` is given.
        path: The file of observations that will be there.

    Raises:
        UserError: other options do not fit.
    """
    _require_own(options, [])
    return Source(format="observations", path=path, images=options.images, focal=_focal(options))


def source_in_pictures(options: Any) -> Source:
    """The source that options with pictures name: the people of a file, or whole pictures.

    Raises:
        UserError: the pictures are not one folder or files of one folder, several files of people
            are named, or other options do not fit.
    """
    folder, names = folder_of(options.pictures)
    if not _named(options):
        _require_own(options, [])
        return Source(
            format=PICTURES, path=folder, images=folder, names=names, focal=_focal(options)
        )
    if names:
        raise UserError(f"{options.pictures[0]}: a file of people needs the pictures' folder")
    return _source(options, folder)


def _source(options: Any, images: Path | None) -> Source:
    named = sorted(_named(options), key=lambda form: not form.points_alone)
    # One source of dense points alone may have its keypoints from another one.
    joined = len(named) == 2 and named[0].points_alone and not named[1].points_alone
    if len(named) > 1 and not (joined and named[1].evidence):
        raise UserError(f"give only one of {' and '.join(form.option for form in named)}")
    _require_own(options, named)
    keypoints = None
    if joined:
        keypoints = Source(images=images, **_files(options, named[1]))
    return Source(
        images=images,
        focal=_focal(options),
        points=options.points,
        keypoints=keypoints,
        **_files(options, named[0]),
    )


def _files(options: Any, form: Format) -> dict[str, Any]:
    """What options say of one format's files, as arguments of `Source`."""
    return {
        "format": form.name,
        "path": getattr(options, _field(form.name)),
        "switches": tuple(name for name in form.switches if getattr(options, name)),
    }


def _require_own(options: Any, formats: Sequence[Format]) -> None:
    """Refuse a switch that none of the formats has, and a number of points if none has maps."""
    if options.points is not None:
        if not any(form.sampled for form in formats):
            sampled = " and ".join(form.option for form in FORMATS.values() if form.sampled)
            raise UserError(f"--points belongs to {sampled}")
        require("--points", options.points, 1, MOST_POINTS)
    for other in FORMATS.values():
        for name in other.switches:
            if getattr(options, name) and not any(name in form.switches for form in formats):
                raise UserError(f"--{name.replace('_', '-')} belongs to {other.option}")


def _focal(options: Any) -> Focal | None:
    return None if options.focal is None else Focal.of_text(options.focal)


def folder_of(pictures: Sequence[Path]) -> tuple[Path, tuple[str, ...]]:
    """The folder that holds pictures, and their names; no names for the folder itself."""
    if len(pictures) == 1 and is_folder(pictures[0]):
        return pictures[0], ()
    for path in pictures:
        require_file(path, "picture")
        if path.parent != pictures[0].parent:
            raise UserError(f"{path}: is not in the folder of {pictures[0]}; give files of one")
    return pictures[0].parent, tuple(path.name for path in pictures)
