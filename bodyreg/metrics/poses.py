"""Errors of fits against measured 3-D joints, such as Human3.6M's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bodyreg.data.skeletons import H36M_17, LSP_14
from bodyreg.metrics.pose import CANONICAL_BONE_SUM, bone_mpjpe, n_mpjpe, pa_mpjpe
from bodyreg.metrics.table import Metric

if TYPE_CHECKING:
    from bodyreg.body import Body
    from bodyreg.data import Fits

MILLIMETRES = 1000.0

POSE_METRICS: dict[str, Metric] = {
    "bone_mpjpe": Metric(
        "bone MPJPE", "mm", f"16 joints, bones {CANONICAL_BONE_SUM:.0f} mm in all"
    ),
    "n_mpjpe": Metric("N-MPJPE", "mm", "17 joints from the pelvis, best scale"),
    "pa_mpjpe": Metric("PA-MPJPE", "mm", "17 joints after Procrustes"),
    "pa_mpjpe_14": Metric("PA-MPJPE 14", "mm", "14 joints of LSP after Procrustes"),
}
"""The metrics of `evaluate_poses`. A picture does not show how large a person is, so all of them
ignore the size."""

TURNED = ("pa_mpjpe", "pa_mpjpe_14")
"""The metrics that do not depend on the person's orientation to the camera."""


def evaluate_poses(
    fits: Fits, joints: np.ndarray, body: Body, *, camera: bool = True
) -> dict[str, np.ndarray]:
    """Every error of every person.

    The fitted body has Human3.6M's joints as landmarks ("h36m/left_hip"). They lie up to a few
    centimetres away from the data set's, an error that no fit can remove.

    Args:
        fits: N fits of `body`.
        joints: (N, 17, 3) metres, in H36M-17's order; NaN = unknown.
        body: The template that was fitted.
        camera: Whether the joints are in camera axes (x right, y up, z toward the viewer). If not,
            only the metrics that ignore rotations are computed.

    Returns:
        Name -> (N,) millimetres, for the names in `POSE_METRICS`; NaN for a person with an unknown
        joint.
    """
    ours = MILLIMETRES * fits.keypoints(body, H36M_17.keypoints).astype(np.float64)
    names = H36M_17.joints
    true = MILLIMETRES * np.asarray(joints, np.float64)
    common = [names.index(name) for name in LSP_14.joints]
    errors = {
        "bone_mpjpe": lambda x, y: bone_mpjpe(x, y, names, CANONICAL_BONE_SUM),
        "n_mpjpe": n_mpjpe,
        "pa_mpjpe": pa_mpjpe,
        "pa_mpjpe_14": lambda x, y: pa_mpjpe(x[:, common], y[:, common]),
    }
    known = np.isfinite(true).all(axis=(1, 2))
    found = {}
    for name, error in errors.items():
        if camera or name in TURNED:
            found[name] = np.full(len(fits), np.nan)
            found[name][known] = error(ours[known], true[known])
    return found
