"""Leeds Sports Pose: joints.mat of the data set, or of its extension.

`joints` is (3, 14, N) in LSP: x, y, and 1 where a joint is hidden; hidden joints are marked too. It
is (14, 3, N) in the extension, LSPET: x, y, and 0 where a joint is not marked. The first person is
in the picture im0001.jpg, in LSPET im00001.jpg. Pixels count from 1, as in MATLAB.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import numpy as np

from bodyreg.data.detections import Detection, observations_of
from bodyreg.data.mpii import FROM_ONE
from bodyreg.data.observations import Observations
from bodyreg.data.skeletons import LSP_14
from bodyreg.errors import UserError
from bodyreg.matlab import load_mat


def read_lsp(path: str | os.PathLike) -> tuple[Observations, Counter[str]]:
    """Read LSP's people, or those of its extension; ids are their places in the file, from 0.

    Frames are round the boxes of the joints.

    Args:
        path: joints.mat; the shape of its array tells which of the two it is.

    Returns:
        The observations, and how many people were skipped by reason.

    Raises:
        UserError: the file cannot be read, or holds something else.
    """
    path, joints = Path(path), len(LSP_14)
    array = load_mat(path, kind="LSP", names=("joints",)).get("joints")
    shape = array.shape if isinstance(array, np.ndarray) else ()
    shape = (*shape, 1) if len(shape) == 2 else shape  # MATLAB drops the side of one person
    if shape[:2] not in ((3, joints), (joints, 3)) or len(shape) != 3:
        raise UserError(
            f"{path}: expected an array 'joints' of (3, {joints}, people), or of ({joints}, 3, "
            "people) as in the extension"
        )
    assert isinstance(array, np.ndarray)
    extended = shape[0] == joints
    rows = array.reshape(shape).transpose((2, 0, 1) if extended else (2, 1, 0)).astype(np.float64)
    marked = rows[..., 2] > 0 if extended else np.ones(rows.shape[:2], bool)
    bad = marked & ~np.isfinite(rows[..., :2]).all(2)
    if bad.any():
        person, joint = np.argwhere(bad)[0]
        raise UserError(f"{path}: person {person}, joint {joint}: is not finite")
    places = np.where(marked[..., None], rows[..., :2] - FROM_ONE, 0)
    people = [
        Detection(np.column_stack([xy, seen]), picture=f"im{number:0{5 if extended else 4}d}.jpg")
        for number, (xy, seen) in enumerate(zip(places, marked, strict=True), 1)
    ]
    return observations_of(people, LSP_14, str(path))
