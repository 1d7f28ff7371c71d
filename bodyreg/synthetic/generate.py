"""Generation of data sets shard by shard, so that processes can share the work."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bodyreg.body import Body
from bodyreg.files import writing
from bodyreg.npz import save_npz
from bodyreg.synthetic.dataset import stack, truth_of
from bodyreg.synthetic.formats import FORMATS, Recipe, Shot
from bodyreg.synthetic.layout import lay_out
from bodyreg.synthetic.lens import encode_jpeg
from bodyreg.synthetic.observe import see
from bodyreg.synthetic.pieces import Piece, pack
from bodyreg.synthetic.render import render

# The last shards are shorter, so that no process waits long for another: a shard has at most
# LAST_SHARE of the remaining pictures, but at least LAST_SHARD of them.
PICTURES_PER_SHARD, LAST_SHARE, LAST_SHARD = 64, 0.125, 8


@dataclass(frozen=True)
class Shard:
    """A range of pictures, for formats that share them; any process can generate it.

    Attributes:
        recipe: Parameters of the data set.
        formats: Names of the formats.
        start, stop: Range of picture numbers.
        folder: Holds one folder per format.
        path: The shard's file.
        run: The name of the run, to be stored in the file.
        pictures: Whether pictures are rendered.
        backgrounds: Picture files for backgrounds; without them backgrounds are procedural.
    """

    recipe: Recipe
    formats: tuple[str, ...]
    start: int
    stop: int
    folder: Path
    path: Path
    run: str
    pictures: bool
    backgrounds: tuple[Path, ...] = ()


def make_shard(shard: Shard) -> int:
    """Generate a shard: its pictures first, its file last. Equal shards give equal bytes.

    Returns:
        The number of pictures.

    Raises:
        UserError: a file cannot be read or written.
    """
    formats = [FORMATS[name] for name in shard.formats]
    body = Body.default()
    scenes = formats[0].scenes(shard.recipe)
    pieces: list[Piece] = []
    for number in range(shard.start, shard.stop):
        scene = scenes.scene(body, number)
        layout = lay_out(scene)
        shot = Shot(shard.recipe, scenes, body, scene, layout, see(scene, layout))
        path = formats[0].picture(shot)
        if shard.pictures:
            picture = render(scene, shard.backgrounds or None)
            content = encode_jpeg(picture, shot.random("jpeg"))
            _write(shard.folder / shard.formats[0] / path, content)
            for name in shard.formats[1:]:
                _link(shard.folder / shard.formats[0] / path, shard.folder / name / path)
        piece: Piece = {}
        for form in formats:
            for name, content in form.files(shot).items():
                _write(shard.folder / form.name / name, content)
            piece |= form.describe(shot)
        if shot.sights:
            piece |= stack([truth_of(scene, sight) for sight in shot.sights])
            piece["picture"] = np.full(len(shot.sights), path)
        pieces.append(piece)
    save_npz(shard.path, run=shard.run, **pack(pieces))
    return shard.stop - shard.start


def _write(path: Path, content: bytes) -> None:
    """Write a file, not atomically: it counts only once its shard's file exists."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _link(source: Path, path: Path) -> None:
    """Put the same file into another folder: a hard link where the disk can, else a copy."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        try:
            os.link(source, path)
        except OSError:
            shutil.copyfile(source, path)


def cut(pictures: int) -> Sequence[tuple[int, int]]:
    """Cut a number of pictures into shards: (start, stop) of each."""
    starts = [0]
    while (left := pictures - starts[-1]) > 0:
        size = min(max(int(left * LAST_SHARE), LAST_SHARD), PICTURES_PER_SHARD, left)
        starts.append(starts[-1] + size)
    return list(itertools.pairwise(starts))
