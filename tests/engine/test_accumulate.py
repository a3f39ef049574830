"""Gradients in parts: those of the whole batch, whatever the loss; and what happens when memory runs out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from torch import Tensor, nn

from fairaudit.engine.accumulate import Gradients
from fairaudit.engine.devices import Placement
from fairaudit.engine.mixing import Batch
from fairaudit.engine.train import train
from fairaudit.errors import TrainingError
from fairaudit.losses import class_spread, cross_entropy, cvar, focal, group_dro, max_group, reweight
from fairaudit.losses.base import GroupLoss
from tests.engine.small import network, pictures, plain_network, run, same_bits, settings, told, weights

DATA = pictures()
LOSSES = [cross_entropy, reweight, focal, max_group, group_dro, cvar, class_spread]
CPU = Placement(torch.device("cpu"), 0, 1)


def a_batch(n: int = 16, seed: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    targets, groups = (torch.randint(0, k, (n,), generator=generator) for k in (2, 3))
    return Batch(torch.rand(n, 3, 8, 8, generator=generator), targets, groups)


def gradients_of(model: nn.Module, loss: GroupLoss, parts: int, say: Callable[[str], None] = lambda _: None) -> Gradients:
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    return Gradients(model, model, loss, scaler, lambda net, x: net(x), CPU, parts, say)


def found(model: nn.Module) -> list[Tensor]:
    return [parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None]


@pytest.mark.parametrize("module", LOSSES)
@pytest.mark.parametrize("parts", [2, 3, 16])
def test_parts_have_the_gradient_of_the_whole(module: Any, parts: int) -> None:
    batch, whole, split = a_batch(), plain_network(), plain_network()
    loss = module.build(DATA.counted)
    value = loss(whole(batch.inputs), batch.targets, batch.groups)
    torch.autograd.backward(value)
    outputs, latest = gradients_of(split, module.build(DATA.counted), parts)(batch, [16], "")
    assert latest == pytest.approx(float(value.detach()), rel=1e-5)
    torch.testing.assert_close(outputs, whole(batch.inputs).detach(), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(found(split), found(whole), rtol=1e-4, atol=1e-6)
    assert max(float(g.abs().max()) for g in found(split)) > 1e-3


@examples(max_examples=20, deadline=None)
@given(n=st.integers(4, 23), parts=st.integers(2, 30), seed=st.integers(0, 99))
def test_any_batch_in_any_number_of_parts(n: int, parts: int, seed: int) -> None:
    batch, whole, split = a_batch(n, seed), plain_network(seed), plain_network(seed)
    for module in (max_group, cross_entropy):
        whole.zero_grad()
        torch.autograd.backward(module.build(DATA.counted)(whole(batch.inputs), batch.targets, batch.groups))
        gradients_of(split, module.build(DATA.counted), parts)(batch, [n], "")
        torch.testing.assert_close(found(split), found(whole), rtol=1e-3, atol=1e-6)


def test_with_dropout_and_batch_statistics_both_passes_see_the_same() -> None:
    """Restated with one graph: every part once, the loss of all, one way back."""
    batch, plain, split = a_batch(15), network(), network()
    torch.manual_seed(5)
    outputs = torch.cat([plain(part) for part in torch.tensor_split(batch.inputs, 4)])
    torch.autograd.backward(max_group.build(DATA.counted)(outputs, batch.targets, batch.groups))
    after = torch.get_rng_state()
    torch.manual_seed(5)
    said: list[str] = []
    seen, _ = gradients_of(split, max_group.build(DATA.counted), 4, said.append)(batch, [15], "")
    assert torch.equal(seen, outputs.detach())
    torch.testing.assert_close(found(split), found(plain), rtol=1e-5, atol=1e-8)
    assert torch.equal(torch.get_rng_state(), after)
    for name, buffer in split.named_buffers():
        assert torch.equal(buffer, dict(plain.named_buffers())[name]), f"{name} moved twice"
    assert said == ["batch normalisation takes its statistics from each part of 4 images, not from the whole batch of 15"]


def test_frozen_batch_statistics_are_not_spoken_of() -> None:
    model, said = network().eval(), list[str]()
    gradients_of(model, max_group.build(DATA.counted), 4, said.append)(a_batch(), [16], "")
    assert said == []


def test_what_a_loss_remembers_is_remembered_once() -> None:
    batch, whole, split = a_batch(), plain_network(), plain_network()
    one, other = group_dro.build(DATA.counted, step_size=0.5), group_dro.build(DATA.counted, step_size=0.5)
    one(whole(batch.inputs), batch.targets, batch.groups)
    gradients_of(split, other, 4)(batch, [16], "")
    torch.testing.assert_close(dict(other.named_buffers()), dict(one.named_buffers()))


@pytest.mark.parametrize("loss", [cross_entropy.build, max_group.build])
def test_a_training_in_parts_ends_where_one_in_whole_does(loss: Callable[..., GroupLoss]) -> None:
    whole, history = run(model=plain_network(), loss=loss, optimizer="sgd")
    split, again = run(model=plain_network(), loss=loss, optimizer="sgd", accumulate=3)
    torch.testing.assert_close(weights(split), weights(whole), rtol=1e-3, atol=1e-5)
    assert [e.loss for e in again.epochs] == pytest.approx([e.loss for e in history.epochs], rel=1e-4)


class Scarce(nn.Module):
    """A network whose memory holds so many images, and no more from a step on."""

    def __init__(self, inner: nn.Module, room: int, error: Exception, after: int = 0) -> None:
        super().__init__()
        self.inner, self.room, self.error, self.left = inner, room, error, after

    def forward(self, images: Tensor) -> Tensor:
        features = self.inner[0:4](images)  # type: ignore[index]
        if self.training:
            self.left -= 1
        if len(images) > self.room and self.left < 0:
            raise self.error
        logits: Tensor = self.inner[4:](features)  # type: ignore[index]
        return logits


ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
]


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("loss", [cross_entropy.build, max_group.build])
def test_when_memory_runs_out_the_parts_shrink_and_the_batch_does_not(
    loss: Callable[..., GroupLoss], error: Exception
) -> None:
    """From the first step, it is the training that was asked for in parts, bit for bit: dropout, statistics and all."""
    said: list[str] = []
    scarce = Scarce(network(), 5, error)
    history = train(scarce, DATA, loss(DATA.counted), settings(), say=said.append)
    asked, again = run(loss=loss, accumulate=4)
    assert same_bits(scarce, asked)
    assert told(history) == told(again)
    assert said == [
        "memory ran out: each batch of 16 images is computed in 4 parts of at most 4 from now on, "
        "with the gradient of the whole",
        "batch normalisation takes its statistics from each part of 4 images, not from the whole batch of 16",
    ]


def test_memory_may_run_out_late_and_the_rest_goes_on_in_parts(tmp_path: Path) -> None:
    said: list[str] = []
    scarce = Scarce(plain_network(), 8, ERRORS[0], after=9)
    train(scarce, DATA, max_group.build(DATA.counted), settings(), say=said.append, resume=tmp_path)
    assert len(said) == 1
    whole, _ = run(model=plain_network(), loss=max_group.build)
    torch.testing.assert_close(weights(scarce), weights(whole), rtol=1e-3, atol=1e-5)
    assert torch.load(tmp_path / "training.pt", weights_only=True)["parts"] == 2


def test_a_network_that_does_not_fit_at_all_is_one_sentence() -> None:
    for model, few in ((plain_network(), "one image"), (network(), "2 images")):
        with pytest.raises(TrainingError) as caught:
            run(model=Scarce(model, 0, ERRORS[0]))
        assert str(caught.value) == f"the network does not fit into the memory of 'cpu', even with {few} at a time"


def test_another_failure_is_not_taken_for_lack_of_memory() -> None:
    with pytest.raises(RuntimeError, match=r"^a bug$"):
        run(model=Scarce(network(), 0, RuntimeError("a bug")))


def test_divergence_in_parts_is_one_sentence() -> None:
    for loss in (cross_entropy.build, max_group.build):
        with pytest.raises(TrainingError, match=r"^the loss became \w+ in epoch \d: lower --lr \(now 1e\+30\)$"):
            run(model=plain_network(), loss=loss, accumulate=4, lr=1e30, optimizer="sgd")
