"""Lists of dense points: where pixels lie on the body, as a table of a few columns.

A table has the columns x and y, picture pixels, and either I, U and V, a part and its chart
coordinates, or `vertex`, the number of a vertex of the body, or `smpl_vertex`, of SMPL. It may have
`picture`, `person` and `weight`. Rows of the same picture and person are one person's.

- .csv: the names of the columns in the first line. A line "# charts: NAME" above it names charts.
- .json: a list of tables, or one: an object of lists. `picture` and `person` may be single values,
  and `charts` names charts.
- .npz: an array for each column. If names end with numbers, as x_0 and x_1, each number is a
  person's, and arrays without a number are of all of them. `charts` names charts, and `size`, (2,),
  is the picture's width and height.
"""

from __future__ import annotations

import csv
import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bodyreg.body import Body
from bodyreg.body.charts import DENSEPOSE_CHARTS
from bodyreg.data.cameras import Camera
from bodyreg.data.dense_maps import DensePerson, charts_of, collect, whole
from bodyreg.data.densepose_coco import PARTS
from bodyreg.data.frames import boxes_of_points
from bodyreg.data.json_files import BEFORE_JSON, load_json
from bodyreg.data.observation_checks import LARGEST_SIDE
from bodyreg.data.observations import Observations
from bodyreg.errors import UserError
from bodyreg.files import first_bytes, reading
from bodyreg.npz import ZIP, as_texts, load_npz

NUMBERS = ("x", "y", "i", "u", "v", "vertex", "smpl_vertex", "weight")
TEXTS = ("picture", "person")
SIZE, CHARTS = "size", "charts"

IN_ONE_PLACE = "fewer than two points in different places"


def read_points(path: str | os.PathLike, body: Body) -> tuple[Observations, Counter[str]]:
    """Read people's dense points from a table: .csv, .json or .npz; the first bytes tell which.

    All points are kept. The frame is the square round a person's points. Ids are 0, 1, 2 ... in the
    order in which people occur.

    Args:
        path: The file.
        body: The body; its charts, or its vertices, must be the file's.

    Returns:
        The observations, and how many people were left out by reason.

    Raises:
        UserError: the file is damaged, or a column is missing or wrong; the message names it.
    """
    path = Path(path)
    start = first_bytes(path, "point list").lstrip(BEFORE_JSON)
    if start.startswith(ZIP):
        tables = list(_of_npz(path))
    elif start.startswith((b"[", b"{")):
        tables = list(_of_json(path))
    else:
        tables = [_of_csv(path)]
    return collect((p for table in tables for p in table.people(body)), body, str(path))


@dataclass(frozen=True, eq=False)
class _Table:
    """Columns of equal length.

    Attributes:
        where: The file, or the place in it.
        columns: Name -> numbers (n,), or texts for `picture` and `person`.
        charts: The name of the charts.
        size: Width and height of the picture; 0 = not known.
    """

    where: str
    columns: dict[str, np.ndarray]
    charts: str = DENSEPOSE_CHARTS
    size: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        there = self.columns.keys()
        for name in ("x", "y"):
            if name not in there:
                raise UserError(f"{self.where}: has no column '{name}'")
        ways = [{"i", "u", "v"} <= there, "vertex" in there, "smpl_vertex" in there]
        if sum(ways) != 1:
            raise UserError(
                f"{self.where}: needs the columns I, U and V, or vertex, or smpl_vertex: one of "
                "these three"
            )
        lengths = {len(column) for column in self.columns.values()}
        if len(lengths) != 1:
            raise UserError(f"{self.where}: its columns have different lengths")
        for name in NUMBERS:
            if name in there and not np.isfinite(self.columns[name]).all():
                row = int(np.isfinite(self.columns[name]).argmin())
                raise UserError(f"{self.where}: {name} of point {row} is not finite")
        if "weight" in there and (self.columns["weight"] < 0).any():
            raise UserError(f"{self.where}: a weight is negative")

    def people(self, body: Body) -> Iterator[DensePerson | str]:
        """The people, in the order of their first rows."""
        count = len(self.columns["x"])
        if not count:
            return
        vertex, barycentric = self._located(body)
        texts = [self.columns[name] for name in TEXTS if name in self.columns]
        keys = list(zip(*(text.tolist() for text in texts), strict=True)) if texts else [()] * count
        number = {key: place for place, key in enumerate(dict.fromkeys(keys))}
        owner = np.array([number[key] for key in keys])
        order = np.argsort(owner, kind="stable")
        xy = np.column_stack([self.columns["x"], self.columns["y"]])
        weight = self.columns.get("weight", np.ones(count))
        picture = self.columns.get("picture")
        for rows in np.split(order, np.flatnonzero(np.diff(owner[order])) + 1):
            box = boxes_of_points(xy[rows][None])[0]
            if not box[2:].max() > 0:
                yield IN_ONE_PLACE
                continue
            yield DensePerson(
                picture="" if picture is None else str(picture[rows[0]]),
                camera=Camera(picture_size=self.size),
                box=box,
                xy=xy[rows],
                vertex=vertex[rows],
                barycentric=barycentric[rows],
                weight=weight[rows],
            )

    def _located(self, body: Body) -> tuple[np.ndarray, np.ndarray]:
        """The points of the body: vertices (n, 3), barycentrics (n, 3)."""
        if "vertex" in self.columns:
            number = self._whole("vertex", 0, len(body.vertices) - 1)
            shares = np.zeros((len(number), 3))
            shares[:, 0] = 1
            return number[:, None].repeat(3, 1), shares
        if "smpl_vertex" in self.columns:
            try:
                return body.smpl_points(self._whole("smpl_vertex", 0, 2**31 - 1))
            except UserError as error:
                raise UserError(f"{self.where}: {error}") from None
        charts = charts_of(self.where, self.charts, body)
        uv = np.column_stack([self.columns["u"], self.columns["v"]])
        if not ((uv >= -1e-3) & (uv <= 1 + 1e-3)).all():
            raise UserError(f"{self.where}: U or V is out of range; chart coordinates are 0 to 1")
        return charts.locate(self._whole("i", 1, PARTS), uv.clip(0, 1))

    def _whole(self, name: str, low: int, high: int) -> np.ndarray:
        column = self.columns[name]
        bad = ~((column >= low) & (column <= high) & (column % 1 == 0))
        if bad.any():
            row = int(bad.argmax())
            label = "I" if name == "i" else name
            raise UserError(
                f"{self.where}: {label} of point {row} is {column[row]:g}, expected a whole number "
                f"from {low} to {high}"
            )
        return column.astype(np.int64)


