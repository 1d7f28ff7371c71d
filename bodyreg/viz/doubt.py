"""How fits that are uncertain are shown: in words, and as a share of doubt for every vertex."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from bodyreg.body import Body
    from bodyreg.data import Fits

SURE, UNSURE = 40.0, 200.0
"""Millimetres: a deviation of no doubt, and one of full doubt."""
SURE_COLOUR, UNSURE_COLOUR = (168, 204, 235), (250, 158, 84)
"""Their colours, red, green, blue; the report, the viewer and overlays mix them."""


def whole_deviation(deviation: np.ndarray) -> np.ndarray:
    """(..., 24) millimetres: deviations in space, from those across and along the view."""
    return np.linalg.norm(deviation, axis=-1)


def uncertain_joints(body: Body, deviation: np.ndarray) -> list[str]:
    """A person's joints in words, the least certain first, from their deviations (24, 2)."""
    return [
        f"{body.joint_names[joint].replace('_', ' ')}, ± {deviation[joint, 0]:.0f} mm across the "
        f"view, ± {deviation[joint, 1]:.0f} mm along it"
        for joint in np.argsort(-whole_deviation(deviation), kind="stable").tolist()
    ]


def segment_doubt(body: Body, deviation: np.ndarray) -> np.ndarray:
    """(24,) from 0 to 1: the mean of the joints at a segment's ends, from deviations (24, 2)."""
    whole = whole_deviation(deviation)
    sums, ends = whole.copy(), np.ones(len(whole))
    for joint, parent in enumerate(body.parents):
        if parent >= 0:
            sums[parent] += whole[joint]
            ends[parent] += 1
    return np.clip((sums / ends - SURE) / (UNSURE - SURE), 0, 1)


def vertex_doubt(body: Body, deviation: np.ndarray) -> np.ndarray:
    """(V,) float32 from 0 to 1: that of the segments, mixed as the vertices' weights are."""
    return (body.dense_weights @ segment_doubt(body, deviation)).astype(np.float32)


def doubt_of(body: Body, fits: Fits, person: int) -> np.ndarray | None:
    """`vertex_doubt` of one of the fits; None if the fits do not tell."""
    if fits.joint_deviation is None:
        return None
    return vertex_doubt(body, fits.joint_deviation[person])
