"""Flow of many pairs of pictures whose people have been fitted, in a folder."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bodyreg.data.json_files import load_json
from bodyreg.data.pairs import Pairs
from bodyreg.errors import UserError
from bodyreg.files import atomic_path, fingerprint, is_there, provenance
from bodyreg.pictures import without_suffix
from bodyreg.runs.finished import FinishedRun
from bodyreg.runs.fitted_pictures import FittedPictures
from bodyreg.runs.progress import progress_bar
from bodyreg.runs.shards import RUN, Shards, difference

if TYPE_CHECKING:
    import numpy as np

RECORD = "flow.json"
FOLDER = "corr"
"""The folder of the files, one for each pair."""
PAIRS_PER_SHARD = 64
LONGEST = 20
"""Characters of a picture's name in a caption."""
NOT_FITTED = "with a picture that has no fit"
KINDS = ("visible", "hidden", "background")


@dataclass(frozen=True)
class FlowRequest:
    """Flows to be made.

    Attributes:
        out: The folder for the results.
        run: The folder of a finished run, whose fits are used.
        pairs: Names of pictures: source, target.
        images: The folder of the pictures, if it is not the run's.
        size: Width and height of pictures whose size is not known otherwise.
        visible: The test, as of `flow.between`.
        drawn: The number of pairs to draw.
    """

    out: Path
    run: Path
    pairs: Pairs
    images: Path | None = None
    size: tuple[int, int] | None = None
    visible: Literal["point", "face"] = "point"
    drawn: int = 0


@dataclass(frozen=True)
class Flows:
    """What was made.

    Attributes:
        pairs: The number of pairs in the folder.
        made: How many of them were made now, in so many `seconds`.
        skipped: The number of pairs that were left out, by reason.
        shares: Kind -> its share of all pixels that show a body; of the background, of all pixels.
        finished: Whether the same flows were there before.
    """

    pairs: int
    made: int
    seconds: float
    skipped: Counter[str]
    shares: dict[str, float]
    finished: bool


def make_flows(request: FlowRequest, command: str, *, quiet: bool = False) -> Flows:
    """Write a .corr file for every pair, and flow.json. A killed command goes on where it was.

    Hold `lock.working_in` the folder meanwhile.

    Args:
        request: What is to be done.
        command: The command line, for the record.
        quiet: Show no progress bar.

    Raises:
        UserError: something is missing, damaged or not known, or cannot be written, or the folder
            holds other flows. Nothing is left half-written.
    """
    run = FinishedRun.open(request.run, request.images)
    pictures = FittedPictures.of_run(run, request.size)
    rows, skipped = _rows(pictures, request.pairs)
    depends_on = {
        "fits": fingerprint(run.folder / "fits.npz"),
        "body": run.record.body.fingerprint,
        "landmarks": run.record.body.landmarks_fingerprint,
        "proportions": run.record.body.proportions_fingerprint,
        "visibility": request.visible,
        "pairs": _digest([_pair_names(pictures, pair) for pair in rows]),
        "sizes": _digest(pictures.sizes[sorted({row for pair in rows for row in pair})].tolist()),
    }
    work = _Work(request, pictures, rows, Shards(request.out / "shards", depends_on))
    record = _finished(request.out, depends_on)
    finished = record is not None
    work.shards.take_up()
    made, seconds = 0, 0.0
    if record is None:
        begun = time.perf_counter()
        counts, made = work.run(quiet)
        seconds = time.perf_counter() - begun
        record = _record(counts, rows, skipped, command, depends_on)
        with atomic_path(request.out / RECORD, within=work.shards.folder) as temporary:
            temporary.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    if request.drawn:
        work.draw()
    work.shards.remove()
    return Flows(len(rows), made, seconds, skipped, record["shares"], finished)


def _rows(pictures: FittedPictures, pairs: Pairs) -> tuple[list[tuple[int, int]], Counter[str]]:
    """The rows of pairs' fits, and how many pairs have none, by reason.

    Raises:
        UserError: no pair has fits, two would have the same file, or the size of a picture is not
            known.
    """
    pairs = list(dict.fromkeys(pairs))
    named = [(pictures.row(source), pictures.row(target)) for source, target in pairs]
    found = list(dict.fromkeys(pair for pair in named if None not in pair))
    missing = sum(None in pair for pair in named)
    if not found:
        lost = next(name for name in pairs[0] if pictures.row(name) is None)
        raise UserError(f"{pictures.where}: has no fit of '{lost}'; {pictures.named}")
    files = Counter(_file(pictures, pair) for pair in found)
    file, count = files.most_common(1)[0]
    if count > 1:
        raise UserError(f"{file}: would be written for {count} pairs; rename their pictures")
    for pair in found:
        for row in pair:
            if not pictures.sizes[row].all():
                raise UserError(
                    f"{pictures.where}: does not tell the size of picture '{pictures.names[row]}'; "
                    "give the folder of pictures (--images) or --size"
                )
    return found, +Counter({NOT_FITTED: missing})


def _pair_names(pictures: FittedPictures, pair: tuple[int, int]) -> tuple[str, str]:
    """The names of a pair, without suffixes."""
    source, target = (without_suffix(pictures.names[row]) for row in pair)
    return source, target


def _file(pictures: FittedPictures, pair: tuple[int, int]) -> str:
    """The name of a pair's file, as DeepFashion's are: target, source."""
    source, target = _pair_names(pictures, pair)
    return f"{target}_{source}.corr".replace("\\", "/").replace("/", "_")


