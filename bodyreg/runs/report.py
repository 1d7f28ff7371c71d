"""The report of a run: all people measured, some of them drawn, in one HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from bodyreg.errors import UserError
from bodyreg.files import atomic_path
from bodyreg.runs.finished import FinishedRun
from bodyreg.runs.job import evenly
from bodyreg.runs.painted import painted
from bodyreg.runs.progress import progress_bar

if TYPE_CHECKING:
    import numpy as np

    from bodyreg.data import Observations, Truth
    from bodyreg.metrics import Metric

# The measures without truth: title, unit, meaning.
JUDGED = {
    "loss": ("loss", "", "the objective at the end of the fit"),
    "points": ("dense points", "px", "from the annotation to the fit, of a 256-pixel frame"),
    "keypoints": ("keypoints", "px", "from the annotation to the fit, of a 256-pixel frame"),
    "deviation": (
        "least certain joint",
        "mm",
        "standard deviation of its place, by the fit itself",
    ),
    "doubt": ("doubt", "", "the strongest reason for doubt, over its limit"),
    "doubtful": ("doubtful", "", "fits with a doubt above 1"),
    "reflected": ("mirrored", "", "mirrored bodies (det of rotation, or scale, < 0)"),
}
# People measured at a time.
AT_ONCE = 256
# People are put in order by the first of these measures that their fits have.
ORDER = ("vertex", "doubt", "loss", "points", "keypoints")
# Fields of the configuration that say what a network's cameras are.
CAMERAS = ("camera", "assumed_focal")


def write_report(
    finished: FinishedRun,
    path: Path,
    people: int = 24,
    truth_file: Path | None = None,
    pose: Path | None = None,
) -> int:
    """Write the report of a run.

    Args:
        finished: The run.
        path: The HTML file.
        people: How many people to show.
        truth_file: The truth, if it is not in the run's folder.
        pose: In which those people are also painted, as of `bodyreg transfer`; None = in none.

    Returns:
        How many people are shown.

    Raises:
        UserError: something cannot be read, does not fit, or cannot be written.
    """
    from bodyreg.viz.report import page

    truth = finished.truth(truth_file)
    errors = _measure(finished, truth)
    order = _order(errors)
    rows = evenly(len(finished), people) if order == "id" else _choose(errors[order], people)
    data = {
        "title": finished.folder.resolve().name,
        "facts": _facts(finished),
        "measures": _measures(errors),
        "order": order,
        "faults": _faults(errors),
        "groups": {} if truth is None else _groups(errors, truth),
        "total": len(finished),
        **_people(finished, rows, errors, truth, pose),
    }
    with atomic_path(path) as temporary:
        # A folder's name need not be UTF-8: its title then shows codes.
        html = page(f"{data['title']} · bodyreg", data)
        temporary.write_text(html, encoding="utf-8", errors="backslashreplace")
    return len(rows)


def _measure(finished: FinishedRun, truth: Truth | None) -> dict[str, np.ndarray]:
    """Name -> (N,) of all people: the measures, and the errors if the truth is known."""
    import numpy as np

    from bodyreg.metrics import Evaluator
    from bodyreg.metrics.reprojection import reprojection_error
    from bodyreg.viz.doubt import whole_deviation

    body, measured = finished.body, []
    evaluate = None if truth is None else Evaluator(body)
    with progress_bar(len(finished), quiet=False) as bar:
        for _, fits, observations in finished.batches():
            for start in range(0, len(fits), AT_ONCE):
                some = slice(start, min(start + AT_ONCE, len(fits)))
                seen = fits.select(some)
                distances = reprojection_error(seen, observations.select(some), body)
                found = {} if seen.loss is None else {"loss": seen.loss}
                found |= {
                    "points": distances["dense points"],
                    "keypoints": distances["keypoints"],
                    "reflected": seen.mirrored,
                }
                if seen.joint_deviation is not None:
                    found["deviation"] = whole_deviation(seen.joint_deviation).max(axis=1)
                if seen.doubts:
                    found |= {"doubt": seen.doubt, "doubtful": seen.doubtful}
                if evaluate is not None:
                    found |= evaluate(seen, truth)
                measured.append(found)
                bar.update(len(seen))
    errors = {name: np.concatenate([some[name] for some in measured]) for name in measured[0]}
    return {n: e for n, e in errors.items() if e.dtype == bool or np.isfinite(e).any()}


def _order(errors: dict[str, np.ndarray]) -> str:
    """What people are ordered by: "id" if nothing is known of how good their fits are."""
    return next((name for name in ORDER if name in errors), "id")


def _choose(errors: np.ndarray, count: int) -> np.ndarray:
    """Rows from best to worst: both ends of the order, and some evenly between them.

    People without a number are neither: they are in the middle of the order.
    """
    import numpy as np

    order = np.argsort(errors, kind="stable")
    known, unknown = np.split(order, [np.isfinite(errors).sum()])
    order = np.insert(known, (len(known) + 1) // 2, unknown)
    if count >= len(order):
        return order
    ends = count // 3
    between = np.linspace(ends, len(order) - ends - 1, count - 2 * ends).round().astype(int)
    return np.concatenate([order[:ends], order[between], order[len(order) - ends :]])


def _metrics(errors: dict[str, np.ndarray]) -> dict[str, Metric]:
    """Name -> title, unit and meaning of the errors."""
    from bodyreg.metrics import METRICS, Metric

    known = {name: Metric(*words) for name, words in JUDGED.items()} | METRICS
    return {name: known[name] for name in errors}


def _measures(errors: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """The errors that are numbers: their meaning, and histograms of all people."""
    from bodyreg.viz.report import histogram

    return [
        {
            "key": name,
            **metric._asdict(),
            "truth": name not in JUDGED,
            **histogram(errors[name], logarithmic=name == "loss"),
        }
        for name, metric in _metrics(errors).items()
        if errors[name].dtype != bool
    ]


def _faults(errors: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """The errors that a person has or has not: their meaning, and how many people have them."""
    return [
        {"key": name, **metric._asdict(), "people": int(errors[name].sum())}
        for name, metric in _metrics(errors).items()
        if errors[name].dtype == bool
    ]


def _groups(errors: dict[str, np.ndarray], truth: Truth) -> dict[str, Any]:
    """Means of the groups of people that the truth defines: kind of group -> a row per group."""
    from bodyreg.metrics import Table

    table = Table.of(truth, errors, _metrics(errors))
    return {
        kind: [
            {
                "name": name,
                "people": int(rows.sum()),
                "means": {key: table.statistics(key, rows).mean for key in errors},
            }
            for name, rows in groups.items()
        ]
        for kind, groups in table.groupings().items()
    }


def _facts(finished: FinishedRun) -> dict[str, Any]:
    """The facts of the run's record, for reading."""
    from bodyreg.registration import RegistrationConfig

    record = finished.record
    usual = vars(RegistrationConfig.preset(record.preset))
    seconds, fitted = record.seconds, len(finished) - record.people_of_earlier_starts
    skipped = sum(record.skipped.values())
    lines = {
        "command": record.command,
        "bodyreg": record.version,
        "seed": record.seed,
        "device": record.device,
        "machine": f"{record.machine}, threads: {record.threads}",
        "Python, torch, NumPy": f"{record.python}, {record.torch}, {record.numpy}",
        "body": f"{record.body.name} ({record.body.fingerprint})",
        "made by": _maker(finished),
        "people": f"{len(finished):,}" + (f", {skipped:,} skipped" if skipped else ""),
        "skipped": ", ".join(f"{n:,} {why}" for why, n in record.skipped.items()),
        "time": f"{seconds:.3g} s, {fitted / seconds:,.0f} people/s" if fitted and seconds else "",
    }
    lead = [
        lines["people"] + " people",
        lines["made by"],
        lines["time"],
        f"on {lines['device']}",
    ]
    return {
        "lead": " · ".join(part for part in lead if part),
        "lines": [[name, str(value)] for name, value in lines.items() if value not in (None, "")],
        "inputs": _inputs(finished),
        "config": [
            [name, f"{value:g}" if isinstance(value, float) else str(value), value != usual[name]]
            for name, value in vars(finished.config).items()
            if record.regressor is None or name in CAMERAS
        ],
    }


