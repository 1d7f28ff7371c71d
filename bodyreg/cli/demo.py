"""bodyreg demo: make people with known truth, register them from their file, and compare."""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from bodyreg.cli.config import make_config
from bodyreg.cli.flags import (
    MOST_PEOPLE,
    MOST_POINTS,
    Device,
    Folder,
    OfPreset,
    Settings,
    Switch,
    require,
)
from bodyreg.errors import UserError
from bodyreg.files import is_there, writing
from bodyreg.runs.lock import working_in
from bodyreg.runs.workers import foresee

if TYPE_CHECKING:
    from bodyreg.body import Body
    from bodyreg.data import Fits, Observations
    from bodyreg.metrics import Table

FORMAT, TRUTH = "densepose-coco", "truth.npz"
# The side of the pictures, pixels. People are then about as large as in the report.
SIZE = 384
# Least and largest distance from the camera, metres: near enough that perspective is seen.
DISTANCE = (2.0, 5.0)
# Without depths, a body is often fitted as seen from behind. More starts find the right side.
STARTS_WITHOUT_DEPTH = 8
# People on the sheet of overlays.
SHOWN = 15

# The metrics that are printed: errors, the error that is printed by group too, and faults.
ROWS = ("pixel", "vertex", "pa_mpjpe", "mpjpe")
BY_GROUP = "vertex"
FAILURES = ("reflected", "turned_away")


