"""Folders of painted pictures compared with folders of true ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bodyreg.data.corr import BACKGROUND, read_corr
from bodyreg.data.pairs import Match, Pairs, match_names, match_pairs
from bodyreg.errors import UserError
from bodyreg.files import is_file
from bodyreg.metrics.images import IMAGE_METRICS, flat_silhouette, image_errors
from bodyreg.metrics.lpips import LPIPS_METRIC, Lpips
from bodyreg.metrics.table import Table
from bodyreg.pictures import picture_names, pictures_by_stem, read_picture
from bodyreg.runs.progress import progress_bar

if TYPE_CHECKING:
    from bodyreg.metrics.inception import Inception, InceptionScores
    from bodyreg.metrics.protocols import Protocol

WHITE, LABELS = 127, 32
"""The person is above WHITE in a mask; above 0 if the mask has no value from LABELS on."""


@dataclass(frozen=True)
class Folders:
    """Folders of pictures, matched by their names.

    Attributes:
        generated: Painted pictures.
        truth: True ones.
        masks: Masks of people in true pictures, named as these or as generated ones.
        visibility: What true pictures show, named alike: pictures of 0 (visible in the source), 1
            (hidden there) and 2 (background), or TARGET_SOURCE.corr.
    """

    generated: Path
    truth: Path
    masks: Path | None = None
    visibility: Path | None = None


@dataclass(frozen=True)
class Pictures:
    """The pictures of some folders that are compared.

    Attributes:
        folders: Where they are.
        matches: One entry for each generated picture with a true one.
        files: Folder's name -> name without suffix -> file name.
        lacking: Generated pictures without a true one.
        missing: True pictures, or pairs of a list, without a generated one.
    """

    folders: Folders
    matches: list[Match]
    files: dict[str, dict[str, str]]
    lacking: list[str]
    missing: list[str]

    @classmethod
    def find(cls, folders: Folders, pairs: Pairs | None) -> Pictures:
        """Match names; `pairs` are the ones that there should be.

        Raises:
            UserError: a folder cannot be read, or no picture has a true one.
        """
        files = {
            name: pictures_by_stem(folder)
            for name in ("generated", "truth", "masks", "visibility")
            if (folder := getattr(folders, name)) is not None
        }
        generated, truth = sorted(files["generated"]), files["truth"]
        for name in ("generated", "truth"):
            if not files[name]:
                raise UserError(f"{getattr(folders, name)}: no pictures here; check the path")
        found = (
            match_names(generated, truth) if pairs is None else match_pairs(pairs, generated, truth)
        )
        if not found[0]:
            raise UserError(
                f"{folders.generated}: no picture is named as one of {folders.truth}, or as "
                f"SOURCE_TARGET (for example '{generated[0]}'); rename them"
            )
        return cls(folders, found[0], files, *found[1:])

    def path(self, name: str, match: Match) -> Path:
        """The file of a match in a folder.

        Raises:
            UserError: masks or visibility lack it.
        """
        folder, files = getattr(self.folders, name), self.files[name]
        names = [match.generated] if name == "generated" else [match.target]
        if name in ("masks", "visibility"):
            names = [match.generated, match.target]
        if name == "visibility" and is_file(corr := folder / f"{match.target}_{match.source}.corr"):
            return corr
        for stem in names:
            if stem in files:
                return folder / files[stem]
        raise UserError(
            f"{folder}: nothing here for '{match.generated}'; add it, or leave out --{name}"
        )

    def paths(self, name: str) -> list[Path]:
        """The compared files of a folder, each once, in the order of their names."""
        return sorted({self.path(name, match) for match in self.matches})


@dataclass
class Compared:
    """Errors of pictures.

    Attributes:
        table: A row for each generated picture.
        silhouette: The same of the true picture whose person has one flat colour; None if there
            are neither masks nor visibility.
        sizes: Folder's name -> width, height -> number of pictures, before they were prepared.
        prepared: The same of prepared pictures.
    """

    table: Table
    silhouette: Table | None
    sizes: dict[str, Counter[tuple[int, int]]] = field(default_factory=dict)
    prepared: Counter[tuple[int, int]] = field(default_factory=Counter)


def compare_pictures(pictures: Pictures, protocol: Protocol, lpips: Lpips | None) -> Compared:
    """Compare all matches, also by LPIPS if its network is given.

    Raises:
        UserError: a file cannot be read or has another size than its partner.
    """
    errors: list[dict[str, float]] = []
    flat: list[dict[str, float]] = []
    sizes: dict[str, Counter[tuple[int, int]]] = {"generated": Counter(), "truth": Counter()}
    prepared: Counter[tuple[int, int]] = Counter()
    with progress_bar(len(pictures.matches), quiet=False, unit="pictures") as bar:
        for match in pictures.matches:
            generated, truth = (read_picture(pictures.path(n, match)) for n in sizes)
            for name, picture in (("generated", generated), ("truth", truth)):
                sizes[name][_size(picture)] += 1
            labels = _labels(pictures, match, protocol, _size(truth))
            generated, truth = protocol.prepared(generated), protocol.prepared(truth)
            if generated.shape != truth.shape:
                raise UserError(
                    f"{pictures.path('generated', match)}: {_by(generated)} pixels, but the true "
                    f"picture has {_by(truth)}; make them equal, or choose --protocol gfla"
                )
            prepared[_size(truth)] += 1
            person, kind = labels["masks"], labels["visibility"]
            if person is None and kind is not None:
                person = kind < BACKGROUND
            compared = [(generated, errors)]
            if person is not None:
                compared.append((flat_silhouette(truth, person), flat))
            for picture, rows in compared:
                rows.append(image_errors(picture, truth, person, kind, mask_ssim=protocol.ssim))
                if lpips is not None:
                    rows[-1]["lpips"] = lpips.of_pictures(picture, truth)
            bar.update()
    silhouettes = _table(pictures, flat) if flat else None
    return Compared(_table(pictures, errors), silhouettes, sizes, prepared)


def score_pictures(
    pictures: Pictures, protocol: Protocol, network: Inception, real: Path | None
) -> tuple[InceptionScores, int]:
    """FID and inception score of all generated pictures that have a true one.

    Args:
        pictures: What is compared.
        protocol: How pictures are prepared, the real ones too.
        network: Sees the pictures.
        real: Folder of real pictures; None: the true pictures of the matches.

    Returns:
        The scores, and the number of real pictures.

    Raises:
        UserError: a file cannot be read, or there are fewer than two of a kind.
        InstallationError: torchmetrics cannot be imported.
    """
    from bodyreg.metrics.inception import inception_scores

    truth = pictures.paths("truth")
    if real is not None:
        truth = [real / name for name in picture_names(real)]

    def prepared(paths: list[Path]) -> Iterator[np.ndarray]:
        for path in paths:
            yield protocol.prepared(read_picture(path))
            bar.update()

    generated = pictures.paths("generated")
    with progress_bar(len(generated) + len(truth), quiet=False, unit="pictures") as bar:
        return inception_scores(network, prepared(generated), prepared(truth)), len(truth)


def _table(pictures: Pictures, errors: list[dict[str, float]]) -> Table:
    names = {
        "id": [match.generated for match in pictures.matches],
        "target": [match.target for match in pictures.matches],
        "source": [match.source for match in pictures.matches],
    }
    columns = {name: np.array([row[name] for row in errors]) for name in errors[0]}
    known = {**IMAGE_METRICS, "lpips": LPIPS_METRIC}
    metrics = {name: known[name] for name in columns}
    return Table({name: np.array(column) for name, column in names.items()}, columns, metrics)


def _labels(
    pictures: Pictures, match: Match, protocol: Protocol, size: tuple[int, int]
) -> dict[str, np.ndarray | None]:
    """The mask and the visibility of a true picture, prepared as it is; None without a folder."""
    found: dict[str, np.ndarray | None] = {"masks": None, "visibility": None}
    for name, read, outside in (("masks", _mask, 0), ("visibility", _kind, BACKGROUND)):
        if name not in pictures.files:
            continue
        path = pictures.path(name, match)
        labels = read(path)
        if labels.shape[::-1] != size:
            raise UserError(
                f"{path}: {_by(labels)} pixels, but the true picture has {size[0]} x {size[1]}; "
                "make it as large"
            )
        found[name] = protocol.prepared_labels(labels, outside)
    return found


def _mask(path: Path) -> np.ndarray:
    mask = read_picture(path, kind="mask").max(-1)
    return mask > (WHITE if mask.max() >= LABELS else 0)


def _kind(path: Path) -> np.ndarray:
    if path.suffix == ".corr":
        return read_corr(path).kind
    picture = read_picture(path, kind="visibility")
    if picture.max() > BACKGROUND or np.ptp(picture, axis=-1).any():
        raise UserError(
            f"{path}: not a picture of 0 (visible), 1 (hidden) and 2 (background); write it as PNG"
        )
    return picture[..., 0]


def _size(picture: np.ndarray) -> tuple[int, int]:
    return picture.shape[1], picture.shape[0]


def _by(picture: np.ndarray) -> str:
    return "{} x {}".format(*_size(picture))
