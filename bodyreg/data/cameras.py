"""What files know of the cameras of their pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Camera(NamedTuple):
    """What is known of the camera of one picture; as the arrays of `Observations`."""

    focal: float = math.nan
    principal_point: tuple[float, float] = (math.nan, math.nan)
    picture_size: tuple[int, int] = (0, 0)


def arrays_of(cameras: Sequence[Camera]) -> dict[str, np.ndarray | None]:
    """The arrays of `Observations` about N people's cameras; None where nothing is known of any."""
    people = len(cameras)
    with np.errstate(over="ignore"):  # the observations' check refuses infinity
        focal = np.array([camera.focal for camera in cameras], np.float32)
        point = np.array([camera.principal_point for camera in cameras], np.float32)
    size = np.array([camera.picture_size for camera in cameras], np.int32)
    return {
        "focal": focal if not np.isnan(focal).all() else None,
        "principal_point": point.reshape(people, 2) if not np.isnan(point).all() else None,
        "picture_size": size.reshape(people, 2) if size.any() else None,
    }
