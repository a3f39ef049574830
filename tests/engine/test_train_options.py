"""What the loop does beyond the plain one: averaged weights, early stopping, several targets, TensorBoard; the settings."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fairaudit.config import TrainingSettings, validated
from fairaudit.engine.history import Progress, Validation
from fairaudit.engine.train import train
from fairaudit.engine.training_data import CachedImages, TrainingData
from fairaudit.errors import ConfigError, DivergenceError, FairauditError, TrainingError
from fairaudit.losses import cross_entropy, reweight
from fairaudit.losses.base import BinaryCrossEntropy, CrossEntropy, MultiTaskCrossEntropy
from tests.engine.small import accuracies, network, pictures, plain_network, run, same_bits, settings, weights

DATA = pictures()


def scoring(scores: list[float], heard: list[Tensor] | None = None) -> Callable[[int, Tensor], Validation]:
    def score(epoch: int, logits: Tensor) -> Validation:
        if heard is not None:
            heard.append(logits)
        return Validation(scores[epoch - 1], (0.5, 0.5, 0.5))

    return score


def judged(scores: list[float], **changes: Any) -> tuple[nn.Module, Any]:
    model = network()
    built = cross_entropy.build(DATA.counted)
    asked = settings(epochs=len(scores), **changes)
    return model, train(model, DATA, built, asked, validation=DATA.images, score=scoring(scores))


def test_averaged_weights_restated() -> None:
    """The weights of every step, written down one epoch of one batch at a time, and averaged by hand."""
    steps: list[list[Tensor]] = []
    model = plain_network()
    data = pictures(16)
    history = train(
        model,
        data,
        cross_entropy.build(data.counted),
        settings(epochs=6, schedule="none"),
        progress=lambda now: steps.append(weights(model)) if now.finished and now.finished.epoch == now.epoch else None,
    )
    assert len(steps) == len(history.epochs) == 6
    averaged, _ = run(model=plain_network(), data=data, epochs=6, schedule="none", ema=0.5)
    expected = weights(plain_network())
    for step, now in enumerate(steps):
        # timm's step counts from 1 and copies at first
        decay = min(0.5, 1 - (1 + step) ** (-2 / 3)) if step else 0.0
        expected = [decay * e + (1 - decay) * v for e, v in zip(expected, now, strict=True)]
    torch.testing.assert_close(weights(averaged), expected, rtol=1e-5, atol=1e-6)
    assert not torch.allclose(expected[0], steps[-1][0])


def test_averaged_weights_are_what_is_validated_and_kept() -> None:
    heard: list[Tensor] = []
    model = network()
    built = cross_entropy.build(DATA.counted)
    train(
        model, DATA, built, settings(ema=0.9, select="average"), validation=DATA.images,
        score=scoring([0.1, 0.9, 0.5], heard),
    )  # fmt: skip
    with torch.no_grad():
        logits = model((DATA.images.take(torch.arange(96)).float() / 255 - 0.5) / 0.25)
    torch.testing.assert_close(heard[1], logits, rtol=1e-4, atol=1e-5)
    assert not same_bits(model, run(epochs=2)[0])


@pytest.mark.parametrize(
    ("scores", "patience", "ran", "selected"),
    [
        ([0.1, 0.2, 0.3, 0.4], 1, 4, 4),
        ([0.5, 0.4, 0.6, 0.6, 0.5, 0.9], 2, 5, 3),
        ([0.5, 0.4, 0.3, 0.9], 2, 3, 1),
        ([0.5, math.nan, 0.6, math.nan, math.nan], 2, 5, 3),
    ],
)
def test_training_stops_when_nothing_gets_better(scores: list[float], patience: int, ran: int, selected: int) -> None:
    model, history = judged(scores, patience=patience, select="worst-group")
    assert (len(history.epochs), history.selected) == (ran, selected)
    # what is kept is the selected epoch of a training that was to last as long
    whole, _ = judged(scores[:selected] + [0.0] * (len(scores) - selected), select="worst-group")
    assert same_bits(model, whole)


def test_the_last_epoch_is_the_last_that_was_run() -> None:
    _, history = judged([0.5, 0.4, 0.3, 0.9], patience=2)
    assert (len(history.epochs), history.selected) == (3, 3)


def test_a_finished_early_stop_is_not_resumed_into(tmp_path: Path) -> None:
    def go(heard: list[Progress]) -> Any:
        return train(
            network(), DATA, cross_entropy.build(DATA.counted), settings(epochs=5, patience=1, select="gap"),
            validation=DATA.images, score=scoring([0.5, 0.4, 0.9, 0.9, 0.9]), progress=heard.append, resume=tmp_path,
        )  # fmt: skip

    first = go([])
    heard: list[Progress] = []
    assert go(heard) == first
    assert len(first.epochs) == 2
    assert heard == []


def test_label_smoothing_is_the_criterions() -> None:
    for smoothing, limit in ((0.0, 0.05), (0.4, 0.5)):
        model = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
        data = pictures(16)
        loss = cross_entropy.build(data.counted, CrossEntropy(smoothing))
        history = train(model, data, loss, settings(epochs=60, lr=0.05, label_smoothing=smoothing, warmup=1))
        # the smallest cross-entropy to targets of 0.8 and 0.2 is their entropy, 0.5004
        assert history.epochs[-1].loss == pytest.approx(limit, abs=0.06)


def multi_task() -> TrainingData:
    tasks = (("gender", ("female", "male")), ("group", ("zero", "one", "two")))
    pixels = DATA.images.take(torch.arange(96)).int()
    pixels[:, 2] = (40 + 80 * DATA.groups)[:, None, None]
    return replace(
        DATA,
        images=CachedImages(pixels.byte()),
        targets=torch.stack([DATA.targets, DATA.groups], dim=1),
        tasks=tasks,
        classes=("female", "male", "zero", "one", "two"),
    )


def test_one_network_learns_two_targets() -> None:
    data, model = multi_task(), plain_network(classes=5)
    heads = (slice(0, 2), slice(2, 5))
    seen: list[Tensor] = []
    history = train(
        model,
        data,
        reweight.build(data.counted, MultiTaskCrossEntropy(heads)),
        settings(epochs=25, select="average", accumulate=2),
        validation=data.images,
        score=scoring([float(e) for e in range(25)], seen),
    )
    assert history.epochs[-1].loss < 0.5 * history.epochs[0].loss
    for task, head in enumerate(heads):
        right = (seen[-1][:, head].argmax(1) == data.targets[:, task]).double().mean()
        assert float(right) > 0.85, data.tasks


def test_labels_that_do_not_exclude_each_other_are_learnt() -> None:
    data = multi_task()
    labels = torch.stack([data.targets[:, 0], data.groups > 0, data.groups < 2], dim=1).float()
    data = replace(data, targets=labels, tasks=None, classes=("male", "some", "few"))
    model = plain_network(classes=3)
    train(model, data, cross_entropy.build(data.counted, BinaryCrossEntropy()), settings(epochs=25))
    with torch.no_grad():
        logits = model((data.images.take(torch.arange(96)).float() / 255 - 0.5) / 0.25)
    assert float(((logits > 0) == (labels > 0)).double().mean()) > 0.9


class Recorder:
    """TensorBoard's writer, as far as it is used."""

    made: list[Recorder] = []  # noqa: RUF012

    def __init__(self, log_dir: Path, purge_step: int) -> None:
        self.folder, self.purged, self.scalars, self.closed = log_dir, purge_step, list[Any](), False
        Recorder.made.append(self)

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None:
        self.scalars.append((tag, scalar_value, global_step))

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True


