"""The kernels. Importing them needs torch and NumPy alone.

Each has a twin of the same name and signature in `bodyreg.reference`, in plain torch, which
defines it. All of them take float32 or float64 on the CPU or a CUDA device, contiguous (flows and
pictures also channels-last); half precision is cast up to float32 under autocast. They work with
torch.compile and torch.vmap, and are differentiable once, in reverse mode: torch.autograd.grad,
torch.func.grad, vjp, jacrev. Asking for forward-mode or second derivatives is an error. A person's
results do not depend, bit for bit, on the rest of the batch or on the number of threads.

`fit` is a whole registration in one call. It has no derivative and no twin; `bodyreg.registration`
defines it. `raster` finds the visible face of a mesh at every pixel, and `flow` carries it into
another picture; they have no derivative.
"""

from bodyreg.ops.correspondence import correspondence
from bodyreg.ops.fit import Evidence, Plan, Rig, fit, fit_gradient, fit_variance
from bodyreg.ops.flow import flow
from bodyreg.ops.kinematics import kinematics
from bodyreg.ops.lbs import lbs
from bodyreg.ops.pool_flow import pool_flow
from bodyreg.ops.projection import gram_schmidt, projection
from bodyreg.ops.raster import raster
from bodyreg.ops.warp import warp
from bodyreg.reference.flow import Flow
from bodyreg.reference.raster import Raster

__all__ = [
    "Evidence",
    "Flow",
    "Plan",
    "Raster",
    "Rig",
    "correspondence",
    "fit",
    "fit_gradient",
    "fit_variance",
    "flow",
    "gram_schmidt",
    "kinematics",
    "lbs",
    "pool_flow",
    "projection",
    "raster",
    "warp",
]
