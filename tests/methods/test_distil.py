"""Distillation: the loss is the formula's, the teacher stays as it is, and the student is a network of its own."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fairaudit.config import Preprocess
from fairaudit.errors import ArchitectureError, CheckpointError, FairauditError
from fairaudit.losses import max_group
from fairaudit.losses.base import CrossEntropy
from fairaudit.losses.cross_entropy import MeanLoss
from fairaudit.methods import distil
from fairaudit.methods._target import target_of
from fairaudit.methods.base import Study
from fairaudit.methods.distil import Distillation
from fairaudit.models.classifier import build_network, save_classifier
from fairaudit.models.head import Head, Task
from tests.methods.studies import PREPROCESS, bench, biased, logits, same, small_network, weights

ARCH = "timm/test_resnet"


def saved(path: Path, classes: tuple[str, ...] = ("male", "female"), task: str = "gender", **changes: Any) -> nn.Module:
    """A checkpoint with random weights, and its network."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        network = build_network(ARCH, len(classes)).eval()
    preprocess = Preprocess(**{**PREPROCESS.model_dump(), **changes})
    head = Head(len(classes), (Task(task, classes, tuple(range(len(classes)))),))
    save_classifier(path, network, architecture=ARCH, arch_kwargs={}, head=head, preprocess=preprocess)
    return network


def plain_loss(z: list[float], t: list[float], y: int, temperature: float, share: float) -> float:
    def softmax(row: list[float], by: float) -> list[float]:
        total = sum(math.exp(v / by) for v in row)
        return [math.exp(v / by) / total for v in row]

    hard = -math.log(softmax(z, 1)[y])
    apart = sum(
        p * (math.log(p) - math.log(q)) for p, q in zip(softmax(t, temperature), softmax(z, temperature), strict=True)
    )
    return (1 - share) * hard + share * temperature**2 * apart


@pytest.mark.parametrize(("temperature", "share"), [(4.0, 0.9), (1.0, 0.5), (2.0, 0.0), (2.0, 1.0)])
def test_the_loss_of_an_image_is_the_formulas(temperature: float, share: float) -> None:
    generator = torch.Generator().manual_seed(0)
    both = torch.randn(10, 6, generator=generator, dtype=torch.float64)
    targets = torch.randint(3, (10,), generator=generator)
    criterion = Distillation(CrossEntropy(), 3, temperature, share)
    wanted = [
        plain_loss(row[:3], row[3:], y, temperature, share) for row, y in zip(both.tolist(), targets.tolist(), strict=True)
    ]
    torch.testing.assert_close(criterion(both, targets), torch.tensor(wanted, dtype=torch.float64))
    soft = torch.cat([torch.nn.functional.one_hot(targets, 3), torch.zeros(10, 3)], dim=1).double()
    torch.testing.assert_close(criterion(both, soft), criterion(both, targets))


def test_the_teacher_has_no_gradient_and_a_student_like_it_no_divergence() -> None:
    student = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    both = torch.cat([student, student], dim=1).requires_grad_()
    value = Distillation(CrossEntropy(), 3, 3.0, 1.0)(both, torch.zeros(5, dtype=torch.int64)).sum()
    torch.autograd.backward(value)
    assert float(value.detach()) == pytest.approx(0, abs=1e-12)
    assert both.grad is not None
    assert both.grad.abs().max() < 1e-12
    criterion = Distillation(CrossEntropy(), 3, 3.0, 0.5)
    assert criterion.tasks(6) == (slice(0, 3),)
    torch.testing.assert_close(criterion.probabilities(both), student.softmax(dim=1))
    assert criterion.shares(both, torch.zeros(5, dtype=torch.int64))[:, 0].eq(1).all()


def test_the_teacher_is_trained_with_the_chosen_loss_and_the_student_with_the_mean() -> None:
    asked = bench(build=max_group.build)
    outcome = distil.run(asked.study)
    teacher, student = asked.calls
    assert (teacher.name, student.name) == ("teacher", "model")
    assert isinstance(teacher.loss, max_group.MaxGroupLoss)
    assert isinstance(student.loss, MeanLoss)
    assert student.loss.criterion == Distillation(CrossEntropy(), 2, 4.0, 0.9)
    assert list(outcome.histories) == ["teacher", "model"]
    assert outcome.notes == ("the teacher was trained with the chosen loss",)
    assert outcome.architecture is None
    assert logits(outcome.model.train(), biased(6, 0.5, seed=9).data).shape == (6, 2)
    outcome.model.train()
    assert outcome.model(torch.zeros(2, 3, 8, 8)).shape == (2, 2), "the teacher is taken out again"


@pytest.mark.training
def test_a_student_that_hears_nothing_but_the_teacher_comes_to_agree_with_it(tmp_path: Path) -> None:
    teacher = saved(tmp_path / "teacher.pt", ("female", "male"))
    part = biased(120, 0.5, seed=1)
    wanted = logits(teacher, part.data).softmax(dim=1)
    assert float(wanted[:, 1].std()) > 0.001
    far = []
    for epochs in (1, 20):
        study = bench(part, epochs=epochs, lr=0.05).study
        student = distil.run(study, teacher=tmp_path / "teacher.pt", share=1.0).model
        far.append(float((logits(student, part.data).softmax(dim=1) - wanted).abs().mean()))
    assert far[1] < far[0] / 2
    assert far[1] < 0.05


