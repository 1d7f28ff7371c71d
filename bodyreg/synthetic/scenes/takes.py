"""Takes in a studio like Human3.6M's: seven people, fifteen actions twice, four cameras."""

from __future__ import annotations

import itertools
from functools import lru_cache

import numpy as np
import torch

from bodyreg.body import Body
from bodyreg.synthetic.motions.actions import ACTIONS
from bodyreg.synthetic.motions.performance import MadeMotions, Motions, Performance
from bodyreg.synthetic.people import Person, sample_person
from bodyreg.synthetic.scenes.scene import Scene, seeded
from bodyreg.synthetic.scenes.studio import studio_cameras, studio_figures

TRAINING, TEST = ("S1", "S5", "S6", "S7", "S8"), ("S9", "S11")
SUBJECTS = (*TRAINING, *TEST)
TAKES = tuple(
    (subject, f"{action}{take}")
    for subject in SUBJECTS
    for action in sorted(ACTIONS)
    for take in ("", " 1")
)
"""Subject and action of each take, in VideoPose3D's names: the second take of an action ends in 1.
"""

# Standard deviation of the angle between a person's heading and the frontal camera, degrees.
HEADING_SD = 60.0
# Walking people go in circles of this radius, and all people stay near the middle, metres.
CIRCLE = 1.0
OFF_CENTRE_SD = 0.3


class Takes:
    """Pictures of every frame of every take by every camera.

    They are in order of subject, action, camera and frame. The takes share the frames evenly; with
    fewer frames than takes, some takes are empty.

    Args:
        people: Least number of pictures, one person in each.
        seed: Seed of everything random.
        motions: Where the people's motions come from.
    """

    name = "studio"

    def __init__(self, people: int, seed: int, motions: Motions | None = None) -> None:
        self.seed, self.motions = seed, motions or MadeMotions()
        frames = -(-people // len(studio_cameras()))
        share = np.arange(len(TAKES) + 1) * frames // len(TAKES)
        self.frames = np.diff(share)
        self._start = len(studio_cameras()) * share

    def __len__(self) -> int:
        return int(self._start[-1])

    def place(self, number: int) -> tuple[int, int, int]:
        """Indices of a picture's take, camera and frame."""
        take = int(np.searchsorted(self._start, number, "right")) - 1
        camera, frame = divmod(number - int(self._start[take]), int(self.frames[take]))
        return take, camera, frame

    def scene(self, body: Body, number: int) -> Scene:
        """Picture `number`, with people made from the template `body`."""
        take, camera, frame = self.place(number)
        person, shown, place, heading = _take(self, body, take)
        view = studio_cameras()[camera]
        figures = studio_figures(
            person,
            shown.action,
            shown.pose[frame],
            shown.turn[frame],
            place[frame],
            heading[frame],
        )
        return Scene(
            number=number,
            width=view.width,
            height=view.height,
            figures=[figures[camera]],
            # The background does not move during a take.
            seed=[self.seed, take, camera],
            ids=[number],
            subject=TAKES[take][0],
            camera=view.name,
        )


def _action(take: int) -> str:
    return TAKES[take][1].removesuffix(" 1")


@lru_cache(maxsize=8)
def _take(
    takes: Takes, body: Body, take: int
) -> tuple[Person, Performance, np.ndarray, np.ndarray]:
    """A take: the person, the performance, places (T, 2) in metres, headings (T,) in degrees."""
    person = _cast(body, takes.seed)[SUBJECTS.index(TAKES[take][0])]
    random = seeded(takes, "takes", take)
    shown = takes.motions.perform(person, (_action(take),), random, int(takes.frames[take]))
    steps = _steps(person, shown)
    turning = np.linalg.norm(steps, axis=1) / CIRCLE if _action(take).startswith("Walk") else 0
    heading = np.radians(random.normal(0, HEADING_SD)) + np.cumsum(turning * np.ones(len(steps)))
    sin, cos = np.sin(heading), np.cos(heading)
    x, z = steps.T
    path = np.cumsum(np.stack([cos * x + sin * z, cos * z - sin * x], 1), axis=0)
    return (
        person,
        shown,
        path - path.mean(0) + random.normal(0, OFF_CENTRE_SD, 2),
        np.degrees(heading),
    )


@lru_cache(maxsize=2)
def _cast(body: Body, seed: int) -> list[Person]:
    """The subjects: the first adults among a seed's people, because Human3.6M's are adults."""
    people = (sample_person(body, seed, number) for number in itertools.count())
    return list(itertools.islice((p for p in people if not p.child), len(SUBJECTS)))


def _steps(person: Person, shown: Performance) -> np.ndarray:
    """(T, 2) motion of the pelvis between frames, x and z, with the lower foot at rest."""
    pose = torch.from_numpy(shown.pose)
    scale = torch.from_numpy(person.segment_scale).expand(len(pose), -1).contiguous()
    joints = person.body.pose(pose, scale)[1].numpy()
    names = person.body.joint_names
    feet = np.stack(
        [
            joints[:, [names.index(f"{side}_{joint}") for joint in ("ankle", "foot")]].mean(1)
            for side in ("left", "right")
        ],
        1,
    )
    feet = np.einsum("tij,tfj->tfi", shown.turn, feet - joints[:, None, 0])
    moved = np.zeros((len(pose), 2))
    lower = (feet[1:, :, 1] + feet[:-1, :, 1]).argmin(1)
    moved[1:] = -np.diff(feet[..., [0, 2]], axis=0)[np.arange(len(lower)), lower]
    return moved
