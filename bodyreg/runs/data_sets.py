"""Data sets of made people: made in shards by several processes, and joined at the end."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from bodyreg.body import Body
from bodyreg.data.json_files import load_json
from bodyreg.errors import UserError
from bodyreg.files import entries, is_file, is_folder, is_there, provenance, reading
from bodyreg.runs.progress import Clock, counted, progress_bar
from bodyreg.runs.shards import Shards, difference, missing_shard
from bodyreg.runs.workers import cores, in_processes
from bodyreg.synthetic.formats import FORMATS, Recipe
from bodyreg.synthetic.formats.format import Destination
from bodyreg.synthetic.generate import Shard, cut, make_shard
from bodyreg.synthetic.pieces import Pieces
from bodyreg.synthetic.places.background import find_backgrounds

RECORD = "run.json"


@dataclass(frozen=True)
class DataSets:
    """Data sets to be made.

    Attributes:
        out: The folder; each format has a folder in it.
        formats: The names of their formats.
        recipe: The people.
        pictures: Whether pictures are rendered.
        backgrounds: A folder of pictures to stand behind people instead of made ones.
        workers: The number of processes; one per core if None.
    """

    out: Path
    formats: tuple[str, ...]
    recipe: Recipe
    pictures: bool = True
    backgrounds: Path | None = None
    workers: int | None = None


class Made(NamedTuple):
    """What was made.

    Attributes:
        pictures: The number of pictures that were made now.
        seconds: The time this took.
        records: Format -> its run.json.
    """

    pictures: int
    seconds: float
    records: dict[str, dict[str, Any]]

    def report(self, out: Path) -> str:
        """What was made now and what is there, for reading; `out` is the folder."""
        lines = []
        if self.pictures:
            rate = f"{self.pictures / self.seconds:.3g} pictures/s"
            lines.append(f"{counted(self.pictures, 'pictures')} in {self.seconds:.1f} s: {rate}")
        for name, record in self.records.items():
            people = counted(record["people"], "people")
            pictures = counted(record["pictures"], "pictures")
            lines.append(f"{name}: {people} in {pictures}, {out / name}")
        return "\n".join(lines)


def make_data_sets(wanted: DataSets, *, quiet: bool = False) -> Made:
    """Make those data sets that are not there. A run that was killed goes on where it was.

    Hold `lock.working_in` the folder meanwhile.

    Args:
        wanted: The data sets.
        quiet: Show no progress bar.

    Raises:
        UserError: something cannot be read or written, a worker was killed, or the folder holds
            another data set or shards of another run.
    """
    backgrounds = tuple(find_backgrounds(wanted.backgrounds)) if wanted.backgrounds else ()
    depends_on = {name: _depends_on(wanted, name, backgrounds) for name in wanted.formats}
    shards, clock, made = Shards(wanted.out / "shards", depends_on), Clock(), 0
    shards.take_up()
    missing = [name for name in depends_on if not _is_made(wanted, name, depends_on[name])]
    if missing:
        groups = _cut(wanted, missing, shards, backgrounds)
        shards.begin()
        made = _make(wanted, shards, [shard for group in groups for shard in group], quiet)
        clock.lap("making")
        for group in groups:
            _join(wanted, shards, group, depends_on)
    shards.remove()
    records = {name: load_json(wanted.out / name / RECORD) for name in wanted.formats}
    return Made(made, clock.laps.get("making", 0.0), records)


def _depends_on(wanted: DataSets, name: str, backgrounds: Sequence[Path]) -> dict[str, Any]:
    """Everything that a format's files depend on, as plain values for JSON."""
    from bodyreg.version import installed_version

    recipe, files = wanted.recipe, []
    for path in backgrounds:
        with reading(path):
            files.append((path.name, path.stat().st_size))
    found = {
        "version": installed_version(),
        "format": name,
        "people": recipe.people,
        "seed": recipe.seed,
        "size": recipe.size,
        "pictures": wanted.pictures,
        "backgrounds": hashlib.sha256(json.dumps(files).encode()).hexdigest() if files else None,
        "points": recipe.noise.points,
        "noise_pixels": recipe.noise.pixels,
        "noise_depth": recipe.noise.depth,
        "body": Body.default().fingerprint,
    }
    if recipe.motions.fingerprint is not None:
        found["motions"] = recipe.motions.fingerprint
    if recipe.noise.faults is not None:
        found["faults"] = asdict(recipe.noise.faults)
    if recipe.distance is not None:
        found["distance"] = list(recipe.distance)
    return found