def _maker(finished: FinishedRun) -> str:
    """What has made the fits: a network, or a registration."""
    record = finished.record
    if record.regressor is not None:
        return f"network {record.regressor.path.name}"
    if record.rate is not None:
        return f"tracks in a video of {record.rate:g} pictures/s, preset {record.preset}"
    return f"registration, preset {record.preset}"


def _inputs(finished: FinishedRun) -> list[tuple[str, str]]:
    """The files that the run has read, and their fingerprints."""
    record = finished.record
    people, body, files = record.people_fingerprint, record.body, record.body.files
    keypoints, others = record.source.keypoints, (record.initial_fits, record.regressor)
    inputs: list[tuple[Path | None, str | None]] = [
        (record.source.path, people),
        (keypoints and keypoints.path, people),  # which names both files
        (files.path, body.fingerprint),
        (files.uv, body.charts_fingerprint),
        (files.landmarks, body.landmarks_fingerprint),
        (files.proportions, body.proportions_fingerprint),
        *((file.path, file.fingerprint) for file in others if file is not None),
    ]
    return [(str(path), digits or "unknown") for path, digits in inputs if path is not None]


def _people(
    finished: FinishedRun,
    rows: np.ndarray,
    errors: dict[str, np.ndarray],
    truth: Truth | None,
    pose: Path | None,
) -> dict[str, Any]:
    """The shown people: numbers, pictures, the course of their fits, and their evidence."""
    from bodyreg.body.surface import outward_faces
    from bodyreg.data.reading import as_read
    from bodyreg.registration.cameras import as_fitted
    from bodyreg.registration.trace import stops, trace
    from bodyreg.viz import doubt, report

    fits, observations = finished.read(rows)
    body, marks, along = finished.body, [0], [fits]
    observations = as_read(observations, fits, body)
    if finished.has_course:
        marks = stops(finished.config, warm_start=finished.warm)
        along = trace(
            body,
            as_fitted(observations, fits),
            finished.config,
            marks,
            initial=finished.initial(observations.id),
        )
    poses = report.poses_data(along, body)
    own_shapes: list[dict[str, str] | None] = [None] * len(fits)
    grounds, pictured = finished.grounds(observations, report.TILE)
    paintings = [None] * len(fits)
    if pose is not None:
        if not pictured:
            raise UserError("--pose: the run has no pictures of its people; give --images")
        paintings = painted(finished, fits, grounds, pose)
    xy, keypoints = observations.points_in_frame(), observations.keypoints_in_frame()
    vertices, mirrored = fits.vertices(body), fits.mirrored
    seen = fits.seen(vertices)
    before = [None] * len(fits)
    if finished.warm and finished.has_course:
        start = along[0]
        before = [
            (places, outward_faces(body.faces, inside_out))
            for places, inside_out in zip(
                start.seen(start.vertices(body)), start.mirrored, strict=True
            )
        ]
    truths, captions = [None] * len(fits), _captions(observations)
    if truth is not None:
        known = truth.select(rows)
        truths, captions = report.truth_data(known, fits.frame), _true_captions(known)
    if fits.shape is not None:
        own_shapes = [
            report.shape_data(own, observations.keypoint_name)
            for some, own in fits.by_body(body)
            for _ in range(len(some))
        ]
        captions = [
            ", ".join(filter(None, (caption, report.shape_words(body, shape))))
            for caption, shape in zip(captions, fits.shape, strict=True)
        ]
    people = []
    for i, row in enumerate(rows.tolist()):
        deviation = None if fits.joint_deviation is None else fits.joint_deviation[i]
        own = observations.points_of(i)
        present = observations.keypoint_weight[i] > 0
        people.append(
            {
                "id": int(fits.id[i]),
                "caption": captions[i],
                "own": own_shapes[i],
                "reasons": fits.reasons(i),
                "numbers": {n: e[row].item() for n, e in errors.items()},
                "losses": [stop.loss[i].item() for stop in along] if finished.has_course else [],
                **poses[i],
                "perspective": fits.perspective[i].tolist(),
                "truth": truths[i],
                "doubt": None
                if deviation is None
                else {
                    "words": doubt.uncertain_joints(body, deviation)[0],
                    "segments": doubt.segment_doubt(body, deviation).tolist(),
                },
                "points": {
                    "vertex": report.packed(observations.point_vertex[own], "<u4"),
                    "mix": report.packed(observations.point_barycentric[own], "<f4"),
                    "xy": report.packed(xy[own], "<f4"),
                },
                "keypoints": [
                    at.tolist() if there else None
                    for at, there in zip(keypoints[i], present, strict=True)
                ],
                "tiles": report.tiles(
                    vertices[i], seen[i], before[i], outward_faces(body.faces, mirrored[i]),
                    grounds[i], pictured, xy[own], keypoints[i][present],
                    doubt.doubt_of(body, fits, i), paintings[i],
                ),
            }
        )  # fmt: skip
    return {
        "marks": marks,
        "curveNote": _curve_note(finished, len(rows)) if finished.has_course else "",
        "body": report.body_data(body, observations.keypoint_name),
        "doubt": {
            "ends": [doubt.SURE, doubt.UNSURE],
            "colours": [doubt.SURE_COLOUR, doubt.UNSURE_COLOUR],
        },
        "people": people,
    }


