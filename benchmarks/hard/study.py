"""Made people with known truth, as a detector with its usual errors sees them."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bodyreg import Body, Observations
from bodyreg.data import Fits, Truth, read_densepose_coco
from bodyreg.metrics.pose import mpjpe
from bodyreg.synthetic.dataset import make_dataset
from bodyreg.synthetic.faults import Faults
from bodyreg.synthetic.formats.densepose_coco import write_densepose_coco
from bodyreg.synthetic.motions.performance import Motions
from bodyreg.synthetic.observe import Noise

DISTANCE = (2.0, 6.0)
"""Metres between cameras and people."""
LEAST = (20, 3)
"""Dense points and keypoints that people have at least; others are left out."""


@dataclass(frozen=True, eq=False)
class Study:
    """People with known truth."""

    body: Body
    people: Observations
    truth: Truth

    @classmethod
    def make(cls, count: int, seed: int, motions: Motions | None = None) -> Study:
        """Made people with the usual errors of a detector, without exchanged limbs."""
        body, noise = Body.default(), Noise(faults=Faults(exchanged=0.0))
        pictures, truth = make_dataset(body, count, seed, noise, motions=motions, distance=DISTANCE)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "people.json"
            write_densepose_coco(path, pictures, body.charts.name)
            people, _ = read_densepose_coco(path, body)
        keypoints = (people.keypoint_weight > 0).sum(1)
        enough = (people.point_count >= LEAST[0]) & (keypoints >= LEAST[1])
        return cls(body, people.select(np.flatnonzero(enough)), truth)

    def true(self, ids: np.ndarray) -> Truth:
        """The truth of the people with these ids."""
        row = {person: place for place, person in enumerate(self.truth.id.tolist())}
        return self.truth.select(np.array([row[person] for person in ids.tolist()]))

    def errors(self, fits: Fits) -> np.ndarray:
        """(N,) millimetres: mean distance of 24 joints from the pelvis, true scale."""
        truth = self.true(fits.id)
        joints = fits.in_frames(truth.frame).joints(self.body)
        return 1000 * mpjpe(joints / truth.scale[:, None, None], truth.joints)
