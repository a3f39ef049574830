"""Balanced softmax, focal and CVaR: losses that weigh classes or samples, by plain loops."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fairaudit.errors import UsageError
from fairaudit.losses import balanced_softmax, cross_entropy, cvar, focal
from fairaudit.losses.base import BinaryCrossEntropy, CrossEntropy, MultiTaskCrossEntropy, TrainingGroups
from tests.losses.plain_loops import GROUPS, batch, counted, mean, one_hot, plain_cross_entropy, plain_losses

CELLS = [[400, 30, 0], [10, 20, 30], [0, 0, 0], [1, 2, 0]]
BY_CLASS = TrainingGroups(("a", "b", "c", "d"), torch.tensor(CELLS))


@pytest.mark.parametrize("per_group", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_balanced_softmax_shifts_logits_by_counts(per_group: bool, smoothing: float) -> None:
    logits, targets, groups = batch(0, GROUPS)
    totals = [sum(row[c] for row in CELLS) for c in range(3)]
    expected = []
    for z, target, group in zip(logits.tolist(), targets.tolist(), GROUPS, strict=True):
        counts = CELLS[group] if per_group else totals
        shifted = [x + math.log(max(n, 1)) for x, n in zip(z, counts, strict=True)]
        expected.append(plain_cross_entropy(shifted, [(1 - smoothing) * t + smoothing / 3 for t in one_hot(target, 3)]))
    loss = balanced_softmax.build(BY_CLASS, CrossEntropy(smoothing), per_group=per_group)
    assert loss(logits, targets, groups).item() == pytest.approx(mean(expected), rel=1e-6)
    assert loss.uses_groups is per_group


def test_balanced_softmax_of_several_targets_counts_each_alone() -> None:
    combinations = torch.tensor([[1, 2, 3, 4, 5, 6], [60, 50, 40, 30, 20, 10]])  # three classes × two classes
    groups_of = TrainingGroups(("a", "b"), combinations)
    logits, _, _ = batch(1, [0] * 6, classes=5)
    groups = torch.tensor([0, 1, 1, 0, 1, 0])
    targets = torch.tensor([[0, 1], [2, 0], [1, 1], [0, 0], [2, 1], [1, 0]])
    criterion = MultiTaskCrossEntropy((slice(0, 3), slice(3, 5)))
    of_group = [([1 + 2, 3 + 4, 5 + 6], [1 + 3 + 5, 2 + 4 + 6]), ([110, 70, 30], [120, 90])]
    for per_group in (False, True):
        expected = []
        for z, (a, b), group in zip(logits.tolist(), targets.tolist(), groups.tolist(), strict=True):
            first, second = of_group[group] if per_group else ([113, 77, 41], [129, 102])
            shifted = [x + math.log(n) for x, n in zip(z, first + second, strict=True)]
            both = plain_cross_entropy(shifted[:3], one_hot(a, 3)) + plain_cross_entropy(shifted[3:], one_hot(b, 2))
            expected.append(both / 2)
        loss = balanced_softmax.build(groups_of, criterion, per_group=per_group)
        assert loss(logits, targets, groups).item() == pytest.approx(mean(expected), rel=1e-6)


def test_balanced_softmax_prefers_the_rare_class_where_the_network_knows_nothing() -> None:
    """Minimising over a constant network: bare logits are equal although nine of ten images are of one class."""
    groups_of = TrainingGroups(("all",), torch.tensor([[90, 10]]))
    z = torch.zeros(1, 2, dtype=torch.float64, requires_grad=True)
    targets, groups = torch.tensor([0] * 9 + [1]), torch.zeros(10, dtype=torch.int64)
    (slope,) = torch.autograd.grad(balanced_softmax.build(groups_of)(z.expand(10, 2), targets, groups), z)
    assert slope.abs().max() < 1e-7
    (plain,) = torch.autograd.grad(cross_entropy.build(groups_of)(z.expand(10, 2), targets, groups), z)
    assert plain.tolist()[0] == pytest.approx([-0.4, 0.4])


def test_balanced_softmax_refuses_labels_and_counts_that_do_not_fit() -> None:
    with pytest.raises(UsageError) as caught:
        balanced_softmax.build(BY_CLASS, BinaryCrossEntropy())
    assert str(caught.value) == (
        "balanced-softmax shifts the logits of a softmax, and labels that are judged one by one have none; "
        "choose another loss for a multi-label target"
    )
    with pytest.raises(ValueError, match="3 combinations of classes are counted"):
        balanced_softmax.build(BY_CLASS, MultiTaskCrossEntropy((slice(0, 2), slice(2, 4))))


@pytest.mark.parametrize(("gamma", "alpha"), [(2.0, None), (0.0, 0.25), (0.5, 3.0)])
def test_focal_discounts_each_sample(gamma: float, alpha: float | None) -> None:
    logits, targets, groups = batch(2, GROUPS)
    losses = plain_losses(logits.detach(), targets)
    factor = 1.0 if alpha is None else alpha
    expected = mean([factor * (1 - math.exp(-one)) ** gamma * one for one in losses])
    loss = focal.build(counted([9] * 4), gamma=gamma, alpha=alpha)
    assert loss(logits, targets, groups).item() == pytest.approx(expected, abs=1e-12)
    assert not loss.whole_batch


def test_the_papers_focal_loss_discounts_the_batch() -> None:
    logits, targets, groups = batch(3, GROUPS)
    b = mean(plain_losses(logits.detach(), targets))
    loss = focal.build(counted([9] * 4), paper_faithful=True)
    assert loss(logits, targets, groups).item() == pytest.approx(0.8 * (1 - math.exp(-b)) ** 2 * b, abs=1e-12)
    other = focal.build(counted([9] * 4), alpha=0.5, gamma=1.0, paper_faithful=True)
    assert other(logits, targets, groups).item() == pytest.approx(0.5 * (1 - math.exp(-b)) * b, abs=1e-12)
    assert loss.whole_batch


@pytest.mark.parametrize("gamma", [0.0, 0.3, 2.0])
def test_focal_has_a_gradient_where_the_loss_is_exactly_0(gamma: float) -> None:
    logits = torch.tensor([[200.0, 0.0], [0.5, 0.0]], requires_grad=True)
    value = focal.build(counted([9] * 4), gamma=gamma)(logits, torch.tensor([0, 0]), torch.tensor([0, 1]))
    value.backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    assert logits.grad[1].any()


@given(st.integers(0, 10_000), st.integers(1, 40), st.floats(0.01, 1.0))
def test_cvar_is_the_mean_of_the_worst_share(seed: int, n: int, alpha: float) -> None:
    logits, targets, groups = batch(seed, [0] * n)
    losses = sorted(plain_losses(logits.detach(), targets), reverse=True)
    left, expected = alpha * n, 0.0
    for one in losses:
        taken = min(1.0, max(left, 0.0))
        expected += taken * one / (alpha * n)
        left -= 1
    value = cvar.build(counted([9] * 4), alpha=alpha)(logits, targets, groups).item()
    assert value == pytest.approx(expected, abs=1e-9)
    assert mean(losses) - 1e-9 <= value <= losses[0] + 1e-9


def test_cvar_by_hand() -> None:
    targets, groups = torch.zeros(10, dtype=torch.int64), torch.zeros(10, dtype=torch.int64)
    wanted = torch.arange(1.0, 11.0, dtype=torch.float64)
    logits = torch.stack([torch.zeros(10, dtype=torch.float64), (wanted.exp() - 1).log()], dim=1)  # losses 1 to 10
    groups_of = counted([9] * 4)
    expected = {0.1: 10, 0.25: (10 + 9 + 0.5 * 8) / 2.5, 1.0: 5.5, 0.04: 10, 0.3: 9}
    for alpha, value in expected.items():
        assert cvar.build(groups_of, alpha=alpha)(logits, targets, groups).item() == pytest.approx(value)


def test_options_out_of_range_are_refused() -> None:
    groups = counted([9] * 4)
    for alpha in (0.0, 1.1, math.nan):
        with pytest.raises(UsageError, match=rf"^alpha must be above 0 and at most 1, not {alpha:g}$"):
            cvar.build(groups, alpha=alpha)
    with pytest.raises(UsageError, match=r"^gamma must be a number from 0 up, not -1$"):
        focal.build(groups, gamma=-1.0)
    with pytest.raises(UsageError, match=r"^alpha must be a number above 0, not 0$"):
        focal.build(groups, alpha=0.0)
