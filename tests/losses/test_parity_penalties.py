"""Demographic parity, equal opportunity and equalized odds: gaps by plain loops, absent groups, several classes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import combinations

import pytest
import torch
from torch import Tensor

from fairaudit import plugins
from fairaudit.errors import DataError, UsageError
from fairaudit.losses import demographic_parity, equal_opportunity, equalized_odds
from fairaudit.losses.base import BinaryCrossEntropy, Criterion, CrossEntropy, GroupLoss, MultiTaskCrossEntropy
from tests.losses.plain_loops import GROUPS, batch, counted, mean, softmax

GROUPS_OF = counted([9, 9, 9, 9])
NAMES = ("demographic-parity", "equal-opportunity", "equalized-odds")
Rows = Sequence[Sequence[float]]


def build(name: str, criterion: Criterion, **options: object) -> GroupLoss:
    loss: GroupLoss = plugins.load("losses", name).build(GROUPS_OF, criterion, **options)
    return loss


def plain_gap(values: Sequence[float], weights: Sequence[float], groups: Sequence[int], how: str) -> float | None:
    """Max − min, or the mean over pairs, of the groups' weighted means; None with fewer than two groups."""
    means = []
    for g in sorted(set(groups)):
        mine = [(v, w) for v, w, group in zip(values, weights, groups, strict=True) if group == g]
        if sum(w for _, w in mine) > 0:
            means.append(sum(v * w for v, w in mine) / sum(w for _, w in mine))
    if len(means) < 2:
        return None
    return max(means) - min(means) if how == "range" else mean([abs(a - b) for a, b in combinations(means, 2)])


def plain_penalty(
    name: str, probabilities: Rows, shares: Rows, tasks: Sequence[Sequence[int]], groups: Sequence[int], how: str = "range"
) -> float:
    conditions: dict[str, list[Callable[[float], float]]] = {
        "demographic-parity": [lambda _: 1.0],
        "equal-opportunity": [lambda t: t],
        "equalized-odds": [lambda t: t, lambda t: 1 - t],
    }
    total = 0.0
    for condition in conditions[name]:
        of_tasks = []
        for columns in tasks:
            gaps = [
                plain_gap([p[c] for p in probabilities], [condition(t[c]) for t in shares], groups, how) for c in columns
            ]
            known = [gap for gap in gaps if gap is not None]
            if known:
                of_tasks.append(mean(known))
        total += mean(of_tasks) if of_tasks else 0.0
    return total


def check(loss: GroupLoss, logits: Tensor, targets: Tensor, groups: Tensor, penalty: float, weight: float) -> None:
    average = loss.criterion(logits, targets).mean().item()
    assert loss(logits, targets, groups).item() == pytest.approx(average + weight * penalty, abs=1e-12)
    assert penalty > 0.01, "the batch must have a gap"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("how", ["range", "pairwise"])
def test_two_classes_compare_the_second(name: str, how: str) -> None:
    logits, targets, groups = batch(0, GROUPS * 3, classes=2)
    p = [softmax(z) for z in logits.tolist()]
    shares = [[1.0 - t, float(t)] for t in targets.tolist()]
    penalty = plain_penalty(name, p, shares, [[1]], groups.tolist(), how)
    check(build(name, CrossEntropy(), gap=how, weight=2.5), logits, targets, groups, penalty, 2.5)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("how", ["range", "pairwise"])
def test_more_classes_and_soft_targets_are_averaged(name: str, how: str) -> None:
    logits, _, groups = batch(1, GROUPS)
    targets = torch.softmax(torch.randn(9, 3, generator=torch.Generator().manual_seed(5), dtype=torch.float64), dim=1)
    p = [softmax(z) for z in logits.tolist()]
    penalty = plain_penalty(name, p, targets.tolist(), [[0, 1, 2]], GROUPS, how)
    check(build(name, CrossEntropy(0.1), gap=how), logits, targets, groups, penalty, 1.0)


