"""Frozen layers, the last layer, and features that are computed once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fairaudit.config import Preprocess
from fairaudit.engine.features import features_of
from fairaudit.engine.freezing import frozen
from fairaudit.engine.history import Validation
from fairaudit.engine.train import train
from fairaudit.engine.training_data import TrainingData, open_images
from fairaudit.errors import FairauditError, UsageError
from fairaudit.losses import cross_entropy, max_group
from fairaudit.models.factory import build_network
from tests.engine.small import accuracies, network, pictures, run, same_bits, settings, told, weights

DATA = pictures()


def uncached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fairaudit.engine.train.features_of", lambda *_: None)


@pytest.mark.parametrize("changes", [{}, {"ema": 0.9, "balance": "groups", "optimizer": "sgd"}])
def test_cached_features_train_as_the_frozen_network_does(monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]) -> None:
    def go() -> tuple[nn.Module, Any, int]:
        model, data, calls = network(), pictures(), []
        model[0].register_forward_hook(lambda *_: calls.append(1))
        history = train(
            model,
            data,
            max_group.build(data.counted),
            settings(freeze="backbone", select="worst-group", epochs=5, **changes),
            validation=pictures().images,
            score=accuracies(data),
        )
        return model, history, len(calls)

    model, history, calls = go()
    before = network()
    assert calls == 2 * 6, "training and validation images go through the network once"
    assert all(torch.equal(a, b) for a, b in zip(weights(model)[:-2], weights(before)[:-2], strict=True))
    assert not torch.equal(weights(model)[-1], weights(before)[-1])
    assert all(parameter.requires_grad for parameter in model.parameters())
    uncached(monkeypatch)
    whole, again, many = go()
    assert many == 5 * 2 * 6
    torch.testing.assert_close(weights(model), weights(whole), rtol=1e-4, atol=1e-6)
    assert [e.loss for e in history.epochs] == pytest.approx([e.loss for e in again.epochs], rel=1e-4)
    assert history.selected == again.selected


def test_features_are_remembered_for_the_next_head_and_for_no_other_body() -> None:
    data, calls = pictures(), list[int]()

    def seen_by(model: nn.Module, **changes: Any) -> int:
        handle = model.register_forward_hook(lambda *_: calls.append(1))
        calls.clear()
        train(model, data, cross_entropy.build(data.counted), settings(freeze="backbone", **changes))
        handle.remove()
        return len(calls)

    first = network()
    assert seen_by(first) == 6
    other_head = network()
    torch.nn.init.zeros_(other_head[6].weight)  # type: ignore[arg-type]
    assert seen_by(other_head) == seen_by(network(), ema=0.9) == 0
    assert seen_by(network(1)) == 6, "other weights"
    assert seen_by(network()) == 6, "only the latest are kept"
    tanh = network()
    tanh[2] = nn.Tanh()
    assert seen_by(tanh) == 6, "the same weights, another activation"
    assert seen_by(network(), precision="bf16") == 6
    alone, _ = run(model=network(), freeze="backbone")
    assert same_bits(alone, first)


def test_random_changes_need_the_images() -> None:
    model, calls = network(), []
    model[0].register_forward_hook(lambda *_: calls.append(1))
    train(model, DATA, cross_entropy.build(DATA.counted), settings(freeze="backbone", augment="classic", epochs=2))
    assert len(calls) == 2 * 6


def test_what_follows_the_last_layer_needs_the_network() -> None:
    """Features alone would train another network: here the outputs are scaled after the last layer."""

    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = network()

        def forward(self, images: Tensor) -> Tensor:
            logits: Tensor = 3 * self.inner(images)
            return logits

    said: list[str] = []
    model = Scaled()
    assert features_of(model, DATA, None, settings()) is None
    train(model, DATA, cross_entropy.build(DATA.counted), settings(freeze="backbone"), say=said.append)
    assert said == ["the last layer is not all that follows the features, so the frozen network runs in every epoch"]
    before = Scaled()
    assert all(torch.equal(a, b) for a, b in zip(weights(model)[:-2], weights(before)[:-2], strict=True))
    assert not torch.equal(weights(model)[-1], weights(before)[-1])


def test_named_layers_keep_weights_and_batch_statistics() -> None:
    model, _ = run(freeze="0,1")
    before = network()
    for name, value in model.state_dict().items():
        changed = not torch.equal(value, before.state_dict()[name])
        assert changed == name.startswith("6"), name
    all_of_it, _ = run()
    assert not torch.equal(all_of_it.state_dict()["1.running_mean"], before.state_dict()["1.running_mean"])


def test_frozen_dropout_is_off_and_the_rest_is_not() -> None:
    model = network()
    with frozen(model, "1,6") as part:
        model.train()
        part.hold()
        assert [module.training for module in model] == [True, False, True, True, True, True, False]
        assert [p.requires_grad for p in model.parameters()] == [True, True, False, False, False, False]
    with frozen(model, "backbone") as part:
        model.train()
        part.hold()
        assert [module.training for module in model] == [False] * 6 + [True]
        assert not model.training
    assert all(p.requires_grad for p in model.parameters())


def test_prefixes_end_at_dots_and_single_weights_have_names() -> None:
    model = build_network("timm/vit_tiny_patch16_224", 2, {"img_size": 32, "depth": 12, "embed_dim": 12, "num_heads": 1})
    with frozen(model, "pos_embed,blocks.1"):
        frozen_ones = {name for name, p in model.named_parameters() if not p.requires_grad}
    assert frozen_ones == {n for n, _ in model.named_parameters() if n == "pos_embed" or n.startswith("blocks.1.")}
    assert len(frozen_ones) > 3


def test_what_was_frozen_by_the_caller_stays_so() -> None:
    model = network()
    model[6].requires_grad_(False)
    with frozen(model, "0"):
        pass
    assert [p.requires_grad for p in model.parameters()] == [True] * 4 + [False] * 2


def refusal(**changes: Any) -> str:
    with pytest.raises(FairauditError) as caught:
        run(**changes)
    return str(caught.value)


def test_refusals_are_one_sentence_each() -> None:
    model = nn.Sequential()
    model.add_module("layer1", nn.Flatten())
    model.add_module("layer2", nn.Linear(192, 2))
    assert refusal(model=model, freeze="layer1") == (
        "no layer of the network is called 'layer1'; did you mean 'layer2'?"
    )  # a layer without weights cannot be frozen
    assert refusal(model=model, freeze="layer2") == "every layer of the network is frozen, so there is nothing to train"
    assert refusal(freeze="backbone", model=nn.Sequential(nn.Conv2d(3, 2, 8), nn.Flatten())).startswith(
        "the network's last layer cannot be told: its last one is 0 (Conv2d)"
    )
    assert refusal(freeze="0,,1") == (
        "the test: freeze: '0,,1' must be none, backbone, or names of layers with commas between them"
    )
    assert refusal(freeze="backbone,0") == "the test: freeze: none and backbone stand alone"


def test_a_loss_of_embeddings_is_given_what_goes_into_the_last_layer() -> None:
    seen: list[Tensor] = []

    class Spread(cross_entropy.MeanLoss):
        wants = "embeddings"
        whole_batch = True

        def forward(self, logits: Tensor, targets: Tensor, groups: Tensor) -> Tensor:
            seen.append(logits.detach())
            return (logits[targets == 1].mean(dim=0) - logits[targets == 0].mean(dim=0)).square().sum().neg().exp()

    model, before = network(), network()
    loss = Spread(3, cross_entropy.build(DATA.counted).criterion)
    history = train(
        model,
        DATA,
        loss,
        settings(epochs=5, accumulate=2),
        validation=DATA.images,
        score=lambda *_: Validation(1.0, (1.0, 1.0, 1.0)),
    )
    assert {tuple(values.shape) for values in seen} == {(16, 8)}
    assert history.epochs[-1].loss < history.epochs[0].loss
    assert all(epoch.validation is None for epoch in history.epochs)
    assert all(value != value for value in history.epochs[0].group_losses)
    assert same_bits(model[6], before[6]), "the last layer is not trained"
    assert not same_bits(model[0], before[0])
    with pytest.raises(UsageError) as caught:
        train(model, DATA, loss, settings(select="average"), validation=DATA.images, score=accuracies(DATA))
    assert str(caught.value) == "a loss of embeddings has no validation accuracy to select by; select the last epoch"


def test_a_cache_on_disk_serves_the_features_too(tmp_path: Path) -> None:
    import io

    from PIL import Image

    class Drawn:
        def read(self, row: str) -> bytes:
            buffer = io.BytesIO()
            Image.new("RGB", (8, 8), (int(row) * 2, 100, 100)).save(buffer, "PNG")
            return buffer.getvalue()

        def missing(self, rows: Any) -> list[str]:
            return []

    rows = [str(i) for i in range(96)]
    preprocess = Preprocess(size=(8, 8), resize="squash", mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    results = []
    for cache in ("memory", "disk", "none"):
        images = open_images(Drawn(), rows, preprocess, cache=cache, folder=tmp_path)
        data = TrainingData(images, DATA.targets, DATA.groups, DATA.classes, DATA.group_labels, preprocess)
        model, history = run(data=data, freeze="backbone")
        results.append((model, told(history)))
    assert all(same_bits(results[0][0], model) and results[0][1] == one for model, one in results[1:])
