"""Scenes for tests of pictures, and true places of points in them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bodyreg.body import Body
from bodyreg.data import Observations, Truth
from bodyreg.synthetic.cameras import Perspective, WeakPerspective, sample_view
from bodyreg.synthetic.figure import Figure, make_figure
from bodyreg.synthetic.motions.actions import ACTIONS
from bodyreg.synthetic.motions.performance import perform
from bodyreg.synthetic.people import Person, sample_person
from bodyreg.synthetic.scenes.scene import Scene


def standing(person: Person, camera: WeakPerspective | Perspective, seed: int = 0) -> Figure:
    """A person that performs an action in front of a camera."""
    random = np.random.default_rng(seed)
    action = str(random.choice(ACTIONS))
    performance = perform(person, action, random, 1)
    view = sample_view(random, 60)
    rotation = view @ performance.turn[0]
    return make_figure(person, action, performance.pose[0], rotation, view[:, 1], camera)


def scene(number: int = 0, *, side: int = 96, people: int = 2, size: float = 0.42) -> Scene:
    """Some people side by side.

    Args:
        number: Of the picture, and its seed.
        side: Of the picture, pixels.
        people: How many.
        size: Of a metre, in sides.
    """
    figures = []
    for place in range(people):
        pelvis = side * np.array([(place + 1) / (people + 1), 0.52])
        camera = WeakPerspective(side * size, pelvis)
        person = sample_person(Body.default(), 5, 10 * number + place)
        figures.append(standing(person, camera, number))
    return Scene(number, side, side, figures, [5, number])


def near(figure: Figure, side: int) -> Figure:
    """The same figure in front of a near perspective camera."""
    focal = np.full(2, 1.2 * side)
    camera = Perspective(focal, np.full(2, side / 2), np.array([0, 0, -2.6]))
    return replace(figure, camera=camera)


def seated(person: Person, camera: WeakPerspective | Perspective) -> Figure:
    """A person on a chair, seen from the front."""
    pose = np.zeros((24, 3), np.float32)
    pose[[1, 2], 0] = -np.pi / 2
    pose[[4, 5], 0] = np.pi / 2
    return make_figure(person, "Sitting", pose, np.eye(3), np.array([0.0, 1, 0]), camera)


def true_points(people: Observations, truth: Truth) -> np.ndarray:
    """(P, 2) true places of the dense points on the surface, frame units."""
    person = people.point_person
    corners = truth.vertices[person[:, None], people.point_vertex]
    points = np.einsum("pk,pkc->pc", people.point_barycentric, corners)
    return np.concatenate([
        truth.select(np.array([row])).in_frame(points[None, people.points_of(row)])[0]
        for row in range(len(people))
    ])  # fmt: skip
