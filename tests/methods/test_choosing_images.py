"""Methods that choose which images are shown, and how often: resample, subsample, balanced, just-train-twice."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fairaudit.errors import DataError, FairauditError
from fairaudit.losses import cross_entropy, group_dro
from fairaudit.losses.cross_entropy import MeanLoss
from fairaudit.methods import balanced, just_train_twice, resample, subsample
from fairaudit.methods._cells import as_many_of_each, cells_of, halves
from tests.methods.studies import Part, bench, biased, labelled, logits, same, small_network


def pairs(part: Part) -> Counter[tuple[int, int]]:
    return Counter(zip(part.data.targets.tolist(), part.data.groups.tolist(), strict=True))


@given(st.lists(st.integers(0, 5), max_size=40), st.integers(0, 3))
def test_of_every_cell_there_are_as_many_as_the_smallest_has(cells: list[int], seed: int) -> None:
    drawn = as_many_of_each(torch.tensor(cells, dtype=torch.int64), torch.Generator().manual_seed(seed)).tolist()
    assert len(set(drawn)) == len(drawn)
    before, after = Counter(cells), Counter(cells[i] for i in drawn)
    assert set(after) == set(before)
    assert set(after.values()) <= {min(before.values(), default=0)}


@given(st.lists(st.integers(0, 5), min_size=1, max_size=40), st.integers(0, 3))
def test_halves_hold_every_image_once_and_every_cell_evenly(cells: list[int], seed: int) -> None:
    first, second = halves(torch.tensor(cells), torch.Generator().manual_seed(seed))
    assert sorted(first.tolist() + second.tolist()) == list(range(len(cells)))
    counts = [Counter(cells[i] for i in half.tolist()) for half in (first, second)]
    for cell in set(cells):
        assert counts[0][cell] - counts[1][cell] in (0, 1)


def test_cells_are_the_combinations_of_all_targets_and_the_group() -> None:
    part = biased(60, 0.7, seed=3, target="gender,age")
    cells = cells_of(part.data)
    triples = [tuple(row) for row in torch.cat([part.data.targets, part.data.groups[:, None]], dim=1).tolist()]
    assert len(set(cells.tolist())) == len(set(triples))
    assert len(set(zip(cells.tolist(), triples, strict=True))) == len(set(triples))


def test_resample_asks_for_balanced_batches_and_nothing_else() -> None:
    asked = bench()
    outcome = resample.run(asked.study)
    (call,) = asked.calls
    assert call.settings == asked.study.settings.model_copy(update={"balance": "groups"})
    assert call.data is asked.study.train
    by_hand = bench(balance="groups")
    model = by_hand.study.network()
    by_hand.study.fit(model)
    assert same(outcome.model, model)
    assert list(outcome.histories) == ["model"]


def test_resample_needs_images_of_every_group() -> None:
    nobody = labelled(np.arange(40) % 2, np.zeros(40, dtype=np.int64), seed=0)
    with pytest.raises(DataError) as caught:
        resample.run(bench(nobody).study)
    assert str(caught.value) == (
        "the group 'glasses: yes' has no training images, and the method resample needs some of every group; "
        "add images of it, or group by other attributes"
    )


def test_subsample_leaves_as_many_of_every_cell() -> None:
    asked = bench()
    outcome = subsample.run(asked.study)
    kept = asked.calls[0].data
    smallest = min(pairs(biased(96, 0.8, seed=1)).values())
    counts = Counter(zip(kept.targets.tolist(), kept.groups.tolist(), strict=True))
    assert counts == dict.fromkeys([(0, 0), (0, 1), (1, 0), (1, 1)], smallest)
    assert outcome.notes == (f"keeps {4 * smallest} of 96 training images, {smallest} of each target × group cell",)


def test_subsample_keeps_images_and_labels_together() -> None:
    asked = bench()
    subsample.run(asked.study)
    kept, all_of = asked.calls[0].data, asked.study.train
    everyone = all_of.images.take(torch.arange(len(all_of)))
    for i in range(len(kept)):
        pixels = kept.images.take(torch.tensor([i]))
        (place,) = (everyone == pixels).flatten(1).all(dim=1).nonzero()[:, 0].tolist()
        assert kept.targets[i] == all_of.targets[place]
        assert kept.groups[i] == all_of.groups[place]


def test_subsample_draws_by_the_seed() -> None:
    kept = []
    for seed in (0, 0, 1):
        asked = bench(seed=seed)
        subsample.run(asked.study)
        kept.append(asked.calls[0].data.images.take(torch.arange(len(asked.calls[0].data))))
    assert torch.equal(kept[0], kept[1])
    assert not torch.equal(kept[0], kept[2])


def test_subsample_says_which_cells_there_are_not() -> None:
    gender = np.arange(40) % 2
    asked = bench(labelled(gender, gender, seed=0))
    assert subsample.run(asked.study).notes == (
        "keeps 40 of 40 training images, 20 of each target × group cell",
        "2 of 4 target × group cells have no training image",
    )


def test_balanced_keeps_the_rows_that_are_marked() -> None:
    asked = bench()
    outcome = balanced.run(asked.study)
    marked = torch.from_numpy(np.flatnonzero(asked.study.columns["service_test"].codes == 1))
    kept = asked.calls[0].data
    assert torch.equal(kept.images.take(torch.arange(len(kept))), asked.study.train.images.take(marked))
    assert torch.equal(kept.targets, asked.study.train.targets[marked])
    assert outcome.notes == (f"keeps the {len(marked)} of 96 training images in which service_test is True",)


def test_balanced_takes_another_column() -> None:
    asked = bench()
    balanced.run(asked.study, column="Glasses")
    assert set(asked.calls[0].data.groups.tolist()) == {1}


def test_the_second_training_repeats_what_the_first_got_wrong() -> None:
    asked = bench(epochs=40)
    outcome = just_train_twice.run(asked.study, upweight=4)
    first, second = asked.calls
    data = asked.study.train
    twin = small_network(2, 0)
    bench(epochs=40).study.fit(twin, settings=first.settings)
    mistaken = logits(twin, data).argmax(dim=1) != data.targets
    assert 0 < int(mistaken.sum()) < len(data)
    shown = second.data.images.take(torch.arange(len(second.data)))
    everyone = data.images.take(torch.arange(len(data)))
    times = [int((shown == one).flatten(1).all(dim=1).sum()) for one in everyone]
    assert times == [4 if bad else 1 for bad in mistaken.tolist()]
    n, longer = int(mistaken.sum()), len(second.data)
    epochs = round(40 * 96 / longer)
    assert second.settings.epochs == epochs
    assert outcome.notes == (
        f"{n} of 96 training images were wrong after 1 epoch and count 4 times in the second training, "
        f"{epochs} epochs of {longer} images",
    )
    assert list(outcome.histories) == ["first", "model"]


def test_the_first_training_is_short_plain_and_at_a_constant_rate() -> None:
    asked = bench(build=group_dro.build, epochs=6, warmup=3, schedule="cosine", select="worst-group", patience=2)
    just_train_twice.run(asked.study, first_epochs=2, same_budget=False)
    first, second = asked.calls
    assert isinstance(first.loss, MeanLoss)
    changed = {"epochs": 2, "warmup": 0, "schedule": "none", "select": "last", "patience": None}
    assert first.settings == asked.study.settings.model_copy(update=changed)
    assert isinstance(second.loss, group_dro.GroupDROLoss)
    assert second.settings == asked.study.settings


def test_both_trainings_start_from_the_same_weights_and_repeat_themselves() -> None:
    outcomes = [just_train_twice.run(bench().study, upweight=3) for _ in range(2)]
    assert same(outcomes[0].model, outcomes[1].model)
    right = bench(labelled(np.arange(64) % 2, np.arange(64) % 2, seed=4), epochs=30, lr=0.1)
    outcome = just_train_twice.run(right.study, first_epochs=30)
    assert outcome.notes[0].startswith("0 of 64 training images were wrong")
    plain = right.study.network()
    bench(labelled(np.arange(64) % 2, np.arange(64) % 2, seed=4), epochs=30, lr=0.1).study.fit(plain)
    assert same(outcome.model, plain)


NO_GROUPS = {"train_part": biased(48, 0.8, seed=1, by=""), "validation": biased(48, 0.5, seed=2, by=""), "by": ()}


@pytest.mark.parametrize("method", [resample, subsample])
def test_without_groups_there_is_nothing_to_balance(method: object) -> None:
    name = str(method.__name__).rpartition(".")[2]  # type: ignore[attr-defined]
    with pytest.raises(FairauditError) as caught:
        method.run(bench(**NO_GROUPS).study)  # type: ignore[attr-defined, arg-type]
    assert str(caught.value) == f"the method {name} needs groups; name the attributes that make them with --by"


@pytest.mark.parametrize(
    ("column", "sentence"),
    [
        (
            "service_tset",
            "the method balanced keeps rows in which 'service_tset' is true, a column that is not there; "
            "did you mean 'service_test'?",
        ),
        (
            "balanced",
            "the method balanced keeps rows in which 'balanced' is true, a column that is not there; "
            "choose from gender, glasses, service_test, age",
        ),
        ("age", "the method balanced keeps rows in which 'age' is true, but its levels are young, middle, old"),
    ],
)
def test_balanced_tells_what_columns_there_are(column: str, sentence: str) -> None:
    with pytest.raises(FairauditError) as caught:
        balanced.run(bench().study, column=column)
    assert str(caught.value) == sentence


def test_balanced_needs_a_marked_image() -> None:
    part = labelled(np.arange(40) % 2, np.zeros(40, dtype=np.int64), seed=0)
    with pytest.raises(DataError) as caught:
        balanced.run(bench(part).study, column="glasses")
    assert str(caught.value) == "glasses is true in none of the 40 training images"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"first_epochs": 0}, "first_epochs of just-train-twice must be at least 1, not 0"),
        ({"upweight": 0}, "upweight of just-train-twice must be at least 1, not 0"),
    ],
)
def test_just_train_twice_refuses_options_out_of_range(options: dict[str, int], sentence: str) -> None:
    with pytest.raises(FairauditError) as caught:
        just_train_twice.run(bench().study, **options)  # type: ignore[arg-type]
    assert str(caught.value) == sentence


def test_a_loss_of_embeddings_trains_no_classifier() -> None:
    class Embedding(MeanLoss):
        wants = "embeddings"

    asked = bench(build=lambda groups, criterion: Embedding(groups.n_groups, criterion))
    with pytest.raises(FairauditError) as caught:
        just_train_twice.run(asked.study)
    assert str(caught.value) == (
        "the method just-train-twice trains a classifier, and the loss that was chosen trains embeddings; "
        "choose another loss, or the method contrastive"
    )
    assert cross_entropy.build(asked.study.train.counted).wants == "logits"
