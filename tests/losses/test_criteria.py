"""The per-sample losses against plain loops, and what they say of probabilities, targets and tasks."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from fairaudit.errors import UsageError
from fairaudit.losses.base import BinaryCrossEntropy, Criterion, CrossEntropy, MultiTaskCrossEntropy
from tests.losses.plain_loops import mean, one_hot, plain_cross_entropy, softmax

HEADS = (slice(0, 3), slice(3, 5))


def logits_of(seed: int, outputs: int = 5, rows: int = 6) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(rows, outputs, generator=generator, dtype=torch.float64)


def smoothed(target: list[float], smoothing: float) -> list[float]:
    return [(1 - smoothing) * t + smoothing / len(target) for t in target]


def of_outputs(probabilities: list[float], target: list[float]) -> float:
    pairs = zip(probabilities, target, strict=True)
    return mean([-t * math.log(p) - (1 - t) * math.log(1 - p) for p, t in pairs])


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_binary_cross_entropy_is_the_mean_over_outputs(smoothing: float) -> None:
    logits = logits_of(0)
    targets = torch.rand(6, 5, dtype=torch.float64).round(decimals=1)
    expected = [
        of_outputs([1 / (1 + math.exp(-x)) for x in z], [t * (1 - smoothing) + smoothing / 2 for t in target])
        for z, target in zip(logits.tolist(), targets.tolist(), strict=True)
    ]
    assert BinaryCrossEntropy(smoothing)(logits, targets).tolist() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weights", [None, (3.0, 1.0)])
@pytest.mark.parametrize("form", ["softmax", "bce"])
def test_several_targets_are_a_weighted_mean_of_their_own(
    smoothing: float, weights: tuple[float, float] | None, form: str
) -> None:
    logits = logits_of(1)
    targets = torch.tensor([[0, 1], [2, 0], [1, 1], [1, 0], [0, 0], [2, 1]])
    shares = weights or (1.0, 1.0)
    expected = []
    for z, (a, b) in zip(logits.tolist(), targets.tolist(), strict=True):
        first, second = smoothed(one_hot(a, 3), smoothing), smoothed(one_hot(b, 2), smoothing)
        if form == "softmax":
            both = plain_cross_entropy(z[:3], first), plain_cross_entropy(z[3:], second)
        else:
            both = of_outputs(softmax(z[:3]), first), of_outputs(softmax(z[3:]), second)
        expected.append((shares[0] * both[0] + shares[1] * both[1]) / sum(shares))
    criterion = MultiTaskCrossEntropy(HEADS, weights, form, smoothing)  # type: ignore[arg-type]
    assert criterion(logits, targets).tolist() == pytest.approx(expected, abs=1e-12)
    soft = criterion.shares(logits, targets)
    assert criterion(logits, soft).tolist() == pytest.approx(expected, abs=1e-12)


def test_one_target_is_plain_cross_entropy() -> None:
    logits, targets = logits_of(2), torch.tensor([0, 4, 2, 2, 1, 3])
    of_one = MultiTaskCrossEntropy((slice(0, 5),), label_smoothing=0.1)
    torch.testing.assert_close(of_one(logits, targets), CrossEntropy(0.1)(logits, targets))
    torch.testing.assert_close(of_one(logits, targets.unsqueeze(1)), CrossEntropy(0.1)(logits, targets))


def test_sure_and_wrong_is_finite_in_the_form_of_outputs() -> None:
    """1 − p rounds to 0 in single precision, so its logarithm must be found another way."""
    criterion = MultiTaskCrossEntropy((slice(0, 3),), form="bce")
    logits = torch.tensor([[90.0, 0.0, 0.0], [0.0, 0.0, 90.0]], requires_grad=True)
    losses = criterion(logits, torch.tensor([1, 1]))
    # −log p of the true class is 90, and −log(1 − p) of the class that is sure is 90 less log 2.
    assert losses.tolist() == pytest.approx([(90 + 90 - math.log(2)) / 3] * 2, rel=1e-6)
    torch.autograd.backward(losses.sum())
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    assert logits.grad[0, 0] > 0 > logits.grad[0, 1]


def test_soft_targets_of_another_precision_are_understood() -> None:
    logits, soft = logits_of(3).float(), torch.softmax(logits_of(4), dim=1)
    for criterion in (CrossEntropy(), BinaryCrossEntropy(), MultiTaskCrossEntropy(HEADS)):
        assert criterion(logits, soft).dtype == torch.float32


@pytest.mark.parametrize("criterion", [CrossEntropy(0.1), BinaryCrossEntropy(0.1), MultiTaskCrossEntropy(HEADS)])
def test_probabilities_belong_to_tasks(criterion: Criterion) -> None:
    logits = logits_of(5)
    probabilities = criterion.probabilities(logits)
    tasks = criterion.tasks(5)
    assert [output for task in tasks for output in range(5)[task]] == list(range(5))
    for task in tasks:
        expected = [softmax(z) if len(z) > 1 else [1 / (1 + math.exp(-z[0]))] for z in logits[:, task].tolist()]
        assert probabilities[:, task].flatten().tolist() == pytest.approx([p for row in expected for p in row])


def test_targets_in_the_shape_of_logits() -> None:
    logits = logits_of(6, 5, 2)
    assert CrossEntropy().shares(logits, torch.tensor([4, 0])).tolist() == [one_hot(4, 5), one_hot(0, 5)]
    both = MultiTaskCrossEntropy(HEADS).shares(logits, torch.tensor([[2, 0], [0, 1]]))
    assert both.tolist() == [one_hot(2, 3) + one_hot(0, 2), one_hot(0, 3) + one_hot(1, 2)]
    labels = torch.tensor([[1, 1, 0, 0, 1], [0, 0, 0, 0, 0]])
    assert BinaryCrossEntropy().shares(logits, labels).tolist() == labels.tolist()


@pytest.mark.parametrize("form", ["softmax", "bce"])
def test_gradients_agree_with_finite_differences(form: str) -> None:
    logits = logits_of(7, rows=3).requires_grad_()
    soft = torch.softmax(logits_of(8, rows=3), dim=1)
    several = MultiTaskCrossEntropy(HEADS, (1.0, 2.0), form, 0.1)  # type: ignore[arg-type]
    for criterion in (several, BinaryCrossEntropy(0.1), CrossEntropy(0.1)):
        assert torch.autograd.gradcheck(lambda z, measure=criterion: measure(z, soft), (logits,))


def test_what_does_not_fit_is_refused() -> None:
    logits = logits_of(9)
    with pytest.raises(ValueError, match="must have the shape"):
        BinaryCrossEntropy()(logits, torch.zeros(6, dtype=torch.int64))
    with pytest.raises(ValueError, match="must have the shape"):
        CrossEntropy().shares(logits, torch.zeros(6, 4))
    with pytest.raises(ValueError, match="a column for each of 2 targets"):
        MultiTaskCrossEntropy(HEADS)(logits, torch.zeros(6, 3, dtype=torch.int64))
    with pytest.raises(ValueError, match="there are 6 outputs, but the heads have 5"):
        MultiTaskCrossEntropy(HEADS).tasks(6)
    for slices in ((slice(0, 3), slice(4, 6)), (slice(0, 1),), (slice(1, 3),)):
        with pytest.raises(ValueError, match="heads must follow each other"):
            MultiTaskCrossEntropy(slices)
    with pytest.raises(ValueError, match="need a head each"):
        MultiTaskCrossEntropy(())


def test_options_out_of_range_are_refused() -> None:
    message = r"^the targets' weights must be 2 numbers from 0 up, one for each target and not all 0, not {}$"
    for weights, shown in (((1.0,), "1"), ((1.0, -1.0), "1, -1"), ((0.0, 0.0), "0, 0"), ((1.0, math.nan), "1, nan")):
        with pytest.raises(UsageError, match=message.format(shown)):
            MultiTaskCrossEntropy(HEADS, weights)
    for build in (CrossEntropy, BinaryCrossEntropy, lambda share: MultiTaskCrossEntropy(HEADS, label_smoothing=share)):
        with pytest.raises(UsageError, match=r"^the label smoothing must be at least 0 and below 1, not -0\.1$"):
            build(-0.1)
