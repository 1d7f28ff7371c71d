"""A loss of your own: hands that are known to touch, which keypoints from the side cannot show.

    python examples/own_loss.py

Prints how far apart the wrists are, without the loss and with it.
"""

import numpy as np
import torch

import bodyreg
from bodyreg import ops
from bodyreg.body import Parameters, rotation_matrices
from bodyreg.registration import Padded

# A person seen from the side, hands folded in front of the chest: pixels, x right and y down.
KEYPOINTS = {
    "nose": (181, 60), "left_eye": (180, 56), "right_eye": (175, 56),
    "left_shoulder": (169, 92), "right_shoulder": (147, 91),
    "left_elbow": (198, 111), "right_elbow": (177, 112),
    "left_wrist": (212, 104), "right_wrist": (207, 105),
    "left_hip": (163, 162), "right_hip": (155, 161),
    "left_knee": (163, 220), "right_knee": (153, 222),
    "left_ankle": (162, 284), "right_ankle": (153, 285),
}  # fmt: skip
TOUCHING = 0.07  # metres between the wrists of folded hands
WEIGHT = 5.0

body = bodyreg.Body.default()
rest = torch.from_numpy(body.joints)
LEFT, RIGHT = body.joint_names.index("left_wrist"), body.joint_names.index("right_wrist")


def folded_hands(parameters: Parameters, evidence: Padded) -> torch.Tensor:
    """The excess distance between the wrists, squared: (B,), one loss per body.

    `parameters` has pose (B, 24, 3), segment_scale (B, 24), rotation, translation and scale. To
    treat people differently, use `evidence.person` (B,): their positions in the observations.
    """
    rotations = rotation_matrices(parameters.pose)
    _, joints = ops.kinematics(rotations, parameters.segment_scale, rest, body.parents)
    distance = (joints[:, LEFT] - joints[:, RIGHT]).norm(dim=1)
    return WEIGHT * (distance - TOUCHING).clamp(min=0).square()


def main() -> None:
    xy = np.array([list(KEYPOINTS.values())], np.float32)
    people = bodyreg.Observations.of_keypoints(tuple(KEYPOINTS), xy, np.ones(xy.shape[:2]))
    for name, loss in (("without", None), ("with", folded_hands)):
        fits = bodyreg.register(body, people, extra_loss=loss)
        joints = fits.joints(body)[0] / fits.scale[0]
        apart = np.linalg.norm(joints[LEFT] - joints[RIGHT])
        print(f"{name} the loss the wrists are {100 * apart:.1f} cm apart")


if __name__ == "__main__":
    main()
