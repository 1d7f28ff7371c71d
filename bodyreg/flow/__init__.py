"""Where a picture of a person is in another picture of the same person, by bodies fitted to both.

`between` gives flow and visibility; `data.corr` keeps them in files.
"""

from bodyreg.flow.bodies import between

__all__ = ["between"]
