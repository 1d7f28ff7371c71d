"""bodyreg-proportions-1: usual proportions of a data set's people, as JSON.

    {"format": "bodyreg-proportions-1",
     "body": {"name": "makehuman", "fingerprint": "0123456789ab"},
     "segment_scale": {"left_knee": 0.94, "right_knee": 0.94}}

Segments are named by their joints. A scale is a ratio to the body's; one that is left out is 1.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from bodyreg.body import Body
from bodyreg.body.proportions import check_proportions
from bodyreg.data.json_files import load_json, numbers
from bodyreg.errors import UserError
from bodyreg.files import atomic_path

FORMAT = "bodyreg-proportions-1"


def read_proportions(path: str | os.PathLike, body: Body) -> np.ndarray:
    """Read (24,) float32 usual segment scales of a body; `body.with_proportions` applies them.

    Raises:
        UserError: the file is missing or damaged, or of another body.
    """
    content = load_json(path)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise UserError(f"{path}: expected an object with 'format': '{FORMAT}' and 'segment_scale'")
    theirs = content.get("body")
    if not isinstance(theirs, dict) or theirs.get("fingerprint") != body.fingerprint:
        name = theirs.get("name") if isinstance(theirs, dict) else None
        of = f"body '{name}'" if isinstance(name, str) else "another body"
        raise UserError(
            f"{path}: has the proportions of {of}, not of this body '{body.name}'; learn them again"
        )
    scales = content.get("segment_scale")
    if not isinstance(scales, dict):
        raise UserError(f"{path}: 'segment_scale' is not an object of joints and numbers")
    found = np.ones(len(body.joint_names))
    for name, value in scales.items():
        if name not in body.joint_names:
            raise UserError(f"{path}: segment_scale: '{name}' is no joint of the rig")
        where = f"{path}: segment_scale"
        found[body.joint_names.index(name)] = numbers({name: [value]}, name, where, 1)[0]
    try:
        check_proportions(found)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    return found.astype(np.float32)


def write_proportions(
    path: str | os.PathLike,
    segment_scale: np.ndarray,
    body: Body,
    *,
    within: Path | None = None,
    **facts: Any,
) -> None:
    """Write a body's usual segment scales.

    Args:
        path: The file to write.
        segment_scale: (24,).
        body: The body.
        within: The folder of the temporary file, as in `files.atomic_path`.
        **facts: What made them, as values for JSON.
    """
    content = {
        "format": FORMAT,
        **facts,
        "body": {"name": body.name, "fingerprint": body.fingerprint},
        "segment_scale": {
            name: round(value, 6)
            for name, value in zip(body.joint_names, segment_scale.tolist(), strict=True)
        },
    }
    with atomic_path(path, within=within) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
