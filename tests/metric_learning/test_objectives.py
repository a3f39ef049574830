"""Objectives against plain loops over pairs and triplets, with the settings of the literature."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from fairaudit.metric_learning.objectives import USUAL, Loss, Miner, Objective


def rows(n: int = 12, d: int = 6, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Rows of length 1, of three classes."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.nn.functional.normalize(torch.randn(n, d, generator=generator, dtype=torch.float64), dim=1)
    return x, torch.arange(n) % 3


def distance(a: Tensor, b: Tensor) -> float:
    return float((a - b).square().sum().sqrt())


def test_margin_is_the_mean_of_its_active_terms_with_a_beta_of_each_class() -> None:
    x, y = rows()
    objective = Objective("margin", "none", 3, 6, 0)
    assert objective.beta is not None
    with torch.no_grad():
        objective.beta.copy_(torch.tensor([0.9, 1.2, 1.4]))
    terms = []
    for a in range(12):
        for p in range(12):
            for n in range(12):
                if a != p and y[a] == y[p] and y[a] != y[n]:
                    beta = [0.9, 1.2, 1.4][int(y[a])]
                    terms.append(max(0.0, distance(x[a], x[p]) - beta + 0.2))
                    terms.append(max(0.0, beta - distance(x[a], x[n]) + 0.2))
    active = [term for term in terms if term > 0]
    assert 0 < len(active) < len(terms)
    assert float(objective(x, y).detach()) == pytest.approx(sum(active) / len(active), rel=1e-6)


def test_triplet_and_contrastive_are_means_of_what_is_above_zero() -> None:
    x, y = rows()
    triplets = [
        distance(x[a], x[p]) - distance(x[a], x[n]) + 0.2
        for a in range(12)
        for p in range(12)
        for n in range(12)
        if a != p and y[a] == y[p] and y[a] != y[n]
    ]
    above = [value for value in triplets if value > 0]
    assert float(Objective("triplet", "none", 3, 6, 0)(x, y)) == pytest.approx(sum(above) / len(above), rel=1e-6)
    pairs = [(a, b) for a in range(12) for b in range(12) if a != b]
    near = [distance(x[a], x[b]) for a, b in pairs if y[a] == y[b]]
    far = [one for one in (1 - distance(x[a], x[b]) for a, b in pairs if y[a] != y[b]) if one > 0]
    expected = sum(near) / len(near) + sum(far) / len(far)
    assert float(Objective("contrastive", "none", 3, 6, 0)(x, y)) == pytest.approx(expected, rel=1e-6)


def test_multi_similarity_is_its_formula() -> None:
    x, y = rows()
    total = 0.0
    for a in range(12):
        same = [float(x[a] @ x[b]) for b in range(12) if b != a and y[a] == y[b]]
        other = [float(x[a] @ x[b]) for b in range(12) if y[a] != y[b]]
        total += math.log(1 + sum(math.exp(-2 * (s - 0.5)) for s in same)) / 2
        total += math.log(1 + sum(math.exp(40 * (s - 0.5)) for s in other)) / 40
    assert float(Objective("multi-similarity", "none", 3, 6, 0)(x, y)) == pytest.approx(total / 12, rel=1e-5)


def test_arcface_adds_half_a_radian_to_the_angle_of_the_class() -> None:
    x, y = rows()
    objective = Objective("arcface", "usual", 3, 6, 0).double()
    directions = torch.nn.functional.normalize(next(objective.loss.parameters()).detach(), dim=0)
    losses = []
    for a in range(12):
        angles = [math.acos(float(x[a] @ directions[:, k])) for k in range(3)]
        logits = [16 * math.cos(angle + (0.5 if k == y[a] else 0)) for k, angle in enumerate(angles)]
        losses.append(math.log(sum(map(math.exp, logits))) - logits[int(y[a])])
    assert float(objective(x, y).detach()) == pytest.approx(np.mean(losses), rel=1e-3)


@pytest.mark.statistics
def test_negatives_are_drawn_by_distance_as_its_paper_says() -> None:
    """One anchor with its positive, and negatives at distances of which near ones are the rarer on the sphere."""
    d, angles = 4, [0.6, 0.9, 1.2]
    x = torch.zeros(5, d, dtype=torch.float64)
    x[0, 0] = x[1, 0] = 1
    x[1, 3], x[1, 0] = math.sin(0.3), math.cos(0.3)
    for i, angle in enumerate(angles):
        x[2 + i, 0], x[2 + i, 1] = math.cos(angle), math.sin(angle)
    y = torch.tensor([0, 0, 1, 2, 3])
    miner = Objective("margin", "usual", 4, d, 0).miner
    assert miner is not None
    torch.manual_seed(0)
    counts = np.zeros(3)
    for _ in range(3000):
        anchors, _, negatives = miner(x, y)
        for anchor, negative in zip(anchors.tolist(), negatives.tolist(), strict=True):
            if anchor == 0:
                counts[negative - 2] += 1
    lengths = np.maximum([2 * math.sin(angle / 2) for angle in angles], 0.5)
    wanted = np.exp(-((d - 2) * np.log(lengths) + (d - 3) / 2 * np.log(1 - lengths**2 / 4)))
    np.testing.assert_allclose(counts / counts.sum(), wanted / wanted.sum(), atol=0.02)


@pytest.mark.parametrize("loss", list(USUAL))
@pytest.mark.parametrize("miner", ["usual", "distance-weighted", "semi-hard", "multi-similarity", "none"])
def test_every_loss_goes_with_every_miner(loss: Loss, miner: Miner) -> None:
    x, y = rows()
    x = x.float().requires_grad_()
    objective = Objective(loss, miner, 3, 6, 0)
    torch.manual_seed(0)
    value = objective(x, y)
    assert value.isfinite()
    value.backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()
    assert objective.mined == (USUAL[loss] if miner == "usual" else miner)


@pytest.mark.parametrize("loss", [loss for loss in USUAL if loss != "arcface"])
def test_a_batch_of_one_class_says_nothing(loss: Loss) -> None:
    x, _ = rows()
    x = x.float().requires_grad_()
    value = Objective(loss, "distance-weighted", 3, 6, 0)(x, torch.zeros(12, dtype=torch.int64))
    assert float(value.detach()) == 0
    value.backward()
    assert x.grad is not None
    assert not x.grad.any()


def test_what_is_drawn_depends_on_the_seed_alone() -> None:
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first, again, other = (next(Objective("arcface", "usual", 3, 6, seed).parameters()) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.random.get_rng_state(), before)
