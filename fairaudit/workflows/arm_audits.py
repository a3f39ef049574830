"""Arm audits: what is audited of one arm's test predictions, tried before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import numpy as np

from fairaudit.predictions import Predictions
from fairaudit.results import AuditResult
from fairaudit.workflows.audit import audit
from fairaudit.workflows.embedding_runs import nothing_found
from fairaudit.workflows.experiment import Experiment
from fairaudit.workflows.labels import assemble
from fairaudit.workflows.run_folders import AUDIT

_FEWEST_DRAWS = 100


def audits_of(
    experiment: Experiment, predictions: Predictions, label_noise: Mapping[str, float] | None
) -> dict[str, AuditResult]:
    """Audit the test images: all targets together, and where there are several each alone.

    Args:
        experiment: what is asked.
        predictions: of its test images.
        label_noise: attribute → share of wrong labels, where a method inferred them.

    Returns:
        File name → audit.

    Raises:
        FairauditError: something that is asked cannot be audited.
    """
    settings = experiment.audit
    if label_noise is not None and settings.label_noise is None:
        settings = settings.model_copy(update={"label_noise": dict(label_noise)})
    judge = partial(audit, predictions, card_privileged=experiment.splits.test.card.privileged)
    found = {AUDIT: judge(settings)}
    for name, classes in experiment.tasks.items() if len(experiment.tasks) > 1 else ():
        positive = settings.positive if settings.positive in classes else None
        found[f"audit_{name}.json"] = judge(settings.model_copy(update={"target": name, "positive": positive, "rules": ()}))
    return found


def check_audits(experiment: Experiment) -> None:
    """Refuse what could not be audited after hours of training, by an audit that calls every image the first class.

    Args:
        experiment: with its test images, of which labels are read and no image.

    Raises:
        FairauditError: something that is asked cannot be audited.
    """
    quick = experiment.audit.model_copy(update={"bootstrap": _FEWEST_DRAWS})
    if experiment.embeds:
        audits_of(replace(experiment, audit=quick), nothing_found(experiment), None)
        return
    test, target = experiment.splits.test, next(iter(experiment.tasks))
    rows = np.array([str(row) for row in test.frame["row"]], dtype=object)
    scores = {name: np.eye(len(classes))[np.zeros(len(rows), dtype=int)] for name, classes in experiment.tasks.items()}
    predictions = assemble(rows, scores, test, dict(experiment.tasks), target)
    audits_of(replace(experiment, audit=quick), predictions, None)
