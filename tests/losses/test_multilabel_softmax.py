"""Multi-label softmax: the mean over pairs by a plain loop, soft targets, and the rule that gives labels."""

from __future__ import annotations

import math
from typing import cast

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from fairaudit.errors import UsageError
from fairaudit.losses import cross_entropy, group_dro, multilabel_softmax
from fairaudit.losses.base import CrossEntropy
from fairaudit.losses.multilabel_softmax import PositivesAgainstNegatives, predict, scores
from tests.losses.plain_loops import GROUPS, batch, counted, mean, plain_group_means

GROUPS_OF = counted([9, 9, 9, 9])


def labelled(seed: int, rows: int = 9, labels: int = 6) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(rows, labels, generator=generator, dtype=torch.float64)
    targets = (torch.rand(rows, labels, generator=generator) < 0.4).double()
    targets[0], targets[1] = 0, 1  # one image has no label, one has all
    return logits.requires_grad_(), targets


def plain_pairs(z: list[float], truth: list[float]) -> list[float]:
    negatives = sum(math.exp(x) for x, t in zip(z, truth, strict=True) if not t)
    return [-math.log(math.exp(x) / (math.exp(x) + negatives)) for x, t in zip(z, truth, strict=True) if t]


def test_it_is_the_mean_over_pairs_of_an_image_and_a_positive() -> None:
    logits, targets = labelled(0)
    pairs = [plain_pairs(z, t) for z, t in zip(logits.tolist(), targets.tolist(), strict=True)]
    assert pairs[0] == []
    assert pairs[1] == [0.0] * 6
    expected = mean([one for of_image in pairs for one in of_image])
    value = multilabel_softmax.build(GROUPS_OF)(logits, targets, torch.tensor(GROUPS))
    assert value.item() == pytest.approx(expected, abs=1e-12)
    value.backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    assert logits.grad.any(dim=1).tolist() == [False, False, *[0 < t.sum() < 6 for t in targets[2:]]]


def test_other_positives_do_not_compete() -> None:
    """Raising one positive leaves the losses of the others as they are."""
    logits, targets = torch.zeros(1, 4, dtype=torch.float64), torch.tensor([[1.0, 1.0, 0.0, 0.0]])
    raised = logits.clone()
    raised[0, 0] = 7.0
    before, after = (plain_pairs(z.tolist()[0], targets.tolist()[0]) for z in (logits, raised))
    assert before[1] == after[1] == math.log(3)
    value = multilabel_softmax.build(GROUPS_OF)(raised, targets, torch.tensor([0])).item()
    assert value == pytest.approx((math.log(1 + 2 * math.exp(-7)) + math.log(3)) / 2)


