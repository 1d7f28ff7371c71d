"""Errors of bodies that a network sees, before and after they are refined, on held-out people."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import torch

from bodyreg import Body, Fits, RegistrationConfig, register
from bodyreg.data import Truth
from bodyreg.metrics import joint_errors, pixel_error, true_joints, vertex_error
from bodyreg.regression import Album, Lessons, Regressor
from bodyreg.regression.losses import LossConfig, evidence_losses, evidence_of, rig_of, total
from bodyreg.regression.outputs import as_fits, labels_of

FRAME = 256
"""Pixels of a frame, for errors in pixels."""

REFINED = 50
"""Iterations of the paper's refinement."""

REFIT_STEPS, REFIT_RATE = 20, 1e-4
"""Of Adam, when a network is refitted to one picture."""

Errors = dict[str, np.ndarray]
"""Name -> (N,): bone_mpjpe, pa_mpjpe and vertex in millimetres, pixel in pixels."""


def errors_of(fits: Fits, truths: list[Truth], body: Body) -> Errors:
    """Errors of fits of the first people; vertices are of the whole surface, after Procrustes."""
    parts, first = [], 0
    for truth in truths:
        some = fits.select(slice(first, first + len(truth)))
        first, truth = first + len(truth), truth.select(np.arange(len(some)))
        seen = some.seen(some.vertices(body))[..., :2]
        parts.append(
            joint_errors(some, true_joints(truth, body), body)
            | {
                "vertex": 1000 * vertex_error(some.vertices(body), truth.vertices),
                "pixel": pixel_error(seen, truth.in_frame(truth.vertices), truth.visible, FRAME),
            }
        )
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def refined(
    start: Fits, album: Album, config: RegistrationConfig, body: Body, iterations: int = REFINED
) -> Fits:
    """Fits that start from others, on the people's annotations."""
    return register(body, album.people, replace(config, warm_iterations=iterations), initial=start)


def refitted(
    regressor: Regressor, album: Album, config: RegistrationConfig, body: Body, people: int
) -> Fits:
    """What the network sees in the first people's pictures once it is refitted to each of them.

    "Exemplar Fine-Tuning for 3D Human Model Fitting" (Joo et al., 2021): for every picture, a copy
    of the network takes a few steps on what is annotated in that picture alone.
    """
    rig = rig_of(body, album.people.keypoint_name, torch.device("cpu"))
    losses, crops = LossConfig(), album.in_frames(regressor.side)
    evidence, found = evidence_of(rig, album.people, config), []
    for person in range(min(people, len(album))):
        some, seen = album.people.select([person]), evidence.select(torch.tensor([person]))
        picture = crops[person : person + 1].float() / 255
        network = copy.deepcopy(regressor.network)
        adam = torch.optim.Adam(network.parameters(), REFIT_RATE)
        for _ in range(REFIT_STEPS):
            terms = evidence_losses(rig, seen, network(picture))
            loss = total(losses, {}, terms, torch.ones(1)).sum()
            adam.zero_grad()
            loss.backward()
            adam.step()
        with torch.no_grad():
            found.append(as_fits(network(picture), some, config))
    return Fits.concatenate(found)


def mean_body(labels: Fits, album: Album, body: Body, config: RegistrationConfig) -> Fits:
    """The same body for all people: the mean of labels."""
    mean = labels_of(labels, body)
    mean = type(mean)(*(block.mean(0, keepdim=True) for block in mean))
    pose = mean.pose / mean.pose.norm(dim=-1, keepdim=True)
    u, _, v = torch.linalg.svd(mean.rotation)
    mean = mean._replace(pose=pose, rotation=u @ v)
    many = type(mean)(*(block.expand(len(album), *block.shape[1:]) for block in mean))
    return as_fits(many, album.people, config)


def select(album: Album, people: np.ndarray) -> Album:
    """The people of an album at these positions."""
    joints = None if album.joints is None else album.joints[people]
    return Album(album.people.select(people), album.crops[people], joints)


def lessons_of_truth(albums: list[Album], true: list[Fits], body: Body) -> Lessons:
    """Lessons whose labels are the truth."""
    several = zip(albums, true, strict=True)
    return Lessons.mixed(
        [Lessons.of(body, album, fits, np.ones(len(fits), np.float32)) for album, fits in several]
    )
