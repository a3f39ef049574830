"""The refitted last layer: what logistic regression found is what the network says, and it helps the worst cell."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from fairaudit.engine.features import extract_features
from fairaudit.errors import DataError, FairauditError
from fairaudit.methods import last_layer
from fairaudit.methods._cells import as_many_of_each, cells_of, halves
from fairaudit.methods._last_layer import copy_body, linear_head
from fairaudit.methods._probe import Scaling, fit_logistic
from tests.methods.studies import bench, biased, labelled, logits, same, small_network, worst_cell


def l1(c: float) -> dict[str, Any]:
    """scikit-learn's words for an L1 penalty, which changed in its version 1.8."""
    deprecated = LogisticRegression().get_params().get("penalty") == "deprecated"
    return (
        {"C": c, "solver": "liblinear", "l1_ratio": 1.0} if deprecated else {"C": c, "solver": "liblinear", "penalty": "l1"}
    )


def test_the_networks_logits_are_scikit_learns_decision_function() -> None:
    """With one refit and one C the method is a pipeline of scikit-learn's on one balanced draw."""
    asked = bench()
    outcome = last_layer.run(asked.study, refits=1, grid=(0.3,))
    study, held = asked.study, asked.study.validation
    trained = study.network()
    bench().study.fit(trained)
    features = extract_features(trained, held.images, held.preprocess, study.settings).double().numpy()
    generator = torch.Generator().manual_seed(study.seed)
    halves_drawn = halves(cells_of(held), generator)
    assert sum(map(len, halves_drawn)) == len(held)
    draw = as_many_of_each(cells_of(held), generator).numpy()
    scaler = StandardScaler().fit(features)
    pipeline = make_pipeline(scaler, LogisticRegression(**l1(0.3), random_state=0, max_iter=1000))
    pipeline[-1].fit(scaler.transform(features[draw]), held.targets.numpy()[draw])
    test = biased(50, 0.5, seed=9).data
    found = logits(outcome.model, test).double().numpy()
    wanted = pipeline.decision_function(
        extract_features(trained, test.images, test.preprocess, study.settings).double().numpy()
    )
    np.testing.assert_allclose(found[:, 1] - found[:, 0], wanted, atol=1e-4)
    np.testing.assert_allclose(found.sum(axis=1), 0, atol=1e-4)


def test_several_classes_are_one_multinomial_regression() -> None:
    rng = np.random.default_rng(0)
    y = np.arange(90) % 3
    x = rng.normal(size=(90, 4)) * [1, 5, 0.1, 2] + 3 * np.eye(4)[y] + 7
    scaling = Scaling.of(x)
    layer = fit_logistic(scaling.apply(x), y, 3, 0.5, "l2", 0)
    oracle = make_pipeline(StandardScaler(), LogisticRegression(C=0.5, max_iter=1000)).fit(x, y)
    np.testing.assert_allclose(layer.unscaled(scaling).logits(x), oracle.decision_function(x), atol=1e-6)
    sparse = fit_logistic(scaling.apply(x), y, 3, 0.02, "l1", 0)
    assert sparse.weight.shape == (3, 4)
    assert (sparse.weight == 0).any()


