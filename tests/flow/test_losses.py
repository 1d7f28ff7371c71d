"""Losses of flow networks against their formulas in plain torch, and ill cases."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from bodyreg import UserError
from bodyreg.flow import FlowLossConfig
from bodyreg.flow.losses import (
    end_point_error,
    end_point_loss,
    losses_of,
    part_loss,
    visibility_loss,
)
from bodyreg.flow.network import Guess

FINE = (0.32, 0.16, 0.08, 0.04, 0.02)
COARSE = (0.005, 0.01, 0.02, 0.08, 0.32)


def made(seed: int, levels: int = 3):
    """A guess of three pairs, and what is right."""
    random = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=random)

    visibility = torch.randint(3, (3, 32, 16), generator=random, dtype=torch.uint8)
    visibility[:, :9] = 2  # some cells show nothing of the person
    flow = torch.where(visibility[:, None] < 2, 8 * normal(3, 2, 32, 16), 0)
    pyramid = [normal(3, 2, 32 >> n, 16 >> n).requires_grad_() for n in range(1, levels + 1)]
    guess = Guess(
        pyramid, (6 * normal(3, 2, 32, 16)).requires_grad_(), normal(3, 3, 32, 16).requires_grad_()
    )
    parts = [torch.randint(7, (3, 32, 16), generator=random, dtype=torch.uint8) for _ in range(2)]
    return guess, flow, visibility, *parts


@pytest.mark.parametrize("order", ["fine", "coarse"])
@pytest.mark.parametrize("norm", ["l2", "l1"])
@pytest.mark.parametrize("masked", [True, False])
def test_end_point_loss(order, norm, masked):
    guess, flow, visibility, *_ = made(1)
    config = FlowLossConfig(order=order, norm=norm, masked=masked)
    person = (visibility < 2)[:, None].float()
    weights = FINE[:3] if order == "fine" else COARSE[2:]
    expected = torch.zeros(3)
    for weight, found in zip(weights, guess.pyramid, strict=True):
        k = 32 // found.shape[2]
        target, cells = functional.avg_pool2d(0.05 * flow, k), functional.max_pool2d(person, k)
        if masked:
            target = target / functional.avg_pool2d(person, k).clamp(min=1e-9)
        error = found - target
        size = error.norm(dim=1) if norm == "l2" else error.abs().sum(1) / 2
        shown = cells[:, 0]
        expected += weight * (size * shown).sum((1, 2)) / (shown.sum((1, 2)) + 1e-8)
    torch.testing.assert_close(end_point_loss(config, guess.pyramid, flow, visibility), expected)


def test_a_constant_movement_is_right_at_all_levels():
    """Its units are those of the full size: 0.05 of the pixels, wherever the person is."""
    _, _, visibility, *_ = made(2)
    flow = torch.tensor([7.0, -3.0])[:, None, None] * (visibility < 2)[:, None]
    pyramid = [0.05 * torch.tensor([7.0, -3.0])[:, None, None].expand(3, 2, 32 >> n, 16 >> n)
               for n in (1, 2, 3)]  # fmt: skip
    config = FlowLossConfig()
    assert end_point_loss(config, pyramid, flow, visibility).max() < 1e-6
    shrunk = end_point_loss(FlowLossConfig(masked=False), pyramid, flow, visibility)
    assert shrunk.min() > 0.01


def test_visibility_loss():
    guess, _, visibility, *_ = made(3)
    log = guess.logits.log_softmax(1).gather(1, visibility[:, None].long())
    torch.testing.assert_close(visibility_loss(guess.logits, visibility), -log.mean((1, 2, 3)))


def test_part_loss():
    guess, flow, visibility, source, target = made(4)
    with torch.no_grad():
        rows, columns = torch.meshgrid(torch.arange(32.0), torch.arange(16.0), indexing="ij")
        at = torch.stack([columns, rows]) + guess.flow
        grid = torch.stack([2 * at[:, 0] / 15 - 1, 2 * at[:, 1] / 31 - 1], -1)
    masks = functional.one_hot(source.long(), 7).permute(0, 3, 1, 2)[:, 1:].float()
    there = functional.grid_sample(masks, grid, align_corners=True, padding_mode="zeros") > 0
    own = functional.one_hot(target.long(), 7).permute(0, 3, 1, 2)[:, 1:]
    wrong = (own * ~there).sum(1, keepdim=True) * (visibility == 0)[:, None]
    expected = ((0.05 * (guess.flow - flow)).abs() * wrong).mean((1, 2, 3))
    found = part_loss(guess.flow, flow, visibility, source, target)
    torch.testing.assert_close(found, expected)
    assert 0 < wrong.float().mean() < 0.5
    found.sum().backward()
    sign = torch.sign(guess.flow.detach() - flow) * 0.05 * wrong / (2 * 32 * 16)
    torch.testing.assert_close(guess.flow.grad, sign)


def test_where_parts_are_right_nothing_is_lost():
    _, flow, visibility, source, _ = made(5)
    still = torch.zeros_like(flow)
    assert (part_loss(still, flow, visibility, source, source) == 0).all()


def test_end_point_error():
    guess, flow, visibility, *_ = made(6)
    for pair in range(3):
        length = (guess.flow[pair] - flow[pair]).norm(dim=0)[visibility[pair] < 2]
        torch.testing.assert_close(
            end_point_error(guess.flow, flow, visibility)[pair], length.mean()
        )


def test_errors_of_full_size_may_be_added():
    made_up = made(8)
    config = FlowLossConfig(full_size_weight=0.5)
    (plain, more), (guess, flow, visibility, *_) = (
        (losses_of(c, *made_up) for c in (FlowLossConfig(), config)), made_up
    )  # fmt: skip
    expected = plain["flow"] + 0.5 * 0.05 * end_point_error(guess.flow, flow, visibility)
    torch.testing.assert_close(more["flow"], expected)


@pytest.mark.parametrize("ill", ["no person", "nothing wrong", "far outside", "half"])
def test_ill_cases(ill):
    """Losses and gradients stay finite."""
    guess, flow, visibility, source, target = made(7)
    if ill == "no person":
        visibility, flow = torch.full_like(visibility, 2), torch.zeros_like(flow)
    elif ill == "nothing wrong":
        flow = torch.zeros_like(flow)
        pyramid = [torch.zeros_like(f).requires_grad_() for f in guess.pyramid]
        guess = Guess(pyramid, torch.zeros_like(flow).requires_grad_(), guess.logits)
    elif ill == "far outside":
        guess = guess._replace(flow=(1e6 * guess.flow.detach()).requires_grad_())
    else:
        half = [f.detach().bfloat16().requires_grad_() for f in guess.pyramid]
        flat, logits = (x.detach().bfloat16().requires_grad_() for x in guess[1:])
        guess = Guess(half, flat, logits)
    config = FlowLossConfig()
    losses = losses_of(config, guess, flow, visibility, source, target)
    total = config.total(losses)
    expected = losses["flow"] + losses["visibility"] + 5 * losses["parts"]
    assert torch.equal(total, expected) and total.isfinite().all() and total.dtype == torch.float32
    total.sum().backward()
    leaves = (*guess.pyramid, guess.flow, guess.logits)
    assert all(x.grad is not None and x.grad.isfinite().all() for x in leaves)
    if ill == "no person":
        assert (losses["flow"] == 0).all() and (losses["parts"] == 0).all()


def test_weights_of_levels():
    assert FlowLossConfig().level_weights(5) == FINE
    coarse = FlowLossConfig(order="coarse")
    assert coarse.level_weights(5) == COARSE and coarse.level_weights(4) == COARSE[1:]
    with pytest.raises(UserError, match="order 'coarse' has weights of 5 levels, not 6"):
        coarse.level_weights(6)
    for values in ({"order": "up"}, {"norm": "l3"}, {"part_weight": -1.0}):
        with pytest.raises(UserError):
            FlowLossConfig(**values)
