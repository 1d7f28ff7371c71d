"""A tiny body in SMPL's format, people for it, and the command line called in this process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from bodyreg.body.joints import PARENTS
from bodyreg.cli import main
from bodyreg.data import Observations

LEFT = {
    1: (0.10, -0.01, 0.0), 4: (0.11, -0.40, 0.0), 7: (0.11, -0.80, 0.0), 10: (0.12, -0.86, 0.1),
    13: (0.03, 0.45, 0.0), 16: (0.16, 0.43, 0.0), 18: (0.42, 0.43, 0.0), 20: (0.66, 0.43, 0.0),
    22: (0.75, 0.43, 0.0),
}  # fmt: skip
MIDDLE = {0: 0.0, 3: 0.07, 6: 0.14, 9: 0.22, 12: 0.51, 15: 0.62}


def smpl_arrays() -> dict[str, np.ndarray]:
    """Four vertices round each joint, moved by it alone, and the tetrahedra between them."""
    joints = np.zeros((24, 3))
    for joint, place in LEFT.items():
        joints[joint], joints[joint + 1] = place, np.array(place) * [-1, 1, 1]
    joints[list(MIDDLE), 1] = list(MIDDLE.values())
    corners = 0.04 * np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    faces = np.array([[0, 1, 2], [0, 3, 1], [0, 2, 3], [1, 3, 2]])
    return {
        "v_template": (joints[:, None] + corners).reshape(-1, 3),
        "f": (faces + 4 * np.arange(24)[:, None, None]).reshape(-1, 3),
        "weights": np.eye(24).repeat(4, axis=0),
        "J": joints,
        "kintree_table": np.array([[2**32 - 1, *PARENTS[1:]], range(24)], np.uint32),
    }


@pytest.fixture
def body_file(tmp_path) -> Path:
    path = tmp_path / "body.npz"
    np.savez(path, **smpl_arrays())
    return path


def made_observations(people: int = 3) -> Observations:
    """The T-pose seen from the front, 200 pixels a metre, with a little noise."""
    random = np.random.default_rng(0)
    arrays = smpl_arrays()
    names = ("pelvis", "left_knee", "right_knee", "left_wrist", "right_wrist", "neck")
    slots = [0, 4, 5, 20, 21, 12]
    vertex = random.integers(0, 96, (people * 20, 1)).repeat(3, 1)
    scale = np.array([200.0, -200.0])
    return Observations(
        id=10 + np.arange(people),
        frame=np.tile([300.0, 300.0, 240.0], (people, 1)),
        point_start=20 * np.arange(people + 1),
        point_xy=300 + arrays["v_template"][vertex[:, 0], :2] * scale,
        point_vertex=vertex,
        point_barycentric=np.tile([1.0, 0, 0], (people * 20, 1)),
        point_weight=np.ones(people * 20),
        keypoint_name=names,
        keypoint_xy=300
        + arrays["J"][slots, :2] * scale
        + random.normal(0, 1, (people, len(names), 2)),
        keypoint_weight=np.ones((people, len(names))),
    )


@pytest.fixture
def observations_file(tmp_path) -> Path:
    path = tmp_path / "people.npz"
    made_observations().save(path)
    return path


@dataclass
class Result:
    """The result of a command line."""

    status: int
    out: str
    error: str

    @property
    def refusal(self) -> str:
        """The one line with which the command refused; it printed nothing else to stderr."""
        assert self.status == 2
        assert self.error.startswith("bodyreg: error: ")
        assert self.error.count("\n") == 1
        return self.error


@pytest.fixture
def bodyreg(capsys):
    """Call the command line in this process."""

    def call(*arguments: object) -> Result:
        capsys.readouterr()
        status = main([str(argument) for argument in arguments])
        return Result(status, *capsys.readouterr())

    return call
