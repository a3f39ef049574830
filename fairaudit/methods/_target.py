"""What the predicted column is called, and the groups without it.

To choose images by cells it does not matter whether a grouping names the target too (``--by gender,Eyeglasses``). Methods
that compare groups within a class, or that decide by group, must not see it there: each group would have one class.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fairaudit.errors import UsageError
from fairaudit.methods.base import Study
from fairaudit.metrics.groups import cross
from fairaudit.results import group_label


@dataclass(frozen=True)
class Attributes:
    """The groups of a study by everything but the target.

    Attributes:
        by: the attributes.
        labels: name of each of their cells.
        of_group: cell of each of the study's groups, in the order of the group ids.
    """

    by: tuple[str, ...]
    labels: tuple[str, ...]
    of_group: tuple[int, ...]


def attributes_of(study: Study, method: str) -> Attributes:
    """The attributes that make the groups, without the target.

    Args:
        study: with groups, and one target.
        method: who asks, as the command line spells it.

    Raises:
        UsageError: the groups are made by the target alone.
    """
    by = tuple(name for name in study.by if not is_target(study, name))
    if not by:
        raise UsageError(
            f"the method {method} compares groups within a class, and {','.join(study.by)} is the target itself; "
            "name another attribute with --by"
        )
    cells = cross(study.columns, by)
    whole = cross(study.columns, study.by)
    places = [whole.by.index(name) for name in by]
    of_group = tuple(cells.labels.index(tuple(levels[i] for i in places)) for levels in whole.labels)
    return Attributes(by, tuple(group_label(cells.as_mapping(i)) for i in range(len(cells))), of_group)


def declared_cells(study: Study) -> int:
    """How many target × group cells there can be: a group that names its class goes with no other.

    Args:
        study: with groups.
    """
    data = study.train
    answers = data.tasks or ((next((name for name in study.by if is_target(study, name)), ""), data.classes),)
    return len(data.group_labels) * math.prod(len(classes) for name, classes in answers if name not in study.by)


def is_target(study: Study, name: str) -> bool:
    """Whether a column says of every training image what its target says.

    Args:
        study: with one target.
        name: of a column; one that is not there is not the target.
    """
    if name not in study.columns or study.train.targets.dim() != 1:
        return False
    told = np.array(study.train.classes, dtype=object)[study.train.targets.numpy()]
    return bool(np.array_equal(study.columns[name].values(), told))


def target_of(study: Study) -> str:
    """The column that is predicted.

    Args:
        study: with one target.

    Raises:
        UsageError: no column says of every image what its target does.
    """
    found = next((name for name in study.columns if is_target(study, name)), None)
    if found is None:
        raise UsageError("no column of the training images is the target, so a checkpoint cannot be asked for it")
    return found
