"""The network as the engine trains it: what it gives, what the loss reads, and which weights learn how fast."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from fairaudit.config import TrainingSettings
from fairaudit.engine.freezing import frozen
from fairaudit.engine.optim import make_optimizer
from fairaudit.engine.train import train
from fairaudit.engine.training_data import CachedImages, TrainingData
from fairaudit.losses.base import CROSS_ENTROPY
from fairaudit.metric_learning.branches import Adversary, Branch, Decorrelated
from fairaudit.metric_learning.objectives import Objective
from fairaudit.metric_learning.training import Branched, EmbeddingLoss
from fairaudit.models.embedder import EmbeddingNetwork
from tests.methods.studies import PREPROCESS, small_network

D = 6


def branched(*branches: Branch) -> Branched:
    return Branched(EmbeddingNetwork(small_network(D, 0)), Objective("margin", "usual", 3, D, 0), branches, 5e-4, 0)


def list_of(inner: nn.Module) -> nn.Sequential:
    assert isinstance(inner, nn.Sequential)
    return inner


def decorrelated(attribute: str = "tone") -> Decorrelated:
    return Decorrelated(attribute, 2, D, 150.0, 0.3, 0)


def test_embeddings_of_branches_stand_beside_in_training_alone() -> None:
    model = branched(decorrelated(), Adversary("age", 3, D, 1.0, 0), decorrelated("gender"))
    images = torch.rand(8, 3, 8, 8)
    assert model.eval()(images).shape == (8, D)
    outputs = model.train()(images)
    assert outputs.shape == (8, 3 * D)
    torch.testing.assert_close(outputs.reshape(8, 3, D).norm(dim=2), torch.ones(8, 3))
    features = list_of(model.network.inner)[:6].eval()(images)
    outputs = model.train()(images)
    assert not torch.allclose(outputs[:, :D], outputs[:, D : 2 * D])
    assert features.shape == (8, 8)


def test_a_branch_sees_the_features_below_the_head() -> None:
    model = branched(decorrelated())
    for module in model.modules():
        module.training = False
    model.heads.training = True  # only what it gives changes: no dropout, no batch statistics
    images = torch.rand(8, 3, 8, 8)
    features = list_of(model.network.inner)[:6](images)
    expected = torch.cat([model.network(images), functional.normalize(model.heads[0](features), dim=1)], dim=1)
    assert torch.equal(model(images), expected)


def test_the_loss_reads_each_part_with_the_levels_of_its_attribute() -> None:
    first, second = decorrelated(), Adversary("age", 3, D, 1.0, 0)
    model = branched(second, first)
    level_of = [torch.tensor([0, 1, 2, 0]), torch.tensor([0, 0, 1, 1])]
    loss = EmbeddingLoss(4, CROSS_ENTROPY, model, D, level_of)
    outputs = functional.normalize(torch.randn(12, 2, D), dim=2).reshape(12, 2 * D)
    targets, groups = torch.arange(12) % 3, torch.arange(12) % 4
    torch.manual_seed(0)
    value = loss(outputs, targets, groups)
    torch.manual_seed(0)
    expected = model.objective(outputs[:, :D], targets)
    expected = expected + second(outputs[:, :D], None, level_of[0][groups])
    expected = expected + first(outputs[:, :D], outputs[:, D:], level_of[1][groups])
    assert torch.equal(value, expected)


def test_beta_has_a_learning_rate_of_its_own_through_the_whole_schedule() -> None:
    model = branched(decorrelated())
    settings = TrainingSettings(epochs=2, lr=1e-2, device="cpu", schedule="cosine")
    optimizer, scheduler = make_optimizer(model, settings, steps=4)
    betas = {id(model.objective.beta), id(next(m for m in model.branches.modules() if isinstance(m, Objective)).beta)}
    held = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    assert set(held) == {id(p) for p in model.parameters()}
    for step in range(4):
        scheduler.step_update(step)
        usual = {group["lr"] for key, group in held.items() if key not in betas}
        own = {group["lr"] for key, group in held.items() if key in betas}
        assert len(usual) == len(own) == 1
        assert own.pop() == pytest.approx(usual.pop() * 5e-4 / 1e-2)
    assert all(held[beta]["weight_decay"] == 0 for beta in betas)


def test_above_a_frozen_backbone_heads_and_branches_learn() -> None:
    model = branched(decorrelated())
    with frozen(model, "backbone") as part:
        model.train()
        part.hold()
        learnt = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
        kept = {name for name, _ in model.named_parameters()} - learnt
        assert kept == {"network.inner.2.weight", "network.inner.2.bias", "network.inner.3.weight", "network.inner.3.bias"}
        assert not list_of(model.network.inner)[3].training
        assert model.heads[0].training


@pytest.mark.parametrize("branches", [False, True])
def test_a_batch_in_parts_has_the_gradient_of_the_whole_also_of_what_the_loss_learns(branches: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (24, 3, 8, 8), generator=generator, dtype=torch.uint8)
    data = TrainingData(
        CachedImages(pixels), torch.arange(24) % 3, torch.arange(24) % 2, ("a", "b", "c"), ("no", "yes"), PREPROCESS
    )
    weights = []
    for parts in (1, 3):
        torch.manual_seed(0)
        plain = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, D))
        added: list[Branch] = [Adversary("tone", 2, D, 1.0, 0)] if branches else []
        model = Branched(EmbeddingNetwork(plain), Objective("margin", "none", 3, D, 0), added, 5e-2, 0)
        loss = EmbeddingLoss(2, CROSS_ENTROPY, model, D, [torch.arange(2)] * len(added))
        settings = TrainingSettings(
            epochs=2, batch_size=12, lr=1e-2, optimizer="sgd", device="cpu", workers=0, accumulate=parts, schedule="none"
        )
        train(model, data, loss, settings)
        weights.append({name: value.clone() for name, value in model.state_dict().items()})
    assert (weights[0]["objective.loss.beta"] != 1.2).any()
    for name, value in weights[0].items():
        torch.testing.assert_close(weights[1][name], value, rtol=1e-4, atol=1e-6)
