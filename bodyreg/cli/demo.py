"""bodyreg demo: people with known truth in pictures, registered through the real file format."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from bodyreg.cli import synthesize
from bodyreg.cli.flags import Device, Folder, OfPreset, Settings, Switch
from bodyreg.cli.report import write_report
from bodyreg.errors import UserError
from bodyreg.files import fingerprint, provenance
from bodyreg.runs import job, record
from bodyreg.runs.finished import FinishedRun

if TYPE_CHECKING:
    from bodyreg.body import Body
    from bodyreg.data import Fits, Observations
    from bodyreg.metrics import Table

FORMAT = "densepose-coco"
# The side of pictures in pixels: people are then about as large as the report shows them.
SIZE = 384
# Without depth a body is easily taken for one seen from behind; more starts find the right one.
STARTS_WITHOUT_DEPTH = 8
# People on the sheet of overlays.
SHOWN = 15

# Metrics that are printed: errors, the one that is told by group too, and faults that are counted.
ROWS = ("pixel", "vertex", "pa_mpjpe", "mpjpe")
BY_GROUP = "vertex"
FAILURES = ("reflected", "turned_away")


@dataclass(frozen=True)
class Options:
    """Options of `bodyreg demo`.

    Attributes:
        out: For densepose-coco/ (people, pictures and truth), fits.npz, run.json, overlays.png and
            report.html. The people are made anew only where they are not there.
        people: How many people to make.
        seed: Of the people and of the noise; the same seed makes the same files.
        preset: Losses, weights and schedule: accurate, or the paper's.
        solver: Gradient steps (adam), or fewer and dearer ones that use curvature (lm).
        starts: Cold starts per person, at yaws around the circle.
        iterations: Iterations of a fit; with lm, those of Levenberg-Marquardt.
        set: Other fields of the configuration; `bodyreg info --preset accurate` lists them.
        without_depth: Withhold the keypoints' depths.
        points: Dense points per person.
        device: Where to compute; auto takes CUDA where it can be used.
        quiet: No progress bar.
    """

    out: Folder = Path("runs/demo")
    people: int = 64
    seed: int = 0
    preset: Literal["accurate", "paper"] = "accurate"
    solver: Literal["adam", "lm"] = "adam"
    starts: Annotated[
        int | None,
        tyro.conf.arg(
            metavar="N",
            help_behavior_hint="(default: the preset's; 8 for accurate without depth)",
        ),
    ] = None
    iterations: OfPreset = None
    set: Settings = ()
    without_depth: Switch = False
    points: int = 120
    device: Device = "auto"
    quiet: Switch = False


def run(options: Options, command: str) -> None:
    """Make people, read them as any file, register them, compare with the truth, draw."""
    if options.people < 1 or options.seed < 0 or options.points < 0:
        raise UserError("--people must be at least 1, --seed and --points at least 0")
    record.require_writable(options.out)
    starts = options.starts
    if starts is None and options.without_depth and options.preset == "accurate":
        starts = STARTS_WITHOUT_DEPTH
    config = record.make_config(
        options.preset, options.solver, starts, options.iterations, options.set
    )
    device, _ = record.choose_device(options.device)
    folder = _make(options, command)

    from bodyreg.body import Body
    from bodyreg.data import Truth, read_densepose_coco
    from bodyreg.metrics import METRICS, Table, evaluate
    from bodyreg.registration import register

    body, path = Body.default(), folder / "densepose.json"
    observations, skipped = read_densepose_coco(path, body)
    if options.without_depth:
        observations.keypoint_depth = None
    people = len(observations)
    print(
        f"{people} people with {len(observations.point_xy) / people:.0f} dense points and up to "
        f"{len(observations.keypoint_name)} keypoints each, "
        f"{'without' if options.without_depth else 'with'} depths",
        flush=True,
    )
    started = time.perf_counter()
    fits = register(
        body, observations, config, device=device, progress=record.shows_progress(options.quiet)
    )
    seconds = time.perf_counter() - started
    facts = provenance(command, seed=options.seed, device=str(device))
    fits.save(options.out / "fits.npz", provenance=json.dumps(facts))
    truth = Truth.load(folder / "truth.npz")
    place = {person: row for row, person in enumerate(truth.id.tolist())}
    truth = truth.select([place[person] for person in fits.id.tolist()])
    table = Table.of(truth, evaluate(fits, truth, body), METRICS)
    read = job.Options(
        out=options.out,
        densepose_coco=path,
        images=folder / "images",
        preset=options.preset,
        solver=options.solver,
    )
    record.write_record(
        options.out,
        facts,
        config,
        body,
        {str(path): fingerprint(path)},
        options=record.plain_options(read),
        truth=str((folder / "truth.npz").absolute()),
        without_depth=options.without_depth,
        people=people,
        skipped=dict(skipped),
        seconds=round(seconds, 3),
        errors={name: float(values.mean()) for name, values in table.errors.items()},
    )
    _draw(options, body, fits, observations, table)
    write_report(FinishedRun.open(options.out), options.out / "report.html")
    print(_page(table))
    speed = record.speed(len(fits), seconds, config, device, warm=False)
    print(f"\nregistered {speed} (preset {options.preset})")
    print(f"overlays: {options.out / 'overlays.png'}   everything: {options.out}/")
    print(f"report: {options.out / 'report.html'}")


def _make(options: Options, command: str) -> Path:
    """The folder of a data set of people in pictures, made now or before."""
    wanted = synthesize.Options(
        out=options.out,
        formats=(FORMAT,),
        people=options.people,
        seed=options.seed,
        size=SIZE,
        points=options.points,
        quiet=options.quiet,
    )
    synthesize.run(wanted, command)
    return options.out / FORMAT


def _page(table: Table) -> str:
    """The errors of all people, and of the groups that the truth tells apart."""
    from bodyreg.metrics import METRICS

    groups = table.groupings().get("group", {})
    labels = {name: f"{name}: {int(rows.sum())}" for name, rows in groups.items()}
    shown = {name: METRICS[name] for name in ROWS}
    titles = {name: f"{m.title}: {m.what}, {m.unit}" for name, m in shown.items()}
    by_group = f"{shown[BY_GROUP].what}, {shown[BY_GROUP].unit}, by group"
    width = max(map(len, [*titles.values(), *labels.values(), by_group]))

    def line(label: str, values: np.ndarray) -> str:
        numbers = (values.mean(), np.median(values), values.max())
        return f"{label:<{width}}" + "".join(f"{number:9.2f}" for number in numbers)

    import numpy as np

    head = f"{'mean':>9}{'median':>9}{'worst':>9}"
    lines = [f"\n{'error against the truth':<{width}}{head}"]
    lines += [line(titles[name], table.errors[name]) for name in ROWS]
    for name in FAILURES:
        count = int(table.errors[name].sum())
        lines.append(f"{METRICS[name].what:<{width}}{count:>9} of {len(table)}")
    if groups:
        lines.append(f"\n{by_group:<{width}}{head}")
    lines += [line(labels[name], table.errors[BY_GROUP][rows]) for name, rows in groups.items()]
    return "\n".join(lines)


def _draw(
    options: Options, body: Body, fits: Fits, observations: Observations, table: Table
) -> None:
    """From the best fit to the worst, over the pictures that were registered."""
    import numpy as np

    from bodyreg.pictures import write_picture
    from bodyreg.viz.grounds import picture_grounds
    from bodyreg.viz.overlay import fit_sheet

    people, errors = len(fits), table.errors
    order = np.argsort(errors[BY_GROUP], kind="stable")
    shown = order[job.shown(people, min(SHOWN, people))]
    captions = [
        (
            f"{fits.id[person]} {table.people['action'][person]}",
            f"{errors['pixel'][person]:.1f} px   {errors['vertex'][person]:.0f} mm",
        )
        for person in shown
    ]
    seen = observations.select(shown)
    title = (
        f"{people} people, preset {options.preset}: {errors['pixel'].mean():.1f} px, "
        f"{errors['vertex'].mean():.0f} mm; from best to worst, and from the side"
    )
    grounds = picture_grounds(options.out / FORMAT / "images", seen)
    page = fit_sheet(body, fits.select(shown), seen, captions, title, grounds)
    write_picture(options.out / "overlays.png", page)
