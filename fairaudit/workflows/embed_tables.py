"""Embeddings as tables of predictions, so that whatever audits, gates, compares or reports predictions holds for them.

Retrieval: one row per query and a target per k, ``recall_at_1`` …, with the classes miss and hit; every query is labelled
hit, so that accuracy is recall@k. Verification: one row per pair, target ``genuine``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from fairaudit.artifacts.embeddings import IDENTITY, Embeddings
from fairaudit.errors import DataError
from fairaudit.metrics.groups import Groups, cross
from fairaudit.metrics.retrieval import Retrieval, Vectors, normalised
from fairaudit.metrics.verification import Pairs
from fairaudit.predictions import MISSING, BoolArray, Column, FloatArray, IntArray, Predictions, StrArray, Task
from fairaudit.workflows.matching import match

MISS, HIT = "miss", "hit"
IMPOSTOR, GENUINE = "impostor", "genuine"


@dataclass(frozen=True, eq=False)
class Space:
    """Embeddings with the class that images are to be found by.

    Attributes:
        embeddings: where they are from.
        unit: (n, d) rows of length 1.
        name: what the class is called.
        column: (n,) the class.
        people: (n,) who is on the image; the class where that is not known and is no attribute; else nobody is known.
    """

    embeddings: Embeddings
    unit: Vectors
    name: str
    column: Column
    people: Column | None

    @property
    def classes(self) -> IntArray:
        """(n,) index of the class or ``MISSING``."""
        return self.column.codes

    @property
    def who(self) -> IntArray:
        """(n,) who is on the image; ``MISSING`` where nobody is known."""
        return np.full(len(self.classes), MISSING, dtype=np.int64) if self.people is None else self.people.codes


def space_of(embeddings: Embeddings, of: tuple[str, ...] | None) -> Space:
    """Settle what images are to be found by.

    Args:
        embeddings: of images.
        of: columns, crossed where there are several; None takes the identity.

    Raises:
        DataError: there is no identity, or fewer than two classes, or no class with two images.
        UsageError: there is no such column.
    """
    columns = embeddings.columns()
    if of is None:
        if embeddings.identity is None:
            raise DataError(
                f"the data tell no identity: say with --class which column images are to be found by "
                f"({', '.join(columns) or 'there is none'})"
            )
        of = (IDENTITY,)
    names = tuple(match("column", name, columns) for name in of)
    column = columns[names[0]] if len(names) == 1 else _crossed(cross(columns, names))
    name = ",".join(names)
    known, sizes = np.unique(column.codes[column.codes != MISSING], return_counts=True)
    if len(known) < 2:
        only = f"every image is of {column.levels[known[0]]!r}" if len(known) else "no image has one"
        raise DataError(f"{only} by {name}: at least two are needed to tell one from another")
    if sizes.max() < 2:
        raise DataError(f"no two images are of one {name}: there is nothing to find again")
    return Space(embeddings, normalised(embeddings.values), name, column, embeddings.identity)


def _crossed(groups: Groups) -> Column:
    return Column(groups.ids, tuple(" ".join(labels) for labels in groups.labels))


def found_table(space: Space, found: Retrieval) -> Predictions:
    """What every query found, as predictions.

    Args:
        space: whose rows were asked for.
        found: what they found; queries with nothing to find have no label.
    """
    label = np.where(found.relevant > 0, 1, MISSING).astype(np.int64)
    tasks = {f"recall_at_{k}": Task((MISS, HIT), label, hit.astype(np.int64)) for k, hit in found.hits.items()}
    return _table(space, found.queries, space.embeddings.rows[found.queries], tasks)


def pairs_table(space: Space, pairs: Pairs, scores: FloatArray, threshold: float) -> Predictions:
    """Pairs as predictions; what they share in attributes is that of the first, for both are of one group.

    A pair is of two people, or of two images where nobody is known; intervals know both.

    Args:
        space: whose rows are paired.
        pairs: which.
        scores: (p,) of 0 to 1.
        threshold: the score from which a pair is called genuine.
    """
    rows = space.embeddings.rows
    names = np.array([f"{rows[a]} | {rows[b]}" for a, b in zip(pairs.first, pairs.second, strict=True)], dtype=object)
    called: BoolArray = scores >= threshold
    y_score = np.stack([1 - scores, scores], axis=1)
    task = Task((IMPOSTOR, GENUINE), pairs.genuine.astype(np.int64), called.astype(np.int64), y_score)
    table = _table(space, pairs.first, names, {GENUINE: task})
    who = space.people or Column(np.arange(len(rows), dtype=np.int64), tuple(map(str, rows)))
    return replace(table, identity=who.take(pairs.first), second=who.take(pairs.second))


def _table(space: Space, at: IntArray, names: StrArray, tasks: Mapping[str, Task]) -> Predictions:
    attributes = {name: column.take(at) for name, column in space.embeddings.attributes.items()}
    identity = None if space.people is None else space.people.take(at)
    return Predictions(names, dict(tasks), attributes, identity=identity)
