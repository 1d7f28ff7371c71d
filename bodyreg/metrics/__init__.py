"""How far fitted bodies are from the truth, and painted pictures from true ones."""

from bodyreg.metrics.evaluate import METRICS, Evaluator, evaluate, joint_errors, true_joints
from bodyreg.metrics.geodesics import BodyGeodesics, load_geodesics
from bodyreg.metrics.gps import gps, gpsm, mask_iou
from bodyreg.metrics.images import (
    IMAGE_METRICS,
    SSIM,
    Ssim,
    flat_silhouette,
    gain,
    image_errors,
    l1,
    psnr,
    ssim,
)
from bodyreg.metrics.inception import Inception, InceptionScores, inception_scores
from bodyreg.metrics.keypoints import pck
from bodyreg.metrics.lpips import Lpips
from bodyreg.metrics.pose import (
    bone_mpjpe,
    facing,
    mpjpe,
    n_mpjpe,
    pa_mpjpe,
    procrustes,
    turned_away,
)
from bodyreg.metrics.protocols import PROTOCOLS, Protocol
from bodyreg.metrics.surface import pixel_error, vertex_error
from bodyreg.metrics.table import Metric, Statistics, Table

__all__ = [
    "IMAGE_METRICS", "METRICS", "PROTOCOLS", "SSIM", "BodyGeodesics", "Evaluator", "Inception",
    "InceptionScores", "Lpips", "Metric", "Protocol", "Ssim", "Statistics", "Table",
    "bone_mpjpe", "evaluate", "facing", "flat_silhouette", "gain", "gps", "gpsm",
    "image_errors", "inception_scores", "joint_errors", "l1", "load_geodesics", "mask_iou",
    "mpjpe", "n_mpjpe", "pa_mpjpe", "pck", "pixel_error", "procrustes", "psnr", "ssim",
    "true_joints", "turned_away", "vertex_error",
]  # fmt: skip
