"""MixUp and CutMix restated image by image, and the random numbers that they may and may not touch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from fairaudit.engine.devices import Placement
from fairaudit.engine.mixing import Batch, PairMixer, mixer_of, share_of
from fairaudit.engine.train import train
from fairaudit.engine.training_data import TrainingData
from fairaudit.errors import DataError
from fairaudit.losses import cross_entropy, max_group
from fairaudit.losses.base import BinaryCrossEntropy, MultiTaskCrossEntropy
from tests.engine.small import network, pictures, plain_network, run, same_bits, settings, told


def a_batch(n: int, seed: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    targets = torch.nn.functional.one_hot(torch.randint(0, 3, (n,), generator=generator), 3).float()
    return Batch(torch.rand(n, 3, 12, 10, generator=generator), targets, torch.arange(n))


def copied(batch: Batch) -> Batch:
    return Batch(batch.inputs.clone(), batch.targets.clone(), batch.groups.clone())


@given(n=st.integers(1, 9), seed=st.integers(0, 2**31 - 1), alpha=st.sampled_from([0.2, 1.0, 5.0]))
def test_mixup_is_a_weighted_mean_of_partners(n: int, seed: int, alpha: float) -> None:
    batch = a_batch(n)
    mixed = PairMixer(alpha, 0.0, 1.0)(copied(batch), seed)
    numbers = np.random.RandomState(seed)
    numbers.rand()  # whether this batch is mixed
    own = float(numbers.beta(alpha, alpha))
    for i in range(n):
        j = n - 1 - i
        torch.testing.assert_close(
            mixed.inputs[i], own * batch.inputs[i] + (1 - own) * batch.inputs[j], rtol=1e-4, atol=1e-6
        )
        torch.testing.assert_close(
            mixed.targets[i], own * batch.targets[i] + (1 - own) * batch.targets[j], rtol=1e-4, atol=1e-6
        )
        assert int(mixed.groups[i]) == (i if own >= 0.5 else j)


@given(n=st.integers(2, 7), seed=st.integers(0, 2**31 - 1))
def test_cutmix_pastes_one_rectangle_of_the_partner(n: int, seed: int) -> None:
    batch = a_batch(n)
    mixed = PairMixer(0.0, 1.0, 1.0)(copied(batch), seed)
    shares = []
    for i in range(n):
        j = n - 1 - i
        theirs = (mixed.inputs[i] != batch.inputs[i]).any(dim=0)
        torch.testing.assert_close(mixed.inputs[i][:, theirs], batch.inputs[j][:, theirs], rtol=0, atol=0)
        rows, columns = theirs.any(dim=1).nonzero(), theirs.any(dim=0).nonzero()
        if len(rows):
            area = (rows.max() - rows.min() + 1) * (columns.max() - columns.min() + 1)
            assert int(area) == int(theirs.sum()), "a rectangle"
        if j != i:
            shares.append(float(theirs.double().mean()))
    assert max(shares) == min(shares)
    own = 1 - shares[0]
    torch.testing.assert_close(mixed.targets, own * batch.targets + (1 - own) * batch.targets.flip(0), rtol=1e-4, atol=1e-6)
    assert torch.equal(mixed.groups, batch.groups if own >= 0.5 else batch.groups.flip(0))
    torch.testing.assert_close(mixed.targets.sum(dim=1), torch.ones(n))


def test_the_share_of_mixed_batches_and_of_both_kinds() -> None:
    unmixed = pasted = 0
    for seed in range(400):
        batch = a_batch(2)
        mixed = PairMixer(1.0, 1.0, 0.5)(copied(batch), seed)
        changed = (mixed.inputs != batch.inputs).any(dim=1)
        unmixed += int(not changed.any())
        pasted += int(changed.any() and not changed.all())
    assert 0.4 < unmixed / 400 < 0.62  # a pasted rectangle may be empty
    assert 0.17 < pasted / 400 < 0.33


def test_numpys_generator_is_left_alone() -> None:
    np.random.seed(3)
    expected = np.random.rand()
    np.random.seed(3)
    PairMixer(0.2, 0.2, 1.0)(a_batch(4), 7)
    assert np.random.rand() == expected


def test_what_settings_ask_for() -> None:
    assert mixer_of(settings(augment="classic")) is None
    assert mixer_of(settings(augment=["mixup"], mix_alpha=0.4)) == PairMixer(0.4, 0.0, 1.0)
    assert mixer_of(settings(augment=["cutmix"], mix_share=0.7)) == PairMixer(0.0, 0.2, 0.7)
    assert mixer_of(settings(augment=["classic", "mixup", "cutmix"])) == PairMixer(0.2, 0.2, 1.0)


@given(n=st.integers(2, 40), processes=st.integers(1, 5), mixed=st.booleans())
def test_shares_are_the_whole_batch_and_keep_partners_together(n: int, processes: int, mixed: bool) -> None:
    shares = [share_of(n, p, processes, mixed) for p in range(processes)]
    assert sorted(torch.cat(shares).tolist()) == list(range(n))
    sizes = [len(share) for share in shares]
    assert max(sizes) - min(sizes) <= (2 if mixed else 1)
    if mixed:
        assert all(torch.equal(share.flip(0), n - 1 - share) for share in shares)
        if n >= 2 * processes:
            assert min(sizes) >= 1


def test_processes_mix_their_shares_as_one_would_mix_the_batch() -> None:
    for n in (8, 9, 11):
        batch, mixer = a_batch(n), PairMixer(0.3, 0.3, 1.0)
        for seed in range(6):
            whole = mixer(copied(batch), seed)
            for process in range(2):
                own = share_of(n, process, 2, True)
                part = mixer(Batch(batch.inputs[own], batch.targets[own], batch.groups[own]), seed)
                torch.testing.assert_close(part.inputs, whole.inputs[own])
                torch.testing.assert_close(part.targets, whole.targets[own])
                assert torch.equal(part.groups, whole.groups[own])


def test_a_batch_too_small_to_share_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    three = Placement(torch.device("cpu"), 0, 3)
    monkeypatch.setattr("fairaudit.engine.train.place", lambda _: three)
    sentence = "batches of {} training images cannot be shared by 3 processes"
    for size, augment in ((5, "mixup"), (2, "none")):
        with pytest.raises(DataError) as caught:
            run(augment=augment, batch_size=size)
        assert str(caught.value) == sentence.format(size)


def test_a_pair_is_enough() -> None:
    pair = replace(pictures(9).selected(torch.tensor([0, 0])), targets=torch.tensor([0, 1]))
    run(model=plain_network(), data=pair, augment="mixup", batch_size=2)


def multi_task(data: TrainingData) -> TrainingData:
    tasks = (("gender", ("female", "male")), ("hue", ("red", "green", "blue")))
    targets = torch.stack([data.targets, data.groups], dim=1)
    return replace(data, targets=targets, tasks=tasks, classes=("female", "male", "red", "green", "blue"))


def multi_label(data: TrainingData) -> TrainingData:
    targets = torch.stack([data.targets, data.groups > 0, data.groups < 2], dim=1).float()
    return replace(data, targets=targets, classes=("male", "old", "glasses"))


KINDS: list[tuple[TrainingData, Any]] = [
    (pictures(), None),
    (multi_task(pictures()), MultiTaskCrossEntropy((slice(0, 2), slice(2, 5)))),
    (multi_label(pictures()), BinaryCrossEntropy()),
]


@pytest.mark.parametrize(("data", "criterion"), KINDS)
def test_every_kind_of_target_trains_mixed_and_unmixed(data: TrainingData, criterion: Any) -> None:
    for augment in ("none", "mixup"):
        built = max_group.build(data.counted, *([] if criterion is None else [criterion]))
        model = network(classes=data.n_outputs)
        history = train(model, data, built, settings(epochs=6, augment=augment, balance="groups"))
        assert history.epochs[-1].loss < history.epochs[0].loss
        assert all(value == value for value in history.epochs[-1].group_losses)


def test_a_mixer_of_ones_own_takes_the_place_of_the_settings() -> None:
    seeds: list[int] = []

    class Swapped:
        def __call__(self, batch: Batch, seed: int) -> Batch:
            assert batch.targets.shape == (16, 2)
            assert batch.targets.sum(dim=1).tolist() == [1.0] * 16
            assert 0 <= float(batch.inputs.min()) <= float(batch.inputs.max()) <= 1
            seeds.append(seed)
            return Batch(batch.inputs.flip(0), batch.targets.flip(0), batch.groups.flip(0))

    data, plain, other = pictures(), network(), network()
    built = cross_entropy.build(data.counted)
    history = train(plain, data, built, settings(augment=["mixup"]), mixer=Swapped())
    assert len(seeds) == len(set(seeds)) == 18
    again = train(other, data, built, settings(), mixer=Swapped())
    assert same_bits(plain, other)
    assert told(history) == told(again)


def test_mixed_training_repeats_itself() -> None:
    first, _ = run(augment=["mixup", "cutmix"])
    second, _ = run(augment=["mixup", "cutmix"])
    third, _ = run()
    assert same_bits(first, second)
    assert not same_bits(first, third)


def plain_shares(data: TrainingData, i: int) -> Tensor:
    row = torch.zeros(data.n_outputs)
    first = 0
    for (_, own), code in zip(data.tasks or (("", data.classes),), data.targets[i].reshape(-1).tolist(), strict=True):
        row[first + int(code)] = 1
        first += len(own)
    return row


def test_dense_targets_restated() -> None:
    for data in (pictures(10), multi_task(pictures(10))):
        dense = data.dense(data.targets)
        assert torch.equal(dense, torch.stack([plain_shares(data, i) for i in range(10)]))
    labels = multi_label(pictures(10))
    assert torch.equal(labels.dense(labels.targets), labels.targets)
