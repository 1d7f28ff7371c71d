"""Numbers about the fits of a run, which add up shard by shard."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from bodyreg.body import Body
    from bodyreg.data import Fits, Observations

MEASURED = 1024
"""People of a shard whose distances are measured, evenly chosen. To measure all of them takes a
quarter of the time of a fast fit."""

# Bits of a float32 that a histogram drops. It keeps 10 bits of the mantissa, so its relative error
# is at most half of 1/1024.
FORGOTTEN = 13


@dataclass
class Histogram:
    """Positive numbers in bins of a tenth of a per cent; memory does not grow with their number.

    Attributes:
        counts: The upper bits of a bin's float32 numbers -> the number of values in it.
    """

    counts: Counter[int] = field(default_factory=Counter)

    @staticmethod
    def of(values: np.ndarray) -> Histogram:
        """The histogram of the finite ones among these values."""
        values = np.asarray(values, np.float32)
        bits = np.abs(values[np.isfinite(values)]).view(np.uint32) >> FORGOTTEN
        bins, counts = np.unique(bits, return_counts=True)
        return Histogram(Counter(dict(zip(bins.tolist(), counts.tolist(), strict=True))))

    def __len__(self) -> int:
        return self.counts.total()

    def __add__(self, other: Histogram) -> Histogram:
        return Histogram(self.counts + other.counts)

    @property
    def median(self) -> float:
        """The median, within 0.05 %; NaN if there are no values."""
        if not len(self):
            return float("nan")
        bins = np.array(sorted(self.counts), np.uint32)
        below = np.cumsum([self.counts[number] for number in bins.tolist()])
        middle = [(len(self) - 1) // 2, len(self) // 2]
        found = bins[np.searchsorted(below, middle, side="right")]
        half_a_bin = 1 << (FORGOTTEN - 1)
        return float(((found << FORGOTTEN) + half_a_bin).astype(np.uint32).view(np.float32).mean())


@dataclass
class Summary:
    """The numbers of a shard, or of several shards added up.

    Attributes:
        people: The number of people who were fitted.
        skipped: The number of people who were not, by reason.
        with_keypoints: The number of fitted people with keypoints.
        with_depths: The number of fitted people with depths of keypoints.
        cameras: The numbers of people by what is known of the camera: its focal length is `known`,
            or `assumed`, or there is no perspective (`weak`).
        mirrored: Fits whose rotation is a reflection.
        shaped: Fits whose shape is not that of the body.
        exchanged: Fits that read left and right of some evidence exchanged.
        rejected: Fits that left out evidence that disagrees.
        doubtful: Doubtful fits, by the name of their strongest reason.
        loss: Sum of the losses; NaN if the fits have none.
        terms: Name -> sum of the weighted term.
        distances: "dense points" or "keypoints" -> each measured person's mean distance, pixels.
        deviations: "across" or "along" the view -> the standard deviations of all joints but the
            pelvis of the measured people, millimetres.
        stages: Stage -> the milliseconds that it took for a person, of every batch of pictures.
        seconds: The time of the fits.
    """

    people: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    with_keypoints: int = 0
    with_depths: int = 0
    cameras: Counter[str] = field(default_factory=Counter)
    mirrored: int = 0
    shaped: int = 0
    exchanged: int = 0
    rejected: int = 0
    doubtful: Counter[str] = field(default_factory=Counter)
    loss: float = 0.0
    terms: Counter[str] = field(default_factory=Counter)
    distances: dict[str, Histogram] = field(default_factory=dict)
    deviations: dict[str, Histogram] = field(default_factory=dict)
    stages: dict[str, Histogram] = field(default_factory=dict)
    seconds: float = 0.0

    @staticmethod
    def of(
        fits: Fits,
        observations: Observations,
        body: Body,
        skipped: Counter[str],
        seconds: float,
        stages: Mapping[str, Sequence[float]],
    ) -> Summary:
        """The summary of fits and of the observations they were made from."""
        from bodyreg.metrics.reprojection import reprojection_error

        every = -(-len(fits) // MEASURED) or 1
        errors = {}
        if len(fits):
            errors = reprojection_error(
                fits.select(slice(None, None, every)),
                observations.select(slice(None, None, every)) if every > 1 else observations,
                body,
            )
        return Summary(
            people=len(fits),
            skipped=skipped,
            with_keypoints=int((observations.keypoint_weight > 0).any(axis=1).sum()),
            with_depths=int(observations.has_depths.sum()),
            cameras=_cameras(fits, observations),
            mirrored=int(fits.mirrored.sum()),
            shaped=0 if fits.shape is None else int(fits.shape.any(axis=1).sum()),
            exchanged=_some(fits.exchanged),
            rejected=_some(fits.rejected),
            doubtful=_doubtful(fits),
            loss=math.nan if fits.loss is None else float(fits.loss.sum(dtype=np.float64)),
            terms=Counter({n: float(t.sum(dtype=np.float64)) for n, t in fits.terms.items()}),
            distances={name: Histogram.of(error) for name, error in errors.items()},
            deviations=_deviations(fits, every),
            stages={name: Histogram.of(np.array(times)) for name, times in stages.items()},
            seconds=seconds,
        )

    def __add__(self, other: Summary) -> Summary:
        return Summary(
            people=self.people + other.people,
            skipped=self.skipped + other.skipped,
            with_keypoints=self.with_keypoints + other.with_keypoints,
            with_depths=self.with_depths + other.with_depths,
            cameras=self.cameras + other.cameras,
            mirrored=self.mirrored + other.mirrored,
            shaped=self.shaped + other.shaped,
            exchanged=self.exchanged + other.exchanged,
            rejected=self.rejected + other.rejected,
            doubtful=self.doubtful + other.doubtful,
            loss=self.loss + other.loss,
            terms=_added(self.terms, other.terms),
            distances=_joined(self.distances, other.distances),
            deviations=_joined(self.deviations, other.deviations),
            stages=_joined(self.stages, other.stages),
            seconds=self.seconds + other.seconds,
        )

    @property
    def mean_loss(self) -> float:
        """Mean loss of the people; NaN if there are no people, or no losses."""
        return self.loss / self.people if self.people else float("nan")

    @property
    def mean_terms(self) -> dict[str, float]:
        """Mean of every weighted term; they add up to the mean loss."""
        return {name: value / max(self.people, 1) for name, value in self.terms.items()}

    @property
    def median_pixels(self) -> dict[str, float]:
        """Median distance of dense points and of keypoints, pixels of a 256-pixel frame."""
        return {name: round(h.median, 3) for name, h in self.distances.items() if len(h)}

    @property
    def median_deviations(self) -> dict[str, float]:
        """Median deviation of joints "across" and "along" the view, millimetres."""
        return {name: round(h.median, 2) for name, h in self.deviations.items() if len(h)}

    @property
    def median_stages(self) -> dict[str, float]:
        """Median time of a person in every stage, milliseconds."""
        return {name: round(h.median, 3) for name, h in self.stages.items() if len(h)}

    def to_json(self) -> str:
        """The summary as text, which `from_json` reads."""
        counts = {
            name: {key: h.counts for key, h in getattr(self, name).items()} for name in HISTOGRAMS
        }
        return json.dumps({**vars(self), **counts})

    @staticmethod
    def from_json(text: str) -> Summary:
        """Read back what `to_json` has written."""
        values = json.loads(text)
        for name in HISTOGRAMS:
            values[name] = {
                key: Histogram(Counter({int(number): count for number, count in counts.items()}))
                for key, counts in values[name].items()
            }
        for name in ("skipped", "cameras", "doubtful", "terms"):
            values[name] = Counter(values[name])
        return Summary(**values)


HISTOGRAMS = ("distances", "deviations", "stages")
"""Fields of `Summary` that have histograms."""


def _joined(left: dict[str, Histogram], right: dict[str, Histogram]) -> dict[str, Histogram]:
    names = {**left, **right}
    return {n: left.get(n, Histogram()) + right.get(n, Histogram()) for n in names}


def _deviations(fits: Fits, every: int) -> dict[str, Histogram]:
    if fits.joint_deviation is None:
        return {}
    across, along = (Histogram.of(fits.joint_deviation[::every, 1:, axis]) for axis in (0, 1))
    return {"across": across, "along": along}


def _some(sets: np.ndarray | None) -> int:
    """The number of fits whose set of evidence is not empty."""
    return 0 if sets is None else int(np.count_nonzero(sets))


def _doubtful(fits: Fits) -> Counter[str]:
    """The numbers of doubtful fits by their strongest reason."""
    if not fits.doubts:
        return Counter()
    names = list(fits.doubts)
    strongest = np.argmax(list(fits.doubts.values()), axis=0)[fits.doubtful]
    return Counter(names[place] for place in strongest.tolist())


def _cameras(fits: Fits, observations: Observations) -> Counter[str]:
    """The numbers of people by what is known of their cameras."""
    unknown = np.full(len(fits), np.nan)
    used = np.isfinite(unknown if fits.focal is None else fits.focal)
    known = np.isfinite(unknown if observations.focal is None else observations.focal)
    counts = {
        "known": int((used & known).sum()),
        "assumed": int((used & ~known).sum()),
        "weak": int((~used).sum()),
    }
    return +Counter(counts)


def _added(left: Counter[str], right: Counter[str]) -> Counter[str]:
    """The sum of two counters. Unlike `Counter.__add__`, it keeps values of 0 and below."""
    return Counter({name: left[name] + right[name] for name in {**left, **right}})
