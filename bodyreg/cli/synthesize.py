"""bodyreg synthesize: data sets of made people with known truth, in the formats of real ones."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from bodyreg.cli.flags import Folder, OptionalFolder, Switch
from bodyreg.errors import UserError
from bodyreg.files import provenance
from bodyreg.npz import NpzReader
from bodyreg.runs import record
from bodyreg.runs.shards import Shards, difference
from bodyreg.runs.workers import foresee, in_processes

if TYPE_CHECKING:
    from bodyreg.synthetic.formats import Recipe
    from bodyreg.synthetic.generate import Shard

Name = Literal["densepose-coco", "mpii", "human36m", "deepfashion", "market1501"]

RECORD = "run.json"
# Sides of pictures, pixels.
SMALLEST, LARGEST = 32, 4096


@dataclass(frozen=True)
class Options:
    """Options of `bodyreg synthesize`.

    Attributes:
        out: A folder per format is made in it. The same command finishes what a killed one has
            left there.
        formats: Data sets whose layouts are written. densepose-coco and mpii share their pictures.
        people: How many to show in each format; a picture of a crowd shows one to three, and
            human36m's number is rounded up to what four cameras see.
        seed: Of everything random; the same seed makes the same files, with any number of workers.
        size: Side of a crowd's pictures (densepose-coco, mpii), pixels. The others have the sizes
            of the real ones.
        pictures: Render pictures; without, only annotations and truth are written.
        backgrounds: A folder of pictures to stand behind people instead of made ones.
        points: Dense points per person.
        noise_pixels: How far points and keypoints lie from the truth: standard deviation in pixels
            of a 256-pixel crop. What the formats hold as truth itself stays exact.
        noise_depth: The same of the keypoints' depths, in half sides of the crop.
        workers: Processes that share the work; one per core if left out.
        quiet: Print nothing but errors.
    """

    out: Folder
    formats: tuple[Name, ...] = ("densepose-coco",)
    people: int = 1000
    seed: int = 0
    size: int = 256
    pictures: bool = True
    backgrounds: OptionalFolder = None
    points: int = 120
    noise_pixels: float = 2.0
    noise_depth: float = 0.08
    workers: Annotated[
        int | None, tyro.conf.arg(metavar="N", help_behavior_hint="(default: one per core)")
    ] = None
    quiet: Switch = False


def run(options: Options, command: str) -> None:
    """Make what is missing, join it, and say what is there."""
    _check(options)
    clock = record.Clock()
    if not all(os.path.exists(options.out / name / RECORD) for name in options.formats):
        foresee("bodyreg.synthetic.generate")
    backgrounds = _backgrounds(options)
    wanted = {name: _depends_on(options, name, backgrounds) for name in options.formats}
    folder = Shards(options.out / "shards", wanted)
    folder.take_up()
    missing = [name for name in wanted if not _is_made(options, name, wanted[name])]
    made = 0
    if missing:
        groups = _cut(options, missing, folder.folder, backgrounds)
        folder.begin()
        made = _make(options, [shard for group in groups for shard in group])
        clock.lap("making")
        for group in groups:
            _join(options, group, wanted)
        clock.lap("joining")
    folder.remove()
    if not options.quiet:
        print(_report(options, made, clock))


def _check(options: Options) -> None:
    if not options.formats or len(set(options.formats)) < len(options.formats):
        raise UserError("--formats: name each format once")
    if options.people < 1 or options.seed < 0 or options.points < 0:
        raise UserError("--people must be at least 1, --seed and --points at least 0")
    if not SMALLEST <= options.size <= LARGEST:
        raise UserError(f"--size {options.size}: must be {SMALLEST} to {LARGEST} pixels")
    if not (0 <= options.noise_pixels < math.inf and 0 <= options.noise_depth < math.inf):
        raise UserError("--noise-pixels and --noise-depth must be numbers of at least 0")
    if options.workers is not None and options.workers < 1:
        raise UserError("--workers must be at least 1")
    record.require_writable(options.out)


def _backgrounds(options: Options) -> tuple[Path, ...]:
    if options.backgrounds is None:
        return ()
    from bodyreg.synthetic.places.background import find_backgrounds

    return tuple(find_backgrounds(options.backgrounds))


def _depends_on(options: Options, name: str, backgrounds: Sequence[Path]) -> dict[str, Any]:
    """What a format's files depend on, as plain values for JSON."""
    from bodyreg import __version__
    from bodyreg.body import Body

    files = [(path.name, path.stat().st_size) for path in backgrounds]
    return {
        "version": __version__,
        "format": name,
        "people": options.people,
        "seed": options.seed,
        "size": options.size,
        "pictures": options.pictures,
        "backgrounds": hashlib.sha256(json.dumps(files).encode()).hexdigest() if files else None,
        "points": options.points,
        "noise_pixels": options.noise_pixels,
        "noise_depth": options.noise_depth,
        "body": Body.default().fingerprint,
    }


