"""How far fitted bodies are from the truth."""

from bodyreg.metrics.evaluate import METRICS, Evaluator, evaluate, joint_errors, true_joints
from bodyreg.metrics.geodesics import BodyGeodesics, load_geodesics
from bodyreg.metrics.gps import gps, gpsm, mask_iou
from bodyreg.metrics.keypoints import pck
from bodyreg.metrics.pose import (
    bone_mpjpe,
    facing,
    mpjpe,
    n_mpjpe,
    pa_mpjpe,
    procrustes,
    turned_away,
)
from bodyreg.metrics.surface import pixel_error, vertex_error
from bodyreg.metrics.table import Metric, Statistics, Table

__all__ = [
    "METRICS", "BodyGeodesics", "Evaluator", "Metric", "Statistics", "Table", "bone_mpjpe",
    "evaluate", "facing", "gps", "gpsm", "joint_errors", "load_geodesics", "mask_iou", "mpjpe",
    "n_mpjpe", "pa_mpjpe", "pck", "pixel_error", "procrustes", "true_joints", "turned_away",
    "vertex_error",
]  # fmt: skip
