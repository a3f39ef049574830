"""What every loss must keep to; a new file in ``fairaudit/losses`` is picked up unasked."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch
from torch import Tensor

from fairaudit import plugins
from fairaudit.errors import UsageError
from fairaudit.losses.base import (
    CROSS_ENTROPY,
    BinaryCrossEntropy,
    Criterion,
    CrossEntropy,
    GroupLoss,
    MultiTaskCrossEntropy,
    TrainingGroups,
)

NAMES = plugins.names("losses")
GROUPS = TrainingGroups(("a", "b", "c", "d", "e"), torch.tensor([[40, 10], [5, 5], [7, 90], [3, 3], [20, 20]]))
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in NAMES),
    ("max-group", {"ema": 0.3}),
    ("max-group", {"min_count": 4}),
    ("group-dro", {"step_size": 2.0, "adjustment": 1.0}),
    ("balanced-softmax", {"per_group": True}),
    ("val-attention", {"accuracies": (0.5, 0.9, 0.7, 0.8, 0.6), "static": True}),
    ("class-spread", {"measure": "accuracy-std"}),
    ("focal", {"paper_faithful": True}),
    ("cvar", {"alpha": 0.33}),
    ("demographic-parity", {"gap": "pairwise"}),
    ("equalized-odds", {"gap": "pairwise"}),
    ("fscl", {"group_norm": False}),
]
IDS = ["-".join([name, *options]) for name, options in VARIANTS]
SLICES = (slice(0, 3), slice(3, 5))
SEVERAL = TrainingGroups(GROUPS.labels, torch.arange(30).reshape(5, 6))
CRITERIA: list[tuple[Criterion, str]] = [
    (CrossEntropy(), "soft"),
    (CrossEntropy(0.1), "hard"),
    (BinaryCrossEntropy(0.1), "labels"),
    (MultiTaskCrossEntropy(SLICES, label_smoothing=0.1), "several"),
    (MultiTaskCrossEntropy(SLICES, (1.0, 3.0), "bce"), "several"),
    (MultiTaskCrossEntropy(SLICES), "several soft"),
]


def build(name: str, groups: TrainingGroups = GROUPS, criterion: Criterion = CROSS_ENTROPY, **options: Any) -> GroupLoss:
    loss: GroupLoss = plugins.load("losses", name).build(groups, criterion, **options)
    return loss


def batch(dtype: torch.dtype = torch.float64, seed: int = 11, outputs: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(24, outputs, generator=generator, dtype=dtype)
    # Groups d and e are absent from the batch.
    groups = torch.randint(0, 3, (24,), generator=generator)
    return logits, torch.randint(0, 2, (24,), generator=generator), groups


def targets_of(kind: str) -> Tensor:
    generator = torch.Generator().manual_seed(4)
    hard = torch.randint(0, 5, (24,), generator=generator)
    both = torch.stack([torch.randint(0, n, (24,), generator=generator) for n in (3, 2)], dim=1)
    mixed = torch.rand(24, 1, generator=generator, dtype=torch.float64)
    several = torch.cat([torch.nn.functional.one_hot(both[:, i], n) for i, n in enumerate((3, 2))], dim=1).double()
    one = torch.nn.functional.one_hot(hard, 5).double()
    return {
        "hard": hard,
        "soft": mixed * one + (1 - mixed) * one.roll(1, dims=0),
        "labels": torch.randint(0, 2, (24, 5), generator=generator).double(),
        "several": both,
        "several soft": mixed * several + (1 - mixed) * several.roll(1, dims=0),
    }[kind]


def learnt(loss: GroupLoss) -> GroupLoss:
    """The loss after a few batches and epochs in which the groups fared unalike."""
    logits, targets, groups = batch(torch.float32, seed=5)
    for scale in (1.0, 2.0, 3.0):
        loss(logits * scale, targets, groups)
        loss.update(torch.tensor([0.9, 0.5, 0.7, float("nan"), 0.8], dtype=torch.float64))
    return loss


def test_the_losses_that_are_promised_are_there() -> None:
    promised = (
        "balanced-softmax class-spread cross-entropy cvar demographic-parity equal-opportunity equalized-odds focal fscl "
        "group-dro hsic max-group mindiff multilabel-softmax reweight val-attention"
    )
    assert set(promised.split()) <= set(NAMES)


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
    for key, option in plugins.options("losses", name).items():
        assert option.default is not option.empty
        assert f"{key}:" in (function.__doc__ or "")
        # A flag gives text, a file gives the value itself; both must be understood.
        assert plugins.check_options("losses", name, {key: option.default}) == {key: option.default}
        if isinstance(option.default, (bool, int, float, str)):
            assert plugins.check_options("losses", name, {key: str(option.default)}) == {key: option.default}


@pytest.mark.parametrize(("name", "options"), VARIANTS, ids=IDS)
def test_one_finite_number_with_a_gradient_although_groups_are_absent(name: str, options: dict[str, Any]) -> None:
    logits, targets, groups = batch()
    logits.requires_grad_()
    value = build(name, **options)(logits, targets, groups)
    assert value.shape == ()
    assert value.isfinite()
    value.backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    assert logits.grad.any()


@pytest.mark.parametrize(("name", "options"), VARIANTS, ids=IDS)
def test_gradients_agree_with_finite_differences(name: str, options: dict[str, Any]) -> None:
    logits, targets, groups = (part[:12] for part in batch(outputs=3))
    loss = learnt_like(name, options)
    assert torch.autograd.gradcheck(lambda z: loss(z, targets, groups), (logits.requires_grad_(),))


def learnt_like(name: str, options: dict[str, Any]) -> GroupLoss:
    """A loss for three classes that has learnt, at rest."""
    three = TrainingGroups(GROUPS.labels, torch.cat([GROUPS.counts, GROUPS.counts[:, :1] + 7], dim=1))
    loss = build(name, three, **options)
    loss.load_state_dict(learnt(build(name, **options)).state_dict())
    return loss.eval()


@pytest.mark.parametrize(("name", "options"), VARIANTS, ids=IDS)
@pytest.mark.parametrize(("criterion", "kind"), CRITERIA)
def test_every_criterion_goes_with_every_loss(name: str, options: dict[str, Any], criterion: Criterion, kind: str) -> None:
    groups_of = SEVERAL if kind.startswith("several") else TrainingGroups(GROUPS.labels, SEVERAL.counts[:, :5])
    if refused := _refusal(name, criterion):
        with pytest.raises(UsageError, match=refused):
            build(name, groups_of, criterion, **options)
        return
    targets = targets_of(kind)
    if name == "multilabel-softmax" and kind == "several":
        targets = criterion.shares(torch.zeros(24, 5), targets)  # it is its own criterion, of labels
    if name in ("max-group", "group-dro"):
        groups_of = TrainingGroups(GROUPS.labels, groups_of.counts + 1)
    logits, _, groups = batch(outputs=5)
    loss = build(name, groups_of, criterion, **options).eval()
    assert torch.autograd.gradcheck(lambda z: loss(z, targets, groups), (logits.requires_grad_(),), fast_mode=True)
    (gradient,) = torch.autograd.grad(loss(logits, targets, groups), logits)
    assert gradient.any()


def _refusal(name: str, criterion: Criterion) -> str | None:
    """The start of the sentence with which a loss refuses a criterion that has no meaning for it."""
    if name == "balanced-softmax" and isinstance(criterion, BinaryCrossEntropy):
        return "^balanced-softmax shifts the logits of a softmax"
    if name == "multilabel-softmax" and bool(getattr(criterion, "label_smoothing", False)):
        return "^multilabel-softmax has no label smoothing"
    return None


@pytest.mark.parametrize("name", NAMES)
def test_perfect_logits_cost_less_than_wrong_ones(name: str) -> None:
    _, targets, groups = batch()
    right = torch.nn.functional.one_hot(targets, 2).double() * 20
    wrong = -right
    if build(name).wants == "embeddings":  # opposite embeddings are as good: wrong ones show the group, not the class
        wrong = torch.nn.functional.one_hot(groups, 3).double() * 20
    assert build(name)(right, targets, groups) < build(name)(wrong, targets, groups)


@pytest.mark.parametrize(("name", "options"), VARIANTS, ids=IDS)
def test_the_order_of_the_batch_does_not_matter(name: str, options: dict[str, Any]) -> None:
    logits, targets, groups = batch()
    order = torch.randperm(24, generator=torch.Generator().manual_seed(3))
    straight = build(name, **options)(logits, targets, groups)
    shuffled = build(name, **options)(logits[order], targets[order], groups[order])
    assert torch.allclose(straight, shuffled, atol=1e-12)


@pytest.mark.parametrize(("name", "options"), VARIANTS, ids=IDS)
def test_the_names_of_the_groups_do_not_matter(name: str, options: dict[str, Any]) -> None:
    """Relabelling groups and their counts together changes nothing."""
    logits, targets, groups = batch()
    order = torch.tensor([3, 0, 4, 1, 2])
    renamed = TrainingGroups(GROUPS.labels, GROUPS.counts[order])
    moved: dict[str, Any] = {
        key: tuple(value[i] for i in order) if isinstance(value, tuple) else value for key, value in options.items()
    }
    there = build(name, renamed, **moved)(logits, targets, order.argsort()[groups])
    assert torch.allclose(build(name, **options)(logits, targets, groups), there, atol=1e-12)


@pytest.mark.parametrize(("name", "options"), VARIANTS, ids=IDS)
def test_only_a_mean_over_samples_is_the_mean_over_micro_batches(name: str, options: dict[str, Any]) -> None:
    """What ``whole_batch`` promises: gradients may be accumulated exactly where it is False."""
    logits, targets, groups = batch()
    loss = learnt(build(name, **options)).eval()
    whole = loss(logits, targets, groups)
    sizes = [5, 12, 7]
    parts = zip(*(torch.split(part, sizes) for part in (logits, targets, groups)), strict=True)
    in_parts = torch.stack([len(part[1]) / 24 * loss(*part) for part in parts]).sum()
    if loss.whole_batch:
        # One positive for each image makes the multi-label softmax a mean over images.
        assert name == "multilabel-softmax" or not torch.isclose(whole, in_parts, rtol=1e-4)
    else:
        torch.testing.assert_close(whole, in_parts, rtol=1e-12, atol=0)


def test_the_mean_over_pairs_is_no_mean_over_micro_batches() -> None:
    logits, _, groups = batch(outputs=5)
    loss, targets = build("multilabel-softmax"), targets_of("labels")
    halves = loss(logits[:12], targets[:12], groups[:12]) / 2 + loss(logits[12:], targets[12:], groups[12:]) / 2
    assert not torch.isclose(loss(logits, targets, groups), halves, rtol=1e-4)


@pytest.mark.parametrize(("name", "options"), VARIANTS, ids=IDS)
def test_groups_matter_exactly_where_a_loss_says_so(name: str, options: dict[str, Any]) -> None:
    logits, targets, groups = batch()
    loss = learnt(build(name, **options)).eval()
    values = [loss(logits, targets, ids).item() for ids in (groups, groups.roll(1), (groups + 1) % 3)]
    assert (max(values) > min(values)) is loss.uses_groups


@pytest.mark.parametrize("name", NAMES)
def test_what_a_loss_needs_is_on_its_class_unless_an_option_changes_it(name: str) -> None:
    loss = build(name)
    for key, kinds in {
        "whole_batch": (True, False),
        "uses_groups": (True, False),
        "wants": ("logits", "embeddings"),
    }.items():
        assert getattr(type(loss), key) in kinds
        assert getattr(loss, key) == getattr(type(loss), key)


@pytest.mark.parametrize(("name", "options"), VARIANTS, ids=IDS)
def test_what_it_has_learnt_is_in_its_state(name: str, options: dict[str, Any]) -> None:
    logits, targets, groups = batch(torch.float32)
    first, second = learnt(build(name, **options)), build(name, **options)
    second.load_state_dict(first.state_dict())
    for _ in range(3):
        assert torch.equal(first(logits, targets, groups), second(logits, targets, groups))
        for loss in (first, second):
            loss.update(torch.tensor([0.4, 0.5, 0.3, 0.2, 0.8], dtype=torch.float64))


@pytest.mark.parametrize(("name", "options"), VARIANTS, ids=IDS)
def test_looking_does_not_teach(name: str, options: dict[str, Any]) -> None:
    """In evaluation mode a loss gives the same number again and again."""
    logits, targets, groups = batch()
    loss = build(name, **options).eval()
    state = {key: value.clone() for key, value in loss.state_dict().items()}
    assert torch.equal(loss(logits, targets, groups), loss(logits, targets, groups))
    for key, value in loss.state_dict().items():
        torch.testing.assert_close(value, state[key], rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize(("name", "options"), VARIANTS, ids=IDS)
def test_single_precision_gives_the_same_number(name: str, options: dict[str, Any]) -> None:
    logits, targets, groups = batch()
    exact, single = (build(name, **options)(z, targets, groups) for z in (logits, logits.float()))
    assert single.dtype == torch.float32
    assert single.item() == pytest.approx(exact.item(), rel=1e-4)


@pytest.mark.parametrize(("name", "options"), VARIANTS, ids=IDS)
def test_it_teaches(name: str, options: dict[str, Any]) -> None:
    """A linear network learns classes that can be told apart, in batches in which groups come and go."""
    generator = torch.Generator().manual_seed(0)
    targets = torch.randint(0, 2, (200,), generator=generator)
    groups = torch.randint(0, 5, (200,), generator=generator)
    features = torch.randn(200, 6, generator=generator)
    features[:, 0] += 6.0 * targets - 3
    features[:, 1] += groups
    torch.manual_seed(0)
    network = torch.nn.Linear(6, 2)
    loss = build(name, TrainingGroups.count(groups, targets, GROUPS.labels, 2), **options)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.1)
    for epoch in range(7):
        for rows in torch.split(torch.randperm(200, generator=generator), 50):
            value = loss(network(features[rows]), targets[rows], groups[rows])
            optimizer.zero_grad()
            torch.autograd.backward(value)
            optimizer.step()
        loss.update(torch.tensor([0.9, 0.5, 0.7, 0.8, 0.6], dtype=torch.float64) + 0.01 * epoch)
    with torch.no_grad():
        outputs = network(features)
    if loss.wants == "embeddings":  # a class is then a direction: the nearer mean decides
        unit = torch.nn.functional.normalize(outputs, dim=1)
        outputs = unit @ torch.stack([unit[targets == c].mean(dim=0) for c in (0, 1)]).T
    assert (outputs.argmax(dim=1) == targets).double().mean() > 0.97
