"""IUV maps: pictures, or arrays, whose channels are a part and its chart coordinates (I, U, V).

DensePose writes NAME_IUV.png, and NAME_INDS.png with the number of the person that a pixel shows.
It writes them by OpenCV, so the part is in the blue channel. Other programs write the part into the
red one. The two are told apart by what a part can be, over the whole folder.

A picture may say which charts it means: a text of its file named "charts", as pictures of made
people have it. So may an .npz file: an array "charts". Without it they are DensePose's.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from bodyreg.body import Body
from bodyreg.body.charts import DENSEPOSE_CHARTS
from bodyreg.data.cameras import Camera
from bodyreg.data.dense_maps import (
    NO_PART,
    POINTS,
    DensePerson,
    charts_of,
    collect,
    person_in_charts,
    whole,
)
from bodyreg.data.densepose_coco import PARTS
from bodyreg.data.detections import Pictures
from bodyreg.data.observations import Observations
from bodyreg.errors import UserError
from bodyreg.files import files_of
from bodyreg.npz import NpzReader, load_npy
from bodyreg.pictures import (
    MAX_PIXELS,
    PNG,
    decode_picture,
    picture_bytes,
    png_texts,
)

MAP, PEOPLE = "_IUV", "_INDS"
"""How the names of maps, and of the numbers of people, end, before the suffix."""

PALETTE = 3
"""The kind of colours in a PNG file whose values are places in a table of colours."""

CHARTS = "charts"
"""What says which charts a file means."""

SUFFIXES = (".png", ".npy", ".npz")

Channel = Literal["blue", "red"]
"""The channel of the part. The other two are U and V: green and red, or green and blue."""

_CHOICE = "--part-in-blue or --part-in-red"


def read_iuv(
    path: str | os.PathLike,
    body: Body,
    images: str | os.PathLike | None = None,
    *,
    channel: Channel | None = None,
    points: int = POINTS,
) -> tuple[Observations, Counter[str]]:
    """Read IUV maps of pictures, one file for each picture.

    Args:
        path: A folder of maps, or one map: .png, or arrays (H, W, 3) of I, U, V in .npy and .npz.
            If names end with _IUV, only these files are maps. NAME_INDS.png beside NAME_IUV.png
            tells which person a pixel shows; without it a map shows one person.
        body: The body; its charts must be the maps'.
        images: The folder of the pictures NAME.jpg (.png ...); observations then name them.
        channel: The channel of the part, if it is known.
        points: Points of each person.

    Returns:
        The observations, and how many people were left out by reason. Ids are the people's numbers
        in all files, in the order of the files' names, from 0.

    Raises:
        UserError: there is no map, a file is damaged or no map, the channel of the part is not
            certain, or pictures are missing or have other sizes.
    """
    path = Path(path)
    pictures = Pictures(images)
    files = map_files(path)
    found: dict[Path, list[DensePerson | str]] = {}

    def people(file: Path, iuv: _Map) -> None:
        found[file] = list(_people(file, iuv, body, pictures, points))

    decided = _Decided(channel)
    waiting: list[Path] = []
    for file in files:
        iuv = _read(file)
        if isinstance(iuv, _Map):
            people(file, iuv)
        elif decided.by(iuv):
            people(file, iuv.map(decided.channel))
        else:
            waiting.append(file)
    for file in waiting:
        iuv = _read(file)
        if isinstance(iuv, _Picture):
            people(file, iuv.map(decided.required(file)))
    return collect((person for file in files for person in found[file]), body, str(path))


def map_files(path: Path) -> list[Path]:
    """The maps of a folder, in the order of their names; a file is itself.

    Raises:
        UserError: the folder cannot be read, or has no maps.
    """
    files = files_of(path, SUFFIXES)
    named = [file for file in files if file.stem.upper().endswith(MAP)]
    maps = named or [file for file in files if not file.stem.upper().endswith(PEOPLE)]
    if not maps:
        raise UserError(f"{path}: no maps (*{MAP}.png, or .npy and .npz arrays) there")
    return maps


def numbers_file(path: Path) -> Path | None:
    """The file beside a map that tells which person a pixel shows; None if there is none."""
    if not path.stem.upper().endswith(MAP):
        return None
    for people in (PEOPLE, PEOPLE.lower()):
        for suffix in dict.fromkeys((path.suffix, ".png", ".PNG")):
            beside = path.with_name(f"{path.stem[: -len(MAP)]}{people}{suffix}")
            if os.path.lexists(beside):  # a broken link is an error
                return beside
    return None


@dataclass(frozen=True, eq=False)
class _Map:
    """A map whose channels are known.

    Attributes:
        part: (H, W) uint8, 0 background.
        uv: (H, W, 2) as of `person_in_charts`.
        charts: The name of the charts.
    """

    part: np.ndarray
    uv: np.ndarray
    charts: str


@dataclass(frozen=True, eq=False)
class _Picture:
    """A map whose channels may have two meanings.

    Attributes:
        path: The file.
        bgr: (H, W, 3) uint8 blue, green, red.
        charts: The name of the charts.
    """

    path: Path
    bgr: np.ndarray
    charts: str

    def channels(self) -> list[Channel]:
        """The channels that can be the part: 0 to 24, and where it is 0 the others are.

        Raises:
            UserError: none can be.
        """
        blue, green, red = np.moveaxis(self.bgr, 2, 0)
        found: list[Channel] = []
        names: tuple[Channel, Channel] = ("blue", "red")
        for name, part, other in zip(names, (blue, red), (red, blue), strict=True):
            if part.max() <= PARTS and not ((other | green)[part == 0]).any():
                found.append(name)
        if not found:
            raise UserError(
                f"{self.path}: is no IUV map: neither blue nor red is a part (0 to {PARTS}, and "
                f"where it is 0 the others are); if one is, say it ({_CHOICE})"
            )
        return found

    def map(self, channel: Channel) -> _Map:
        """The map, if this channel is the part.

        Raises:
            UserError: it is not.
        """
        order = [0, 1, 2] if channel == "blue" else [2, 1, 0]
        part = self.bgr[..., order[0]]
        if part.max() > PARTS:
            raise UserError(
                f"{self.path}: its {channel} channel is no part: it has numbers up to "
                f"{part.max()}; parts are 0 to {PARTS}"
            )
        return _Map(part, self.bgr[..., order[1:]], self.charts)


class _Decided:
    """The channel of the part in all pictures of a folder.

    Args:
        channel: The channel, if the user has told it; then pictures are not asked.
    """

    def __init__(self, channel: Channel | None) -> None:
        self._told, self._by = channel is not None, Path()
        self.channel: Channel = channel or "blue"

    def by(self, picture: _Picture) -> bool:
        """Whether the channel is known with this picture, or the picture shows nothing.

        Raises:
            UserError: it is no map, or contradicts an earlier one.
        """
        if self._told:
            return True
        possible = picture.channels()
        if len(possible) == 1:
            (only,) = possible
            if self._by.name and only != self.channel:
                raise UserError(
                    f"{picture.path}: its part is in the {only} channel, that of {self._by} in the "
                    f"{self.channel} one; put them into folders of their own"
                )
            self.channel, self._by = only, self._by if self._by.name else picture.path
        return bool(self._by.name) or not picture.bgr.any()

    def required(self, path: Path) -> Channel:
        """The channel, for a file that does not tell it.

        Raises:
            UserError: no file tells it.
        """
        if not self._by.name:
            raise UserError(
                f"{path}: the part may be in its blue or in its red channel, and no other map here "
                f"tells; say it ({_CHOICE})"
            )
        return self.channel


def _read(path: Path) -> _Picture | _Map:
    if path.suffix.lower() in (".npy", ".npz"):
        return _read_array(path)
    bgr, texts = _read_png(path, "IUV map")
    return _Picture(path, bgr, texts.get(CHARTS, DENSEPOSE_CHARTS))


def _read_png(path: Path, kind: str) -> tuple[np.ndarray, dict[str, str]]:
    """The values of a PNG file (H, W, 3), as they are in the file, and its texts.

    Raises:
        UserError: it cannot be read, or reading it as a picture would change its values.
    """
    data = picture_bytes(path, kind=kind)
    if not data.startswith(PNG):
        raise UserError(f"{path}: is no PNG file; other formats of pictures change an {kind}")
    values = decode_picture(data, str(path), kind=kind)
    bits, palette = data[24], data[25] == PALETTE
    if bits != 8 or palette:
        has = "a palette" if palette else f"{bits} bits a channel"
        raise UserError(f"{path}: has {has}; write an {kind} with 8 bits a channel")
    return values, png_texts(data)


def _read_array(path: Path) -> _Map:
    """The map of an array (H, W, 3): I, U, V; U and V in 0..1, or uint8."""
    charts = DENSEPOSE_CHARTS
    if path.suffix.lower() == ".npy":
        array = load_npy(path, kind="IUV map")
    else:
        with NpzReader(path, kind="IUV map") as reader:
            names = [name for name in reader.names if name != CHARTS]
            if len(names) != 1:
                raise UserError(
                    f"{path}: has {len(names)} arrays, expected one (H, W, 3) of I, U, V"
                )
            if CHARTS in reader.names:
                charts = str(reader.texts(CHARTS))
            array = reader.read(names[0])
    if array.ndim != 3 or array.shape[2] != 3 or not 0 < array[..., 0].size <= MAX_PIXELS:
        raise UserError(f"{path}: has the shape {array.shape}, expected (H, W, 3): I, U, V")
    if array.dtype.kind not in "uif":
        raise UserError(f"{path}: has the type {array.dtype}, expected numbers: I, U, V")
    part, uv = array[..., 0], array[..., 1:]
    if not whole(part, 0, PARTS):
        raise UserError(f"{path}: its first channel is no part: whole numbers, 0 to {PARTS}")
    part = part.astype(np.uint8)
    if array.dtype == np.uint8:
        return _Map(part, uv, charts)
    if not ((uv >= 0) & (uv <= 1))[part > 0].all():
        raise UserError(f"{path}: U or V is not in 0..1; write them so, or as uint8 up to 255")
    return _Map(part, uv.astype(np.float64), charts)


def _people(
    path: Path, iuv: _Map, body: Body, pictures: Pictures, points: int
) -> Iterator[DensePerson | str]:
    charts = charts_of(path, iuv.charts, body)
    height, width = iuv.part.shape
    stem = path.stem[: -len(MAP)] if path.stem.upper().endswith(MAP) else path.stem
    name = pictures.of_stem(stem)
    try:
        size = pictures.size(name, str(path)) or (width, height)
    except UserError:  # a damaged picture ends nothing: the map has its size
        size = (width, height)
    if size != (width, height):
        raise UserError(
            f"{path}: is {width} x {height}, its picture {size[0]} x {size[1]}; a map must have "
            "the size of its picture"
        )
    camera = Camera(picture_size=(width, height))
    for mine in _owners(path, iuv.part):
        rows, columns = np.flatnonzero(mine.any(1)), np.flatnonzero(mine.any(0))
        window = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        part = np.where(mine, iuv.part, 0)[window]
        region = np.array([columns[0], rows[0], *part.shape[::-1]], np.float64)
        person = person_in_charts(
            charts, part, iuv.uv[window], region, points, picture=name, camera=camera
        )
        yield NO_PART if person is None else person


def _owners(path: Path, part: np.ndarray) -> Iterator[np.ndarray]:
    """(H, W) bool: the pixels of each person."""
    there, beside = part > 0, numbers_file(path)
    if beside is None:
        if there.any():
            yield there
        return
    numbers = _read_png(beside, "INDS map")[0][..., 0]
    if numbers.shape != part.shape:
        raise UserError(f"{beside}: has another size than {path.name}")
    # DensePose numbers detections from 0, so one person has the number of the background.
    for number in np.unique(numbers[there]):
        yield there & (numbers == number)
