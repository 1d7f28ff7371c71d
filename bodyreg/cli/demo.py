"""bodyreg demo: people with known truth, registered through the real file format."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from bodyreg.cli import job, runs
from bodyreg.cli.flags import Device, Folder, OfPreset, Settings, Switch
from bodyreg.errors import UserError
from bodyreg.files import fingerprint, provenance

if TYPE_CHECKING:
    import numpy as np

    from bodyreg.body import Body
    from bodyreg.data import Observations, Truth
    from bodyreg.registration import Fits

# Without depth a body is easily taken for one seen from behind; more starts find the right one.
STARTS_WITHOUT_DEPTH = 8
# People on the sheet of overlays.
SHOWN = 16

ROWS = {
    "pixel": "visible vertices, px of a 256-pixel frame",
    "vertex": "vertices after Procrustes, mm",
    "pa_mpjpe": "joints after Procrustes (PA-MPJPE), mm",
    "mpjpe": "joints, pelvis at the origin (MPJPE), mm",
}

FAILURES = {
    "reflected": "mirrored bodies (det of rotation < 0)",
    "turned_away": "facing away (by more than 90 degrees)",
}


@dataclass(frozen=True)
class Options:
    """Options of `bodyreg demo`.

    Attributes:
        out: For people.json, truth.npz, fits.npz, run.json and overlays.png.
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
    """Make people, write them, read them back, register them, compare with the truth, draw."""
    if options.people < 1 or options.seed < 0 or options.points < 0:
        raise UserError("--people must be at least 1, --seed and --points at least 0")
    runs.require_writable(options.out)
    starts = options.starts
    if starts is None and options.without_depth and options.preset == "accurate":
        starts = STARTS_WITHOUT_DEPTH
    config = runs.make_config(
        options.preset, options.solver, starts, options.iterations, options.set
    )
    device, _ = runs.choose_device(options.device)

    from bodyreg.body import Body
    from bodyreg.data import read_densepose_coco
    from bodyreg.metrics import evaluate
    from bodyreg.registration import register

    body = Body.default()
    path = options.out / "people.json"
    facts = provenance(command, seed=options.seed, device=str(device))
    truth = _make(options, body, path, facts)
    observations, skipped = read_densepose_coco(path, body)
    if options.without_depth:
        observations.keypoint_depth = None
    print(
        f"made {len(truth)} people, {len(observations.point_xy) / len(truth):.0f} dense points and "
        f"{len(observations.keypoint_name)} keypoints each, "
        f"{'without' if options.without_depth else 'with'} depths: {path}",
        flush=True,
    )
    started = time.perf_counter()
    fits = register(
        body, observations, config, device=device, progress=runs.shows_progress(options.quiet)
    )
    seconds = time.perf_counter() - started
    fits.save(options.out / "fits.npz", provenance=json.dumps(facts))
    errors = evaluate(fits, truth, body)
    runs.write_record(
        options.out,
        facts,
        config,
        body,
        {str(path): fingerprint(path)},
        options=runs.plain_options(
            job.Options(
                out=options.out, densepose_coco=path, preset=options.preset, solver=options.solver
            )
        ),
        without_depth=options.without_depth,
        people=len(fits),
        skipped=dict(skipped),
        seconds=round(seconds, 3),
        errors={name: float(values.mean()) for name, values in errors.items()},
    )
    _draw(options, body, fits, observations, truth, errors)
    print(_table(errors))
    speed = runs.speed(len(fits), seconds, config, device, warm=False)
    print(f"\nregistered {speed} (preset {options.preset})")
    print(f"overlays: {options.out / 'overlays.png'}   everything: {options.out}/")


def _make(options: Options, body: Body, path: Path, facts: dict[str, Any]) -> Truth:
    from bodyreg.synthetic.dataset import make_dataset
    from bodyreg.synthetic.formats.densepose_coco import write_densepose_coco
    from bodyreg.synthetic.observe import Noise

    pictures, truth = make_dataset(
        body,
        options.people,
        options.seed,
        Noise(points=options.points),
        progress=runs.shows_progress(options.quiet),
    )
    write_densepose_coco(path, pictures, body.charts.name, **facts)
    truth.save(options.out / "truth.npz", provenance=json.dumps(facts))
    return truth


def _table(errors: dict[str, np.ndarray]) -> str:
    import numpy as np

    width = max(map(len, ROWS.values()))
    lines = [f"\n{'error against the truth':<{width}}{'mean':>9}{'median':>9}{'worst':>9}"]
    for name, label in ROWS.items():
        values = errors[name]
        numbers = (values.mean(), np.median(values), values.max())
        lines.append(f"{label:<{width}}" + "".join(f"{number:9.2f}" for number in numbers))
    people = len(errors["pixel"])
    for name, label in FAILURES.items():
        lines.append(f"{label:<{width}}{int(errors[name].sum()):>9} of {people}")
    return "\n".join(lines)


def _draw(
    options: Options,
    body: Body,
    fits: Fits,
    observations: Observations,
    truth: Truth,
    errors: dict[str, np.ndarray],
) -> None:
    """From the best fit to the worst, over the masks of the file that was registered."""
    import numpy as np

    from bodyreg.viz.grounds import mask_grounds
    from bodyreg.viz.overlay import fit_sheet, write_picture

    people = len(fits)
    order = np.argsort(errors["vertex"], kind="stable")
    shown = order[np.unique(np.linspace(0, people - 1, min(SHOWN, people)).round().astype(int))]
    captions = [
        (
            f"{fits.id[person]} {truth.action[fits.id[person] - 1]}",
            f"{errors['pixel'][person]:.1f} px   {errors['vertex'][person]:.0f} mm",
        )
        for person in shown
    ]
    seen = observations.select(shown)
    grounds = mask_grounds(options.out / "people.json", seen)
    title = (
        f"{people} people, preset {options.preset}: {errors['pixel'].mean():.1f} px, "
        f"{errors['vertex'].mean():.0f} mm; from best to worst, and from the side"
    )
    page = fit_sheet(body, fits.select(shown), seen, captions, title, grounds)
    write_picture(options.out / "overlays.png", page)
