"""What a network's bodies should be like: labels, and what the pictures show.

"Learning Body Shape and Pose from Dense Correspondences" (Yoshiyasu & Gamez, 2019): a smooth L1
loss on parameters, and the dense and keypoint losses of the registration with lifted depths. The
latter are the registration's own code, on the compiled kernels. The distances of the joints from
the label's are ours: errors of parameters add up along a limb, and those of joints do not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from types import ModuleType

import torch
from torch import Tensor
from torch.nn import functional

from bodyreg import ops
from bodyreg.body import (
    AXIS_ANGLE,
    QUATERNION,
    Body,
    Parameters,
    quaternion_to_axis_angle,
    rotation_matrices,
)
from bodyreg.data.observations import Observations
from bodyreg.ops.fit import Rig
from bodyreg.registration import RegistrationConfig
from bodyreg.registration.evidence import gather, make_rig
from bodyreg.registration.objective import Objective
from bodyreg.registration.padding import Padded, pad
from bodyreg.registration.schedule import Setting, warm
from bodyreg.regression.views import Views
from bodyreg.training.loops import check_numbers

FAR = 1.2
"""Frame units from a view's middle, along either axis, from which on a keypoint weighs nothing: the
network cannot see it."""

ROUNDING = 1e-3
"""Frame units. Shorter distances of joints cost about their square, so that none has an edge."""


@dataclass(frozen=True)
class LossConfig:
    """Weights of the losses. A weight of 0 removes its term.

    Attributes:
        parameter_weight: Smooth L1 loss of the 132 numbers, mean over the numbers.
        position_weight: Distance of joints from the label's in space, mean over the joints, per
            frame unit.
        dense_weight: Squared distance of dense points, mean over a person's points, per frame
            unit².
        keypoint_weight: Squared distance of keypoints, mean over a person's keypoints, per frame
            unit².
        depth_weight: Squared error of their depths, likewise.
        scale_smoothness_weight, joint_weight, exponential_weight: Of the registration's terms of
            these names (`RegistrationConfig`). A network that learns without labels needs them.
    """

    parameter_weight: float = 1.0
    position_weight: float = 0.0
    dense_weight: float = 5.0
    keypoint_weight: float = 5.0
    depth_weight: float = 5.0
    scale_smoothness_weight: float = 0.0
    joint_weight: float = 0.0
    exponential_weight: float = 0.0

    def __post_init__(self) -> None:
        check_numbers(self, ())

    @property
    def of_bodies(self) -> tuple[str, ...]:
        """The terms of bodies that have a weight."""
        names = ("scale_smoothness", "joint", "exponential")
        return tuple(name for name in names if getattr(self, f"{name}_weight"))


def label_losses(
    rig: Rig, found: Parameters, labels: Parameters, *, engine: ModuleType = ops
) -> dict[str, Tensor]:
    """How far a network's bodies are from labels, unweighted.

    Args:
        rig: Of `rig_of`.
        found, labels: Parameters of N people in their frames, with quaternions.
        engine: `bodyreg.ops` or `bodyreg.reference`.

    Returns:
        parameter -> (N,) of `parameter_loss`; position -> (N,) of `position_loss`.
    """
    return {
        "parameter": parameter_loss(found, labels),
        "position": position_loss(rig, found, labels, engine=engine),
    }


def parameter_loss(found: Parameters, labels: Parameters) -> Tensor:
    """(N,) smooth L1 loss of the 132 numbers, mean over them: e² / 2, or |e| - 1/2 from |e| = 1 on.

    Both poses are quaternions with w >= 0, and both rotations are orthonormal.
    """
    error = functional.smooth_l1_loss(
        QUATERNION.join(found), QUATERNION.join(labels), reduction="none"
    )
    return error.mean(1)


def position_loss(
    rig: Rig, found: Parameters, labels: Parameters, *, engine: ModuleType = ops
) -> Tensor:
    """(N,) frame units: the mean distance of joints from the labels', the pelvis on the pelvis.

    The bodies are as large as their cameras' scales show them. A distance d costs
    (d² + `ROUNDING`²)^½ - `ROUNDING`.
    """
    off = _places(rig, found, engine) - _places(rig, labels, engine)
    return ((off.square().sum(2) + ROUNDING**2).sqrt() - ROUNDING).mean(1)


def _places(rig: Rig, p: Parameters, engine: ModuleType) -> Tensor:
    """(N, 24, 3) joints as seen from the pelvis, frame units in camera axes."""
    turns = rotation_matrices(quaternion_to_axis_angle(p.pose))
    _, joints = engine.kinematics(turns, p.segment_scale, rig.joints, rig.parents)
    return p.scale[:, None, None] * (joints - joints[:, :1]) @ p.rotation.mT


def evidence_losses(
    rig: Rig,
    evidence: Padded,
    found: Parameters,
    of_bodies: Sequence[str] = (),
    *,
    engine: ModuleType = ops,
) -> dict[str, Tensor]:
    """The registration's terms of what pictures show, and some of bodies, unweighted.

    Args:
        rig: Of `rig_of`.
        evidence: Of `evidence_of`.
        found: Parameters of N people in their frames, with quaternions.
        of_bodies: Names of the terms of bodies, as of `LossConfig.of_bodies`.
        engine: `bodyreg.ops` or `bodyreg.reference`.

    Returns:
        dense, keypoint and depth -> (N,) frame units², and the terms of bodies -> (N,). A term
        without any evidence is missing.
    """
    flat = AXIS_ANGLE.join(found._replace(pose=quaternion_to_axis_angle(found.pose)))
    wanted = Setting(dict.fromkeys((*OF_EVIDENCE, *of_bodies), 1.0), math.inf)
    return Objective(engine, rig, evidence, PLAN).terms(flat, wanted)


PLAN = warm(RegistrationConfig.preset("paper"))
OF_EVIDENCE = ("dense", "keypoint", "depth")


def rig_of(body: Body, names: tuple[str, ...], device: torch.device) -> Rig:
    """The constants of a body that `evidence_losses` reads.

    A network's segment scales are those of fits, so the body's usual proportions do not count.
    """
    if body.proportions is not None:
        body = replace(body, proportions=None)
    return make_rig(body, names, device, torch.float32)


def evidence_of(rig: Rig, people: Observations, config: RegistrationConfig) -> Padded:
    """What pictures show of N people, on the CPU.

    It does not change while a network learns, so points are contracted to rig points once. That
    takes about 170 bytes of memory for each point, as many for each person as the most have.

    Args:
        rig: Of `rig_of`.
        people: The people.
        config: Says what the cameras are, and how the spread of a depth counts.
    """
    config = replace(config, evidence="mean")
    return pad(rig, gather(people, config, torch.device("cpu"), torch.float32))


def in_views(evidence: Padded, views: Views, device: torch.device) -> Padded:
    """The evidence of N people who are seen in views, on a device.

    Keypoints that are far outside of a person's view weigh nothing.
    """
    near = (views.place(evidence.keypoint_xy).abs() < FAR).all(2)
    weights = {n: getattr(evidence, n) * near for n in ("keypoint_weight", "depth_weight")}
    tensors = {field.name: getattr(evidence, field.name) for field in fields(evidence)} | weights
    return Padded(**{name: tensor.to(device) for name, tensor in tensors.items()})


def total(
    config: LossConfig,
    of_labels: dict[str, Tensor],
    of_evidence: dict[str, Tensor],
    confidence: Tensor,
) -> Tensor:
    """(N,) the people's weighted terms together, the mean of which is to be minimised.

    Args:
        config: Weights.
        of_labels: Of `label_losses`.
        of_evidence: Of `evidence_losses`.
        confidence: (N,) weights of the people's labels.
    """
    loss = torch.zeros_like(confidence)
    for name, term in ({n: confidence * t for n, t in of_labels.items()} | of_evidence).items():
        if weight := getattr(config, f"{name}_weight"):  # 0 times infinity would be NaN
            loss = loss + weight * term
    return loss