@dataclass(frozen=True)
class _Work:
    """Flows to be made, with everything that they are made of."""

    request: FlowRequest
    pictures: FittedPictures
    rows: Sequence[tuple[int, int]]
    shards: Shards

    def run(self, quiet: bool) -> tuple[np.ndarray, int]:
        """Make what is missing; returns the pixels of each kind, and how many pairs were made."""
        import numpy as np

        from bodyreg.npz import NpzReader, save_npz

        counts, made = np.zeros(len(KINDS), np.int64), 0
        self.shards.begin()
        with progress_bar(len(self.rows), quiet, unit="pairs") as bar:
            for start in range(0, len(self.rows), PAIRS_PER_SHARD):
                pairs = self.rows[start : start + PAIRS_PER_SHARD]
                path = self.shards.folder / f"{start // PAIRS_PER_SHARD:06}.npz"
                if self.shards.is_finished(path):
                    with NpzReader(path, kind="shard") as reader:
                        counts += reader.read("counts")
                else:
                    own = sum(self._write(some) for some in self._portions(pairs))
                    save_npz(path, counts=own, **{RUN: self.shards.run})
                    counts, made = counts + own, made + len(pairs)
                bar.update(len(pairs))
        return counts, made

    def flow(self, pairs: Sequence[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
        """Flow (N, H, W, 2) and kinds (N, H, W) of pairs whose pictures have equal sizes."""
        import numpy as np

        from bodyreg.flow import between

        pictures, (source, target) = self.pictures, np.array(pairs).T
        sizes = [tuple(pictures.sizes[row[0]][::-1].tolist()) for row in (target, source)]
        fits = pictures.people.select(source), pictures.people.select(target)
        found = between(pictures.body, *fits, *sizes, visible=self.request.visible)
        return found.flow.numpy(), found.visibility.numpy()

    def _portions(self, pairs: Sequence[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
        """Pairs whose pictures have equal sizes, as many as fit into memory together."""
        from bodyreg.flow.bodies import PIXELS_AT_ONCE

        groups: dict[tuple, list[tuple[int, int]]] = {}
        for pair in pairs:
            sizes = tuple(tuple(self.pictures.sizes[row].tolist()) for row in pair)
            groups.setdefault(sizes, []).append(pair)
        for sizes, group in groups.items():
            most = max(1, PIXELS_AT_ONCE // sum(math.prod(size) for size in sizes))
            yield from (group[i : i + most] for i in range(0, len(group), most))

    def _write(self, pairs: Sequence[tuple[int, int]]) -> np.ndarray:
        import numpy as np

        from bodyreg.data.corr import Correspondence, write_corr

        counts = np.zeros(len(KINDS), np.int64)
        for pair, flow, kind in zip(pairs, *self.flow(pairs), strict=True):
            path = self.request.out / FOLDER / _file(self.pictures, pair)
            write_corr(path, Correspondence.of_flow(flow, kind), within=self.shards.folder)
            counts += np.bincount(kind.reshape(-1), minlength=len(KINDS))
        return counts

    def draw(self) -> None:
        """Draw some of the pairs, evenly chosen, as flow.png."""
        from bodyreg.pictures import write_picture
        from bodyreg.runs.job import evenly
        from bodyreg.viz.flow import flow_picture, pair_tile, visibility_picture, warped_picture
        from bodyreg.viz.overlay import sheet

        tiles, captions = [], []
        for number in evenly(len(self.rows), self.request.drawn).tolist():
            pair = self.rows[number]
            flow, kind = (found[0] for found in self.flow([pair]))
            pictures = [flow_picture(flow, kind), visibility_picture(kind)]
            if self.pictures.images is not None:
                source, target = (self.pictures.picture(row) for row in pair)
                pictures = [source, target, warped_picture(source, flow, kind), *pictures]
            tiles.append(pair_tile(pictures))
            source, target = map(_shortened, _pair_names(self.pictures, pair))
            seen = (kind == 0).sum() / max(1, int((kind < 2).sum()))
            captions.append((f"{source} -> {target}", f"{seen:.0%} visible"))
        title = f"{len(tiles)} of {len(self.rows):,} pairs"
        write_picture(self.request.out / "flow.png", sheet(tiles, captions, title, 1))


def _finished(folder: Path, depends_on: dict[str, Any]) -> dict[str, Any] | None:
    """The record of these flows, if they are there.

    Raises:
        UserError: others are there.
    """
    if not is_there(folder / RECORD):
        return None
    record = None
    with contextlib.suppress(UserError):
        record = load_json(folder / RECORD)
    theirs = record.get("made_of") if isinstance(record, dict) else None
    if theirs != depends_on or not isinstance(record.get("shares"), dict):
        raise UserError(
            f"{folder}: holds other flows ({difference(depends_on, theirs)}); remove it, or choose "
            "another --out"
        )
    return record


def _record(
    counts: np.ndarray,
    rows: Sequence[tuple[int, int]],
    skipped: Counter[str],
    command: str,
    depends_on: dict[str, Any],
) -> dict[str, Any]:
    visible, hidden, background = counts.tolist()
    body = max(1, visible + hidden)
    shares = (visible / body, hidden / body, background / max(1, int(counts.sum())))
    return {
        "format": "bodyreg-flow-1",
        **provenance(command),
        "pairs": len(rows),
        "skipped": dict(skipped),
        "shares": {name: round(share, 6) for name, share in zip(KINDS, shares, strict=True)},
        "made_of": depends_on,
    }


def _digest(values: Any) -> str:
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()


def _shortened(name: str) -> str:
    """The end of a name that is too long for a caption."""
    return name if len(name) <= LONGEST else f"...{name[-LONGEST:]}"
