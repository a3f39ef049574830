"""What an audit keeps of its counts, so that it can be judged again and merged, and the tables rebuilt from that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fairaudit.errors import ArtifactError
from fairaudit.metrics.design_effects import stored_effects
from fairaudit.metrics.measure import Table
from fairaudit.metrics.multilabel import together_of
from fairaudit.metrics.over_labels import label_table, split_effects
from fairaudit.predictions import IntArray
from fairaudit.results import Group, GroupingResult, Overall

_NEEDED = ("target", "classes", "positive", "confidence", "min_support", "bootstrap", "seed")


def stored_counts(settings: Mapping[str, Any], grouping: GroupingResult) -> IntArray:
    """(g, k, k) counts [group, true, predicted]; of several labels (g, l, 4), see ``LabelTable``.

    Args:
        settings: of the audit.
        grouping: the grouping.
    """
    check_rebuildable(settings)
    k = len(settings["classes"])
    last = 4 if settings.get("multilabel") else k
    return np.array(grouping.counts, dtype=np.int64).reshape(len(grouping.groups), k, last)


def check_rebuildable(settings: Mapping[str, Any]) -> None:
    """Refuse an audit that does not say how it was made.

    Args:
        settings: of the audit.

    Raises:
        ArtifactError: a setting that every audit writes is not there.
    """
    lacking = [key for key in _NEEDED if key not in settings]
    if lacking:
        raise ArtifactError(f"the audit does not say its {lacking[0]}, without which its counts mean nothing; audit again")


def stored_table(settings: Mapping[str, Any], grouping: GroupingResult) -> Table:
    """The table that a grouping was audited from, without what only scores tell.

    Args:
        settings: of the audit.
        grouping: the grouping.
    """
    classes, counts = tuple(settings["classes"]), stored_counts(settings, grouping)
    betas, aggregates = tuple(settings.get("beta", ())), tuple(settings.get("aggregate", ()))
    effects = None if grouping.clusters is None else stored_effects(grouping.clusters)
    if settings.get("multilabel"):
        return label_table(
            counts, classes, [(no, yes) for no, yes in settings["multilabel"].values()], together=grouping.together,
            betas=betas, aggregates=aggregates, effects=() if effects is None else split_effects(effects, len(classes)),
        )  # fmt: skip
    positive = None if settings["positive"] is None else classes.index(settings["positive"])
    weighted = None if grouping.weighted is None else np.array(grouping.weighted, dtype=np.float64).reshape(counts.shape)
    return Table(counts, classes, positive, betas, aggregates, effects=effects, weighted=weighted)


def countable(overall: Overall, whole: Table, groupings: Sequence[GroupingResult]) -> Overall:
    """What is listed of all images, with their counts where no grouping has all of them.

    Args:
        overall: what is listed.
        whole: all images, as a table of one group.
        groupings: every grouping of the audit.
    """
    if any(one.missing == 0 and one.given is None for one in groupings):
        return overall
    counts = tuple(tuple(int(x) for x in row) for row in whole.counts[0])
    return replace(overall, counts=counts, together=together_of(whole))


def partly_named(how: str, wanted: Mapping[str, str]) -> Group | None:
    """Levels of a reference group that were named, where the largest group that has them was taken; None elsewhere.

    Args:
        how: ``"named"`` or ``"largest"``.
        wanted: the levels named.
    """
    return dict(wanted) if wanted and how == "largest" else None
