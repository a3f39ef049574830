"""Methods that train embeddings: what is trained, what is thrown away, and what is refused before."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from fairaudit.engine.batches import PerClass
from fairaudit.errors import DataError, FairauditError, UsageError
from fairaudit.methods import adversarial, metric_learning, parade
from fairaudit.metric_learning.branches import Adversary, Decorrelated
from fairaudit.metric_learning.training import Branched, EmbeddingLoss
from fairaudit.models.embedder import EmbeddingNetwork
from tests.methods.studies import Bench, bench, biased, labelled, logits, same

METHODS = {"metric-learning": metric_learning, "parade": parade, "adversarial": adversarial}


def run(name: str, asked: Bench, **options: Any) -> Any:
    return METHODS[name].run(asked.study, **{"dimensions": 4, **options})


def trained(asked: Bench) -> Branched:
    model = asked.calls[-1].model
    assert isinstance(model, Branched)
    return model


def branches(asked: Bench) -> list[Any]:
    return list(trained(asked).branches)


@pytest.mark.parametrize("loss", ["margin", "triplet"])
def test_without_strength_there_is_no_branch_and_the_weights_are_the_baselines(loss: Any) -> None:
    asked = bench(epochs=3)
    baseline = run("metric-learning", asked, loss=loss).model
    for name, option in (("parade", "decorrelation"), ("adversarial", "strength")):
        for strength in ("0", "glasses:0"):
            other = bench(epochs=3)
            outcome = run(name, other, loss=loss, **{option: strength})
            assert same(outcome.model, baseline)
            assert len(trained(other).branches) == len(trained(other).heads) == 0
            assert [e.loss for e in outcome.histories["model"].epochs] == [e.loss for e in metric_epochs(asked)], (
                "not one random number was drawn more"
            )


def metric_epochs(asked: Bench) -> Any:
    return run("metric-learning", bench(epochs=3), loss=trained(asked).objective.kind).histories["model"].epochs


@pytest.mark.parametrize(("name", "option"), [("parade", "decorrelation"), ("adversarial", "strength")])
def test_with_strength_the_weights_are_others_and_what_knows_the_attribute_is_thrown_away(name: str, option: str) -> None:
    baseline = run("metric-learning", bench()).model
    asked = bench()
    outcome = run(name, asked, **{option: "20"})
    assert isinstance(outcome.model, EmbeddingNetwork)
    assert outcome.embeds
    assert not same(outcome.model, baseline)
    assert outcome.model.state_dict().keys() == baseline.state_dict().keys()
    [branch] = trained(asked).branches
    assert branch.attribute == "glasses"
    assert isinstance(branch, Decorrelated if name == "parade" else Adversary)
    assert any(not torch.equal(p, q) for p, q in zip(branch.parameters(), fresh(name).parameters(), strict=True))


def fresh(name: str) -> torch.nn.Module:
    asked = bench(epochs=1, lr=1e-12)
    run(name, asked)
    return trained(asked).branches[0]


def test_attributes_have_strengths_of_their_own_and_need_be_no_groups() -> None:
    asked = bench(by=("service_test",))
    run("parade", asked, decorrelation="Glasses:500,age:150", share=0.2)
    call = asked.calls[0]
    assert isinstance(call.loss, EmbeddingLoss)
    told = [(b.attribute, b.strength, b.share, b.objective.classes) for b in branches(asked)]
    assert told == [("glasses", 500.0, 0.2, 2), ("age", 150.0, 0.2, 3)]
    for i, name in enumerate(("glasses", "age")):
        levels = call.loss.get_buffer(f"level_{i}")[call.data.groups]
        assert levels.tolist() == asked.study.columns[name].codes.tolist()


def test_one_number_is_of_every_attribute_but_the_target() -> None:
    part = biased(96, 0.8, seed=1, by="gender,glasses")
    asked = bench(part, biased(96, 0.5, seed=2, by="gender,glasses"), by=("gender", "glasses"))
    run("parade", asked, decorrelation="7")
    assert [(b.attribute, b.strength) for b in branches(asked)] == [("glasses", 7.0)]


def test_batches_are_drawn_by_class_and_by_group_where_asked() -> None:
    asked = bench()
    run("metric-learning", asked, per_class=4)
    batches = asked.calls[0].batches
    assert isinstance(batches, PerClass)
    assert (batches.m, batches.balanced) == (4, False)
    asked = bench()
    run("metric-learning", asked, balanced="groups")
    batches = asked.calls[0].batches
    assert isinstance(batches, PerClass)
    assert batches.balanced
    [first, *_] = batches(torch.Generator().manual_seed(0))
    assert asked.study.train.groups[first].bincount().tolist() == [8, 8]


def test_epochs_are_selected_by_what_is_found_again() -> None:
    asked = bench(epochs=4, select="average")
    outcome = run("metric-learning", asked)
    history = outcome.histories["model"]
    data = asked.study.validation
    x, y = logits(outcome.model, data).double().numpy(), data.targets.numpy()
    near = x @ x.T - 4 * np.eye(len(x))
    recall = float((y[near.argmax(1)] == y).mean())
    kept = history.epochs[history.selected - 1].validation
    assert kept is not None
    assert kept.score == pytest.approx(recall)
    assert kept.score == max(e.validation.score for e in history.epochs if e.validation is not None)


def test_what_is_learnt_brings_a_class_together() -> None:
    asked = bench(biased(300, 0.8, seed=1), epochs=8, batch_size=32)
    model = run("metric-learning", asked).model
    test = biased(200, 0.5, seed=9).data
    found = logits(model, test)
    same_class = test.targets[:, None] == test.targets
    apart = torch.cdist(found, found)
    assert float(apart[same_class].mean()) < 0.8 * float(apart[~same_class].mean())


@pytest.mark.parametrize(
    "changes", [{"ema": 0.9}, {"accumulate": 2}, {"freeze": "backbone"}, {"augment": ("classic",)}, {"precision": "bf16"}]
)
def test_settings_of_training_are_kept(changes: dict[str, Any]) -> None:
    asked = bench(**changes)
    model = run("parade", asked, decorrelation="20").model
    start = asked.study.network(4).state_dict()
    assert not torch.equal(model.inner.state_dict()["6.weight"], start["6.weight"])
    assert torch.equal(model.inner.state_dict()["2.weight"], start["2.weight"]) == ("freeze" in changes)
    assert not same(model, run("parade", bench(), decorrelation="20").model)


def test_layers_may_be_frozen_by_the_names_of_the_network() -> None:
    asked = bench(freeze="2")
    model = run("parade", asked, decorrelation="20").model
    start = asked.study.network(4).state_dict()
    assert torch.equal(model.inner.state_dict()["2.weight"], start["2.weight"])
    assert not torch.equal(model.inner.state_dict()["6.weight"], start["6.weight"])


REFUSED: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("metric-learning", {"dimensions": 1}, {}, "dimensions of metric-learning must be at least 2, not 1"),
    ("metric-learning", {"beta_lr": 0.0}, {}, "beta_lr of metric-learning must be a number above 0, not 0"),
    (
        "metric-learning",
        {"per_class": 3},
        {},
        "a batch of metric-learning has 3 images of each of two classes or more, for which --batch-size 16 will not do; "
        "choose a multiple of 3 from 6 up",
    ),
    (
        "parade",
        {},
        {"batch_size": 128},
        "there are 96 training images, fewer than a batch of 128; choose a smaller --batch-size",
    ),
    (
        "parade",
        {},
        {"augment": ("mixup",)},
        "the method parade needs images of one class each, and mixup mixes them; leave it out",
    ),
    ("parade", {"share": 0.0}, {}, "share of parade must be a number above 0, not 0"),
    (
        "parade",
        {"decorrelation": "glasses:1,glasses:2"},
        {},
        "decorrelation of parade names glasses twice",
    ),
    (
        "parade",
        {"decorrelation": "gender:1"},
        {},
        "decorrelation of parade: gender is the target itself, which an embedding cannot do without",
    ),
    (
        "parade",
        {"decorrelation": "glasses:1,age"},
        {},
        "decorrelation of parade: 'glasses:1,age' is neither a number nor ATTRIBUTE:NUMBER,ATTRIBUTE:NUMBER",
    ),
    (
        "adversarial",
        {"strength": "much"},
        {},
        "strength of adversarial: 'much' is neither a number from 0 up nor such a number for each attribute "
        "(race:500,gender:150)",
    ),
]


@pytest.mark.parametrize(("name", "options", "changes", "sentence"), REFUSED)
def test_refusals(name: str, options: dict[str, Any], changes: dict[str, Any], sentence: str) -> None:
    asked = bench(**changes)
    with pytest.raises(FairauditError) as caught:
        run(name, asked, **options)
    assert str(caught.value) == sentence
    assert not asked.calls


def test_an_attribute_with_one_level_has_nothing_to_keep_out() -> None:
    nobody = labelled(np.arange(40) % 2, np.zeros(40, dtype=np.int64), seed=0)
    with pytest.raises(DataError) as caught:
        run("parade", bench(nobody))
    assert str(caught.value) == (
        "all 40 training images are 'no' in glasses: parade has nothing to keep out of the embedding"
    )


def test_classes_need_pairs() -> None:
    one = labelled(np.array([1] * 39 + [0]), np.arange(40) % 2, seed=0)
    with pytest.raises(DataError) as caught:
        run("metric-learning", bench(one))
    assert str(caught.value) == (
        "1 of the 2 classes among the training images have two images or more, and metric-learning learns from pairs of "
        "two classes at least"
    )
    few = labelled(np.array([0, 1]), np.array([0, 1]), seed=0)
    with pytest.raises(DataError) as caught:
        run("metric-learning", bench(validation=few, select="average"))
    assert str(caught.value) == "no two validation images are of one class, so no epoch can be selected; use more images"


def test_every_group_needs_two_classes_where_groups_take_turns() -> None:
    gender = np.array([0, 1] * 20 + [0, 0, 0, 1])
    rare = labelled(gender, np.array([0] * 40 + [1] * 4), seed=0)
    with pytest.raises(DataError) as caught:
        run("metric-learning", bench(rare), balanced="groups")
    assert str(caught.value) == (
        "the group 'glasses: yes' has 1 class with two training images or more; metric-learning with balanced=groups needs "
        "two of every group"
    )
    part = biased(40, 0.5, seed=0, by="")
    with pytest.raises(UsageError, match="needs groups; name the attributes that make them with --by"):
        run("metric-learning", bench(part, part, by=()), balanced="groups")


def test_the_target_alone_is_no_attribute() -> None:
    parts = [biased(96, 0.8, seed=seed, by="gender") for seed in (1, 2)]
    with pytest.raises(UsageError) as caught:
        run("parade", bench(*parts, by=("gender",)))
    assert str(caught.value) == (
        "the method parade keeps attributes out of an embedding, and gender is the target itself; name another attribute "
        "with --by"
    )
