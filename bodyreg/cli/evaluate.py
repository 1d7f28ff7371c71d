"""bodyreg evaluate: errors of fits, by group, action, subject and camera."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from bodyreg.cli.body import body_files
from bodyreg.cli.flags import OptionalFile, OptionalFolder
from bodyreg.cli.tables import number, overall, write
from bodyreg.errors import UserError
from bodyreg.files import fingerprint, is_folder, provenance
from bodyreg.runs.lock import working_in

if TYPE_CHECKING:
    from bodyreg.body import Body
    from bodyreg.data import FitsById
    from bodyreg.metrics import Table
    from bodyreg.metrics.table import Metric

COLUMNS = ("pixel", "vertex", "mpjpe", "bone_mpjpe", "pa_mpjpe", "pckh", "iou", "gps")
"""The columns of the tables by group, as many as a line holds."""


@dataclass(frozen=True)
class Options:
    """Options of `bodyreg evaluate`.

    Attributes:
        fits: The --out folder of a run (`bodyreg register`, `predict` ...), or a file of fits.
        truth: Compare with this truth file (truth.npz). People are matched by id.
        human36m: Compare with the 3-D joints of the Human3.6M file that people were registered
            from: VideoPose3D's 2-D poses or SPIN's data (.npz).
        positions_3d: With --human36m: the file of VideoPose3D's 3-D poses (.npz).
        cameras: With --human36m: the file of the cameras (.json). Without cameras, only errors that
            do not depend on the view are compared.
        densepose_coco: Compare with the points, keypoints and masks of this DensePose-COCO file.
        body: The fitted body: SMPL's .npz or .pkl, or the project's .npz. The default is the
            built-in body.
        uv: DensePose's UV_Processed.mat, to read points in DensePose's charts.
        landmarks: The landmarks (.json) that people were registered with.
        geodesics: Distances along the body's surface in metres, vertices by vertices (.npy), for
            GPS. By default they are computed.
        out: Output folder for evaluation.json (statistics of all groups) and evaluation.csv (one
            row per person).
    """

    fits: Annotated[Path, tyro.conf.arg(metavar="FOLDER|FILE")]
    truth: OptionalFile = None
    human36m: OptionalFile = None
    positions_3d: OptionalFile = None
    cameras: OptionalFile = None
    densepose_coco: OptionalFile = None
    body: OptionalFile = None
    uv: OptionalFile = None
    landmarks: OptionalFile = None
    geodesics: OptionalFile = None
    out: OptionalFolder = None


def run(options: Options, command: str) -> None:
    """Compare, print, and write."""
    reference = _reference(options)
    lock = contextlib.nullcontext() if options.out is None else working_in(options.out)
    with lock:
        _evaluate(options, command, reference)
    if options.out is not None:
        print(f"\nresults: {options.out}")


def _evaluate(options: Options, command: str, reference: Path) -> None:
    from bodyreg.data import FitsById
    from bodyreg.metrics import Table
    from bodyreg.runs.progress import counted

    body = body_files(options).open()
    path = options.fits / "fits.npz" if is_folder(options.fits) else options.fits
    _require_fits_of(body, path.parent / "run.json")
    fits = FitsById(path)
    people = len(fits.ids())
    if not people:
        raise UserError(f"{path}: holds no fits")
    table = Table.concatenate(list(_compare(options, fits, body)))
    title = f"{counted(len(table), 'people')} of {path} against {reference}"
    if len(table) < people:
        title += (
            f"\nfits left out because the reference lacks their people: {people - len(table):,}"
        )
    print(_page(table, title))
    if options.out is None:
        return
    more = (
        options.positions_3d, options.cameras, options.body, options.uv, options.landmarks,
        options.geodesics,
    )  # fmt: skip
    facts = {
        **provenance(command),
        "body": {"name": body.name, "fingerprint": body.fingerprint},
        "inputs": {str(p): fingerprint(p) for p in (path, reference, *more) if p is not None},
    }
    write(options.out, table, facts)


def _reference(options: Options) -> Path:
    """The file that fits are compared with.

    Raises:
        UserError: there is not exactly one such file, or other options do not fit it.
    """
    references = {
        "--truth": options.truth,
        "--human36m": options.human36m,
        "--densepose-coco": options.densepose_coco,
    }
    given = {option: path for option, path in references.items() if path is not None}
    if not given:
        raise UserError("give one of --truth, --human36m and --densepose-coco")
    if len(given) > 1:
        raise UserError(f"give only one of {' and '.join(given)}")
    if options.human36m is None and (options.positions_3d or options.cameras):
        raise UserError("--positions-3d and --cameras belong to --human36m")
    if options.human36m is not None and options.geodesics:
        raise UserError("--geodesics belongs to --truth and --densepose-coco")
    return next(iter(given.values()))


def _compare(options: Options, fits: FitsById, body: Body) -> Iterator[Table]:
    from bodyreg.metrics import load_geodesics
    from bodyreg.runs import comparison

    if options.human36m is not None:
        files = (options.human36m, options.positions_3d, options.cameras)
        return comparison.with_poses(fits, *files, body)
    geodesics = options.geodesics and load_geodesics(options.geodesics, body)
    if options.truth is not None:
        return comparison.with_truth(fits, options.truth, body, geodesics)
    return comparison.with_annotations(fits, options.densepose_coco, body, geodesics)


def _require_fits_of(body: Body, record: Path) -> None:
    """Refuse the fits of a run that has fitted another body."""
    from bodyreg.data.json_files import load_json

    try:
        fitted = load_json(record)["body"]
        name, found = str(fitted["name"]), str(fitted["fingerprint"])
    except (UserError, KeyError, TypeError):
        return  # a file of fits alone does not name its body
    if found != body.fingerprint:
        raise UserError(
            f"{record.parent}: fits of body '{name}' ({found}), not of '{body.name}' "
            f"({body.fingerprint}); give the fitted one with --body"
        )


def _page(table: Table, title: str) -> str:
    """All errors of all people, and some errors of each group, for reading."""
    blocks = [title, overall(table)]
    for kind, groups in table.groupings().items():
        rows = {name: table.select(chosen) for name, chosen in groups.items()}
        columns = list(table.errors) if len(table.errors) < len(COLUMNS) else list(COLUMNS)
        blocks.append(_by(kind, rows, table.metrics, columns))
    return "\n\n".join(blocks)


def _by(kind: str, rows: dict[str, Table], metrics: dict[str, Metric], columns: list[str]) -> str:
    """Means of groups; for actions also the mean of their means, which papers report."""
    cells = {
        name: [f"{len(table):,}", *(number(table.statistics(c).mean, metrics[c]) for c in columns)]
        for name, table in rows.items()
    }
    if kind == "action":
        cells["mean of actions"] = [""]
        for column in columns:
            means = [table.statistics(column).mean for table in rows.values()]
            cells["mean of actions"].append(number(sum(means) / len(means), metrics[column]))
    heads = [["people", ""], *([metrics[c].title, metrics[c].unit] for c in columns)]
    widths = [
        2 + max(map(len, [*head, *(row[i] for row in cells.values())]))
        for i, head in enumerate(heads)
    ]
    first = max(18, *map(len, [f"by {kind}", *cells]))
    lines = [
        f"{name:<{first}}" + "".join(f"{c:>{w}}" for c, w in zip(row, widths, strict=True))
        for name, row in [
            (f"by {kind}", [head[0] for head in heads]),
            ("", [head[1] for head in heads]),
            *cells.items(),
        ]
    ]
    return "\n".join(lines)
