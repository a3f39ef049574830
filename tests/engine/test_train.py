"""The training loop: that it learns, repeats itself, selects, reports and refuses."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fairaudit.config import TrainingSettings, validated
from fairaudit.engine.history import Progress, Validation
from fairaudit.engine.train import train
from fairaudit.engine.training_data import CachedImages, TrainingData
from fairaudit.errors import ConfigError, DataError, FairauditError
from fairaudit.losses import cross_entropy, max_group
from tests.engine.small import PREPROCESS, accuracies, network, pictures, run, settings, weights


def test_it_learns_and_ends_in_evaluation_mode() -> None:
    model, history = run(epochs=8)
    assert not any(module.training for module in model.modules())
    assert history.epochs[-1].loss < 0.5 * history.epochs[0].loss
    assert [epoch.epoch for epoch in history.epochs] == list(range(1, 9))
    assert history.selected == 8
    assert history.seconds == pytest.approx(sum(e.seconds for e in history.epochs))


@pytest.mark.parametrize(
    "changes", [{}, {"balance": "groups", "augment": "classic"}, {"optimizer": "sgd", "schedule": "step"}]
)
def test_the_same_seed_gives_the_same_weights(changes: dict[str, Any]) -> None:
    first, history = run(**changes)
    second, again = run(**changes)
    other, _ = run(seed=1, **changes)
    assert all(torch.equal(a, b) for a, b in zip(weights(first), weights(second), strict=True))
    assert [e.loss for e in history.epochs] == [e.loss for e in again.epochs]
    assert not all(torch.equal(a, b) for a, b in zip(weights(first), weights(other), strict=True))


def test_the_callers_randomness_is_left_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    model = network()
    torch.manual_seed(5)
    run(model=model)
    assert torch.equal(torch.rand(1), expected)


def test_one_epoch_is_a_plain_loop() -> None:
    """Plain SGD over the batches that the seed shuffles, restated without the engine."""
    from fairaudit.engine.batches import epoch_batches

    data = pictures(40)
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 2))
    plain = nn.Linear(3 * 64, 2)
    plain.load_state_dict(dict(zip(("weight", "bias"), weights(model), strict=True)))
    run(model=model, data=data, optimizer="sgd", epochs=1, lr=0.01, schedule="none", weight_decay=0.0)

    images = data.images.take(torch.arange(40)).double()
    velocity = {name: torch.zeros_like(p) for name, p in plain.named_parameters()}
    for batch in epoch_batches(data.groups, 16, "none", torch.Generator().manual_seed(0)):
        plain.zero_grad()
        flat = ((images[batch] / 255 - 0.5) / 0.25).float().reshape(len(batch), -1)
        torch.autograd.backward(nn.functional.cross_entropy(plain(flat), data.targets[batch]))
        for name, parameter in plain.named_parameters():
            assert parameter.grad is not None
            velocity[name] = 0.9 * velocity[name] + parameter.grad
            parameter.data -= 0.01 * (parameter.grad + 0.9 * velocity[name])  # Nesterov
    torch.testing.assert_close(weights(model)[0], plain.weight.detach(), rtol=1e-4, atol=1e-6)


def test_the_learning_rate_warms_up_and_falls() -> None:
    _, history = run(epochs=6, warmup=2, lr=0.02)
    rates = [epoch.lr for epoch in history.epochs]
    assert rates[0] < rates[1] < 0.02
    assert rates[2] > rates[3] > rates[4] > rates[5] > 0
    assert [e.lr for e in run(epochs=3, schedule="none")[1].epochs] == [0.02] * 3
    step = [e.lr for e in run(epochs=6, schedule="step")[1].epochs]
    assert step == pytest.approx([0.02, 0.02, 0.002, 0.002, 0.0002, 0.0002])


def test_the_best_epoch_is_kept() -> None:
    data = pictures()
    seen: list[list[Tensor]] = []
    model = network()

    def score(epoch: int, logits: Tensor) -> Validation:
        assert logits.shape == (96, 2)
        assert not model.training
        seen.append(weights(model))
        return Validation([0.5, math.nan, 0.7, 0.7, 0.6][epoch - 1], (1.0, 0.5, 0.25))

    history = train(
        model,
        data,
        cross_entropy.build(data.counted),
        settings(epochs=5, select="worst-group"),
        validation=data.images,
        score=score,
    )
    assert history.selected == 3
    assert all(torch.equal(a, b) for a, b in zip(weights(model), seen[2], strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(weights(model), seen[4], strict=True))
    last = history.epochs[4].validation
    assert last is not None
    assert last.group_accuracies == (1.0, 0.5, 0.25)


def test_validation_logits_are_the_networks_own() -> None:
    data, model = pictures(50), network()
    seen: list[Tensor] = []

    def score(epoch: int, logits: Tensor) -> Validation:
        seen.append(logits)
        return Validation(0.0, (0.0, 0.0, 0.0))

    train(model, data, cross_entropy.build(data.counted), settings(epochs=1), validation=data.images, score=score)
    with torch.no_grad():
        expected = model((data.images.take(torch.arange(50)).float() / 255 - 0.5) / 0.25)
    torch.testing.assert_close(seen[0], expected, rtol=1e-4, atol=1e-5)


def test_validating_does_not_change_the_training() -> None:
    data = pictures()
    quiet, watched = network(), network()
    train(quiet, data, max_group.build(data.counted, ema=0.1), settings())
    train(watched, data, max_group.build(data.counted, ema=0.1), settings(), validation=data.images, score=accuracies(data))
    assert all(torch.equal(a, b) for a, b in zip(weights(quiet), weights(watched), strict=True))


def test_the_loss_hears_the_group_accuracies() -> None:
    data, heard = pictures(), []

    class Listening(cross_entropy.MeanLoss):
        def update(self, accuracies: Tensor) -> None:
            heard.append(accuracies.tolist())

    history = train(
        network(),
        data,
        Listening(3, cross_entropy.build(data.counted).criterion),
        settings(),
        validation=data.images,
        score=accuracies(data),
    )
    assert heard == [list(e.validation.group_accuracies) for e in history.epochs if e.validation is not None]
    assert len(heard) == 3


def test_group_losses_are_means_over_the_epochs_images() -> None:
    """With a learning rate of nearly nothing they equal one pass of the untouched network."""
    data, model = pictures(96), nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
    with torch.no_grad():
        logits = model((data.images.take(torch.arange(96)).float() / 255 - 0.5) / 0.25)
    losses = nn.functional.cross_entropy(logits, data.targets, reduction="none")
    expected = [float(losses[data.groups == g].mean()) for g in range(3)]
    _, history = run(model=model, data=data, epochs=1, lr=1e-12)
    assert history.epochs[0].group_losses == pytest.approx(expected, rel=1e-4)
    assert history.epochs[0].loss == pytest.approx(float(losses.mean()), rel=1e-4)


def test_progress_is_told_every_batch_and_every_epoch() -> None:
    heard: list[Progress] = []
    data = pictures(40)
    train(network(), data, cross_entropy.build(data.counted), settings(epochs=2), progress=heard.append)
    assert [(p.epoch, p.batch, p.batches) for p in heard] == [
        (1, 1, 2),
        (1, 2, 2),
        (1, 2, 2),
        (2, 1, 2),
        (2, 2, 2),
        (2, 2, 2),
    ]
    assert heard[0].finished is None
    assert heard[3].finished == heard[2].finished
    assert heard[-1].finished is not None
    assert heard[-1].finished.epoch == 2


def test_lower_precision_trains_too() -> None:
    _, history = run(epochs=6, precision="bf16")
    assert history.epochs[-1].loss < history.epochs[0].loss


def test_frozen_layers_stay() -> None:
    model = network()
    for parameter in model[0].parameters():
        parameter.requires_grad_(False)
    before = weights(model)[0]
    run(model=model)
    assert torch.equal(weights(model)[0], before)


def refusal(**arguments: Any) -> str:
    with pytest.raises(FairauditError) as caught:
        run(**arguments)
    return str(caught.value)


def one_class() -> TrainingData:
    data = pictures(10)
    return TrainingData(data.images, torch.zeros(10).long(), data.groups, data.classes, data.group_labels, PREPROCESS)


def no_images() -> TrainingData:
    none = torch.zeros(0, dtype=torch.int64)
    return TrainingData(CachedImages(torch.zeros(0, 3, 8, 8).byte()), none, none, ("a", "b"), ("all",), PREPROCESS)


def test_divergence_is_one_sentence() -> None:
    text = refusal(lr=1e6, optimizer="sgd", epochs=4, model=nn.Sequential(nn.Flatten(), nn.Linear(192, 9), nn.Linear(9, 2)))
    assert text in {
        f"the loss became {kind} in epoch {e}: lower --lr (now 1e+06)" for kind in ("nan", "infinite") for e in (1, 2)
    }


def test_refusals_are_one_sentence_each() -> None:
    few = pictures(12, groups=2)
    lacking = TrainingData(few.images, few.targets, few.groups, few.classes, ("a", "b", "c"), PREPROCESS)
    needs = "needs some of every group; add images of it, or group by other attributes"
    assert refusal(data=no_images()) == "there are no training images"
    assert refusal(data=one_class()) == (
        "all 10 training images are of the class 'female'; a classifier needs at least two classes"
    )
    assert refusal(data=lacking, balance="groups") == f"the group 'c' has no training images, and balanced sampling {needs}"
    assert refusal(data=lacking, loss=max_group.build) == (
        f"the group 'c' has no training images, and the loss max-group {needs}"
    )
    assert refusal(select="worst-group") == (
        "selecting an epoch by worst-group needs validation images; give some or select the last"
    )
    assert refusal(optimizer="adamww").startswith("unknown optimizer 'adamww'; did you mean 'adamw'")
    assert refusal(model=network(classes=5)) == "the network has 5 outputs per image, but the target has 2 classes"
    assert refusal(model=network().requires_grad_(False)) == (
        "every layer of the network is frozen, so there is nothing to train"
    )
    # A loss that is blind to groups trains where one is empty.
    assert math.isnan(run(data=lacking)[1].epochs[-1].group_losses[2])


def test_scores_that_are_all_nan_select_nothing() -> None:
    data = pictures()
    with pytest.raises(FairauditError) as caught:
        train(
            network(),
            data,
            cross_entropy.build(data.counted),
            settings(select="worst-group"),
            validation=data.images,
            score=lambda *_: Validation(math.nan, (1.0, 1.0, math.nan)),
        )
    assert str(caught.value) == (
        "no epoch can be selected by worst-group: every score was nan; are there validation images of every group?"
    )


def test_unlabelled_images_are_refused() -> None:
    data = pictures(6)
    groups = data.groups.clone()
    groups[2:4] = -1
    with pytest.raises(DataError) as caught:
        TrainingData(data.images, data.targets, groups, data.classes, data.group_labels, PREPROCESS)
    assert str(caught.value) == "2 training images have no known group; leave them out before training"


def test_a_warmup_must_end() -> None:
    with pytest.raises(ConfigError) as caught:
        validated({"epochs": 3, "warmup": 3}, TrainingSettings, "train.toml")
    assert "a warmup of 3 epochs leaves nothing of 3; it must be shorter" in str(caught.value)