def _is_made(wanted: DataSets, name: str, depends_on: dict[str, Any]) -> bool:
    """Whether a format is there already.

    Raises:
        UserError: something else is there.
    """
    folder, theirs = wanted.out / name, None
    if is_file(folder / RECORD):
        with contextlib.suppress(UserError):
            theirs = load_json(folder / RECORD)
    else:
        # Without a record, the folder is unfinished if there are shards.
        begun = is_folder(wanted.out / "shards")
        if begun or not is_there(folder) or (is_folder(folder) and not entries(folder)):
            return False
    theirs = theirs.get("made_of") if isinstance(theirs, dict) else None
    if theirs != depends_on:
        raise UserError(
            f"{folder}: holds another data set ({difference(depends_on, theirs)}); remove it, or "
            "choose another --out"
        )
    return True


def _cut(
    wanted: DataSets, names: Sequence[str], shards: Shards, backgrounds: tuple[Path, ...]
) -> list[list[Shard]]:
    """The shards of each group of formats that share their pictures."""
    recipe, groups = wanted.recipe, []
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
                    folder=wanted.out,
                    path=shards.folder / f"{shared}-{number:06}.npz",
                    run=shards.run,
                    pictures=wanted.pictures,
                    backgrounds=backgrounds,
                )
                for number, (start, stop) in enumerate(cut(len(scenes[formats[0]])))
            ]
        )
    return groups


def _make(wanted: DataSets, shards: Shards, pieces: Sequence[Shard], quiet: bool) -> int:
    """Make the shards that are not there; returns how many pictures these have."""
    undone = [shard for shard in pieces if not shards.is_finished(shard.path)]
    total, made = (sum(shard.stop - shard.start for shard in some) for some in (pieces, undone))
    with progress_bar(total, quiet, unit="pictures") as bar:
        bar.update(total - made)
        for pictures in in_processes(make_shard, undone, wanted.workers or cores()):
            bar.update(pictures)
    return made


def _join(
    wanted: DataSets, shards: Shards, group: Sequence[Shard], depends_on: dict[str, dict[str, Any]]
) -> None:
    """Write the files of whole data sets; run.json comes last."""
    for shard in group:
        if not shards.is_finished(shard.path):
            raise missing_shard(shard.path)
    pieces, recipe = Pieces([shard.path for shard in group]), wanted.recipe
    for name in group[0].formats:
        facts = provenance(_command(wanted, name), seed=recipe.seed)
        scenes = FORMATS[name].scenes(recipe)
        body, folder = Body.default(), wanted.out / name
        destination = Destination(folder, shards.folder, recipe, scenes, body, facts)
        people = FORMATS[name].join(destination, pieces)
        record = {**facts, "pictures": len(scenes), "people": people, "made_of": depends_on[name]}
        with destination.open(RECORD) as stream:
            stream.write(f"{json.dumps(record, indent=2)}\n".encode())


def _command(wanted: DataSets, name: str) -> str:
    """The command that makes one format's files, in any folder and with any number of processes."""
    recipe, noise = wanted.recipe, wanted.recipe.noise
    words = ["bodyreg", "synthesize", "--formats", name]
    words += ["--people", recipe.people, "--seed", recipe.seed, "--size", recipe.size]
    words += ["--points", noise.points, "--noise-pixels", noise.pixels]
    words += ["--noise-depth", noise.depth]
    if noise.faults is not None:
        words += ["--noise", "detector"]
    words += recipe.motions.words
    if recipe.distance is not None:
        words += ["--distance", *recipe.distance]
    if wanted.backgrounds is not None:
        words += ["--backgrounds", wanted.backgrounds.name]
    if not wanted.pictures:
        words += ["--no-pictures"]
    return shlex.join(map(str, words))
