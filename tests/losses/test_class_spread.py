"""Class spread: both measures by plain loops, and a gradient that the paper's own had not."""

from __future__ import annotations

import math

import pytest
import torch

from fairaudit.errors import DataError, UsageError
from fairaudit.losses import class_spread
from fairaudit.losses.base import BinaryCrossEntropy, MultiTaskCrossEntropy
from tests.losses.plain_loops import GROUPS, batch, counted, mean, plain_group_means, plain_losses, softmax

GROUPS_OF = counted([9, 9, 9, 9])


def variance(values: list[float]) -> float:
    return mean([(v - mean(values)) ** 2 for v in values])


@pytest.mark.parametrize("weight", [0.0, 1.0, 7.5])
def test_the_variance_of_group_means_is_added(weight: float) -> None:
    logits, targets, groups = batch(0, GROUPS)
    losses = plain_losses(logits.detach(), targets)
    expected = mean(losses) + weight * variance(list(plain_group_means(losses, GROUPS).values()))
    loss = class_spread.build(GROUPS_OF, weight=weight)
    assert loss(logits, targets, groups).item() == pytest.approx(expected, abs=1e-12)


def test_the_deviation_of_soft_accuracies_is_added() -> None:
    logits, targets, groups = batch(1, GROUPS)
    right = [softmax(z)[t] for z, t in zip(logits.tolist(), targets.tolist(), strict=True)]
    spread = math.sqrt(variance(list(plain_group_means(right, GROUPS).values())))
    expected = mean(plain_losses(logits.detach(), targets)) + 2 * spread
    loss = class_spread.build(GROUPS_OF, weight=2.0, measure="accuracy-std")
    assert loss(logits, targets, groups).item() == pytest.approx(expected, abs=1e-12)


def test_of_several_targets_all_must_be_right() -> None:
    logits, _, groups = batch(2, GROUPS, classes=5)
    targets = torch.tensor([[i % 3, i % 2] for i in range(9)])
    criterion = MultiTaskCrossEntropy((slice(0, 3), slice(3, 5)))
    right = [softmax(z[:3])[a] * softmax(z[3:])[b] for z, (a, b) in zip(logits.tolist(), targets.tolist(), strict=True)]
    spread = math.sqrt(variance(list(plain_group_means(right, GROUPS).values())))
    value = class_spread.build(GROUPS_OF, criterion, measure="accuracy-std")(logits, targets, groups)
    assert value.item() == pytest.approx(criterion(logits, targets).mean().item() + spread, abs=1e-12)


def test_labels_are_right_on_average() -> None:
    logits, _, groups = batch(3, GROUPS)
    targets = torch.tensor([[i % 2, i % 3 == 0, 1] for i in range(9)]).double()
    right = []
    for z, truth in zip(logits.tolist(), targets.tolist(), strict=True):
        p = [1 / (1 + math.exp(-x)) for x in z]
        right.append(mean([q if t else 1 - q for q, t in zip(p, truth, strict=True)]))
    spread = math.sqrt(variance(list(plain_group_means(right, GROUPS).values())))
    criterion = BinaryCrossEntropy()
    value = class_spread.build(GROUPS_OF, criterion, measure="accuracy-std")(logits, targets, groups)
    assert value.item() == pytest.approx(criterion(logits, targets).mean().item() + spread, abs=1e-12)


@pytest.mark.training
@pytest.mark.parametrize("measure", ["loss-variance", "accuracy-std"])
def test_the_spread_alone_has_a_gradient_and_can_be_descended(measure: str) -> None:
    logits, targets, groups = batch(4, GROUPS)

    def penalty(z: torch.Tensor) -> torch.Tensor:
        with_it = class_spread.build(GROUPS_OF, weight=1.0, measure=measure)  # type: ignore[arg-type]
        without: torch.Tensor = class_spread.build(GROUPS_OF, weight=0.0)(z, targets, groups)
        spread: torch.Tensor = with_it(z, targets, groups) - without
        return spread

    assert torch.autograd.gradcheck(penalty, (logits,))
    start = penalty(logits).item()
    z = logits.detach().clone().requires_grad_()
    for _ in range(200):
        (slope,) = torch.autograd.grad(penalty(z), z)
        z = (z - 0.5 * slope).detach().requires_grad_()
    assert penalty(z).item() < 0.5 * start


@pytest.mark.parametrize("measure", ["loss-variance", "accuracy-std"])
def test_one_group_or_equal_groups_have_no_spread_and_a_finite_gradient(measure: str) -> None:
    logits, targets, _ = batch(5, [0, 0, 0])
    loss = class_spread.build(GROUPS_OF, measure=measure)  # type: ignore[arg-type]
    assert loss(logits, targets, torch.tensor([1, 1, 1])).item() == pytest.approx(
        mean(plain_losses(logits.detach(), targets)), abs=1e-12
    )
    twice = logits.detach().repeat(2, 1).requires_grad_()
    value = loss(twice, targets.repeat(2), torch.tensor([0, 0, 0, 3, 3, 3]))
    assert value.item() == pytest.approx(mean(plain_losses(logits.detach(), targets)), abs=1e-9)
    value.backward()
    assert twice.grad is not None
    assert twice.grad.isfinite().all()


def test_refusals() -> None:
    with pytest.raises(UsageError, match=r"^weight must be a number from 0 up, not -1$"):
        class_spread.build(GROUPS_OF, weight=-1.0)
    with pytest.raises(
        DataError, match=r"^the loss class-spread compares groups, but all training images are of the group"
    ):
        class_spread.build(counted([9], ("all",)))
