"""Validation attention: the published weights from the published accuracies, and when weights move."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import cast

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fairaudit.errors import UsageError
from fairaudit.losses import val_attention
from fairaudit.losses.base import GroupLoss, TrainingGroups
from fairaudit.losses.val_attention import ValidationAttentionLoss, attention
from tests.losses.plain_loops import GROUPS, LABELS, batch, counted, mean, plain_losses

# Validation images of each race × gender cell in the paper's unweighted run, those with both right, and the weights that
# its weighted run was trained with.
IMAGES = [361, 358, 360, 362, 365, 354, 362, 357, 358, 356, 359, 357, 358, 364]
RIGHT = [257, 270, 245, 241, 221, 267, 105, 132, 217, 219, 186, 183, 214, 196]
PUBLISHED = [
    0.7165682266243751, 0.6405727183494808, 0.7783855168576526, 0.8101840966174063, 0.9534520311832951,
    0.6405727183494808, 2.210381131135076, 1.7853608405457513, 0.9509103705114361, 0.9283381611051023,
    1.2026932109784494, 1.218852582738779, 0.9714348950167252, 1.140169894478087,
]  # fmt: skip


def weights_of(loss: GroupLoss) -> list[float]:
    return cast(ValidationAttentionLoss, loss).group_weights.tolist()


def plain_attention(accuracies: list[float]) -> list[float]:
    known = [a for a in accuracies if not math.isnan(a)]
    mu = mean(known)
    sigma = math.sqrt(mean([(a - mu) ** 2 for a in known]))
    return [1.0 if math.isnan(a) or sigma == 0 else 2 ** ((mu - a) / (2 * sigma)) for a in accuracies]


def test_the_published_weights_come_out() -> None:
    shares = torch.tensor([r / n for r, n in zip(RIGHT, IMAGES, strict=True)], dtype=torch.float64)
    assert attention(shares, rounded=True).tolist() == pytest.approx(PUBLISHED, abs=1e-12)
    exact = attention(shares).tolist()
    assert exact == pytest.approx(PUBLISHED, abs=2e-3)
    assert exact != pytest.approx(PUBLISHED, abs=1e-4)
    cells = counted([9] * 14, tuple(f"cell {i}" for i in range(14)))
    percent = tuple(round(100 * a, 1) for a in shares.tolist())
    for given_as in (percent, tuple(a / 100 for a in percent)):
        loss = val_attention.build(cells, static=True, accuracies=given_as, paper_faithful=True)
        assert weights_of(loss) == pytest.approx(PUBLISHED, rel=1e-6)


@given(st.lists(st.one_of(st.integers(0, 50), st.none()), min_size=1, max_size=12), st.floats(0.1, 0.9))
def test_weights_are_a_plain_loop_and_forget_scale_and_origin(hits: list[int | None], scale: float) -> None:
    accuracies = [math.nan if h is None else h / 50 for h in hits]
    found = attention(torch.tensor(accuracies, dtype=torch.float64)).tolist()
    if len({a for a in accuracies if not math.isnan(a)}) < 2:
        assert found == [1.0] * len(hits)
        return
    assert found == pytest.approx(plain_attention(accuracies), rel=1e-9)
    moved = torch.tensor([0.05 + scale * a for a in accuracies], dtype=torch.float64)
    assert attention(moved).tolist() == pytest.approx(found, rel=1e-6)
    pairs = sorted((a, w) for a, w in zip(accuracies, found, strict=True) if not math.isnan(a))
    assert all(low[1] >= high[1] for low, high in pairwise(pairs)), "worse groups weigh more"


def test_the_loss_is_a_plain_loop_over_images() -> None:
    logits, targets, groups = batch(0, GROUPS)
    loss = val_attention.build(counted([9, 9, 9, 9]))
    losses = plain_losses(logits.detach(), targets)
    assert loss(logits, targets, groups).item() == pytest.approx(mean(losses), abs=1e-12)
    accuracies = [0.9, 0.5, math.nan, 0.7]
    loss.update(torch.tensor(accuracies, dtype=torch.float64))
    weights = plain_attention(accuracies)
    expected = mean([weights[g] * one for g, one in zip(GROUPS, losses, strict=True)])
    assert loss(logits, targets, groups).item() == pytest.approx(expected, rel=1e-6)


def test_weights_follow_every_epoch_unless_they_are_static() -> None:
    first = torch.tensor([0.9, 0.5, 0.6, 0.7], dtype=torch.float64)
    second = torch.tensor([0.5, 0.9, 0.6, 0.7], dtype=torch.float64)
    moving, static = val_attention.build(counted([9] * 4)), val_attention.build(counted([9] * 4), static=True)
    for loss in (moving, static):
        loss.update(torch.full((4,), math.nan, dtype=torch.float64))
        assert weights_of(loss) == [1.0] * 4
        loss.update(first)
        assert weights_of(loss) == pytest.approx(plain_attention(first.tolist()), rel=1e-6)
        loss.update(second)
    assert weights_of(moving) == pytest.approx(plain_attention(second.tolist()), rel=1e-6)
    assert weights_of(static) == pytest.approx(plain_attention(first.tolist()), rel=1e-6)


def test_accuracies_of_a_first_run_are_kept_or_replaced() -> None:
    given_ones = (71.2, 29.0, math.nan, 60.5)
    later = torch.tensor([0.5, 0.9, 0.6, 0.7], dtype=torch.float64)
    for static in (True, False):
        loss = val_attention.build(counted([9] * 4), static=static, accuracies=given_ones)
        assert weights_of(loss) == pytest.approx(plain_attention(list(given_ones)), rel=1e-6)
        loss.update(later)
        kept = plain_attention(list(given_ones) if static else later.tolist())
        assert weights_of(loss) == pytest.approx(kept, rel=1e-6)


def test_a_resumed_run_remembers_that_its_weights_are_set() -> None:
    loss = val_attention.build(counted([9] * 4), static=True)
    loss.update(torch.tensor([0.9, 0.5, 0.6, 0.7], dtype=torch.float64))
    resumed = val_attention.build(counted([9] * 4), static=True)
    resumed.load_state_dict(loss.state_dict())
    resumed.update(torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64))
    assert weights_of(resumed) == weights_of(loss)


def test_refusals() -> None:
    groups = TrainingGroups(LABELS, torch.ones(4, 2, dtype=torch.int64))
    with pytest.raises(UsageError) as caught:
        val_attention.build(groups, accuracies=(0.5, 0.6))
    assert str(caught.value) == (
        "accuracies must be 4 numbers, one for each of the groups Black, East Asian, Indian, White, not 2"
    )
    with pytest.raises(UsageError, match=r"^the accuracy of Indian must be between 0 and 100 percent, not 101$"):
        val_attention.build(groups, accuracies=(50, 60, 101, 70))
    with pytest.raises(UsageError, match=r"^the accuracy of Black must be between 0 and 100 percent, not -0\.1$"):
        val_attention.build(groups, accuracies=(-0.1, 0.6, 0.1, 0.7))
