"""Groups, decisions and the reference group of explained images: those that an audit with the same settings has."""

from __future__ import annotations

import numpy as np

from fairaudit.errors import UsageError
from fairaudit.metrics.groups import Groups, cross
from fairaudit.predictions import MISSING, Predictions, Task
from fairaudit.workflows.audit import _privileged, _spelled, _wanted
from fairaudit.workflows.evaluate import Plan
from fairaudit.workflows.prepare import Prepared, with_levels
from fairaudit.workflows.target import prepared


def decided(predictions: Predictions, plan: Plan) -> tuple[Task, Groups]:
    """The target's decisions, by threshold where one is set, and the groups of the first grouping, with binned columns.

    Args:
        predictions: of the images.
        plan: with the audit's settings.

    Raises:
        UsageError: a column, an edge or a class does not exist, or they do not go together.
    """
    predictions = with_levels(predictions, plan.audit)
    target = prepared(predictions, plan.audit)
    if not isinstance(target, Prepared):
        raise UsageError(f"one label is explained at a time, not {plan.audit.target}; name one with --target")
    by = plan.audit.by[0] if plan.audit.by else ()
    if not by:
        return target.task, Groups((), ((),), np.zeros(len(predictions), dtype=np.int64))
    return target.task, cross(predictions.columns(), by)


def reference_group(predictions: Predictions, groups: Groups, plan: Plan) -> int:
    """The group that the others are compared with, as an audit chooses it; −1 for none.

    Args:
        predictions: of the images.
        groups: of the first grouping.
        plan: with the audit's settings.

    Raises:
        UsageError: there is no such attribute or level.
    """
    columns = with_levels(predictions, plan.audit).columns()
    named = [_spelled(levels, columns) for levels in plan.audit.privileged]
    wanted = _wanted(groups, named, plan.manifest.card.privileged)
    sizes = np.bincount(groups.ids[groups.ids != MISSING], minlength=len(groups))
    found = _privileged(groups, sizes, wanted)[0]
    return -1 if found is None else found
