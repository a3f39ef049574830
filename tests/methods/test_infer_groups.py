"""Groups that a second classifier infers: what the loss is given, and how wrong it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from fairaudit.config import ModelSettings, TrainingSettings
from fairaudit.engine.train import train
from fairaudit.engine.training_data import TrainingData
from fairaudit.errors import FairauditError
from fairaudit.losses import cross_entropy, max_group, val_attention
from fairaudit.methods import infer_groups
from fairaudit.methods._checkpoints import open_other
from fairaudit.models.classifier import build_network, save_classifier
from fairaudit.models.head import Head, Task
from fairaudit.predictions import MISSING, Column
from tests.methods.studies import PREPROCESS, Part, bench, biased, labelled, logits, same

ARCH = "timm/test_resnet"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that sees glasses, but not always."""
    torch.set_num_threads(1)
    seen = biased(64, 0.5, seed=20, target="glasses").data
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build_network(ARCH, 2)
    settings = TrainingSettings(epochs=3, batch_size=16, lr=3e-3, device="cpu", workers=0)
    train(network, seen, cross_entropy.build(seen.counted), settings)
    path = tmp_path_factory.mktemp("groups") / "glasses.pt"
    head = Head(2, (Task("glasses", ("yes", "no"), (1, 0)),))
    save_classifier(path, network, architecture=ARCH, arch_kwargs={}, head=head, preprocess=PREPROCESS)
    return path


def told(path: Path, data: TrainingData) -> list[int]:
    """What the checkpoint says of each image, as positions in ("no", "yes")."""
    network = open_other(path, "glasses", {}, settings=ModelSettings()).classifier.model
    return logits(network, data).argmax(dim=1).tolist()


def test_the_loss_is_given_what_the_checkpoint_says(checkpoint: Path) -> None:
    asked = bench(build=max_group.build)
    outcome = infer_groups.run(asked.study, checkpoint=checkpoint)
    (call,) = asked.calls
    assert call.data.groups.tolist() == told(checkpoint, asked.study.train)
    assert call.data.group_labels == asked.study.train.group_labels
    assert torch.equal(call.data.targets, asked.study.train.targets)
    assert isinstance(call.loss, max_group.MaxGroupLoss)
    changed = int((call.data.groups != asked.study.train.groups).sum())
    assert 0 < changed < 48
    assert outcome.notes[-1] == (f"{changed} of 96 training images are in another group than their labels say")


def test_the_error_rate_is_that_on_validation_images_of_known_group(checkpoint: Path) -> None:
    held = biased(96, 0.5, seed=2)
    codes = held.columns["glasses"].codes.copy()
    codes[::4] = MISSING
    part = Part(held.data, {**held.columns, "glasses": Column(codes, ("no", "yes"))})
    outcome = infer_groups.run(bench(validation=part).study, checkpoint=checkpoint)
    found = np.array(told(checkpoint, held.data))
    known = codes != MISSING
    errors = int((found[known] != codes[known]).sum())
    assert outcome.label_noise == {"glasses": errors / 72}
    note = outcome.notes[0]
    assert note.startswith(
        f"the inferred glasses is wrong on {errors} of 72 validation images ({100 * errors / 72:.1f} %, 95 % interval "
    )


def test_levels_in_another_order_are_the_same_levels(checkpoint: Path) -> None:
    part, held = biased(96, 0.8, seed=1), biased(96, 0.5, seed=2)
    turned = [
        Part(one.data, {**one.columns, "glasses": Column(1 - one.columns["glasses"].codes, ("yes", "no"))})
        for one in (part, held)
    ]
    straight, other = bench(part, held), bench(*turned)
    noise = [infer_groups.run(one.study, checkpoint=checkpoint).label_noise for one in (straight, other)]
    assert noise[0] == noise[1]
    assert torch.equal(other.calls[0].data.groups, 1 - straight.calls[0].data.groups)
    assert other.calls[0].data.group_labels == ("glasses: yes", "glasses: no")


