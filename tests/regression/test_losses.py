"""Losses of a network's bodies: closed forms, the reference engine, ill cases."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from bodyreg import Body, RegistrationConfig, reference
from bodyreg.body import QUATERNION, Parameters
from bodyreg.data.frames import frame_from_image
from bodyreg.regression.losses import (
    FAR,
    ROUNDING,
    LossConfig,
    evidence_losses,
    evidence_of,
    in_views,
    label_losses,
    parameter_loss,
    position_loss,
    rig_of,
    total,
)
from bodyreg.regression.outputs import as_fits, labels_of, mean_parameters, parameters_of
from bodyreg.regression.views import Views

from .people import seen_exactly, some_fits

CONFIG = RegistrationConfig.preset("accurate")
CPU = torch.device("cpu")


def evidence(body, people, views=None):
    rig = rig_of(body, people.keypoint_name, CPU)
    seen = evidence_of(rig, people, CONFIG)
    return rig, in_views(seen, views or Views.plain(len(people)), CPU)


def moved(labels: Parameters, seed: int, size: float = 0.1) -> Parameters:
    random = torch.Generator().manual_seed(seed)
    flat = QUATERNION.join(labels)
    return parameters_of(flat + size * torch.randn(flat.shape, generator=random))


@pytest.mark.parametrize("focal", [False, True])
def test_the_body_that_is_seen_costs_nothing(body, focal):
    fits = some_fits(7, 0, focal=focal)
    terms = evidence_losses(*evidence(body, seen_exactly(body, fits, 1)), labels_of(fits, body))
    assert list(terms) == ["dense", "keypoint", "depth"]
    assert all((term < 1e-9).all() and (term >= 0).all() for term in terms.values())


@pytest.mark.parametrize("focal", [False, True])
def test_closed_forms(body, focal):
    """Means over the evidence of squared distances, in frame units."""
    fits = some_fits(5, 2, focal=focal)
    people = seen_exactly(body, fits, 3)
    found = moved(labels_of(fits, body), 4)
    terms = evidence_losses(*evidence(body, people), found)
    other = as_fits(found, people)
    mesh = other.vertices(body).astype(np.float64)
    for n in range(len(fits)):
        some = people.points_of(n)
        corners = mesh[n][people.point_vertex[some]]
        places = (corners * people.point_barycentric[some, :, None]).sum(1)[None]
        shown = other.select([n]).seen(places.astype(np.float32))[0, :, :2]
        square = np.square(shown - frame_from_image(people.point_xy[some], people.frame[n])).sum(1)
        expected = (people.point_weight[some] * square).mean()
        assert terms["dense"][n].item() == pytest.approx(expected, rel=1e-4)
    keypoints = other.keypoints(body, ("pelvis", *people.keypoint_name))
    shown = other.seen(keypoints)[:, 1:, :2]
    at, weight = people.keypoints_in_frame(), people.keypoint_weight
    near = (np.abs(at) < FAR).all(2)
    square = near * weight * np.square(shown - at).sum(2)
    np.testing.assert_allclose(terms["keypoint"], square.mean(1), rtol=1e-4)
    depth = keypoints[:, 1:, 2] - keypoints[:, :1, 2] - people.keypoint_depth
    np.testing.assert_allclose(terms["depth"], (near * weight * depth**2).mean(1), rtol=1e-4)


@pytest.mark.parametrize("focal", [False, True])
def test_kernels_and_reference_agree_in_values_and_gradients(body, focal):
    fits = some_fits(6, 5, focal=focal)
    rig, seen = evidence(body, seen_exactly(body, fits, 6))
    flat = QUATERNION.join(moved(labels_of(fits, body), 7))
    found = []
    for engine in (None, reference):
        numbers = flat.clone().requires_grad_()
        options = {} if engine is None else {"engine": engine}
        body_seen = parameters_of(numbers)
        terms = evidence_losses(rig, seen, body_seen, **options)
        terms |= label_losses(rig, body_seen, labels_of(fits, body), **options)
        torch.stack(list(terms.values())).sum().backward()
        found.append((*terms.values(), numbers.grad))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, atol=2e-5, rtol=2e-4)
    assert (found[0][-1] != 0).any(0).sum() > 120  # all but the root, and ends of limbs


def test_the_parameter_loss_is_smooth_l1(body):
    labels = labels_of(some_fits(3, 8), body)
    assert not parameter_loss(labels, labels).any()
    errors = torch.tensor([0.3, -1.0, 4.0])
    shifted = labels._replace(scale=labels.scale + errors)
    expected = torch.tensor([0.3**2 / 2, 0.5, 3.5]) / 132
    torch.testing.assert_close(parameter_loss(shifted, labels), expected, atol=1e-6, rtol=1e-4)


def test_the_position_loss_is_the_distance_of_joints_from_the_labels(body):
    """As large as the cameras show them, whatever the place in the picture."""
    fits, moved_fits = some_fits(5, 24), some_fits(5, 25)
    rig = rig_of(body, (), CPU)
    labels, found = labels_of(fits, body), labels_of(moved_fits, body)
    joints = []
    for some in (fits, moved_fits):
        places = some.keypoints(body, body.joint_names)
        joints.append(places - places[:, :1])
    distance = np.linalg.norm(joints[0] - joints[1], axis=2)
    expected = (np.sqrt(distance**2 + ROUNDING**2) - ROUNDING).mean(1)
    np.testing.assert_allclose(position_loss(rig, found, labels), expected, rtol=1e-4)
    aside = found._replace(translation=found.translation + 1)
    torch.testing.assert_close(position_loss(rig, aside, labels), torch.from_numpy(expected))
    assert not position_loss(rig, labels, labels).any()


def test_evidence_that_is_missing_costs_nothing(body):
    fits = some_fits(4, 9)
    people = seen_exactly(body, fits, 10)
    found = moved(labels_of(fits, body), 11)
    alone = evidence_losses(*evidence(body, people.keypoints_alone()), found)
    assert not alone["depth"].any() and "dense" not in alone and alone["keypoint"].all()
    weight = people.keypoint_weight.copy()
    weight[1] = 0
    some = evidence_losses(*evidence(body, replace(people, keypoint_weight=weight)), found)
    assert some["keypoint"][1] == 0 and some["depth"][1] == 0 and some["dense"][1] > 0


def test_keypoints_far_outside_the_view_weigh_nothing(body):
    fits = some_fits(2, 12)
    people = seen_exactly(body, fits, 13)
    xy = people.keypoint_xy.copy()
    half = people.frame[:, 2]
    for person, share in ((0, 1.25), (1, 1.15)):  # one is far outside of its frame
        xy[person, 3] = people.frame[person, :2] + [0, share * half[person]]
    people = replace(people, keypoint_xy=xy)
    _, seen = evidence(body, people)
    assert seen.keypoint_weight[0, 3] == 0 == seen.depth_weight[0, 3]
    assert seen.keypoint_weight[1, 3] > 0 and seen.depth_weight[1, 3] > 0
    up = replace(Views.plain(2), shift=torch.tensor([[0.0, 0.1], [0.0, -0.1]]))
    _, seen = evidence(body, people, up)  # now the other one is
    assert seen.keypoint_weight[0, 3] > 0 and seen.keypoint_weight[1, 3] == 0
    zoom = replace(Views.plain(2), zoom=torch.full((2,), 0.5))
    _, seen = evidence(body, people, zoom)
    assert (seen.keypoint_weight[:, 3] > 0).all()


def test_proportions_of_the_body_do_not_count(body):
    fits = some_fits(3, 14)
    people = seen_exactly(body, fits, 15)
    other = body.with_proportions(np.linspace(0.9, 1.1, 24))
    terms = evidence_losses(*evidence(other, people), labels_of(fits, other))
    assert all((term < 1e-9).all() for term in terms.values())


def ill_numbers() -> dict[str, torch.Tensor]:
    """Numbers of a network that are far from any body."""
    mean = mean_parameters()
    places = QUATERNION.slices
    flats = {"zero": torch.zeros(132), "mean": mean, "minus": -mean}
    for name, block, value in (
        ("flat rotation", "rotation", 1.0),
        ("huge scale", "scale", 1e4),
        ("negative scale", "scale", -1e4),
        ("negative segments", "segment_scale", -50.0),
        ("half turns", "pose", 0.0),
        ("far away", "translation", 1e4),
    ):
        flats[name] = mean.clone()
        flats[name][places[block]] = value
    flats["half turns"][places["pose"]] = torch.tensor([0.0, 0, 1, 0]).repeat(24)
    return flats


@pytest.mark.parametrize("name", ill_numbers())
@pytest.mark.parametrize("focal", [False, True])
def test_gradients_are_finite_at_ill_numbers(body, name, focal):
    fits = some_fits(2, 16, focal=focal)
    rig, seen = evidence(body, seen_exactly(body, fits, 17))
    flat = ill_numbers()[name].repeat(2, 1).requires_grad_()
    found = parameters_of(flat)
    terms = evidence_losses(rig, seen, found)
    of_labels = label_losses(rig, found, labels_of(fits, body))
    loss = total(LossConfig(position_weight=1.0), of_labels, terms, torch.ones(2)).sum()
    loss.backward()
    assert loss.isfinite() and flat.grad.isfinite().all()


def test_the_total_weighs_labels_by_confidence():
    labels = {"parameter": torch.tensor([1.0, 2.0]), "position": torch.tensor([4.0, 1.0])}
    terms = {"dense": torch.tensor([3.0, 5.0]), "depth": torch.tensor([0.5, 0.25])}
    config = LossConfig(
        parameter_weight=2.0, position_weight=3.0, dense_weight=10.0, depth_weight=4.0
    )
    found = total(config, labels, terms, torch.tensor([0.25, 0.0]))
    assert found.tolist() == pytest.approx([0.25 * (2 * 1 + 3 * 4) + 30 + 2, 50 + 1])


def test_a_weight_of_0_removes_its_term():
    """Also a term that is infinite, and its gradient."""
    x = torch.tensor([0.5, 2.0], requires_grad=True)
    labels, terms = {"parameter": x, "position": x / 0}, {"dense": x.square(), "depth": x / 0}
    config = LossConfig(parameter_weight=2.0, position_weight=0, dense_weight=3.0, depth_weight=0)
    loss = total(config, labels, terms, torch.ones(2))
    loss.sum().backward()
    assert loss.tolist() == [1.75, 16.0] and x.grad.tolist() == [5.0, 14.0]


@pytest.mark.parametrize("focal", [False, True])
def test_terms_of_bodies(body, focal):
    """They are the registration's: of angles, and of the sizes of neighbouring segments."""
    fits = some_fits(4, 22, focal=focal)
    people, labels = seen_exactly(body, fits, 23), labels_of(fits, body)
    config = LossConfig(joint_weight=2.0, scale_smoothness_weight=3.0)
    assert config.of_bodies == ("scale_smoothness", "joint") and LossConfig().of_bodies == ()
    terms = evidence_losses(*evidence(body, people), labels, config.of_bodies)
    angles = np.square(fits.pose[:, 1:]).sum((1, 2))
    np.testing.assert_allclose(terms["joint"], angles, rtol=1e-4)
    steps = fits.segment_scale[:, 1:] - fits.segment_scale[:, list(body.parents[1:])]
    np.testing.assert_allclose(terms["scale_smoothness"], np.square(steps).sum(1), rtol=1e-4)
    expected = 2 * terms["joint"] + 3 * terms["scale_smoothness"]
    torch.testing.assert_close(
        total(config, {}, terms, torch.zeros(4)), expected, atol=1e-5, rtol=0
    )


def test_the_evidence_of_a_person_does_not_depend_on_the_others(body: Body):
    fits = some_fits(6, 19, focal=True)
    people = seen_exactly(body, fits, 20)
    found = moved(labels_of(fits, body), 21)
    together = evidence_losses(*evidence(body, people), found)
    for n in range(6):
        one = Parameters(*(block[n : n + 1] for block in found))
        alone = evidence_losses(*evidence(body, people.select(np.array([n]))), one)
        rig, everybody = evidence(body, people)
        chosen = evidence_losses(rig, everybody.select(torch.tensor([n])), one)
        for name, term in alone.items():
            torch.testing.assert_close(term[0], together[name][n], atol=1e-7, rtol=1e-5)
            torch.testing.assert_close(chosen[name][0], together[name][n], atol=1e-7, rtol=1e-6)