def read(study: Study, path: Path) -> distil.Teacher:
    """A teacher from a file."""
    ready = distil.check(study, student="", teacher=path, temperature=4.0, share=0.9)
    assert ready.teacher is not None
    return distil._asking(ready.teacher, study)


def test_the_teachers_classes_are_put_in_the_studys_order(tmp_path: Path) -> None:
    network = saved(tmp_path / "teacher.pt", ("Male", "Female"))
    before = weights(network)
    study = bench().study
    told = read(study, tmp_path / "teacher.pt")
    images = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(told(images).softmax(dim=1), network(images).softmax(dim=1).flip(1))
    assert all(torch.equal(a, b) for a, b in zip(before, weights(network), strict=True))


def test_a_teacher_of_another_size_and_normalisation_gets_what_it_wants(tmp_path: Path) -> None:
    network = saved(tmp_path / "teacher.pt", ("female", "male"), size=(16, 16), mean=(0.4, 0.3, 0.2), std=(0.1, 0.2, 0.3))
    told = read(bench().study, tmp_path / "teacher.pt")
    unit = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    larger = nn.functional.interpolate(unit, (16, 16), mode="bilinear", antialias=True)
    mean, std = torch.tensor([0.4, 0.3, 0.2])[:, None, None], torch.tensor([0.1, 0.2, 0.3])[:, None, None]
    with torch.no_grad():
        wanted = network((larger - mean) / std).softmax(dim=1)
    torch.testing.assert_close(told((unit - 0.5) / 0.25).softmax(dim=1), wanted, atol=1e-5, rtol=1e-4)


def test_a_smaller_student_is_an_ordinary_network_of_its_architecture() -> None:
    outcome = distil.run(bench().study, student="test_resnet")
    assert outcome.architecture == ARCH
    build_network(ARCH, 2).load_state_dict(outcome.model.state_dict())
    assert outcome.notes == ("the teacher was trained with the chosen loss",)


@pytest.mark.parametrize(
    "changes",
    [{"freeze": "backbone"}, {"ema": 0.9}, {"augment": ("classic", "mixup")}, {"accumulate": 2}, {"select": "average"}],
)
def test_it_goes_with_settings_that_change_how_the_student_is_trained(changes: dict[str, Any]) -> None:
    first, second = (distil.run(bench(**changes).study).model for _ in range(2))
    assert same(first, second)
    start = small_network(2, 0)
    kept = torch.equal(first.state_dict()["2.weight"], start.state_dict()["2.weight"])
    assert kept == ("freeze" in changes)
    assert not torch.equal(first.state_dict()["6.weight"], start.state_dict()["6.weight"])


def test_frozen_means_the_same_for_the_student_as_for_everybody() -> None:
    """With a share of 0 the student is trained by labels alone, so freezing must give what it gives in plain training."""
    # One epoch, because a mixer takes seeds from the numbers that the order of a second one is drawn from.
    student = distil.run(bench(freeze="backbone", epochs=1).study, share=0.0).model
    plain = bench(freeze="backbone", epochs=1)
    model = plain.study.network()
    plain.study.fit(model)
    for one, other in zip(weights(student), weights(model), strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_the_target_is_the_column_that_says_what_the_targets_say() -> None:
    assert target_of(bench().study) == "gender"
    study = bench().study
    object.__setattr__(study, "columns", {"glasses": study.columns["glasses"]})
    with pytest.raises(FairauditError) as caught:
        target_of(study)
    assert str(caught.value) == "no column of the training images is the target, so a checkpoint cannot be asked for it"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"temperature": 0.0}, "temperature of distil must be a number above 0, not 0"),
        ({"share": 1.1}, "share of distil must be from 0 to 1, not 1.1"),
    ],
)
def test_refusals(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(FairauditError) as caught:
        distil.run(bench().study, **options)
    assert str(caught.value) == sentence


def test_unknown_students_and_teachers_of_something_else(tmp_path: Path) -> None:
    with pytest.raises(ArchitectureError, match="unknown architecture 'test_resnett'"):
        distil.run(bench().study, student="test_resnett")
    saved(tmp_path / "age.pt", ("young", "middle", "old"), task="age")
    with pytest.raises(CheckpointError) as caught:
        distil.run(bench().study, teacher=tmp_path / "age.pt")
    assert str(caught.value) == (
        "this checkpoint predicts age, not gender; audit that with --target, or say what the outputs mean with --head"
    )
    saved(tmp_path / "three.pt", ("female", "male", "other"))
    with pytest.raises(CheckpointError) as caught:
        distil.run(bench().study, teacher=tmp_path / "three.pt")
    assert str(caught.value) == ("three.pt predicts gender as female, male, other, but its levels here are female, male")


def test_the_hook_goes_even_where_training_fails(tmp_path: Path) -> None:
    asked = bench()
    seen: list[nn.Module] = []

    def broken(model: nn.Module, *given: Any, **named: Any) -> Any:
        seen.append(model)
        if named.get("name") == "teacher":
            return None
        raise RuntimeError("out of patience")

    object.__setattr__(asked.study, "fit", broken)
    with pytest.raises(RuntimeError, match="out of patience"):
        distil.run(asked.study)
    student: Tensor = seen[1].train()(torch.zeros(2, 3, 8, 8))
    assert student.shape == (2, 2)
