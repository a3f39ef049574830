"""Contrastive training of the trunk, and the linear probe that becomes the last layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fairaudit.engine.features import extract_features, head_of
from fairaudit.errors import DataError, FairauditError
from fairaudit.losses import fscl
from fairaudit.losses.base import Criterion, GroupLoss, TrainingGroups
from fairaudit.losses.fscl import FairContrastiveLoss
from fairaudit.methods import contrastive
from fairaudit.methods._last_layer import copy_body
from tests.methods.studies import bench, biased, labelled, logits, same, small_network


def cold(groups: TrainingGroups, criterion: Criterion) -> GroupLoss:
    return fscl.build(groups, criterion, temperature=0.5, group_norm=False)


def test_the_loss_is_given_the_projection_and_no_epoch_is_selected() -> None:
    asked = bench(select="worst-group", patience=1, epochs=2)
    contrastive.run(asked.study, projection=5)
    (call,) = asked.calls
    assert isinstance(call.loss, FairContrastiveLoss)
    assert call.loss.group_norm
    assert call.settings == asked.study.settings.model_copy(update={"select": "last", "patience": None})
    assert head_of(asked.calls[0].model)[1].in_features == 5
    asked = bench()
    contrastive.run(asked.study, projection=0)
    assert head_of(asked.calls[0].model)[1].in_features == 8


def test_a_chosen_loss_of_embeddings_is_taken() -> None:
    asked = bench(build=cold)
    contrastive.run(asked.study)
    loss = asked.calls[0].loss
    assert isinstance(loss, FairContrastiveLoss)
    assert (loss.temperature, loss.group_norm) == (0.5, False)


def test_the_network_says_what_the_linear_probe_says() -> None:
    asked = bench()
    outcome = contrastive.run(asked.study, projection=4, c=0.3)
    study, data = asked.study, asked.study.train
    body = small_network(2, 0)
    copy_body(asked.calls[0].model, body, "6")
    assert all(
        torch.equal(body.state_dict()[k], v) for k, v in outcome.model.state_dict().items() if not k.startswith("6.")
    )
    features, test = (
        extract_features(body, part.images, data.preprocess, study.settings).double().numpy()
        for part in (data, biased(40, 0.5, seed=9).data)
    )
    oracle = make_pipeline(StandardScaler(), LogisticRegression(C=0.3, max_iter=1000)).fit(features, data.targets.numpy())
    found = logits(outcome.model, biased(40, 0.5, seed=9).data).double().numpy()
    np.testing.assert_allclose(found[:, 1] - found[:, 0], oracle.decision_function(test), atol=1e-3)


def test_the_trunk_learns_and_the_result_is_an_ordinary_network() -> None:
    outcome = contrastive.run(bench(biased(300, 0.8, seed=1), epochs=8, batch_size=64).study)
    plain = small_network(2, 0)
    assert {k: v.shape for k, v in outcome.model.state_dict().items()} == {
        k: v.shape for k, v in plain.state_dict().items()
    }
    assert not torch.equal(outcome.model.state_dict()["2.weight"], plain.state_dict()["2.weight"])
    test = biased(200, 0.5, seed=9).data
    right = logits(outcome.model, test).argmax(dim=1) == test.targets
    assert float(right.double().mean()) > 0.7
    assert outcome.histories["features"].epochs[-1].loss < outcome.histories["features"].epochs[0].loss


def test_the_same_seed_gives_the_same_weights_and_leaves_the_callers_randomness() -> None:
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    first = contrastive.run(bench().study).model
    assert torch.equal(torch.random.get_rng_state(), before)
    assert same(first, contrastive.run(bench().study).model)
    assert not same(first, contrastive.run(bench(seed=1).study).model)


@pytest.mark.parametrize(
    ("options", "changes", "sentence"),
    [
        ({"projection": -1}, {}, "projection of contrastive must be at least 0, not -1"),
        ({"c": 0.0}, {}, "c of contrastive must be a number above 0, not 0"),
        (
            {},
            {"freeze": "backbone"},
            "the method contrastive trains what lies below the last layer, and --freeze backbone keeps it as it is",
        ),
    ],
)
def test_refusals(options: dict[str, Any], changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(FairauditError) as caught:
        contrastive.run(bench(**changes).study, **options)
    assert str(caught.value) == sentence


def test_there_must_be_groups_to_contrast() -> None:
    part = biased(40, 0.5, seed=0, by="")
    with pytest.raises(FairauditError) as caught:
        contrastive.run(bench(part, part, by=()).study)
    assert str(caught.value) == "the method contrastive needs groups; name the attributes that make them with --by"
    nobody = labelled(np.arange(40) % 2, np.zeros(40, dtype=np.int64), seed=0)
    with pytest.raises(DataError) as caught:
        contrastive.run(bench(nobody).study)
    assert str(caught.value) == (
        "the loss fscl compares groups, but all training images are of the group 'glasses: no'; "
        "group by attributes with several levels"
    )