def test_tensorboard_is_told_every_epoch_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = Recorder  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    Recorder.made.clear()

    def stop(now: Progress) -> None:
        if now.epoch == 3:
            raise KeyboardInterrupt

    model, built = network(), cross_entropy.build(DATA.counted)
    asked = settings(epochs=4, log="tensorboard")
    same: dict[str, Any] = {"validation": DATA.images, "score": accuracies(DATA), "resume": tmp_path}
    with pytest.raises(KeyboardInterrupt):
        train(model, DATA, built, asked, progress=stop, **same)
    history = train(network(), DATA, cross_entropy.build(DATA.counted), asked, **same)
    first, second = Recorder.made
    assert first.closed
    assert second.closed
    assert (first.folder, first.purged, second.purged) == (tmp_path / "tensorboard", 1, 3)
    steps = [step for writer in Recorder.made for tag, _, step in writer.scalars if tag == "loss"]
    assert steps == [1, 2, 3, 4]
    told = {(tag, step): value for writer in Recorder.made for tag, value, step in writer.scalars}
    assert told["loss", 4] == history.epochs[3].loss
    assert history.epochs[2].validation is not None
    assert told["accuracy of group 1", 3] == history.epochs[2].validation.group_accuracies[1]


def refusal(**arguments: Any) -> str:
    with pytest.raises(FairauditError) as caught:
        run(**arguments)
    return str(caught.value)


