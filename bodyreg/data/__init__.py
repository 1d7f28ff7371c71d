"""Observations, fits and truth, and a reader per real format."""

from bodyreg.data.deepfashion import (
    PosePairs,
    read_deepfashion,
    read_market1501,
    read_pose_pairs,
)
from bodyreg.data.densepose_coco import read_densepose_coco
from bodyreg.data.fits import Fits, FitsById
from bodyreg.data.human36m import Poses3D, read_videopose3d
from bodyreg.data.mpii import read_mpii
from bodyreg.data.observations import Observations
from bodyreg.data.openpose import read_openpose
from bodyreg.data.spin import read_spin
from bodyreg.data.stored import ObservationsInMemory, open_observations
from bodyreg.data.truth import Truth

__all__ = [
    "Fits",
    "FitsById",
    "Observations",
    "ObservationsInMemory",
    "PosePairs",
    "Poses3D",
    "Truth",
    "open_observations",
    "read_deepfashion",
    "read_densepose_coco",
    "read_market1501",
    "read_mpii",
    "read_openpose",
    "read_pose_pairs",
    "read_spin",
    "read_videopose3d",
]