@pytest.mark.parametrize("name", NAMES)
def test_several_targets_weigh_the_same(name: str) -> None:
    logits, _, groups = batch(2, GROUPS * 2, classes=5)
    targets = torch.tensor([[i % 3, (i // 2) % 2] for i in range(18)])
    criterion = MultiTaskCrossEntropy((slice(0, 3), slice(3, 5)))
    p = [softmax(z[:3]) + softmax(z[3:]) for z in logits.tolist()]
    shares = criterion.shares(logits, targets).tolist()
    penalty = plain_penalty(name, p, shares, [[0, 1, 2], [4]], GROUPS * 2)
    check(build(name, criterion), logits, targets, groups, penalty, 1.0)


@pytest.mark.parametrize("name", NAMES)
def test_labels_are_tasks_of_their_own(name: str) -> None:
    logits, _, groups = batch(3, GROUPS * 2)
    targets = torch.tensor([[i % 2, i % 3 == 0, 1] for i in range(18)]).double()  # nobody lacks the third label
    p = [[1 / (1 + math.exp(-x)) for x in z] for z in logits.tolist()]
    penalty = plain_penalty(name, p, targets.tolist(), [[0], [1], [2]], GROUPS * 2)
    check(build(name, BinaryCrossEntropy()), logits, targets, groups, penalty, 1.0)


def test_two_groups_of_two_classes_are_the_published_penalties() -> None:
    logits, targets, _ = batch(4, [0] * 20, classes=2)
    groups = torch.tensor([0, 1] * 10)
    p = logits.detach().softmax(dim=1)[:, 1]

    def difference(chosen: Tensor) -> float:
        return float((p[chosen & (groups == 1)].mean() - p[chosen & (groups == 0)].mean()).abs())

    everyone = torch.ones(20, dtype=torch.bool)
    average = CrossEntropy()(logits, targets).mean().item()
    expected = {
        "demographic-parity": difference(everyone),
        "equal-opportunity": difference(targets == 1),
        "equalized-odds": difference(targets == 1) + difference(targets == 0),
    }
    for name, penalty in expected.items():
        for how in ("range", "pairwise"):
            assert build(name, CrossEntropy(), gap=how)(logits, targets, groups).item() == pytest.approx(average + penalty)
    first = equal_opportunity.build(GROUPS_OF, positive=0)(logits, targets, groups).item()
    assert first == pytest.approx(average + difference(targets == 0))


def test_a_group_without_positives_is_left_out_of_equal_opportunity() -> None:
    logits, _, groups = batch(5, [0, 0, 1, 1, 3, 3], classes=2)
    targets = torch.tensor([1, 0, 1, 1, 0, 0])  # group 3 has no positive
    p = logits.detach().softmax(dim=1)[:, 1]
    gap = abs(float(p[0] - p[2:4].mean()))
    average = CrossEntropy()(logits, targets).mean().item()
    assert equal_opportunity.build(GROUPS_OF)(logits, targets, groups).item() == pytest.approx(average + gap)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("how", ["range", "pairwise"])
def test_nothing_to_compare_adds_nothing(name: str, how: str) -> None:
    """One group in the batch, or positives of one group only: the mean loss with a finite gradient."""
    logits, _, _ = batch(6, [0] * 4, classes=2)
    cases = [(torch.tensor([1, 0, 1, 0]), torch.tensor([2, 2, 2, 2]))]
    if name == "equal-opportunity":
        cases += [
            (torch.tensor([1, 1, 0, 0]), torch.tensor([0, 0, 1, 1])),
            (torch.zeros(4).long(), torch.tensor([0, 1, 2, 3])),
        ]
    for targets, groups in cases:
        value = build(name, CrossEntropy(), gap=how, weight=100.0)(logits, targets, groups)
        assert value.item() == pytest.approx(CrossEntropy()(logits, targets).mean().item(), abs=1e-12)
        (gradient,) = torch.autograd.grad(value, logits)
        assert gradient.isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_groups_that_are_treated_alike_have_no_gap(name: str) -> None:
    logits, targets, _ = batch(7, [0] * 6)
    twice = logits.detach().repeat(2, 1).requires_grad_()
    groups = torch.tensor([0] * 6 + [2] * 6)
    value = build(name, CrossEntropy())(twice, targets.repeat(2), groups)
    assert value.item() == pytest.approx(CrossEntropy()(logits, targets).mean().item(), abs=1e-9)
    value.backward()
    assert twice.grad is not None
    assert twice.grad.isfinite().all()


def test_refusals() -> None:
    for module in (demographic_parity, equal_opportunity, equalized_odds):
        with pytest.raises(UsageError, match=r"^weight must be a number from 0 up, not inf$"):
            module.build(GROUPS_OF, weight=math.inf)
        with pytest.raises(DataError, match=r"compares groups, but all training images are of the group 'all'; group by"):
            module.build(counted([9], ("all",)))
    with pytest.raises(UsageError, match=r"^positive must be 0 or 1, the first or the second of two classes, not 2$"):
        equal_opportunity.build(GROUPS_OF, positive=2)
