"""Bodies from pictures: the network, what it learns from, and how.

`Regressor` sees bodies in pictures.
"""

from bodyreg.regression.network import Architecture
from bodyreg.regression.regressor import Regressor

__all__ = ["Architecture", "Regressor"]
