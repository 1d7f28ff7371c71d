"""Fits for other tools: GLB and BVH for animation, parameters, vertices, COCO's results."""

from bodyreg.exchange.bvh import to_bvh
from bodyreg.exchange.coco import keypoint_results
from bodyreg.exchange.glb import to_glb
from bodyreg.exchange.mhr import mhr_vertices
from bodyreg.exchange.motion import Motion, motion_of
from bodyreg.exchange.smpl import smpl_parameters, smpl_vertices

__all__ = [
    "Motion",
    "keypoint_results",
    "mhr_vertices",
    "motion_of",
    "smpl_parameters",
    "smpl_vertices",
    "to_bvh",
    "to_glb",
]
