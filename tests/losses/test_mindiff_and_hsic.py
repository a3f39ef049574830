"""MinDiff and HSIC by plain loops over pairs, against matrix definitions, and where they vanish."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from fairaudit.errors import DataError, UsageError
from fairaudit.losses import hsic, mindiff
from fairaudit.losses._pairs import gaussian
from fairaudit.losses.base import BinaryCrossEntropy, CrossEntropy, MultiTaskCrossEntropy
from tests.losses.plain_loops import GROUPS, batch, counted, mean, softmax

GROUPS_OF = counted([9, 9, 9, 9])
Rows = Sequence[Sequence[float]]


def kernel(a: Sequence[float], b: Sequence[float], width: float) -> float:
    return math.exp(-sum((x - y) ** 2 for x, y in zip(a, b, strict=True)) / width**2)


def plain_mindiff(rows: Rows, groups: Sequence[int], width: float) -> float:
    def between(g: int, h: int) -> float:
        ours = [row for row, group in zip(rows, groups, strict=True) if group == g]
        theirs = [row for row, group in zip(rows, groups, strict=True) if group == h]
        return mean([kernel(a, b, width) for a in ours for b in theirs])

    pairs = list(combinations(sorted(set(groups)), 2))
    return mean([between(g, g) + between(h, h) - 2 * between(g, h) for g, h in pairs]) if pairs else 0.0


def plain_hsic(rows: Rows, groups: Sequence[int], sigma: float) -> float:
    m = len(rows)
    members = np.eye(4)[list(groups)].tolist()
    k = np.array([[kernel(a, b, sigma) for b in rows] for a in rows])
    one = np.array([[kernel(a, b, sigma) for b in members] for a in members])
    h = np.eye(m) - 1 / m
    return float(np.trace(k @ h @ one @ h) / (m - 1) ** 2)


@pytest.mark.parametrize(("width", "sigma"), [(0.1, 1.0), (0.7, 0.3)])
@pytest.mark.parametrize("classes", [2, 3])
def test_both_are_plain_loops_over_pairs(width: float, sigma: float, classes: int) -> None:
    logits, targets, groups = batch(0, GROUPS, classes)
    p = [softmax(z) for z in logits.tolist()]
    rows = [[second] for _, second in p] if classes == 2 else p  # of two classes one says everything
    average = CrossEntropy()(logits, targets).mean().item()
    of_kernel = plain_mindiff(rows, GROUPS, width)
    dependence = plain_hsic(rows, GROUPS, sigma)
    assert min(of_kernel, dependence) > 1e-4
    value = mindiff.build(GROUPS_OF, weight=3.0, width=width)(logits, targets, groups).item()
    assert value == pytest.approx(average + 3 * of_kernel, abs=1e-12)
    value = hsic.build(GROUPS_OF, weight=3.0, sigma=sigma)(logits, targets, groups).item()
    assert value == pytest.approx(average + 3 * dependence, abs=1e-12)


def test_predictions_are_those_of_the_criterion() -> None:
    logits, _, groups = batch(1, GROUPS, 5)
    targets = torch.tensor([[i % 3, i % 2] for i in range(9)])
    several = MultiTaskCrossEntropy((slice(0, 3), slice(3, 5)))
    rows = [[*softmax(z[:3]), softmax(z[3:])[1]] for z in logits.tolist()]
    value = mindiff.build(GROUPS_OF, several)(logits, targets, groups) - several(logits, targets).mean()
    assert value.item() == pytest.approx(plain_mindiff(rows, GROUPS, 0.1), abs=1e-12)
    labels = several.shares(logits, targets)
    rows = [[1 / (1 + math.exp(-x)) for x in z] for z in logits.tolist()]
    of_labels = hsic.build(GROUPS_OF, BinaryCrossEntropy())(logits, labels, groups)
    value = of_labels - BinaryCrossEntropy()(logits, labels).mean()
    assert value.item() == pytest.approx(plain_hsic(rows, GROUPS, 1.0), abs=1e-12)


@given(st.integers(0, 10_000), st.lists(st.integers(0, 3), min_size=1, max_size=14))
def test_both_are_at_least_0_and_0_where_all_is_one(seed: int, members: list[int]) -> None:
    logits, targets, groups = batch(seed, members)
    average = CrossEntropy()(logits, targets).mean().item()
    constant = torch.zeros_like(logits)
    for build in (mindiff.build, hsic.build):
        value = build(GROUPS_OF)(logits, targets, groups).item()
        assert value >= average - 1e-12
        if len(set(members)) == 1:
            assert value == pytest.approx(average, abs=1e-12)
        assert build(GROUPS_OF)(constant, targets, groups).item() == pytest.approx(math.log(3), abs=1e-12)


def test_descending_the_penalty_brings_two_groups_together() -> None:
    groups = torch.tensor([0] * 8 + [1] * 8)
    targets = torch.tensor([0, 1] * 8)
    for build, weight in ((mindiff.build, 1.0), (hsic.build, 50.0)):
        z = torch.zeros(16, 2, dtype=torch.float64)
        z[:, 1] = torch.linspace(-0.6, 0.6, 16)  # group 1 has the higher predictions
        loss = build(GROUPS_OF, weight=weight)

        def apart(logits: Tensor) -> float:
            p = logits.softmax(dim=1)[:, 1]
            return float((p[8:].mean() - p[:8].mean()).abs())

        before = apart(z)
        for _ in range(300):
            z.requires_grad_()
            (slope,) = torch.autograd.grad(loss(z, targets, groups) - CrossEntropy()(z, targets).mean(), z)
            z = (z - 0.2 * slope).detach()
        assert apart(z) < 0.2 * before


def test_equal_rows_are_at_distance_0_whatever_the_rounding() -> None:
    rows = torch.full((40, 7), 0.1234567, dtype=torch.float32).requires_grad_()
    near = gaussian(rows, 1e-4)
    torch.autograd.backward(near.sum())
    assert near.max() <= 1
    assert rows.grad is not None
    assert rows.grad.isfinite().all()


def test_refusals() -> None:
    with pytest.raises(UsageError, match=r"^width must be a number above 0, not 0$"):
        mindiff.build(GROUPS_OF, width=0.0)
    with pytest.raises(UsageError, match=r"^sigma must be a number above 0, not -2$"):
        hsic.build(GROUPS_OF, sigma=-2.0)
    with pytest.raises(UsageError, match=r"^weight must be a number from 0 up, not nan$"):
        hsic.build(GROUPS_OF, weight=math.nan)
    for build, name in ((mindiff.build, "mindiff"), (hsic.build, "hsic")):
        with pytest.raises(
            DataError, match=rf"^the loss {name} compares groups, but there are no training images; group by"
        ):
            build(counted([0, 0], ("a", "b")))