def test_refusals_are_one_sentence_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert refusal(patience=2) == "stopping early needs validation images; give some, or leave --patience out"
    assert refusal(select="gap") == "selecting an epoch by gap needs validation images; give some or select the last"
    assert refusal(log="tensorboard") == "TensorBoard's files need a folder: name one, or leave the log at csv"
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(FairauditError) as caught:
        train(network(), DATA, cross_entropy.build(DATA.counted), settings(log="tensorboard"), resume=tmp_path)
    assert str(caught.value) == "TensorBoard is not installed; run 'pip install tensorboard', or leave the log at csv"
    text = refusal(optimizer="fusedadam")
    assert text.startswith("the optimizer 'fusedadam' cannot be used here: ")
    assert text.endswith("; choose another, such as adamw or sgd")
    assert refusal(optimizer="adahessian") == (
        "the optimizer 'adahessian' needs second derivatives, which are not computed; choose another, such as adamw or sgd"
    )


def wrong(**changes: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        settings(**changes)
    return str(caught.value)


def test_settings_are_checked_once() -> None:
    assert settings(augment="none").augment == settings(augment=[]).augment == settings(augment=["none"]).augment == ()
    assert settings(augment="classic").augment == ("classic",)
    assert settings(augment="s1, mixup").augment == settings(augment=["s1", "mixup"]).augment == ("s1", "mixup")
    assert settings(freeze=" layer1 , bn1").freeze == "layer1,bn1"
    assert TrainingSettings.model_validate(settings(augment="s1,cutmix").model_dump(mode="json")).augment == (
        "s1",
        "cutmix",
    )
    assert wrong(augment="classic,s1") == (
        "the test: augment: classic and s1 are two recipes for the same changes; choose one"
    )
    assert wrong(augment=["mixup", "mixup"]) == "the test: augment: mixup is named twice"
    assert "'classic', 's1', 'randaugment', 'mixup' or 'cutmix'" in wrong(augment="blur")
    assert wrong(accumulate=17) == "the test: a batch of 16 images cannot be computed in 17 parts"
    for key, value in (
        ("ema", 1.0), ("ema", 0.0), ("label_smoothing", 1.0), ("patience", 0), ("accumulate", 0), ("mix_alpha", 0),
        ("mix_share", 0), ("mix_share", 1.1), ("lr", math.inf), ("select", "best"), ("cache", "tape"), ("log", "paper"),
    ):  # fmt: skip
        assert wrong(**{key: value}).startswith(f"the test: {key}: "), key
    assert validated({}, TrainingSettings, "nothing") == TrainingSettings()


def test_memory_that_runs_out_beside_the_batches_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch.optim.AdamW, "step", fail)
    with pytest.raises(TrainingError) as caught:
        judged([0.1], optimizer="adamw")
    assert str(caught.value) == (
        "the weights, what the optimizer keeps of them and their average do not fit into the memory of 'cpu'; "
        "choose a smaller network or --optimizer sgd, or leave --ema out"
    )


def test_outputs_that_are_no_numbers_end_the_training() -> None:
    """The loss of the only batch was still a number, and so are the weights after it."""
    model, data = network(), pictures(16)
    asked = settings(epochs=3, lr=1e38, optimizer="sgd", batch_size=16, schedule="none")
    loss = cross_entropy.build(data.counted)
    with pytest.raises(DivergenceError, match=r"no finite numbers in epoch 1: lower --lr \(now 1e\+38\)$"):
        train(model, data, loss, asked, validation=data.images, score=scoring([0.1] * 3))
