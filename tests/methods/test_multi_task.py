"""Several targets with one trunk: the criterion weighs them, and the study's loss aggregates."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional

from fairaudit.errors import FairauditError
from fairaudit.losses import group_dro
from fairaudit.losses.base import MultiTaskCrossEntropy
from fairaudit.methods import multi_task
from tests.methods.studies import Part, bench, biased, logits, same


def both(seed: int, n: int = 96) -> Part:
    return biased(n, 0.8, seed=seed, target="gender,age")


def test_it_is_the_studys_training_on_the_joint_data() -> None:
    asked = bench(both(1), both(2))
    outcome = multi_task.run(asked.study)
    twin = bench(both(1), both(2))
    model = twin.study.network()
    twin.study.fit(model)
    assert same(outcome.model, model)
    assert logits(outcome.model, both(3, 8).data).shape == (8, 5)


def test_weights_and_form_reach_the_loss_of_every_image() -> None:
    asked = bench(both(1), both(2), build=group_dro.build)
    multi_task.run(asked.study, weights=(3.0, 1.0))
    loss = asked.calls[0].loss
    assert isinstance(loss, group_dro.GroupDROLoss)
    heads, targets = torch.randn(6, 5, generator=torch.Generator().manual_seed(0)), both(1).data.targets[:6]
    each = [
        0.75 * functional.cross_entropy(heads[i, :2], targets[i, 0])
        + 0.25 * functional.cross_entropy(heads[i, 2:], targets[i, 1])
        for i in range(6)
    ]
    torch.testing.assert_close(loss.criterion(heads, targets), torch.stack(each))
    asked = bench(both(1), both(2))
    multi_task.run(asked.study, form="bce")
    assert asked.calls[0].loss.criterion == MultiTaskCrossEntropy((slice(0, 2), slice(2, 5)), form="bce")


def test_both_targets_are_learnt() -> None:
    outcome = multi_task.run(bench(both(1, 400), both(2), epochs=12).study)
    test = both(9, 200).data
    found = logits(outcome.model, test)
    right = [
        (found[:, head].argmax(dim=1) == test.targets[:, t]).double().mean()
        for t, head in enumerate((slice(2), slice(2, 5)))
    ]
    assert right[0] > 0.7
    assert right[1] > 0.6


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"weights": (1.0, 2.0, 3.0)}, "weights of multi-task must be 2 numbers, one for each of gender, age, not 3"),
        (
            {"weights": (1.0, -1.0)},
            "the targets' weights must be 2 numbers from 0 up, one for each target and not all 0, not 1, -1",
        ),
        ({"form": "mse"}, "multi-task has no form 'mse'; choose from softmax, bce"),
    ],
)
def test_refusals(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(FairauditError) as caught:
        multi_task.run(bench(both(1), both(2)).study, **options)
    assert str(caught.value) == sentence


def test_one_target_is_refused() -> None:
    with pytest.raises(FairauditError) as caught:
        multi_task.run(bench().study)
    assert str(caught.value) == (
        "the method multi-task needs several targets; name them with --target, for example race,gender"
    )
