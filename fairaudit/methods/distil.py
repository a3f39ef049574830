"""A student network learns from a teacher's scores, so that a small network inherits what a large one was taught.

Formula:
    For each image (1 − α)·CE(y, z) + α·T²·KL(softmax(t/T) ‖ softmax(z/T)), t the teacher's logits and z the student's, both
    of the same, equally augmented image; the mean over images is minimised. The teacher is trained with the chosen loss,
    or read from a file.

Source:
    G. Hinton, O. Vinyals, J. Dean, "Distilling the Knowledge in a Neural Network", 2015. A teacher that was trained for the
    worst group is the outlook of L. Colakovic, S. Karakatič, 2024.

Traps:
    The chosen loss teaches the teacher, not the student: the student only imitates, and it imitates mistakes too. A student
    of another architecture starts from random weights, so compare it with a baseline of its own architecture. Training
    takes the teacher's time in every step besides its own training.

Needs:
    One target.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from fairaudit.engine.devices import place
from fairaudit.engine.freezing import BACKBONE
from fairaudit.engine.history import History
from fairaudit.engine.mixing import Batch
from fairaudit.engine.rehearsal import check_trainable
from fairaudit.errors import UsageError
from fairaudit.losses import cross_entropy
from fairaudit.losses.base import Criterion
from fairaudit.methods._checkpoints import OtherClassifier, open_other, pictures
from fairaudit.methods._requirements import need_logits, need_one_target, need_positive
from fairaudit.methods._target import target_of
from fairaudit.methods.base import Outcome, Plan, Study
from fairaudit.models.factory import full_names

Teacher = Callable[[Tensor], Tensor]
"""(b, 3, h, w) normalised images → (b, k) logits."""
_NAME = "distil"


@dataclass(frozen=True)
class Distillation:
    """Cross-entropy and the divergence from the teacher; logits are the student's k and then the teacher's k.

    Attributes:
        inner: criterion of the student's own logits.
        classes: k.
        temperature: T.
        share: α.
    """

    inner: Criterion
    classes: int
    temperature: float
    share: float

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """(b,) loss of each image; see ``Criterion``."""
        own = self.inner(logits[:, : self.classes], self._of_student(targets))
        student = (logits[:, : self.classes] / self.temperature).log_softmax(dim=1)
        teacher = (logits[:, self.classes :].detach() / self.temperature).log_softmax(dim=1)
        apart = functional.kl_div(student, teacher, reduction="none", log_target=True).sum(dim=1)
        return (1 - self.share) * own + self.share * self.temperature**2 * apart

    def probabilities(self, logits: Tensor) -> Tensor:
        """(b, k) the student's."""
        return self.inner.probabilities(logits[:, : self.classes])

    def shares(self, logits: Tensor, targets: Tensor) -> Tensor:
        """(b, k) targets of the student's outputs."""
        return self.inner.shares(logits[:, : self.classes], self._of_student(targets))

    def tasks(self, outputs: int) -> tuple[slice, ...]:  # noqa: ARG002 (the teacher's outputs are no task)
        """The student's outputs."""
        return self.inner.tasks(self.classes)

    def _of_student(self, targets: Tensor) -> Tensor:
        return targets[:, : self.classes] if targets.is_floating_point() else targets


@dataclass(frozen=True)
class Unmixed:
    """Mixes nothing; the engine runs the whole network for whatever mixes images."""

    def __call__(self, batch: Batch, seed: int) -> Batch:  # noqa: ARG002 (nothing is drawn)
        """The batch as it is; see ``Mixer``."""
        return batch


def run(
    study: Study,
    *,
    student: str = "",
    teacher: Path | None = None,
    temperature: float = 4.0,
    share: float = 0.9,
) -> Outcome:
    """Train a teacher, or read one, and train a student with it.

    Args:
        study: what is trained on.
        student: architecture of the student; empty is the study's own.
        teacher: file of a checkpoint that predicts the target; None trains one with the chosen loss.
        temperature: T, how much the classes that are not the largest count.
        share: α, from 0 to 1: how much the teacher counts beside the labels.

    Raises:
        FairauditError: see ``check``.
    """
    ready = check(study, student=student, teacher=teacher, temperature=temperature, share=share)
    architecture = ready.architecture
    histories: dict[str, History] = {}
    taught = _trained(study, histories) if ready.teacher is None else _asking(ready.teacher, study)
    k, data = len(study.train.classes), study.train
    model = study.network(architecture=architecture)

    def beside(module: nn.Module, inputs: tuple[Any, ...], outputs: Tensor) -> Tensor:
        """The teacher's logits beside the student's, while training."""
        if not any(part.training for part in module.modules()):  # the network itself is not where its backbone is frozen
            return outputs
        with torch.no_grad():
            told = taught(inputs[0])
        return torch.cat([outputs, told.to(outputs.dtype)], dim=1)

    criterion = Distillation(study.loss(data.counted).criterion, k, temperature, share)
    both = replace(data, classes=(*data.classes, *(f"{name} (teacher)" for name in data.classes)))
    # The hook and not a network around both: the student's layers keep their names, and its state is its own.
    handle = model.register_forward_hook(beside)
    try:
        loss = cross_entropy.build(data.counted, criterion)
        # Above a frozen backbone the engine would train the last layer on features, where there is no image to teach with.
        mixer = Unmixed() if study.settings.freeze == BACKBONE and not study.settings.augment else None
        histories["model"] = study.fit(model, both, loss=loss, mixer=mixer)
    finally:
        handle.remove()
    origin = "trained with the chosen loss" if teacher is None else f"read from {teacher.name}"
    return Outcome(model, histories, (f"the teacher was {origin}",), architecture)


@dataclass(frozen=True, eq=False)
class Ready:
    """What distillation begins with.

    Attributes:
        architecture: of the student; None is the study's own.
        teacher: None where one is trained.
    """

    architecture: str | None
    teacher: OtherClassifier | None


def check(plan: Plan, *, student: str, teacher: Path | None, temperature: float, share: float) -> Ready:
    """Make the student once and read the teacher.

    Args:
        plan: what is trained on.
        student: see ``run``.
        teacher: see ``run``.
        temperature: see ``run``.
        share: see ``run``.

    Raises:
        UsageError: there are several targets, or an option is out of range.
        CheckpointError: the teacher cannot be read, or predicts something else.
        ArchitectureError: there is no such student.
        TrainingError: the student does not take images of this size.
    """
    need_one_target(plan, _NAME)
    need_logits(plan, _NAME)
    need_positive(temperature, "temperature", _NAME)
    if not 0 <= share <= 1:
        raise UsageError(f"share of {_NAME} must be from 0 to 1, not {share:g}")
    architecture = full_names(student)[0] if student else None
    if architecture is not None:
        check_trainable(plan.network(architecture=architecture), plan.train.preprocess, plan.settings)
    if teacher is None:
        return Ready(architecture, None)
    return Ready(architecture, open_other(teacher, target_of(plan), plan.columns, wanted=plan.train.classes))


def _trained(study: Study, histories: dict[str, History]) -> Teacher:
    network = study.network()
    histories["teacher"] = study.fit(network, name="teacher")
    return network.to(place(study.settings.device).device).eval()


def _asking(found: OtherClassifier, study: Study) -> Teacher:
    def logits(images: Tensor) -> Tensor:
        scores = found.scores(pictures(images, study.train.preprocess))
        # The softmax of a score's logarithm is the score, whatever the head made of its outputs.
        return scores.clamp(min=torch.finfo(scores.dtype).tiny).log()

    return logits
