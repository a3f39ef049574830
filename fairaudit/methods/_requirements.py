"""What methods need of a study, and the sentence where it is not there."""

from __future__ import annotations

from fairaudit.engine.training_data import TrainingData
from fairaudit.errors import DataError, UsageError
from fairaudit.methods.base import Plan


def need_groups(plan: Plan, method: str) -> None:
    """Refuse a study without groups.

    Args:
        plan: what is trained on.
        method: who needs them, as the command line spells it.

    Raises:
        UsageError: there are none.
    """
    if not plan.by:
        raise UsageError(f"the method {method} needs groups; name the attributes that make them with --by")


def need_one_target(plan: Plan, method: str) -> None:
    """Refuse a study that predicts anything but one target of classes that exclude each other.

    Args:
        plan: what is trained on.
        method: who needs it, as the command line spells it.

    Raises:
        UsageError: there are several targets, or labels that do not exclude each other.
    """
    if plan.train.tasks is not None:
        names = ", ".join(name for name, _ in plan.train.tasks)
        raise UsageError(f"the method {method} works on one target, not on several ({names}); name one with --target")
    need_classes(plan, method)


def need_classes(plan: Plan, method: str) -> None:
    """Refuse labels that do not exclude each other.

    Args:
        plan: what is trained on.
        method: who needs classes, as the command line spells it.

    Raises:
        UsageError: any of the labels may apply to an image.
    """
    if plan.train.multi_label:
        raise UsageError(f"the method {method} works on targets of one class each, not on labels side by side")


def need_logits(plan: Plan, method: str) -> None:
    """Refuse a loss that trains embeddings, where a classifier is wanted.

    Args:
        plan: what is trained on.
        method: who wants it, as the command line spells it.

    Raises:
        UsageError: the loss wants embeddings.
    """
    if plan.loss(plan.train.counted).wants != "logits":
        raise UsageError(
            f"the method {method} trains a classifier, and the loss that was chosen trains embeddings; "
            "choose another loss, or the method contrastive"
        )


def need_every_class(data: TrainingData, images: str, method: str) -> None:
    """Refuse images among which a class does not occur, where a classifier is fitted to them.

    Args:
        data: the images, whose classes exclude each other.
        images: which these are, the word before "image".
        method: who fits it, as the command line spells it.

    Raises:
        DataError: a class has no image.
    """
    counts = data.counted.class_counts.tolist()
    missing = [name for name, n in zip(data.classes, counts, strict=True) if n == 0]
    if missing:
        raise DataError(
            f"no {images} image is of the class {missing[0]!r}, so {method} cannot learn it; give that split more images"
        )


def need_positive(number: float, option: str, method: str) -> None:
    """Refuse an option that is not above 0.

    Args:
        number: its value.
        option: its name.
        method: whose it is.

    Raises:
        UsageError: it is not a finite number above 0.
    """
    if not 0 < number < float("inf"):
        raise UsageError(f"{option} of {method} must be a number above 0, not {number:g}")