def _is_made(options: Options, name: str, depends_on: dict[str, Any]) -> bool:
    """Whether a format is there already.

    Raises:
        UserError: something else is.
    """
    folder = options.out / name
    try:
        theirs = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        # What this run has begun has shards.
        begun = (options.out / "shards").exists()
        if begun or not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
            return False
        theirs = None
    except (OSError, ValueError):
        theirs = None
    theirs = theirs.get("made_of") if isinstance(theirs, dict) else None
    if theirs != depends_on:
        raise UserError(
            f"{folder}: holds another data set ({difference(depends_on, theirs)}); remove it, or "
            "choose another --out"
        )
    return True


def _recipe(options: Options) -> Recipe:
    from bodyreg.synthetic.formats import Recipe
    from bodyreg.synthetic.observe import Noise

    noise = Noise(options.points, options.noise_pixels, options.noise_depth)
    return Recipe(options.people, options.seed, options.size, noise)


def _cut(
    options: Options, names: Sequence[str], folder: Path, backgrounds: tuple[Path, ...]
) -> list[list[Shard]]:
    """The shards of each group of formats that share their pictures."""
    from bodyreg.synthetic.formats import FORMATS
    from bodyreg.synthetic.generate import Shard, cut

    recipe, groups = _recipe(options), []
    scenes = {name: FORMATS[name].scenes(recipe) for name in names}
    for shared in dict.fromkeys(each.name for each in scenes.values()):
        formats = tuple(name for name in names if scenes[name].name == shared)
        groups.append(
            [
                Shard(
                    recipe=recipe,
                    formats=formats,
                    start=start,
                    stop=stop,
                    folder=options.out,
                    path=folder / f"{shared}-{number:06}.npz",
                    pictures=options.pictures,
                    backgrounds=backgrounds,
                )
                for number, (start, stop) in enumerate(cut(len(scenes[formats[0]])))
            ]
        )
    return groups


def _make(options: Options, shards: Sequence[Shard]) -> int:
    """Make the shards that are not there; returns how many pictures these have."""
    from bodyreg.synthetic.generate import make_shard

    undone = [shard for shard in shards if not _is_whole(shard.path)]
    total, made = (sum(shard.stop - shard.start for shard in some) for some in (shards, undone))
    with record.progress_bar(total, options.quiet, unit="pictures") as bar:
        bar.update(total - made)
        for pictures in in_processes(make_shard, undone, options.workers or _cores()):
            bar.update(pictures)
    return made


def _is_whole(path: Path) -> bool:
    """Whether a shard is there; what a failing disk has damaged is made again."""
    try:
        NpzReader(path, kind="shard").close()
    except UserError:
        return False
    return True


def _join(options: Options, group: Sequence[Shard], wanted: dict[str, dict[str, Any]]) -> None:
    """Write the files of whole data sets; run.json comes last."""
    from bodyreg.body import Body
    from bodyreg.synthetic.formats import FORMATS
    from bodyreg.synthetic.formats.format import Destination
    from bodyreg.synthetic.pieces import Pieces

    pieces, folder = Pieces([shard.path for shard in group]), group[0].path.parent
    for name in group[0].formats:
        facts = provenance(_command(options, name), seed=options.seed)
        scenes = FORMATS[name].scenes(group[0].recipe)
        destination = Destination(
            options.out / name, folder, group[0].recipe, scenes, Body.default(), facts
        )
        people = FORMATS[name].join(destination, pieces)
        record = {**facts, "pictures": len(scenes), "people": people, "made_of": wanted[name]}
        with destination.open(RECORD) as stream:
            stream.write(f"{json.dumps(record, indent=2)}\n".encode())


def _command(options: Options, name: str) -> str:
    """The command that makes one format's files, wherever and by however many processes."""
    words = ["bodyreg", "synthesize", "--formats", name]
    for field in ("people", "seed", "size", "points", "noise_pixels", "noise_depth"):
        words += [f"--{field.replace('_', '-')}", str(getattr(options, field))]
    if options.backgrounds is not None:
        words += ["--backgrounds", options.backgrounds.name]
    return shlex.join(words if options.pictures else [*words, "--no-pictures"])


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _report(options: Options, made: int, clock: record.Clock) -> str:
    """What a user wants to know at the end; `made` pictures were made now."""
    lines = []
    if made:
        seconds = clock.laps["making"]
        lines.append(f"{made:,} pictures in {seconds:.1f} s: {made / seconds:.3g} pictures/s")
    for name in options.formats:
        folder = options.out / name
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        people, pictures = record["people"], record["pictures"]
        lines.append(f"{name}: {people:,} people in {pictures:,} pictures, {folder}")
    return "\n".join(lines)
