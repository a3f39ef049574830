"""What every loss must keep to; a new file in ``fairaudit/losses`` is picked up unasked."""

from __future__ import annotations

import inspect

import pytest
import torch
from torch import Tensor

from fairaudit import plugins
from fairaudit.losses.base import CROSS_ENTROPY, GroupLoss, TrainingGroups

NAMES = plugins.names("losses")
GROUPS = TrainingGroups(("a", "b", "c", "d", "e"), torch.tensor([[40, 10], [5, 5], [7, 90], [3, 3], [20, 20]]))


def build(name: str) -> GroupLoss:
    loss: GroupLoss = plugins.load("losses", name).build(GROUPS)
    return loss


def batch(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(11)
    logits = torch.randn(24, 2, generator=generator, dtype=dtype)
    # Groups d and e are absent from the batch.
    groups = torch.randint(0, 3, (24,), generator=generator)
    return logits, torch.randint(0, 2, (24,), generator=generator), groups


def test_the_losses_of_the_first_release_are_there() -> None:
    assert {"cross-entropy", "max-group", "reweight"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_card_says_what_the_loss_is(name: str) -> None:
    summary = plugins.summary("losses", name)
    assert summary.endswith(".")
    assert len(summary) <= 124
    card = plugins.card("losses", name)
    headings = [line for line in card.splitlines() if line in ("Formula:", "Source:", "Traps:")]
    assert headings == ["Formula:", "Source:", "Traps:"]


@pytest.mark.parametrize("name", NAMES)
def test_the_signature_is_the_option_schema(name: str) -> None:
    function = plugins.load("losses", name).build
    positional = [p for p in inspect.signature(function).parameters.values() if p.kind is not p.KEYWORD_ONLY]
    assert [p.name for p in positional] == ["groups", "criterion"]
    assert positional[1].default == CROSS_ENTROPY
    for option in plugins.options("losses", name).values():
        assert option.default is not option.empty
        assert isinstance(option.annotation, type), f"{option.name} must be a plain type that a flag can give"
        assert isinstance(option.default, option.annotation)
        assert f"{option.name}:" in (function.__doc__ or "")


@pytest.mark.parametrize("name", NAMES)
def test_one_finite_number_with_a_gradient_although_groups_are_absent(name: str) -> None:
    logits, targets, groups = batch()
    logits.requires_grad_()
    value = build(name)(logits, targets, groups)
    assert value.shape == ()
    assert value.isfinite()
    value.backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    assert logits.grad.any()


@pytest.mark.parametrize("name", NAMES)
def test_perfect_logits_cost_less_than_wrong_ones(name: str) -> None:
    _, targets, groups = batch()
    perfect = torch.nn.functional.one_hot(targets, 2).double() * 20
    assert build(name)(perfect, targets, groups) < build(name)(-perfect, targets, groups)


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_the_batch_does_not_matter(name: str) -> None:
    logits, targets, groups = batch()
    order = torch.randperm(24, generator=torch.Generator().manual_seed(3))
    straight = build(name)(logits, targets, groups)
    shuffled = build(name)(logits[order], targets[order], groups[order])
    assert torch.allclose(straight, shuffled, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_the_names_of_the_groups_do_not_matter(name: str) -> None:
    """Relabelling groups and their counts together changes nothing."""
    logits, targets, groups = batch()
    order = torch.tensor([3, 0, 4, 1, 2])
    renamed = TrainingGroups(GROUPS.labels, GROUPS.counts[order])
    there = plugins.load("losses", name).build(renamed)(logits, targets, order.argsort()[groups])
    assert torch.allclose(build(name)(logits, targets, groups), there, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_what_it_has_learnt_is_in_its_state(name: str) -> None:
    logits, targets, groups = batch(torch.float32)
    first, second = build(name), build(name)
    for scale in (1.0, 2.0, 3.0):
        first(logits * scale, targets, groups)
        first.update(torch.tensor([0.9, 0.5, 0.7, float("nan"), 0.8], dtype=torch.float64))
    second.load_state_dict(first.state_dict())
    assert torch.equal(first(logits, targets, groups), second(logits, targets, groups))


@pytest.mark.parametrize("name", NAMES)
def test_looking_does_not_teach(name: str) -> None:
    """In evaluation mode a loss gives the same number again and again."""
    logits, targets, groups = batch()
    loss = build(name).eval()
    state = {key: value.clone() for key, value in loss.state_dict().items()}
    assert torch.equal(loss(logits, targets, groups), loss(logits, targets, groups))
    for key, value in loss.state_dict().items():
        torch.testing.assert_close(value, state[key], rtol=0, atol=0, equal_nan=True)
