"""What methods need of a study, and the sentence where it is not there."""

from __future__ import annotations

from fairaudit.errors import UsageError
from fairaudit.methods.base import Study


def need_groups(study: Study, method: str) -> None:
    """Refuse a study without groups.

    Args:
        study: what is trained on.
        method: who needs them, as the command line spells it.

    Raises:
        UsageError: there are none.
    """
    if not study.by:
        raise UsageError(f"the method {method} needs groups; name the attributes that make them with --by")


def need_one_target(study: Study, method: str) -> None:
    """Refuse a study that predicts anything but one target of classes that exclude each other.

    Args:
        study: what is trained on.
        method: who needs it, as the command line spells it.

    Raises:
        UsageError: there are several targets, or labels that do not exclude each other.
    """
    if study.train.tasks is not None:
        names = ", ".join(name for name, _ in study.train.tasks)
        raise UsageError(f"the method {method} works on one target, not on several ({names}); name one with --target")
    need_classes(study, method)


def need_classes(study: Study, method: str) -> None:
    """Refuse labels that do not exclude each other.

    Args:
        study: what is trained on.
        method: who needs classes, as the command line spells it.

    Raises:
        UsageError: any of the labels may apply to an image.
    """
    if study.train.multi_label:
        raise UsageError(f"the method {method} works on targets of one class each, not on labels side by side")


def need_logits(study: Study, method: str) -> None:
    """Refuse a loss that trains embeddings, where a classifier is wanted.

    Args:
        study: what is trained on.
        method: who wants it, as the command line spells it.

    Raises:
        UsageError: the loss wants embeddings.
    """
    if study.loss(study.train.counted).wants != "logits":
        raise UsageError(
            f"the method {method} trains a classifier, and the loss that was chosen trains embeddings; "
            "choose another loss, or the method contrastive"
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