@dataclass(frozen=True)
class Options:
    """Options of `bodyreg demo`.

    Attributes:
        out: Output folder for densepose-coco/ (people, pictures and truth), fits.npz, run.json,
            overlays.png and report.html. People that are there already are not made again.
        people: Number of people to make.
        seed: Seed of the people and of the noise. The same seed makes the same files.
        preset: Losses, weights and schedule: accurate, or the paper's.
        solver: Gradient steps (adam), or fewer but costlier steps that use curvature (lm).
        starts: Number of directions that a person's fit starts from; the best result is kept.
        iterations: Iterations of a fit; with lm, its Levenberg-Marquardt steps.
        set: Other fields of the configuration. `bodyreg info --preset accurate` lists them.
        without_depth: Register without the depths of keypoints.
        points: Dense points per person.
        device: Where to compute. auto takes CUDA if it can be used.
        quiet: Show no progress bar.
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
    set: Settings = None
    without_depth: Switch = False
    points: int = 120
    device: Device = "auto"
    quiet: Switch = False


def run(options: Options, command: str) -> None:
    """Make people, register them from their file, compare them with the truth, and draw."""
    require("--people", options.people, 1, MOST_PEOPLE)
    if options.seed < 0:
        raise UserError("--seed must be at least 0")
    require("--points", options.points, 0, MOST_POINTS)
    with working_in(options.out):
        _require_own(options.out)
        _demonstrate(options, command)


def _require_own(out: Path) -> None:
    """Refuse a folder that holds a run of another command."""
    from bodyreg.runs.record import NAME, read_record

    if not is_there(out / NAME):
        return
    with contextlib.suppress(UserError):
        record, _ = read_record(out)
        if record.truth == out / FORMAT / TRUTH:
            return
    raise UserError(f"{out}: holds another run; remove it, or choose another --out")


def _demonstrate(options: Options, command: str) -> None:
    starts = options.starts
    if starts is None and options.without_depth and options.preset == "accurate":
        starts = STARTS_WITHOUT_DEPTH
    config = make_config(options.preset, options.solver, starts, options.iterations, options.set)

    from bodyreg.body import Body
    from bodyreg.data import Truth, read_densepose_coco
    from bodyreg.data.source import Source
    from bodyreg.files import fingerprint, provenance
    from bodyreg.metrics import METRICS, Table, evaluate
    from bodyreg.registration import register
    from bodyreg.runs.device import choose_device
    from bodyreg.runs.finished import FinishedRun
    from bodyreg.runs.progress import counted, shows_progress, speed
    from bodyreg.runs.record import (
        NAME,
        BodyFiles,
        FittedBody,
        Record,
        machine_facts,
        write_record,
    )
    from bodyreg.runs.report import write_report

    device, _ = choose_device(options.device)
    folder = _make(options)
    body, source = Body.default(), Source(FORMAT, folder / "densepose.json", folder / "images")
    observations, skipped = read_densepose_coco(source.path, body)
    if options.without_depth:
        observations = observations.with_depths(None)
    people = len(observations)
    if not people:
        raise UserError(
            f"{source.path}: no person shows points or keypoints; make more people, or choose "
            "another --seed"
        )
    print(
        f"{counted(people, 'people')} with {len(observations.point_xy) / people:.0f} dense points "
        f"and up to {len(observations.keypoint_name)} keypoints each, "
        f"{'without' if options.without_depth else 'with'} depths",
        flush=True,
    )
    started = time.perf_counter()
    fits = register(
        body, observations, config, device=device, progress=shows_progress(options.quiet)
    )
    seconds = time.perf_counter() - started
    facts = provenance(command, seed=options.seed, device=str(device))
    # The record of an earlier run must not stand beside other fits if this one is killed.
    record_file = options.out / NAME
    with writing(record_file):
        record_file.unlink(missing_ok=True)
    fits.save(options.out / "fits.npz", provenance=json.dumps(facts))
    truth = Truth.load(folder / TRUTH)
    place = {person: row for row, person in enumerate(truth.id.tolist())}
    truth = truth.select([place[person] for person in fits.id.tolist()])
    table = Table.of(truth, evaluate(fits, truth, body), METRICS)
    record = Record(
        **facts,
        **machine_facts(),
        source=source,
        people_fingerprint=fingerprint(source.path),
        depths=not options.without_depth,
        body=FittedBody(body.name, body.fingerprint, BodyFiles()),
        initial_fits=None,
        truth=folder / TRUTH,
        preset=options.preset,
        people=people,
        people_of_earlier_starts=0,
        skipped=dict(skipped),
        seconds=round(seconds, 3),
    )
    errors = {name: float(values.mean()) for name, values in table.errors.items()}
    write_record(options.out, record, config, errors=errors)
    _draw(options, body, fits, observations, table)
    write_report(FinishedRun.open(options.out), options.out / "report.html")
    print(_page(table))
    rates = speed(len(fits), seconds, config, device, warm=False)
    print(f"\nregistered {rates} (preset {options.preset})")
    print(f"overlays: {options.out / 'overlays.png'}   everything: {options.out}/")
    print(f"report: {options.out / 'report.html'}")


def _make(options: Options) -> Path:
    """Make the data set, if it is not there yet; returns its folder."""
    if not is_there(options.out / FORMAT / "run.json"):
        foresee("bodyreg.synthetic.generate")

    from bodyreg.runs.data_sets import DataSets, make_data_sets
    from bodyreg.synthetic.formats import Recipe
    from bodyreg.synthetic.observe import Noise

    recipe = Recipe(options.people, options.seed, SIZE, Noise(options.points), distance=DISTANCE)
    made = make_data_sets(DataSets(options.out, (FORMAT,), recipe), quiet=options.quiet)
    if not options.quiet:
        print(made.report(options.out))
    return options.out / FORMAT


def _page(table: Table) -> str:
    """The errors of all people, and of the groups that the truth defines."""
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
    """Draw fits over their pictures, from the best fit to the worst."""
    import numpy as np

    from bodyreg.pictures import write_picture
    from bodyreg.runs.job import evenly
    from bodyreg.viz.grounds import picture_grounds
    from bodyreg.viz.overlay import fit_sheet

    people, errors = len(fits), table.errors
    order = np.argsort(errors[BY_GROUP], kind="stable")
    shown = order[evenly(people, min(SHOWN, people))]
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
