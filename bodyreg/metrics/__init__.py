"""How far fitted bodies are from the truth."""

from bodyreg.metrics.evaluate import evaluate
from bodyreg.metrics.pose import facing, mpjpe, pa_mpjpe, procrustes, turned_away
from bodyreg.metrics.surface import pixel_error, vertex_error

__all__ = [
    "evaluate", "facing", "mpjpe", "pa_mpjpe", "pixel_error", "procrustes", "turned_away",
    "vertex_error",
]  # fmt: skip
