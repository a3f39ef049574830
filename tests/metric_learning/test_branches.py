"""Branches: the decorrelation against a plain loop, and which way every gradient goes."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from fairaudit.metric_learning.branches import Adversary, Decorrelated, reversed_gradient


def drawn(n: int, d: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return functional.normalize(torch.randn(n, d, generator=generator, dtype=torch.float64), dim=1)


def test_a_reversed_gradient_changes_its_sign_and_nothing_else() -> None:
    x = torch.randn(3, 4, requires_grad=True)
    weights = torch.randn(3, 4)
    seen = reversed_gradient(x)
    assert torch.equal(seen, x)
    torch.autograd.backward((seen * weights).sum())
    assert x.grad is not None
    assert torch.equal(x.grad, -weights)


def test_the_correlation_is_the_mean_square_of_products() -> None:
    branch = Decorrelated("tone", 2, 5, 150.0, 0.3, 0).double()
    e, own = drawn(7, 5, 0), drawn(7, 5, 1)
    first, second = (layer for layer in branch.project.requires_grad_(False) if isinstance(layer, nn.Linear))
    total = 0.0
    for i in range(7):
        hidden = [max(0.0, float(w @ own[i] + b)) for w, b in zip(first.weight, first.bias, strict=True)]
        out = [
            float(w @ torch.tensor(hidden, dtype=torch.float64) + b)
            for w, b in zip(second.weight, second.bias, strict=True)
        ]
        length = math.sqrt(sum(value**2 for value in out))
        total += sum((float(e[i, k]) * out[k] / length) ** 2 for k in range(5))
    assert float(branch.correlation(e, own).detach()) == pytest.approx(total / 35, rel=1e-9)


def test_what_is_added_is_the_attributes_objective_less_the_correlation() -> None:
    branch = Decorrelated("tone", 2, 5, 150.0, 0.3, 0).double()
    e, own, levels = drawn(8, 5, 0), drawn(8, 5, 1), torch.arange(8) % 2
    torch.manual_seed(0)
    objective = branch.objective(own, levels)
    torch.manual_seed(0)
    found = branch(e, own, levels)
    assert float(found.detach()) == pytest.approx(float((0.3 * objective - 150 * branch.correlation(e, own)).detach()))


def test_a_step_makes_embeddings_less_alike_and_what_looks_for_likeness_better_at_it() -> None:
    torch.manual_seed(0)
    branch = Decorrelated("tone", 2, 5, 150.0, 0.3, 0).double()
    for what in ("embedding", "own", "project"):
        e, own = drawn(16, 5, 0).requires_grad_(), drawn(16, 5, 1).requires_grad_()
        before = branch.correlation(e, own)
        branch.zero_grad()
        torch.autograd.backward(-150 * before)  # as it stands in the loss
        worth = float(before.detach())
        with torch.no_grad():
            if what == "embedding":
                assert e.grad is not None
                after = branch.correlation(e - 1e-3 * e.grad, own)
            elif what == "own":
                assert own.grad is not None
                after = branch.correlation(e, own - 1e-3 * own.grad)
            else:
                for parameter in branch.project.parameters():
                    assert parameter.grad is not None
                    parameter.sub_(1e-3 * parameter.grad)
                after = branch.correlation(e, own)
        assert (float(after) > worth) == (what == "project")


def test_an_adversary_learns_to_tell_and_the_embedding_to_hide() -> None:
    branch = Adversary("tone", 2, 5, 0.5, 0).double()
    e, levels = drawn(16, 5, 0).requires_grad_(), torch.arange(16) % 2
    value = branch(e, None, levels)
    direct = 0.5 * functional.cross_entropy(branch.classify(e), levels)
    assert torch.equal(value, direct)
    torch.autograd.backward(value)
    plain = torch.autograd.grad(direct, [e, *branch.classify.parameters()])
    assert e.grad is not None
    torch.testing.assert_close(e.grad, -plain[0])
    for parameter, gradient in zip(branch.classify.parameters(), plain[1:], strict=True):
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.grad, gradient)
