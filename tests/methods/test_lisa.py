"""Selective mixing: partners share the label or the group, never both, and targets are mixed as the pixels are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fairaudit.engine.mixing import Batch
from fairaudit.errors import DataError, FairauditError
from fairaudit.methods import lisa
from fairaudit.methods.lisa import SelectiveMixer, partners_of
from tests.methods.studies import bench, biased, labelled, same

PLAIN = (0, 1)  # two groups of one attribute
CODES = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=30)


@given(CODES, st.booleans(), st.integers(0, 5))
def test_partners_share_the_label_or_the_group_and_not_both(pairs: list[tuple[int, int]], across: bool, seed: int) -> None:
    labels, groups = (torch.tensor(column) for column in zip(*pairs, strict=True))
    partners = partners_of(labels, groups, across, np.random.default_rng(seed)).tolist()
    for i, j in enumerate(partners):
        fitting = [
            other
            for other in range(len(pairs))
            if (pairs[other][0] == pairs[i][0]) == across and (pairs[other][1] == pairs[i][1]) != across
        ]
        assert j in (fitting or [i])


def test_every_fitting_partner_is_drawn_about_as_often() -> None:
    labels, groups = torch.tensor([0, 0, 0, 0, 1]), torch.tensor([0, 1, 1, 1, 1])
    drawn = [int(partners_of(labels, groups, True, np.random.default_rng(seed))[0]) for seed in range(600)]
    counts = np.bincount(drawn, minlength=5)
    assert counts[[0, 4]].tolist() == [0, 0]
    assert all(150 < n < 250 for n in counts[1:4])


def plain(n: int = 16, size: int = 6) -> Batch:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(2, (n,), generator=generator)
    inputs = torch.rand(n, 3, size, size, generator=generator)
    return Batch(inputs, torch.nn.functional.one_hot(labels, 2).float(), torch.randint(2, (n,), generator=generator))


@pytest.mark.parametrize("seed", range(6))
def test_mixup_mixes_targets_as_it_mixes_pixels(seed: int) -> None:
    batch = plain()
    before = batch.inputs.clone()
    mixed = SelectiveMixer("mixup", 2.0, 0.5, PLAIN)(batch, seed)
    assert torch.equal(batch.inputs, before)
    shares = set()
    for i in range(len(batch)):
        # The pair that explains the pixels must explain the target.
        for j in range(len(batch)):
            step = (mixed.inputs[i] - before[i]).flatten()
            way = (before[j] - before[i]).flatten()
            moved = float(step @ way / (way @ way)) if i != j else 0.0
            if torch.allclose(before[i] + moved * (before[j] - before[i]), mixed.inputs[i], atol=1e-5):
                wanted = batch.targets[i] + moved * (batch.targets[j] - batch.targets[i])
                torch.testing.assert_close(mixed.targets[i], wanted, atol=1e-4, rtol=1e-4)
                assert int(mixed.groups[i]) == int(batch.groups[i] if moved <= 0.5 else batch.groups[j])
                shares.add(round(moved, 3))
                break
        else:
            pytest.fail(f"image {i} is no mixture of two")
    assert len(shares - {0.0}) == 1


@pytest.mark.parametrize("seed", range(6))
def test_cutmix_mixes_targets_by_the_area_of_the_box(seed: int) -> None:
    batch = plain(size=9)
    mixed = SelectiveMixer("cutmix", 2.0, 0.5, PLAIN)(batch, seed)
    changed = (mixed.inputs != batch.inputs).any(dim=1)
    box = changed.any(dim=0)  # one for the whole batch
    rows, columns = (box.any(dim=side).nonzero()[:, 0] for side in (1, 0))
    assert int(box.sum()) == len(rows) * len(columns), "what was pasted is a rectangle"
    area = float(box.double().mean())
    assert 0 < area < 1
    for i in range(len(batch)):
        if not changed[i].any():
            assert torch.equal(mixed.targets[i], batch.targets[i])
            continue
        (partner,) = [j for j in range(len(batch)) if torch.equal(mixed.inputs[i][:, box], batch.inputs[j][:, box])]
        assert torch.equal(mixed.inputs[i][:, ~box], batch.inputs[i][:, ~box])
        torch.testing.assert_close(mixed.targets[i], (1 - area) * batch.targets[i] + area * batch.targets[partner])
        assert int(mixed.groups[i]) == int(batch.groups[i] if area <= 0.5 else batch.groups[partner])


def test_labels_stay_hard_where_only_groups_are_crossed() -> None:
    for seed in range(10):
        mixed = SelectiveMixer("mixup", 2.0, 1.0, PLAIN)(plain(), seed)
        torch.testing.assert_close(mixed.targets, plain().targets)
        crossed = SelectiveMixer("mixup", 2.0, 0.0, PLAIN)(plain(), seed)
        assert torch.equal(crossed.groups, plain().groups)
        assert not torch.equal(crossed.targets, plain().targets)


def test_half_of_the_batches_cross_groups_and_shares_follow_beta() -> None:
    mixer, batch = SelectiveMixer("mixup", 2.0, 0.5, PLAIN), plain()
    hard, shares = 0, []
    for seed in range(400):
        mixed = mixer(batch, seed)
        soft = mixed.targets[(mixed.targets != 0) & (mixed.targets != 1)]
        hard += not len(soft)
        shares += [float(soft.max())] if len(soft) else []
    assert 160 < hard < 240
    # The larger of λ and 1 − λ has the mean 11/16 where λ ~ Beta(2, 2).
    assert np.mean(shares) == pytest.approx(11 / 16, abs=0.03)


def test_the_engine_is_given_the_mixer_and_the_seed_decides() -> None:
    asked = bench()
    outcome = lisa.run(asked.study, mix="cutmix", alpha=1.0, same_label=0.25)
    assert asked.calls[0].mixer == SelectiveMixer("cutmix", 1.0, 0.25, PLAIN)
    assert same(outcome.model, lisa.run(bench().study, mix="cutmix", alpha=1.0, same_label=0.25).model)
    assert not same(outcome.model, lisa.run(bench().study, mix="mixup", alpha=1.0, same_label=0.25).model)


@pytest.mark.parametrize(
    ("options", "changes", "sentence"),
    [
        ({"mix": "blend"}, {}, "lisa has no mix 'blend'; choose from mixup, cutmix"),
        ({"alpha": 0.0}, {}, "alpha of lisa must be a number above 0, not 0"),
        ({"same_label": 1.5}, {}, "same_label of lisa must be from 0 to 1, not 1.5"),
        ({}, {"augment": ("classic", "cutmix")}, "the method lisa mixes images itself; leave the augmentation cutmix out"),
    ],
)
def test_refusals(options: dict[str, Any], changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(FairauditError) as caught:
        lisa.run(bench(**changes).study, **options)
    assert str(caught.value) == sentence


def test_there_must_be_groups_to_mix() -> None:
    part = biased(40, 0.5, seed=0, by="")
    with pytest.raises(FairauditError) as caught:
        lisa.run(bench(part, part, by=()).study)
    assert str(caught.value) == "the method lisa needs groups; name the attributes that make them with --by"
    nobody = labelled(np.arange(40) % 2, np.zeros(40, dtype=np.int64), seed=0)
    with pytest.raises(DataError) as caught:
        lisa.run(bench(nobody).study)
    assert str(caught.value) == (
        "the method lisa compares groups, but all training images are of the group 'glasses: no'; "
        "group by attributes with several levels"
    )
