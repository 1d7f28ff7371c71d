"""A person painted in another pose, from pictures and the bodies fitted to them, without training.

`Appearance` is how a person looks by some pictures, and paints this person in the pose of a fit.
"""

from bodyreg.transfer.painting import Appearance, Painting, Provenance, Source

__all__ = ["Appearance", "Painting", "Provenance", "Source"]
