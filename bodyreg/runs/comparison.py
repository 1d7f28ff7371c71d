"""Fits compared with truth, measured joints or annotations, some people at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from bodyreg.errors import UserError
from bodyreg.runs.progress import progress_bar

if TYPE_CHECKING:
    from pathlib import Path

    from bodyreg.body import Body
    from bodyreg.data import Fits, FitsById
    from bodyreg.metrics import Table
    from bodyreg.metrics.geodesics import GeodesicDistance

AT_ONCE = 64
"""People compared at a time. One takes 84 kB for vertices and 1.3 MB for its visible surface."""


def with_truth(
    fits: FitsById, path: Path, body: Body, geodesics: GeodesicDistance | None
) -> Iterator[Table]:
    """Compare all fitted people with a truth file, in the order of that file.

    Raises:
        UserError: it lacks a fitted person, or is of another body or of other pictures.
    """
    from bodyreg.data.truth import TruthFile
    from bodyreg.metrics import METRICS, Evaluator, Table
    from bodyreg.metrics.evaluate import require_made_from, require_people

    with TruthFile(path) as truth:
        require_made_from(body, truth.body)
        if truth.vertex_count != len(body.vertices):
            raise UserError(
                f"{path}: holds {truth.vertex_count} vertices a person, body '{body.name}' has "
                f"{len(body.vertices)}; the file is damaged"
            )
        ids = truth.ids()
        _require_unique(ids, path)
        require_people(fits.ids(), set(ids.tolist()), path)
        _require_same_pictures(fits, ids, truth.frames(), path)
        evaluator = Evaluator(body, geodesics)

        def compare(start: int, rows: np.ndarray) -> Table:
            people = truth.read(start, start + int(rows[-1]) + 1).select(rows)
            errors = evaluator(_in_order(fits, people.id), people)
            return Table.of(people, errors, METRICS)

        yield from _batches(np.isin(ids, fits.ids()), compare)


def with_poses(
    fits: FitsById, path: Path, positions_3d: Path | None, cameras: Path | None, body: Body
) -> Iterator[Table]:
    """Compare the fitted people whose joints are in a Human3.6M file, in the order of that file.

    Raises:
        UserError: there are none, or the people are in other pictures.
    """
    from bodyreg.data.formats import read_human36m
    from bodyreg.data.human36m import action_family
    from bodyreg.metrics import Table
    from bodyreg.metrics.poses import POSE_METRICS, TURNED, evaluate_poses

    poses, _ = read_human36m(path, positions_3d, cameras)
    ids = poses.observations.id
    known = np.isfinite(poses.joints).all(axis=(1, 2)) & np.isin(ids, fits.ids())
    if not known.any():
        raise UserError(
            f"{path}: knows no 3-D joints of these people; VideoPose3D's are in a file of their "
            "own, --positions-3d"
        )
    _require_same_pictures(fits, ids[known], poses.observations.frame[known], path)
    camera = positions_3d is None or cameras is not None
    metrics = {n: m for n, m in POSE_METRICS.items() if camera or n in TURNED}
    families = {name: action_family(name) for name in np.unique(poses.action).tolist()}

    def compare(start: int, rows: np.ndarray) -> Table:
        some = start + rows
        people = {
            "id": ids[some],
            "action": np.array([families[name] for name in poses.action[some].tolist()]),
            "subject": poses.subject[some],
            "camera": poses.camera[some],
        }
        found = _in_order(fits, ids[some])
        errors = evaluate_poses(found, poses.joints[some], body, camera=camera)
        return Table(people, errors, metrics)

    yield from _batches(known, compare)


def with_annotations(
    fits: FitsById, path: Path, body: Body, geodesics: GeodesicDistance | None
) -> Iterator[Table]:
    """Compare the fitted people whose dense points are in a DensePose-COCO file, in its order.

    Raises:
        UserError: there are none, or the people are in other pictures.
    """
    from bodyreg.data import read_densepose_coco
    from bodyreg.data.coco import load_coco
    from bodyreg.data.densepose_coco import decode_part_masks
    from bodyreg.metrics import Table
    from bodyreg.metrics.annotations import ANNOTATION_METRICS, AnnotationEvaluator

    observations, _ = read_densepose_coco(path, body)
    known = np.isin(observations.id, fits.ids())
    if not known.any():
        raise UserError(f"{path}: has no annotation of these people; give the file of their ids")
    _require_same_pictures(fits, observations.id[known], observations.frame[known], path)
    annotations = load_coco(path).anns
    evaluator = AnnotationEvaluator(body, geodesics)

    def compare(start: int, rows: np.ndarray) -> Table:
        people = observations.select(start + rows)
        found = [annotations[person] for person in people.id.tolist()]
        mask = np.stack([decode_part_masks(a, f"{path}: annotation {a['id']}") > 0 for a in found])
        box = np.array([annotation["bbox"] for annotation in found], np.float64)
        errors = evaluator(_in_order(fits, people.id), people, box, mask)
        return Table({"id": people.id}, errors, ANNOTATION_METRICS)

    yield from _batches(known, compare)


def _batches(wanted: np.ndarray, compare: Callable[[int, np.ndarray], Table]) -> Iterator[Table]:
    """Compare the wanted people of each batch, given its first row and the rows wanted in it."""
    with progress_bar(int(wanted.sum()), quiet=False) as bar:
        for start in range(0, len(wanted), AT_ONCE):
            rows = np.flatnonzero(wanted[start : start + AT_ONCE])
            if len(rows):
                yield compare(start, rows)
            bar.update(len(rows))


def _in_order(fits: FitsById, ids: np.ndarray) -> Fits:
    """The fits of these people, in this order."""
    found = fits.of(ids)
    place = {person: row for row, person in enumerate(found.id.tolist())}
    return found.select([place[person] for person in ids.tolist()])


def _require_same_pictures(fits: FitsById, ids: np.ndarray, frames: np.ndarray, path: Path) -> None:
    """Refuse a file whose people are elsewhere in their pictures than the fits of their ids."""
    from bodyreg.metrics.evaluate import require_same_pictures

    _, ours, theirs = np.intersect1d(fits.ids(), ids, return_indices=True)
    require_same_pictures(fits.frames()[ours], frames[theirs], path)


def _require_unique(ids: np.ndarray, path: Path) -> None:
    values, counts = np.unique(ids, return_counts=True)
    if (counts > 1).any():
        raise UserError(f"{path}: names person {values[counts.argmax()]} twice; ids must be unique")
