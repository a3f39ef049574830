"""Group DRO: its weights and its value by a plain loop, groups that are absent, and what it converges to."""

from __future__ import annotations

import math
from typing import cast

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fairaudit.errors import DataError, UsageError
from fairaudit.losses import group_dro, max_group
from fairaudit.losses.group_dro import GroupDROLoss
from tests.losses.plain_loops import GROUPS, batch, counted, plain_group_means, plain_losses

COUNTS = [10, 40, 25, 200]
MEMBERS = [[0, 1, 3, 3, 1, 0], [2, 2, 3, 0], [1, 3], [2], [0, 1, 2, 3, 3]]


def weights_of(loss: torch.nn.Module) -> list[float]:
    return cast(GroupDROLoss, loss).log_group_weights.exp().tolist()


@pytest.mark.parametrize("adjustment", [0.0, 2.0])
def test_weights_and_values_follow_a_plain_loop(adjustment: float) -> None:
    step_size = 0.5
    loss = group_dro.build(counted(COUNTS), step_size=step_size, adjustment=adjustment)
    q = [0.25] * 4
    for seed in range(40):
        members = MEMBERS[seed % len(MEMBERS)]
        logits, targets, groups = batch(seed, members)
        means = plain_group_means(plain_losses(logits.detach(), targets), members)
        held = sum(q[g] for g in means)
        raised = {g: q[g] * math.exp(step_size * (loss_ + adjustment / math.sqrt(COUNTS[g]))) for g, loss_ in means.items()}
        for g, value in raised.items():
            q[g] = held * value / sum(raised.values())
        expected = sum(q[g] * means[g] for g in means) / sum(q[g] for g in means)
        assert loss(logits, targets, groups).item() == pytest.approx(expected, abs=1e-5)
    assert weights_of(loss) == pytest.approx(q, abs=1e-5)
    assert max(q) > 2 * min(q), "the batches must move the weights"


@given(st.integers(0, 10_000), st.floats(0.001, 5.0), st.lists(st.integers(0, 3), min_size=1, max_size=12))
def test_weights_stay_a_distribution_and_absent_groups_keep_theirs(seed: int, step_size: float, members: list[int]) -> None:
    loss = group_dro.build(counted(COUNTS), step_size=step_size)
    loss(*batch(seed, GROUPS))
    before = weights_of(loss)
    logits, targets, groups = batch(seed + 1, members)
    value = loss(logits, targets, groups).item()
    after = weights_of(loss)
    assert sum(after) == pytest.approx(1, abs=1e-5)
    assert [after[g] for g in range(4) if g not in members] == [before[g] for g in range(4) if g not in members]
    means = plain_group_means(plain_losses(logits.detach(), targets), members)
    assert min(means.values()) - 1e-9 <= value <= max(means.values()) + 1e-9
    worst = max(means, key=lambda g: means[g])
    assert after[worst] >= before[worst] - 1e-6


def test_a_large_step_is_the_worst_group() -> None:
    logits, targets, groups = batch(3, GROUPS)
    greedy = max_group.build(counted(COUNTS))(logits, targets, groups)
    assert group_dro.build(counted(COUNTS), step_size=1e4)(logits, targets, groups).item() == pytest.approx(greedy.item())


def test_a_weight_can_come_back_from_next_to_nothing() -> None:
    """In plain weights e^−500 is 0 in single precision and stays 0 for ever."""
    loss = group_dro.build(counted([5, 5], ("a", "b")), step_size=100.0)
    groups, targets = torch.tensor([0, 1]), torch.tensor([0, 0])
    bad, good = [-5.0, 5.0], [5.0, -5.0]
    loss(torch.tensor([bad, good]), targets, groups)
    assert weights_of(loss)[1] == 0.0
    for _ in range(2):
        value = loss(torch.tensor([good, bad]), targets, groups)
    assert weights_of(loss)[1] == pytest.approx(1)
    assert value.item() == pytest.approx(10, abs=1e-3)


def test_weights_rest_in_evaluation_mode() -> None:
    loss = group_dro.build(counted(COUNTS), step_size=1.0)
    logits, targets, groups = batch(0, GROUPS)
    loss(logits, targets, groups)
    before = weights_of(loss)
    loss.eval()
    value = loss(logits, targets, groups).item()
    assert weights_of(loss) == before
    means = plain_group_means(plain_losses(logits.detach(), targets), GROUPS)
    expected = sum(before[g] * means[g] for g in means) / sum(before[g] for g in means)
    assert value == pytest.approx(expected, abs=1e-6)


def test_the_gradient_is_that_of_the_weighted_means() -> None:
    """The weights move in the forward pass, but no gradient flows through them."""
    loss = group_dro.build(counted(COUNTS), step_size=1.0)
    logits, targets, groups = batch(1, GROUPS)
    loss(logits, targets, groups).backward()
    assert logits.grad is not None
    q = weights_of(loss)
    present = sum(q[g] for g in (0, 1, 3))
    for z, target, group, row in zip(logits.tolist(), targets.tolist(), GROUPS, logits.grad.tolist(), strict=True):
        total = sum(math.exp(x) for x in z)
        slopes = [math.exp(x) / total - (c == target) for c, x in enumerate(z)]
        share = q[group] / present / GROUPS.count(group)
        assert row == pytest.approx([share * slope for slope in slopes], abs=1e-6)


def test_refusals() -> None:
    groups = counted(COUNTS)
    with pytest.raises(UsageError, match=r"^step_size must be a number above 0, not 0$"):
        group_dro.build(groups, step_size=0.0)
    with pytest.raises(UsageError, match=r"^step_size must be a number above 0, not nan$"):
        group_dro.build(groups, step_size=math.nan)
    with pytest.raises(UsageError, match=r"^adjustment must be a number from 0 up, not -1$"):
        group_dro.build(groups, adjustment=-1.0)
    with pytest.raises(DataError, match=r"^the group 'Indian' has no training images, and the loss group-dro needs some"):
        group_dro.build(counted([1, 1, 0, 1]))