def _true_captions(truth: Truth) -> list[str]:
    from bodyreg.metrics.table import CUT, OCCLUDED

    captions = []
    for action, child, cut, hidden in zip(
        truth.action.tolist(), truth.child, truth.cut, truth.occluded, strict=True
    ):
        parts = [action, "child" if child else ""]
        parts += [f"{100 * cut:.0f} % cut off"] if cut > CUT else []
        parts += [f"{100 * hidden:.0f} % covered"] if hidden > OCCLUDED else []
        captions.append(", ".join(part for part in parts if part))
    return captions


def _captions(observations: Observations) -> list[str]:
    if observations.picture is None:
        return [""] * len(observations)
    return observations.picture.tolist()


def _curve_note(finished: FinishedRun, people: int) -> str:
    config = finished.config
    starts = "the initial fit" if finished.warm else f"{config.starts} starts"
    jump = ""
    if not finished.warm and config.starts > 1 and config.solver == "adam":
        jump = " The loss jumps where the best starts go on: their first steps are large again."
    return (
        f"What the loss of the {people} people shown would be if their fits had ended after fewer "
        f"iterations. For this they were fitted again on the CPU, from {starts}, with shorter "
        f"plans. All losses have the weights of the end.{jump} Thin lines: people. Band: eight of "
        "ten."
    )
