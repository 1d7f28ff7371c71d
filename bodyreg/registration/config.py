"""Everything that can be chosen about a registration, in one flat record."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from bodyreg.errors import UserError

PIXEL = 1 / 128
"""One pixel of a 256-pixel frame, in frame units: the frame spans [-1, 1]."""


@dataclass(frozen=True)
class RegistrationConfig:
    """Weights, schedules and solver settings. The defaults are the preset `accurate`.

    Units: lengths on the picture are frame units (a frame spans [-1, 1]; 1/128 is a pixel of a
    256-pixel frame), angles are radians, segment scales are ratios to the template, counts are
    plain numbers. A weight multiplies its term; a weight of 0 removes the term and its cost.
    An option named `*_start` is the first value of the option without `_start`: over the first
    `anneal_share` of the iterations, the value changes from one to the other in equal ratios.

    Attributes:
        evidence: `sum` divides the sums over points and keypoints by `dense_count` and
            `keypoint_count`, so that more evidence weighs more; `mean` divides them by the
            person's own counts (the paper's means).
        dense_count: Number of dense points that together weigh `dense_weight` (`sum` only).
        keypoint_count: Number of keypoints that together weigh `keypoint_weight` (`sum` only).

        camera: `perspective` uses the focal lengths of the pictures. `weak` ignores them: all rays
            are parallel.
        assumed_focal: Focal length of a picture of unknown focal length and known size, as a share
            of the picture's diagonal; inf for parallel rays. Without its size, rays are parallel.
        find_focal: Whether a cold fit of such a picture goes on by warm fits with half this focal
            length, with this one, and with parallel rays. That of the lowest loss stays.

        dense_weight: Squared distance of dense points, per frame unit².
        dense_width: Width of its Geman-McClure function, frame units; inf for plain squares.
        dense_width_start: Width at the start, frame units.
        precise_error: If the dense points of a cold fit are nearer than this (root of the mean
            robust square, frame units), a warm fit with as many `iterations` follows in which they
            weigh more. The loss has the usual weights. 0 for no such fit.
        precise_factor: How many times `dense_weight` they weigh in that fit.
        keypoint_weight: Squared distance of keypoints on the picture, per frame unit².
        outside_share: Share of its weight that a keypoint has which lies outside of its picture, if
            the picture's size is known: a detector has guessed it.
        suspect_error: If the dense points or the keypoints of a cold fit are farther than this
            (roots of the mean robust and of the mean square, frame units), fits follow in which
            left and right are exchanged, of everything, of one kind of evidence or of limbs, and in
            which a limb's keypoints, and dense points far from the others, are left out. One of a
            much lower loss stays. inf for no such fits.
        depth_weight: Squared error of the keypoints' depth relative to the pelvis, per frame unit².
        depth_weight_start: The same at the start.
        depth_spread: Spread of a depth that has these weights, frame units: a depth of another
            known spread weighs (depth_spread / spread)² as much. It is less than the spreads of
            depths that are lifted, because the errors of a person's depths go together. 0 reads no
            spreads.

        facing_weight: Squared hinge on matched points that turn away from the viewer, unitless.
        facing_margin: z of a unit normal under which facing begins to cost, in (-1, 1).
        visibility_weight: Minus log likelihood of a matched point on its segment's surface, nats;
            fits report it from its lowest possible value, so that it is never below 0.
        visibility_sharpness: How sharply the seen part of a segment ends, per unit of normal z.

        prior_weight: Anatomical prior, squared standard deviations from the everyday pose.
        prior_weight_start: The same at the start.
        limit_weight: Squared excess over the two-sided joint limits, per radian².
        joint_weight: Squared joint angles, per radian² (the paper's).
        exponential_weight: Exponential of elbow and knee hyper-extension (the paper's), unitless.

        scale_smoothness_weight: Squared difference of segment scales of neighbours, per ratio².
        scale_deviation_weight: Squared deviation of segment scales from their mean, per ratio².
        scale_symmetry_weight: Squared difference of left and right segment scales, per ratio².
        scale_level_weight: Squared deviation of segment scales from 1, per ratio². Without it the
            scales can shrink while the camera's scale grows, and the other scale terms vanish. It
            contains the deviation term: Σ (S - 1)² = Σ (S - mean)² + 24 (mean - 1)².
        scale_limit_weight: Squared excess of segment scales over the two limits below, per ratio².
        scale_low: Smallest segment scale that costs nothing, ratio to the template.
        scale_high: Largest such scale; a child's head on an adult template needs about this.

        fit_shape: Whether fits go on with the coefficients of the body's shape directions, for
            people who have dense points.
        shape_weight: Squared shape coefficients: a prior about the template.

        upright_weight: Squared sine of the pelvis' lean toward or away from the viewer, unitless.
        det_weight: exp(-det) of the raw rotation, which keeps it from becoming a reflection; not
            used with `six_numbers`.
        six_numbers: Use the first two columns of the rotation only, which cannot reflect.

        stiff: Whether a cold fit begins with a stiff body, so that it finds the camera first. With
            `anneal`, the two weights below change to those of the body that is not stiff; with
            `constant` they stay; with `none` they are not used.
        stiff_scale_weight: `scale_smoothness_weight` of the stiff body, per ratio².
        stiff_joint_weight: `joint_weight` and `exponential_weight` of the stiff body, per radian².

        solver: `adam`, or `lm`: Levenberg-Marquardt, after some steps of Adam in a cold fit.
        refresh: Iterations of Adam after which the fused solver computes these anew from the
            points: robust weights, the points that turn away, the slope of the visibility term,
            and places in perspective. With 1 the gradient is exact. Terms without such parts are
            exact always.
        iterations: Adam steps of a cold fit along one path.
        learning_rate: Adam's step for every parameter (radians, ratios, frame units).
        learning_rate_end: Last learning rate as a share of the first; 1 keeps it constant.
        decay_share: Share of the iterations, at the end, over which it falls along a cosine.
        anneal_share: Share of the iterations, at the start, over which weights anneal; with lm
            they anneal over all steps of Adam.
        starts: Cold starts per person, at yaws evenly around the circle.
        roll_starts: Whether cold starts are turned about the view as the trunk is on the picture.
        explore_share: With several starts, share of the iterations that every start takes.
        carried: How many starts, those of lowest loss, take the rest of the iterations.
        carried_learning_rate: Learning rate of the rest.
        warm_iterations: Adam steps of a warm fit, which starts from an earlier one. No weight is
            annealed.
        warm_learning_rate: Learning rate of a warm fit.
        lm_adam_iterations: With lm, Adam steps of every start of a cold fit. Without depths, 100
            give fewer wrong fits than 60.
        lm_iterations: Levenberg-Marquardt steps of the `carried` starts, and of a warm fit.
        camera_scale: Camera scale of a cold start, frame units per metre.
        chunk: People fitted at once. Changes speed and memory, never a fit.
    """

    # A field that is added says what runs did before it, so that their records can be read:
    # field(default=..., metadata={"before": ...}); see runs/record.py.

    evidence: Literal["sum", "mean"] = "sum"
    dense_count: float = 120.0
    keypoint_count: float = 16.0

    camera: Literal["perspective", "weak"] = field(
        default="perspective", metadata={"before": "weak"}
    )
    assumed_focal: float = field(default=2.0, metadata={"before": math.inf})
    find_focal: bool = field(default=True, metadata={"before": False})

    dense_weight: float = 1.5
    dense_width: float = 20 * PIXEL
    dense_width_start: float = 20 * PIXEL
    precise_error: float = field(default=2.2 * PIXEL, metadata={"before": 0.0})
    precise_factor: float = field(default=6.0, metadata={"before": 6.0})
    keypoint_weight: float = 0.5
    outside_share: float = field(default=0.02, metadata={"before": 1.0})
    suspect_error: float = field(default=6 * PIXEL, metadata={"before": math.inf})
    depth_weight: float = 0.05
    depth_weight_start: float = 0.5
    depth_spread: float = field(default=0.04, metadata={"before": 0.0})

    facing_weight: float = 0.03
    facing_margin: float = 0.3
    visibility_weight: float = 1e-3
    visibility_sharpness: float = 12.0

    prior_weight: float = 3e-5
    prior_weight_start: float = 3e-4
    limit_weight: float = 0.02
    joint_weight: float = 0.0
    exponential_weight: float = 0.0

    scale_smoothness_weight: float = 3e-4
    scale_deviation_weight: float = 0.0
    scale_symmetry_weight: float = 3e-3
    scale_level_weight: float = 5e-4
    scale_limit_weight: float = 0.02
    scale_low: float = 0.6
    scale_high: float = 1.7

    fit_shape: bool = field(default=False, metadata={"before": False})
    shape_weight: float = field(default=8e-5, metadata={"before": 8e-5})

    upright_weight: float = 1e-3
    det_weight: float = 0.1
    six_numbers: bool = True

    stiff: Literal["anneal", "constant", "none"] = "none"
    stiff_scale_weight: float = 10.0
    stiff_joint_weight: float = 1.0

    solver: Literal["adam", "lm"] = "adam"
    refresh: int = 30
    iterations: int = 320
    learning_rate: float = 0.12
    learning_rate_end: float = 0.05
    decay_share: float = 0.4
    anneal_share: float = 0.6
    starts: int = 4
    roll_starts: bool = field(default=True, metadata={"before": False})
    explore_share: float = 0.6
    carried: int = 1
    carried_learning_rate: float = 0.05
    warm_iterations: int = 100
    warm_learning_rate: float = 0.03
    lm_adam_iterations: int = 60
    lm_iterations: int = 8
    camera_scale: float = 0.9
    chunk: int = 8192

    @classmethod
    def preset(cls, name: str, **changes: Any) -> RegistrationConfig:
        """A named configuration, with fields changed by keyword.

        Args:
            name: `accurate`, the defaults, or `paper`: the losses, weights and schedule that
                reconstruct "Learning Body Shape and Pose from Dense Correspondences".
            **changes: Field -> value.

        Raises:
            UserError: unknown preset, or a value out of its range.
        """
        if name not in PRESETS:
            raise UserError(f"preset '{name}' is unknown; choose one of: {', '.join(PRESETS)}")
        return replace(PRESETS[name], **changes) if changes else PRESETS[name]

    def __post_init__(self) -> None:
        for name in _POSITIVE:
            _require(self, name, lambda v: v > 0 and not math.isnan(v), "a positive number")
        # Beyond this the softplus of a hidden surface is 0 in float32, and its logarithm infinite.
        _require(self, "visibility_sharpness", lambda v: v <= 80, "at most 80")
        _require(self, "camera_scale", lambda v: v < math.inf, "finite")
        _require(self, "precise_error", lambda v: 0 <= v <= MOST, f"0 to {MOST:,}")
        _require(self, "precise_factor", lambda v: 0 < v <= MOST, f"above 0, at most {MOST:,}")
        _require(self, "assumed_focal", lambda v: v >= SHORTEST_FOCAL, f">= {SHORTEST_FOCAL:g}")
        for name in _SHARES:
            _require(self, name, lambda v: 0 < v <= 1, "a number in (0, 1]")
        for name in (f.name for f in fields(self)):
            if "_weight" in name:
                _require(self, name, lambda v: 0 <= v < math.inf, "a finite number >= 0")
        for name in ("starts", "carried", "chunk", "refresh"):
            _require(self, name, lambda v: 1 <= v <= MOST, f"1 to {MOST:,}")
        for name in ("iterations", "warm_iterations", "lm_adam_iterations", "lm_iterations"):
            _require(self, name, lambda v: 0 <= v <= MOST, f"0 to {MOST:,}")
        _require(self, "depth_spread", lambda v: 0 <= v < math.inf, "a finite number >= 0")
        _require(self, "facing_margin", lambda v: -1 < v < 1, "a number in (-1, 1)")
        _require(self, "scale_low", lambda v: 0 < v < 1, "a number in (0, 1)")
        _require(self, "scale_high", lambda v: v > 1, "a number above 1")
        _require(self, "evidence", lambda v: v in ("sum", "mean"), "sum or mean")
        _require(self, "camera", lambda v: v in ("perspective", "weak"), "perspective or weak")
        _require(self, "solver", lambda v: v in ("adam", "lm"), "adam or lm")
        _require(
            self, "stiff", lambda v: v in ("anneal", "constant", "none"), "anneal, constant or none"
        )
        for end, start in _ANNEALED:
            self._check_annealing(end, start)

    def _check_annealing(self, end: str, start: str) -> None:
        """Refuse an end of a geometric sequence that is 0 or infinite while the other is not."""
        first, last = getattr(self, start), getattr(self, end)
        if start.startswith("stiff") and self.stiff != "anneal":
            return
        if last > 0 and (first == 0 or math.isinf(first) != math.isinf(last)):
            raise UserError(
                f"registration option {start} is {first:g} and {end} {last:g}: a value anneals "
                "between positive, finite numbers; set both or neither to 0 or inf"
            )


MOST = 1_000_000
"""No use of these numbers is larger; a damaged record may hold any number."""

SHORTEST_FOCAL = 0.01
"""Diagonals of the picture. No lens sees so much."""

_ANNEALED = (
    ("depth_weight", "depth_weight_start"),
    ("prior_weight", "prior_weight_start"),
    ("dense_width", "dense_width_start"),
    ("scale_smoothness_weight", "stiff_scale_weight"),
    ("joint_weight", "stiff_joint_weight"),
    ("exponential_weight", "stiff_joint_weight"),
)
"""Options, and the options with their first values."""

_POSITIVE = (
    "dense_count", "keypoint_count", "dense_width", "dense_width_start", "visibility_sharpness",
    "learning_rate", "carried_learning_rate", "warm_learning_rate", "camera_scale", "suspect_error",
)  # fmt: skip
_SHARES = ("learning_rate_end", "decay_share", "anneal_share", "explore_share", "outside_share")


def _require(
    config: RegistrationConfig, name: str, holds: Callable[[Any], bool], expected: str
) -> None:
    value = getattr(config, name)
    if not holds(value):
        raise UserError(f"registration option {name} is {value!r}; it must be {expected}")


PRESETS = {
    "accurate": RegistrationConfig(),
    # The paper's terms. The paper gives no weights; these reproduce its behaviour.
    "paper": RegistrationConfig(
        evidence="mean",
        camera="weak",
        find_focal=False,
        dense_weight=1.0,
        dense_width=math.inf,
        dense_width_start=math.inf,
        precise_error=0.0,
        keypoint_weight=1.0,
        outside_share=1.0,
        suspect_error=math.inf,
        depth_weight=1.0,
        depth_weight_start=1.0,
        depth_spread=0.0,
        facing_weight=0.0,
        visibility_weight=0.0,
        prior_weight=0.0,
        prior_weight_start=0.0,
        limit_weight=0.0,
        joint_weight=1e-3,
        exponential_weight=1e-3,
        scale_smoothness_weight=0.05,
        scale_deviation_weight=0.0,
        scale_symmetry_weight=0.0,
        # Not the paper's: without it a solver that converges finds S → 0, camera scale → ∞.
        scale_level_weight=1e-2,
        scale_limit_weight=0.0,
        upright_weight=0.0,
        six_numbers=False,
        det_weight=0.1,
        stiff="anneal",
        iterations=300,
        learning_rate=0.1,
        learning_rate_end=1.0,
        starts=1,
        roll_starts=False,
        warm_learning_rate=0.1,
        lm_adam_iterations=30,
        lm_iterations=5,
    ),
}
"""Named configurations."""
