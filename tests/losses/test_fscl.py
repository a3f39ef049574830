"""Fair supervised contrastive: both forms by plain loops, anchors that are left out, and what it does to embeddings."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from fairaudit.errors import DataError, UsageError
from fairaudit.losses import fscl
from fairaudit.losses.base import BinaryCrossEntropy, CrossEntropy, MultiTaskCrossEntropy
from tests.losses.plain_loops import counted, mean

GROUPS_OF = counted([9, 9, 9, 9])


def embedded(seed: int, rows: int, size: int = 4) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, size, generator=generator, dtype=torch.float64, requires_grad=True)


def drawn(seed: int, rows: int, labels: int = 2, groups: int = 2) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, labels, (rows,), generator=generator), torch.randint(0, groups, (rows,), generator=generator)


def similarities(embeddings: Tensor, temperature: float) -> list[list[float]]:
    rows = []
    for row in embeddings.tolist():
        length = math.sqrt(sum(x * x for x in row))
        rows.append([x / length for x in row])
    return [[sum(x * y for x, y in zip(a, b, strict=True)) / temperature for b in rows] for a in rows]


def plain(
    embeddings: Tensor, labels: Sequence[object], groups: Sequence[int], temperature: float = 0.1, group_norm: bool = True
) -> float:
    near = similarities(embeddings, temperature)
    n = len(labels)
    cells: dict[tuple[object, int], list[float]] = {}
    for i in range(n):
        negatives = [j for j in range(n) if labels[j] != labels[i] and groups[j] == groups[i]]
        positives = [j for j in range(n) if j != i and labels[j] == labels[i]]
        if not (negatives and positives):
            continue
        denominator = math.log(sum(math.exp(near[i][j]) for j in negatives))
        of = {j: denominator - near[i][j] for j in positives}
        if group_norm:
            levels = {groups[j] for j in positives}
            value = mean([mean([of[j] for j in positives if groups[j] == level]) for level in levels])
        else:
            value = mean(list(of.values()))
        cells.setdefault((labels[i], groups[i]), []).append(value)
    everyone = [value for values in cells.values() for value in values]
    return mean([mean(values) for values in cells.values()]) if group_norm else mean(everyone)


@pytest.mark.parametrize("group_norm", [False, True])
@pytest.mark.parametrize("temperature", [0.1, 1.0])
@pytest.mark.parametrize(("labels", "groups"), [(2, 2), (3, 4)])
def test_both_forms_are_plain_loops(group_norm: bool, temperature: float, labels: int, groups: int) -> None:
    loss = fscl.build(GROUPS_OF, temperature=temperature, group_norm=group_norm)
    for seed in range(5):
        rows = embedded(seed, 17)
        y, s = drawn(seed, 17, labels, groups)
        expected = plain(rows, y.tolist(), s.tolist(), temperature, group_norm)
        assert loss(rows, y, s).item() == pytest.approx(expected, abs=1e-10)


def test_group_norm_has_the_published_constants_for_two_labels_and_two_groups() -> None:
    """A positive over its cell, an anchor times (N/8) over its cell, summed over positives, averaged over the N anchors.

    The published cell of a positive is without that positive. The anchor's own cell then counts its other members, as here;
    the other cell is taken whole here, which is the one difference.
    """
    y = torch.tensor([0] * 3 + [1] * 5 + [0] * 4 + [1] * 2)
    s = torch.tensor([0] * 8 + [1] * 6)
    rows = embedded(3, 14)
    near = similarities(rows, 0.1)
    n = 14
    cell = [sum(int(y[j] == y[i] and s[j] == s[i]) for j in range(n)) for i in range(n)]
    total = 0.0
    for i in range(n):
        negatives = [j for j in range(n) if y[j] != y[i] and s[j] == s[i]]
        denominator = math.log(sum(math.exp(near[i][j]) for j in negatives))
        for j in range(n):
            if j != i and y[j] == y[i]:
                size = cell[j] - 1 if s[j] == s[i] else cell[j]
                total += (denominator - near[i][j]) / size * (n / 8) / cell[i]
    assert fscl.build(GROUPS_OF)(rows, y, s).item() == pytest.approx(total / n, abs=1e-10)


@pytest.mark.parametrize("group_norm", [False, True])
def test_lengths_do_not_matter_and_gradients_are_right(group_norm: bool) -> None:
    loss = fscl.build(GROUPS_OF, group_norm=group_norm)
    rows = embedded(1, 10)
    y, s = drawn(1, 10)
    stretched = rows.detach() * torch.linspace(0.1, 9, 10, dtype=torch.float64).unsqueeze(1)
    assert loss(stretched, y, s).item() == pytest.approx(loss(rows, y, s).item(), abs=1e-12)
    assert torch.autograd.gradcheck(lambda z: loss(z, y, s), (rows,))


@pytest.mark.parametrize("group_norm", [False, True])
def test_anchors_without_a_partner_are_left_out(group_norm: bool) -> None:
    """Group 3 has one label only, label 2 one image only: neither is an anchor, and no number is made up for them."""
    loss = fscl.build(GROUPS_OF, group_norm=group_norm)
    y = [0, 0, 1, 1, 1, 1, 2]
    s = [0, 0, 0, 0, 3, 3, 0]
    rows = embedded(2, 7)
    value = loss(rows, torch.tensor(y), torch.tensor(s))
    assert value.item() == pytest.approx(plain(rows, y, s, group_norm=group_norm), abs=1e-10)
    value.backward()
    assert rows.grad is not None
    assert rows.grad.isfinite().all()
    nobody = loss(embedded(2, 3), torch.tensor([0, 0, 0]), torch.tensor([0, 1, 0]))
    assert nobody.item() == 0
    assert nobody.requires_grad


def test_targets_of_every_criterion_become_labels() -> None:
    rows = embedded(4, 12)
    _, s = drawn(4, 12)
    hard = torch.tensor([i % 3 for i in range(12)])
    expected = plain(rows, hard.tolist(), s.tolist())
    soft = torch.nn.functional.one_hot(hard, 3).double() * 0.8 + 0.1
    assert fscl.build(GROUPS_OF, CrossEntropy())(rows, soft, s).item() == pytest.approx(expected, abs=1e-10)
    both = torch.tensor([[i % 3, i % 2] for i in range(12)])
    several = MultiTaskCrossEntropy((slice(0, 3), slice(3, 5)))
    expected = plain(rows, [tuple(row) for row in both.tolist()], s.tolist())
    blank = torch.zeros(12, 5, dtype=torch.float64)
    for targets in (both, several.shares(blank, both)):
        assert fscl.build(GROUPS_OF, several)(rows, targets, s).item() == pytest.approx(expected, abs=1e-10)
    labels = torch.tensor([[i % 2, i % 3 == 0] for i in range(12)])
    expected = plain(rows, [tuple(row) for row in labels.tolist()], s.tolist())
    for targets in (labels.long(), labels.double() * 0.8 + 0.1):
        assert fscl.build(GROUPS_OF, BinaryCrossEntropy())(rows, targets, s).item() == pytest.approx(expected, abs=1e-10)


def test_descending_makes_labels_readable_and_groups_not() -> None:
    """Embeddings start as the group and nothing else; in the end the label's direction is the only one left."""
    y, s = torch.tensor([0, 0, 1, 1] * 6), torch.tensor([0, 1, 0, 1] * 6)
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(24, 4, generator=generator, dtype=torch.float64)
    z = 0.3 * noise + torch.stack([2.0 * s - 1, *torch.zeros(3, 24)], dim=1)
    loss = fscl.build(GROUPS_OF)

    def apart(by: Tensor) -> float:
        unit = torch.nn.functional.normalize(z, dim=1)
        return float((unit[by == 0].mean(dim=0) - unit[by == 1].mean(dim=0)).norm())

    before = apart(y), apart(s)
    for _ in range(200):
        z.requires_grad_()
        (slope,) = torch.autograd.grad(loss(z, y, s), z)
        z = (z - 0.1 * slope).detach()
    assert before[0] < 0.5 < before[1]
    assert apart(y) > 1.8
    assert apart(s) < 0.2


def test_it_asks_for_embeddings() -> None:
    assert fscl.build(GROUPS_OF).wants == "embeddings"


def test_refusals() -> None:
    with pytest.raises(UsageError, match=r"^temperature must be a number above 0, not 0$"):
        fscl.build(GROUPS_OF, temperature=0.0)
    with pytest.raises(DataError, match=r"^the loss fscl compares groups, but all training images are of the group 'all'"):
        fscl.build(counted([9], ("all",)))