def test_soft_targets_are_shares_of_a_positive_and_of_a_negative() -> None:
    logits, _ = labelled(1)
    targets = torch.rand(9, 6, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    targets[3] = 0.0
    targets[4, :3] = 1.0
    total = share = 0.0
    for z, truth in zip(logits.tolist(), targets.tolist(), strict=True):
        for p, t in enumerate(truth):
            others = sum((1 - u) * math.exp(x) for n, (x, u) in enumerate(zip(z, truth, strict=True)) if n != p)
            total += t * math.log((math.exp(z[p]) + others) / math.exp(z[p]))
            share += t
    loss = multilabel_softmax.build(GROUPS_OF)
    assert loss(logits, targets, torch.tensor(GROUPS)).item() == pytest.approx(total / share, abs=1e-12)
    assert torch.autograd.gradcheck(lambda z: loss(z, targets, torch.tensor(GROUPS)), (logits,))


def test_one_positive_is_cross_entropy() -> None:
    logits, targets, groups = batch(3, GROUPS)
    one = multilabel_softmax.build(GROUPS_OF)(logits, targets, groups)
    assert one.item() == pytest.approx(cross_entropy.build(GROUPS_OF)(logits, targets, groups).item(), abs=1e-12)


def test_a_batch_without_a_positive_has_nothing_to_teach() -> None:
    logits, targets = labelled(4)
    value = multilabel_softmax.build(GROUPS_OF)(logits, torch.zeros_like(targets), torch.tensor(GROUPS))
    assert value.item() == 0
    (gradient,) = torch.autograd.grad(value, logits)
    assert not gradient.any()


def test_as_a_criterion_it_goes_with_other_losses() -> None:
    logits, targets = labelled(5)
    criterion = PositivesAgainstNegatives()
    losses = [mean(plain_pairs(z, t) or [0.0]) for z, t in zip(logits.tolist(), targets.tolist(), strict=True)]
    assert criterion(logits, targets).tolist() == pytest.approx(losses, abs=1e-12)
    means = plain_group_means(losses, GROUPS)
    value = group_dro.build(GROUPS_OF, criterion).eval()(logits, targets, torch.tensor(GROUPS))
    assert value.item() == pytest.approx(mean(list(means.values())), abs=1e-6)
    assert [task.stop - task.start for task in criterion.tasks(6)] == [1] * 6


def plain_prediction(z: list[float], top: int, threshold: float, fewest: int, most: int) -> list[bool]:
    order = sorted(range(len(z)), key=lambda i: -z[i])
    rest = sum(math.exp(z[i]) for i in order[top:])
    sure = [math.exp(z[i]) / (math.exp(z[i]) + rest) for i in order[:top]]
    n = min(max(sum(s > threshold for s in sure), fewest), most)
    return [i in order[:n] for i in range(len(z))]


@given(st.integers(0, 10_000), st.integers(5, 12), st.floats(0.05, 0.95), st.floats(0.1, 4))
def test_labels_are_given_by_the_rule(seed: int, top: int, threshold: float, scale: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(4, 20, generator=generator, dtype=torch.float64)
    found = predict(logits, top=top, threshold=threshold)
    assert found.tolist() == [plain_prediction(z, top, threshold, 2, 5) for z in logits.tolist()]
    assert all(2 <= n <= 5 for n in found.sum(dim=1).tolist())


def test_the_published_numbers_are_the_defaults() -> None:
    """Of 160 labels ten rank below the top 150; with all of those at 0 the score of z is e^z/(e^z + 10)."""
    logits = torch.linspace(1e-3, 0.9, 160, dtype=torch.float64)
    logits[:10] = 0.0
    chosen = [20, 50, 90]
    for index, score in zip(chosen, (0.54, 0.551, 0.9), strict=True):
        logits[index] = math.log(10 * score / (1 - score))
    found = scores(logits.unsqueeze(0)).squeeze(0)
    assert found[chosen].tolist() == pytest.approx([0.54, 0.551, 0.9])
    assert int(found.isnan().sum()) == 10
    assert predict(logits.unsqueeze(0)).squeeze(0).nonzero().flatten().tolist() == [50, 90]
    logits[[20, 120, 121, 122]] = 9.0
    assert cast(int, predict(logits.unsqueeze(0)).sum().item()) == 5
    assert predict(torch.zeros(2, 160)).sum(dim=1).tolist() == [2, 2]


def test_refusals() -> None:
    with pytest.raises(UsageError) as caught:
        predict(torch.zeros(1, 40))
    assert str(caught.value) == (
        "the rule compares each of the best 150 labels with all that rank below, but there are 40 labels; "
        "choose a top between 1 and 39"
    )
    with pytest.raises(
        UsageError, match=r"^fewest \(6\), most \(5\) and top \(10\) must be numbers from 0 up in this order$"
    ):
        predict(torch.zeros(1, 40), top=10, fewest=6)
    with pytest.raises(UsageError, match=r"^multilabel-softmax has no label smoothing; set it to 0$"):
        multilabel_softmax.build(GROUPS_OF, CrossEntropy(0.1))
    with pytest.raises(ValueError, match="must have the shape"):
        multilabel_softmax.build(GROUPS_OF)(torch.zeros(2, 5), torch.zeros(2, 4), torch.tensor([0, 1]))
