"""What each op means, in plain torch: same names and signatures as `bodyreg.ops`, any dtype.

Tests and benchmarks compare the ops against these, so they are written to be read, and as fast as
plain torch allows without losing that.
"""

from bodyreg.reference.correspondence import correspondence
from bodyreg.reference.flow import flow
from bodyreg.reference.kinematics import kinematics
from bodyreg.reference.lbs import lbs
from bodyreg.reference.pool_flow import pool_flow
from bodyreg.reference.projection import gram_schmidt, projection
from bodyreg.reference.raster import raster
from bodyreg.reference.warp import warp

__all__ = [
    "correspondence",
    "flow",
    "gram_schmidt",
    "kinematics",
    "lbs",
    "pool_flow",
    "projection",
    "raster",
    "warp",
]
