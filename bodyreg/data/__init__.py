"""Observations and truth, and a reader per real format."""

from bodyreg.data.densepose_coco import read_densepose_coco
from bodyreg.data.mpii import read_mpii_poses
from bodyreg.data.observations import Observations
from bodyreg.data.stored import ObservationsInMemory, open_observations
from bodyreg.data.truth import Truth

__all__ = [
    "Observations",
    "ObservationsInMemory",
    "Truth",
    "open_observations",
    "read_densepose_coco",
    "read_mpii_poses",
]
