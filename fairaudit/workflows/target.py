"""What is audited: one target, several of them jointly (``race,gender``), or several labels side by side (``A+B``)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from fairaudit.config import AuditSettings
from fairaudit.errors import UsageError
from fairaudit.metrics.measure import Table
from fairaudit.metrics.multilabel import LabelTable
from fairaudit.predictions import Predictions, Task
from fairaudit.workflows.matching import index_of, match
from fairaudit.workflows.prepare import Prepared, at_threshold, joint_target, suspicions
from fairaudit.workflows.prepare_labels import ALL, PreparedLabels, label_suspicions, labels_asked, prepare_labels

Target = Prepared | PreparedLabels


def prepared(predictions: Predictions, settings: AuditSettings) -> Target:
    """What is audited, ready to be counted by any grouping.

    Args:
        predictions: restricted to what is audited, with levels of their own.
        settings: target, positive class, threshold, and what is listed.

    Raises:
        UsageError: a target or class does not exist, or they do not go together.
        PredictionsError: a score is nan or outside [0, 1].
    """
    identity = None if predictions.identity is None or not settings.cluster else predictions.identity.codes
    if (asked := settings.target) is not None and names_labels(asked, predictions.tasks):
        if predictions.weight is not None:
            raise UsageError(f"--target {asked}: several labels side by side are not weighted yet; audit one at a time")
        tasks, told = labels_asked(asked, predictions.tasks)
        return prepare_labels(tasks, settings, identity, told)
    name, task, parts = one_target(predictions, settings.target)
    positive = None if settings.positive is None else index_of("class", settings.positive, task.classes)
    decided = at_threshold(task, name, positive, settings.threshold)
    second = None if predictions.second is None or identity is None else predictions.second.codes
    return Prepared(name, decided, positive, parts, settings, identity, predictions.weight, second)


def names_labels(name: str | None, known: Iterable[str]) -> bool:
    """Whether a target's name means several labels side by side, and is not the name of a target."""
    if name is None or name.strip().casefold() in {one.casefold() for one in known}:
        return False
    return "+" in name or name.strip().casefold() == ALL


def label_names(name: str | None) -> tuple[str, ...] | None:
    """The labels that a target's name lists: none of ``all``, which are known later; None where it is of one target."""
    if not names_labels(name, ()):
        return None
    return tuple(part.strip() for part in str(name).split("+")) if "+" in str(name) else ()


def one_target(predictions: Predictions, name: str | None) -> tuple[str, Task, Mapping[str, Task]]:
    """The target's name and task, and the parts of a joint one, ``race,gender``."""
    tasks = predictions.tasks
    if name is None:
        if len(tasks) != 1:
            raise UsageError(f"the predictions have {len(tasks)} targets ({', '.join(tasks)}); name one with --target")
        return *next(iter(tasks.items())), {}
    if name not in tasks and "," in name:
        parts = {found: tasks[found] for part in name.split(",") for found in [match("target", part.strip(), tasks)]}
        if len(parts) < 2:
            raise UsageError(f"--target {name} names one target; a joint target is made of several")
        return ",".join(parts), joint_target(parts), parts
    return (found := match("target", name, tasks)), tasks[found], {}


def suspicions_of(whole: Table) -> list[str]:
    """Signs that the model was read wrongly, of one target or of several labels.

    Args:
        whole: all images, as a table of one group.
    """
    return label_suspicions(whole) if isinstance(whole, LabelTable) else suspicions(whole)