def test_images_without_any_groups_get_some(checkpoint: Path) -> None:
    def without(seed: int) -> Part:
        part = biased(96, 0.8, seed=seed, by="")
        return Part(part.data, {name: one for name, one in part.columns.items() if name != "glasses"})

    asked = bench(without(1), without(2), by=(), build=val_attention.build)
    outcome = infer_groups.run(asked.study, checkpoint=checkpoint, by=("glasses",))
    data = asked.calls[0].data
    assert data.group_labels == ("glasses: yes", "glasses: no"), "the checkpoint's own levels, where there are no others"
    assert data.groups.tolist() == [1 - code for code in told(checkpoint, asked.study.train)]
    assert outcome.label_noise is None
    assert outcome.notes == ("how often the inferred glasses is wrong is not known, because no validation image has it",)


def test_the_same_seed_gives_the_same_weights(checkpoint: Path) -> None:
    first, second = (infer_groups.run(bench().study, checkpoint=checkpoint).model for _ in range(2))
    assert same(first, second)


@pytest.mark.training
def test_what_was_assumed_of_the_checkpoint_is_told(checkpoint: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare.pt"
    network: nn.Module = open_other(checkpoint, "glasses", {}).classifier.model
    torch.save(network.state_dict(), bare)
    outcome = infer_groups.run(bench().study, checkpoint=bare, arch=ARCH, head="softmax")
    assert (
        "the checkpoint: classes in the order of the dataset card (no, yes): assumed; --classes states another"
        in outcome.notes
    )


@pytest.mark.parametrize(
    ("options", "by", "sentence"),
    [
        ({}, ("glasses",), "the method infer-groups needs a classifier of the groups; give one with checkpoint=FILE"),
        (
            {"checkpoint": Path("x.pt"), "by": ("gender",)},
            ("glasses",),
            "infer-groups infers the groups of --by glasses, not gender; leave by out",
        ),
        (
            {"checkpoint": Path("x.pt")},
            (),
            "infer-groups must know which attributes to infer; name them with by, for example by=race",
        ),
    ],
)
def test_refusals(options: dict[str, Any], by: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(FairauditError) as caught:
        infer_groups.run(bench(by=by).study, **options)
    assert str(caught.value) == sentence


def test_a_checkpoint_that_is_wrong_about_half_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    network = open_other(checkpoint, "glasses", {}).classifier.model
    swapped = tmp_path / "swapped.pt"
    head = Head(2, (Task("glasses", ("no", "yes"), (1, 0)),))
    save_classifier(swapped, network, architecture=ARCH, arch_kwargs={}, head=head, preprocess=PREPROCESS)
    asked = bench()
    errors = 96 - int((np.array(told(checkpoint, asked.study.validation)) != asked.study.validation.groups.numpy()).sum())
    with pytest.raises(FairauditError) as caught:
        infer_groups.run(asked.study, checkpoint=swapped)
    sentence = str(caught.value)
    assert sentence.startswith(f"infer-groups: the checkpoint's glasses is wrong on {errors} of 96 validation images")
    assert sentence.endswith("; give a better classifier")
    assert not asked.calls


def test_a_group_that_only_the_checkpoint_has_emptied_is_named(checkpoint: Path, tmp_path: Path) -> None:
    network = open_other(checkpoint, "glasses", {}).classifier.model
    for parameter in network.parameters():
        nn.init.zeros_(parameter)
    blind = tmp_path / "blind.pt"
    head = Head(2, (Task("glasses", ("no", "yes"), (0, 1)),))
    save_classifier(blind, network, architecture=ARCH, arch_kwargs={}, head=head, preprocess=PREPROCESS)
    held = labelled(np.arange(48) % 2, np.arange(48) // 2 % 5 // 3, seed=2)
    with pytest.raises(FairauditError) as caught:
        infer_groups.run(bench(validation=held, build=max_group.build).study, checkpoint=blind)
    assert str(caught.value) == (
        "infer-groups: the checkpoint puts none of the 96 training images into the group 'glasses: yes', and the loss "
        "needs some of every group; give a better classifier, or choose another loss"
    )


def test_other_levels_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "kinds.pt"
    head = Head(3, (Task("glasses", ("no", "yes", "sun"), (0, 1, 2)),))
    save_classifier(path, build_network(ARCH, 3), architecture=ARCH, arch_kwargs={}, head=head, preprocess=PREPROCESS)
    with pytest.raises(FairauditError) as caught:
        infer_groups.run(bench().study, checkpoint=path)
    assert str(caught.value) == "kinds.pt predicts glasses as no, yes, sun, but its levels here are no, yes"