@given(st.integers(0, 1000))
def test_standardisation_folded_in_changes_no_logit(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(rng.normal(0, 50, 5), np.exp(rng.normal(0, 2, 5)), (20, 5))
    x[:, 3] = 0.1  # a feature that is constant, up to the rounding of its mean
    y = np.arange(20) % 2
    scaling = Scaling.of(x)
    np.testing.assert_allclose(scaling.apply(x)[:, :3].std(axis=0), 1)
    assert not scaling.apply(x)[:, 3].round(6).any()
    layer = fit_logistic(scaling.apply(x), y, 2, 0.7, "l1", 0)
    np.testing.assert_allclose(layer.unscaled(scaling).logits(x), layer.logits(scaling.apply(x)), atol=1e-7)


@pytest.mark.parametrize("source", ["validation", "train"])
def test_the_worst_cell_gains_where_the_target_was_hidden_behind_the_attribute(source: str) -> None:
    biased_part, held, test = biased(600, 0.94, seed=1), biased(300, 0.5, seed=2), biased(400, 0.5, seed=3)
    asked = bench(biased_part, held, epochs=6, batch_size=32)
    outcome = last_layer.run(asked.study, source=source)  # type: ignore[arg-type]
    plain = asked.study.network()
    bench(biased_part, held, epochs=6, batch_size=32).study.fit(plain)
    assert worst_cell(plain, test.data) < 0.4
    assert worst_cell(outcome.model, test.data) > worst_cell(plain, test.data) + 0.15


def test_only_the_last_layer_differs_from_plain_training() -> None:
    asked = bench()
    outcome = last_layer.run(asked.study)
    plain = asked.study.network()
    bench().study.fit(plain)
    name, _ = linear_head(plain, "last-layer")
    head = [outcome.model.state_dict()[f"{name}.{key}"] for key in ("weight", "bias")]
    assert not torch.equal(head[0], plain.state_dict()[f"{name}.weight"])
    copy_body(plain, outcome.model, name)
    assert torch.equal(head[0], outcome.model.state_dict()[f"{name}.weight"])
    for key, value in plain.state_dict().items():
        assert key.startswith(name) or torch.equal(value, outcome.model.state_dict()[key])


def test_the_average_is_over_twenty_draws_and_over_ten_of_training_images() -> None:
    held = biased(96, 0.5, seed=2)
    asked = bench(validation=held)
    smallest = int(torch.bincount(cells_of(held.data)).min())
    notes = last_layer.run(asked.study, grid=(0.1,)).notes
    assert notes == (
        f"refitted on 20 draws of {4 * smallest} validation images, {smallest} of each target × group cell, with C = 0.1",
        "it learnt from validation images, so what it scores on them proves nothing",
    )
    learnt = biased(96, 0.8, seed=1)
    smallest = int(torch.bincount(cells_of(learnt.data)).min())
    assert last_layer.run(bench(learnt).study, source="train", grid=(0.1,)).notes == (
        f"refitted on 10 draws of {4 * smallest} training images, {smallest} of each target × group cell, with C = 0.1",
    )


def test_c_is_the_one_that_does_best_in_the_worst_cell_of_what_it_has_not_seen() -> None:
    """A C so small that every weight is 0 must lose against one that lets the regression learn."""
    learnt, held = biased(200, 0.5, seed=1), biased(200, 0.5, seed=2)
    for grid in ((1e-6, 1.0), (1.0, 1e-6)):
        outcome = last_layer.run(bench(learnt, held, epochs=6).study, grid=grid)
        assert outcome.notes[0].endswith("with C = 1")


def test_the_same_seed_gives_the_same_weights() -> None:
    first, second, other = (last_layer.run(bench(seed=seed).study).model for seed in (0, 0, 1))
    assert same(first, second)
    assert not same(first, other)


def test_a_cell_of_one_image_can_still_be_learnt_from() -> None:
    gender = np.array([0, 0, 1, 1] * 6)
    glasses = np.array([0, 0, 1, 1] * 6)
    gender[0], glasses[0] = 0, 1
    outcome = last_layer.run(bench(validation=labelled(gender, glasses, seed=5)).study)
    assert "3 validation images, 1 of each target × group cell" in outcome.notes[0]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"source": "test"}, "last-layer has no source 'test'; choose from validation, train"),
        ({"refits": -1}, "last-layer needs at least one refit and one value in its grid"),
        ({"grid": ()}, "last-layer needs at least one refit and one value in its grid"),
        ({"grid": (0.1, 0.0)}, "grid of last-layer must be a number above 0, not 0"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(FairauditError) as caught:
        last_layer.run(bench().study, **options)
    assert str(caught.value) == sentence


def test_a_class_without_validation_images_cannot_be_refitted() -> None:
    women = labelled(np.zeros(20, dtype=np.int64), np.arange(20) % 2, seed=0)
    with pytest.raises(DataError) as caught:
        last_layer.run(bench(validation=women).study)
    assert str(caught.value) == (
        "no validation image is of the class 'male', so last-layer cannot learn it; give that split more images"
    )


def test_several_targets_and_no_groups_are_refused() -> None:
    part = biased(40, 0.5, seed=0, target="gender,age")
    with pytest.raises(FairauditError) as caught:
        last_layer.run(bench(part, part).study)
    assert str(caught.value) == (
        "the method last-layer works on one target, not on several (gender, age); name one with --target"
    )
    part = biased(40, 0.5, seed=0, by="")
    with pytest.raises(FairauditError) as caught:
        last_layer.run(bench(part, part, by=()).study)
    assert str(caught.value) == "the method last-layer needs groups; name the attributes that make them with --by"


@pytest.mark.parametrize(
    ("last", "sentence"),
    [
        (nn.Linear(8, 2, bias=False), "has no bias"),
        (nn.Sequential(nn.Unflatten(1, (8, 1, 1)), nn.Conv2d(8, 2, 1), nn.Flatten()), "is a Sequential"),
    ],
)
def test_a_network_that_does_not_end_in_a_linear_layer_is_refused(last: nn.Module, sentence: str) -> None:
    network = nn.Sequential()
    network.add_module("body", small_network(2, 0)[:-1])
    network.add_module("head", last)
    with pytest.raises(FairauditError) as caught:
        linear_head(network, "last-layer")
    assert str(caught.value) == (
        f"the method last-layer needs a network that ends in a linear layer with a bias, but head {sentence}; "
        "choose another architecture"
    )
