"""A person who stands in a picture: where the built-in body has its joints in the T-pose."""

from __future__ import annotations

import numpy as np

from bodyreg.body import Body
from bodyreg.data.skeletons import Skeleton

METRE, CENTRE, SIDE = 200, 300, 600


def places(skeleton: Skeleton) -> np.ndarray:
    """(J, 3) metres: where the built-in body has the joints in its T-pose, y up, z to the front."""
    return Body.default().keypoints(skeleton.keypoints).anchors[..., :3].sum(1).numpy()


def pixels(skeleton: Skeleton) -> np.ndarray:
    """(J, 2) pixels of the picture, y down."""
    return CENTRE + METRE * places(skeleton)[:, :2] * [1, -1]
