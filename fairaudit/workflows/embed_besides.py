"""What other models make of an embedding space: clusters, leakage, downstream classifiers, a map."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fairaudit.config import AuditSettings, EmbedSettings
from fairaudit.embedding.clusters import clustering
from fairaudit.embedding.downstream import LARGEST, MOST_CLASSES, downstream
from fairaudit.embedding.flat_map import flat_map
from fairaudit.embedding.leakage import leakage
from fairaudit.embedding.sampling import some_rows
from fairaudit.metrics.groups import Groups
from fairaudit.metrics.rates import BALANCED_ACCURACY
from fairaudit.predictions import MISSING, Column, IntArray, Predictions, Task
from fairaudit.results import Estimate, group_label
from fairaudit.results.embedding import Leak, Place, Trained
from fairaudit.workflows.audit import audit
from fairaudit.workflows.embed_tables import Space
from fairaudit.workflows.matching import match

MOST_PLACES = 1000
MOST_BALANCED = 10
"""Classes of which balanced accuracy is told: a group has images of every one of so many."""

_NO_GAP = Estimate(float("nan"), float("nan"), float("nan"), 0, "undefined: fewer than two groups")
_MANY = Estimate(float("nan"), float("nan"), float("nan"), 0, f"undefined: more than {MOST_BALANCED} classes")


def clusters_of(space: Space, rows: IntArray, seed: int, classes: int) -> dict[str, float]:
    """Normalised mutual information and F1 of k-means on some rows of so many classes."""
    nmi, f1 = clustering(space.unit[rows], space.classes[rows], seed, classes)
    return {"nmi": nmi, "f1": f1}


def leaks_of(space: Space, grouped: Sequence[Groups], settings: EmbedSettings) -> tuple[Leak, ...]:
    """How well every attribute that groups are made of is recovered."""
    names = dict.fromkeys(name for groups in grouped for name in groups.by)
    found = []
    for name in names:
        codes = space.embeddings.attributes[name].codes
        probes = leakage(space.unit, codes, space.who, settings.audit.seed, settings.audit.confidence)
        found += [Leak(name, probe, one.levels, one.accuracy, one.balanced, one.majority) for probe, one in probes.items()]
    return tuple(found)


def trained_of(
    space: Space, grouped: Sequence[Groups], settings: EmbedSettings, asked: AuditSettings, notes: list[str]
) -> tuple[str, tuple[Trained, ...]]:
    """Classifiers on the embeddings, and the gap that each leaves on either kind of training data.

    Returns:
        What they told, and a row for each grouping, classifier and training.

    Raises:
        UnknownNameError: there is no such column.
    """
    columns = space.embeddings.columns()
    name = space.name if settings.downstream is None else match("column", settings.downstream, columns)
    target = space.column if settings.downstream is None else columns[name]
    told: list[Trained] = []
    for groups in grouped:
        found = downstream(space.unit, target.codes, groups.ids, space.who, asked.seed)
        if found is None:
            notes.append(
                f"no downstream classifier by {','.join(groups.by)}: fewer than two classes of {name} can be split"
            )
            continue
        used = np.unique(found.classes)
        if len(np.unique(target.codes)) > MOST_CLASSES or len(target.codes) > LARGEST:
            notes.append(
                f"downstream classifiers tell {len(used)} classes of {name}, a seeded sample of at most {MOST_CLASSES} "
                f"classes and {LARGEST:,} images"
            )
        attributes = {one: space.embeddings.attributes[one].take(found.rows) for one in groups.by}
        people = None if space.people is None else space.people.take(found.rows)
        by = asked.model_copy(
            update={"by": (groups.by,), "given": (), "target": "told", "positive": None, "privileged": ()}
        )
        for (classifier, training), said in found.said.items():
            rows = np.array(found.rows.astype(str), dtype=object)
            task = _told(target, used, found.classes, said)
            result = audit(Predictions(rows, {"told": task}, attributes, identity=people), by)
            grouping = result.groupings[0]
            gaps = {d.metric: d.estimate for d in grouping.disparities if d.kind == "gap"}
            accuracy = {group_label(one.group): one.metrics["accuracy"] for one in grouping.groups if one.n}
            told.append(
                Trained(
                    classifier, groups.by, training, found.fitted[training], len(said), accuracy,
                    gaps.get("accuracy", _NO_GAP),
                    gaps.get(BALANCED_ACCURACY, _NO_GAP) if len(used) <= MOST_BALANCED else _MANY,
                )
            )  # fmt: skip
    return name, tuple(told)


def _told(target: Column, used: IntArray, true: IntArray, said: IntArray) -> Task:
    """What was said of which class; of many classes right or wrong only, which is all that accuracy is of."""
    if len(used) > MOST_BALANCED:
        return Task(("wrong", "right"), np.ones(len(said), dtype=np.int64), (said == true).astype(np.int64))
    names = tuple(target.levels[c] for c in used)
    place = [np.searchsorted(used, some).astype(np.int64) for some in (true, said)]
    return Task(names, place[0], place[1])


def places_of(space: Space, groups: Groups, seed: int) -> tuple[Place, ...]:
    """A map of a seeded sample of images; none of fewer than five."""
    rows = some_rows(np.flatnonzero(space.classes != MISSING), MOST_PLACES, seed)
    if len(rows) < 5:
        return ()
    present = [g for g in range(len(groups)) if ((groups.ids == g) & (space.classes != MISSING)).any()]
    index = {g: i for i, g in enumerate(present)}
    column: Column = space.column
    return tuple(
        Place(round(float(x), 4), round(float(y), 4), index.get(int(groups.ids[row]), -1), column.levels[column.codes[row]])
        for (x, y), row in zip(flat_map(space.unit[rows], seed), rows, strict=True)
    )
