"""What the predicted column is called, and the groups without it.

To choose images by cells it does not matter whether a grouping names the target too (``--by gender,Eyeglasses``). Methods
that compare groups within a class, or that decide by group, must not see it there: each group would have one class.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fairaudit.errors import UsageError
from fairaudit.methods.base import Plan
from fairaudit.metrics.groups import cross
from fairaudit.results import group_label


@dataclass(frozen=True)
class Attributes:
    """The groups of a plan by everything but the target.

    Attributes:
        by: the attributes.
        labels: name of each of their cells.
        of_group: cell of each of the plan's groups, in the order of the group ids.
    """

    by: tuple[str, ...]
    labels: tuple[str, ...]
    of_group: tuple[int, ...]


def attributes_of(plan: Plan, method: str) -> Attributes:
    """The attributes that make the groups, without the target.

    Args:
        plan: with groups, and one target.
        method: who asks, as the command line spells it.

    Raises:
        UsageError: the groups are made by the target alone.
    """
    by = tuple(name for name in plan.by if not is_target(plan, name))
    if not by:
        raise UsageError(
            f"the method {method} compares groups within a class, and {','.join(plan.by)} is the target itself; "
            "name another attribute with --by"
        )
    cells = cross(plan.columns, by)
    whole = cross(plan.columns, plan.by)
    places = [whole.by.index(name) for name in by]
    of_group = tuple(cells.labels.index(tuple(levels[i] for i in places)) for levels in whole.labels)
    return Attributes(by, tuple(group_label(cells.as_mapping(i)) for i in range(len(cells))), of_group)


def declared_cells(plan: Plan) -> int:
    """How many target × group cells there can be: a group that names its class goes with no other.

    Args:
        plan: with groups.
    """
    data = plan.train
    answers = data.tasks or ((next((name for name in plan.by if is_target(plan, name)), ""), data.classes),)
    return len(data.group_labels) * math.prod(len(classes) for name, classes in answers if name not in plan.by)


def is_target(plan: Plan, name: str) -> bool:
    """Whether a column says of every training image what its target says.

    Args:
        plan: with one target.
        name: of a column; one that is not there is not the target.
    """
    if name not in plan.columns or plan.train.targets.dim() != 1:
        return False
    told = np.array(plan.train.classes, dtype=object)[plan.train.targets.numpy()]
    return bool(np.array_equal(plan.columns[name].values(), told))


def target_of(plan: Plan) -> str:
    """The column that is predicted.

    Args:
        plan: with one target.

    Raises:
        UsageError: no column says of every image what its target does.
    """
    found = next((name for name in plan.columns if is_target(plan, name)), None)
    if found is None:
        raise UsageError("no column of the training images is the target, so a checkpoint cannot be asked for it")
    return found
