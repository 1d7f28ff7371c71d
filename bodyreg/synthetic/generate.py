"""Making the pictures of data sets shard by shard, so that processes can share the work."""

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

# The last shards are shorter, so that no process waits long for another: of what is left, this
# share, but so many pictures at least.
PICTURES_PER_SHARD, LAST_SHARE, LAST_SHARD = 64, 0.125, 8


@dataclass(frozen=True)
class Shard:
    """Some pictures of formats that share them, ready to be made by any process.

    Attributes:
        recipe: What is to be made.
        formats: Their names.
        start, stop: Which pictures.
        folder: A folder per format is in it.
        path: The shard's file.
        pictures: Whether pictures are rendered.
        backgrounds: Picture files to stand behind people; procedural ones if there are none.
    """

    recipe: Recipe
    formats: tuple[str, ...]
    start: int
    stop: int
    folder: Path
    path: Path
    pictures: bool
    backgrounds: tuple[Path, ...] = ()


def make_shard(shard: Shard) -> int:
    """Make a shard: its pictures first, its file last. Equal shards give equal bytes.

    Returns:
        How many pictures there are.

    Raises:
        UserError: something cannot be read or written.
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
    save_npz(shard.path, **pack(pieces))
    return shard.stop - shard.start


def _write(path: Path, content: bytes) -> None:
    """A file that counts only with its shard's: a killed process may leave a piece of it."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _link(source: Path, path: Path) -> None:
    """The same file in another folder, without taking its room again where the disk can."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        try:
            os.link(source, path)
        except OSError:
            shutil.copyfile(source, path)


def cut(pictures: int) -> Sequence[tuple[int, int]]:
    """The first picture of each shard, and the one after its last."""
    starts = [0]
    while (left := pictures - starts[-1]) > 0:
        size = min(max(int(left * LAST_SHARE), LAST_SHARD), PICTURES_PER_SHARD, left)
        starts.append(starts[-1] + size)
    return list(itertools.pairwise(starts))
