"""Observations, fits and truth, and a reader for each real format."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bodyreg.data.boxes import read_boxes, read_pictures
    from bodyreg.data.cse import read_cse
    from bodyreg.data.deepfashion import (
        PosePairs,
        read_deepfashion,
        read_market1501,
        read_pose_pairs,
    )
    from bodyreg.data.densepose_coco import read_densepose_coco
    from bodyreg.data.densepose_results import read_densepose_results
    from bodyreg.data.fits import Fits
    from bodyreg.data.fits_files import FitsById
    from bodyreg.data.human36m import Poses3D, read_videopose3d
    from bodyreg.data.iuv import read_iuv
    from bodyreg.data.keypoint_files import read_keypoints
    from bodyreg.data.landmarks import read_landmarks, write_landmarks
    from bodyreg.data.lsp import read_lsp
    from bodyreg.data.mpii import read_mpii
    from bodyreg.data.observations import Observations
    from bodyreg.data.openpose import read_openpose
    from bodyreg.data.point_lists import read_points
    from bodyreg.data.proportions import read_proportions, write_proportions
    from bodyreg.data.spin import read_spin
    from bodyreg.data.stored import ObservationsInMemory, open_observations
    from bodyreg.data.truth import Truth

# Imported when first used: the options of a command need the names of the formats alone.
_HOMES = {
    "Fits": "bodyreg.data.fits",
    "FitsById": "bodyreg.data.fits_files",
    "Observations": "bodyreg.data.observations",
    "ObservationsInMemory": "bodyreg.data.stored",
    "PosePairs": "bodyreg.data.deepfashion",
    "Poses3D": "bodyreg.data.human36m",
    "Truth": "bodyreg.data.truth",
    "open_observations": "bodyreg.data.stored",
    "read_cse": "bodyreg.data.cse",
    "read_points": "bodyreg.data.point_lists",
    "read_deepfashion": "bodyreg.data.deepfashion",
    "read_boxes": "bodyreg.data.boxes",
    "read_densepose_coco": "bodyreg.data.densepose_coco",
    "read_densepose_results": "bodyreg.data.densepose_results",
    "read_iuv": "bodyreg.data.iuv",
    "read_keypoints": "bodyreg.data.keypoint_files",
    "read_landmarks": "bodyreg.data.landmarks",
    "read_lsp": "bodyreg.data.lsp",
    "read_market1501": "bodyreg.data.deepfashion",
    "read_mpii": "bodyreg.data.mpii",
    "read_openpose": "bodyreg.data.openpose",
    "read_pictures": "bodyreg.data.boxes",
    "read_pose_pairs": "bodyreg.data.deepfashion",
    "read_proportions": "bodyreg.data.proportions",
    "read_spin": "bodyreg.data.spin",
    "read_videopose3d": "bodyreg.data.human36m",
    "write_landmarks": "bodyreg.data.landmarks",
    "write_proportions": "bodyreg.data.proportions",
}

__all__ = [
    "Fits",
    "FitsById",
    "Observations",
    "ObservationsInMemory",
    "PosePairs",
    "Poses3D",
    "Truth",
    "open_observations",
    "read_boxes",
    "read_cse",
    "read_deepfashion",
    "read_densepose_coco",
    "read_densepose_results",
    "read_iuv",
    "read_keypoints",
    "read_landmarks",
    "read_lsp",
    "read_market1501",
    "read_mpii",
    "read_openpose",
    "read_pictures",
    "read_points",
    "read_pose_pairs",
    "read_proportions",
    "read_spin",
    "read_videopose3d",
    "write_landmarks",
    "write_proportions",
]

if not TYPE_CHECKING:  # a type checker would let every name pass

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module 'bodyreg.data' has no attribute {name!r}")
        return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