def _of_csv(path: Path) -> _Table:
    with reading(path), open(path, encoding="utf-8-sig", errors="surrogateescape", newline="") as f:
        lines = f.read().splitlines()
    charts = DENSEPOSE_CHARTS
    while lines and (lines[0].startswith("#") or not lines[0].strip()):
        name, _, value = lines.pop(0).lstrip("# ").partition(":")
        if name.strip() == CHARTS:
            charts = value.strip()
    if not lines:
        raise UserError(f"{path}: is empty; expected a line with the names of the columns")
    delimiter = max(",;\t", key=lines[0].count)
    try:
        rows = [row for row in csv.reader(lines, delimiter=delimiter) if row]
    except csv.Error as error:
        raise UserError(f"{path}: no readable table ({error})") from error
    head, body = [name.strip().lower() for name in rows[0]], rows[1:]
    known = [name for name in head if name in NUMBERS + TEXTS]
    if len(set(known)) < len(known):
        raise UserError(f"{path}: a column occurs twice in its first line")
    for number, row in enumerate(body, 2):
        if len(row) != len(head):
            raise UserError(f"{path}: row {number} has {len(row)} columns, the first {len(head)}")
    columns = {}
    for place, name in enumerate(head):
        if name in NUMBERS:
            columns[name] = _numbers([row[place] for row in body], name, str(path))
        elif name in TEXTS:
            columns[name] = np.array([row[place].strip() for row in body], np.str_)
    return _Table(str(path), columns, charts)


def _of_json(path: Path) -> Iterator[_Table]:
    content = load_json(path)
    for place, item in enumerate(content if isinstance(content, list) else [content]):
        where = f"{path}: [{place}]" if isinstance(content, list) else str(path)
        if not isinstance(item, dict):
            raise UserError(f"{where} is not an object of lists")
        lower = {str(name).lower(): value for name, value in item.items()}
        columns = {name: _numbers(lower[name], name, where) for name in NUMBERS if name in lower}
        count = len(columns.get("x", ()))
        for name in TEXTS:
            if lower.get(name) is not None:
                value = lower[name]
                values = value if isinstance(value, list) else [value] * count
                columns[name] = np.array([str(text) for text in values], np.str_)
        size = _size(lower.get(SIZE), where)
        yield _Table(where, columns, str(lower.get(CHARTS, DENSEPOSE_CHARTS)), size)


def _of_npz(path: Path) -> Iterator[_Table]:
    """The tables of arrays: one, or one for each number that names end with."""
    arrays = load_npz(path, kind="point list")
    charts = str(as_texts(arrays[CHARTS])) if CHARTS in arrays else DENSEPOSE_CHARTS
    groups: dict[int, dict[str, np.ndarray]] = {}
    for name, array in arrays.items():
        base, number = _numbered(name.lower())
        if base in (*NUMBERS, *TEXTS, SIZE):
            if base in groups.setdefault(number, {}):
                raise UserError(f"{path}: array '{name}' occurs twice")
            groups[number][base] = array
    if not groups:
        raise UserError(f"{path}: has no columns of points (x, y, I, U, V ...)")
    shared = groups.pop(-1, {}) if len(groups) > 1 else {}
    for number, found in sorted(groups.items()):
        found = shared | found
        where = str(path) if number < 0 else f"{path}: person {number}"
        size = _size(found.pop(SIZE, None), where)
        columns = {}
        for name, array in found.items():
            if name in NUMBERS:
                columns[name] = _numbers(array, name, where)
            elif array.ndim == 1 and array.dtype.kind in "US":
                columns[name] = as_texts(array)
            elif array.ndim == 1 and array.dtype.kind in "iu":
                columns[name] = array.astype(np.str_)
            else:
                raise UserError(f"{where}: {name} is not a list of texts or of numbers")
        yield _Table(where, columns, charts, size)


def _numbered(name: str) -> tuple[str, int]:
    """The name without the number that it ends with, and the number; -1 if there is none."""
    found = re.fullmatch(r"(.+)_([0-9]{1,9})", name)
    return (found[1], int(found[2])) if found else (name, -1)


def _numbers(values: Any, name: str, where: str) -> np.ndarray:
    """(n,) float64."""
    try:
        array = np.asarray(values)
        if array.dtype.kind == "U" and array.size:  # of a .csv file
            array = array.astype(np.float64)
    except (ValueError, OverflowError):
        array = np.array(None)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "biuf"):
        raise UserError(f"{where}: {name} is not a list of numbers")
    return array.astype(np.float64)


def _size(value: Any, where: str) -> tuple[int, int]:
    if value is None:
        return 0, 0
    size = _numbers(value, SIZE, where)
    if len(size) != 2 or not whole(size, 1, LARGEST_SIDE):
        raise UserError(f"{where}: size is not the width and height of a picture")
    return int(size[0]), int(size[1])
