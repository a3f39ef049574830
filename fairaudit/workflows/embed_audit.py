"""The audit of an embedding space: retrieval and verification as audits of tables, the rest as a record. No torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fairaudit.artifacts.embeddings import Embeddings
from fairaudit.config import AuditSettings, EmbedSettings
from fairaudit.errors import DataError, UsageError, suggest
from fairaudit.metrics.groups import Groups, cross
from fairaudit.metrics.retrieval import Retrieval, retrieve
from fairaudit.predictions import MISSING, Predictions, Task
from fairaudit.results import AuditResult
from fairaudit.results.embedding import EmbeddingResult
from fairaudit.workflows.audit import audit
from fairaudit.workflows.embed_besides import leaks_of, places_of, trained_of
from fairaudit.workflows.embed_columns import groupings, held_fixed, prepared
from fairaudit.workflows.embed_groups import Judged, grouping_of
from fairaudit.workflows.embed_tables import (
    GENUINE,
    HIT,
    IMPOSTOR,
    MISS,
    Space,
    found_table,
    space_of,
)
from fairaudit.workflows.embed_verify import check_genuine, verify
from fairaudit.workflows.matching import match

RETRIEVAL, WITHIN, VERIFICATION = "retrieval", "retrieval_own", "verification"

Say = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Table:
    """A table of predictions that an embedding audit was turned into, and its audit."""

    predictions: Predictions
    result: AuditResult


@dataclass(frozen=True, eq=False)
class Audited:
    """An audited embedding space.

    Attributes:
        result: the record.
        tables: folder → table and audit.
        gated: the audit that rules were judged in.
    """

    result: EmbeddingResult
    tables: Mapping[str, Table]
    gated: AuditResult


def audit_embeddings(embeddings: Embeddings, settings: EmbedSettings, announce: Say | None = None) -> Audited:
    """Audit an embedding space by groups.

    Args:
        embeddings: of images, with their attributes.
        settings: what is asked.
        announce: told what is about to be done.

    Raises:
        DataError: there is nothing to find again, or a group has no genuine pair.
        UsageError: a column, level, target or rule does not exist or makes no sense.
    """
    say = announce or (lambda _: None)
    notes = [str(note) for note in (embeddings.made.get("note"),) if note]
    card = _Card(embeddings)
    embeddings = prepared(embeddings, settings.audit, notes)
    space = space_of(embeddings, settings.of)
    by, given = groupings(embeddings, settings.audit), held_fixed(embeddings, settings.audit)
    target = _target(settings)
    grouped = _crossed(space, by)
    asked = _for_tables(settings.audit, by)
    rules = settings.audit.rules
    say(f"retrieval: {len(embeddings):,} images against each other")
    found = retrieve(space.unit, space.classes, settings.k)
    own = [_within(space, groups, settings.k) for groups in grouped]
    main = target if target != GENUINE else f"recall_at_{settings.k[0]}"
    tables = {RETRIEVAL: card.judged(found_table(space, found), asked, main, HIT, rules if target == main else ())}
    for groups, one in zip(grouped, own, strict=True):
        name = WITHIN if len(by) == 1 else f"{WITHIN}/{'-'.join(groups.by)}"
        single = asked.model_copy(update={"by": (groups.by,)})
        tables[name] = card.judged(found_table(space, one), single, main, HIT, ())
    verified = None
    if "verification" not in settings.without:
        say("verification: pairs within groups")
        verified = verify(space, grouped, given, settings)
        notes += verified.notes
    if verified is not None and verified.table is not None:
        told = asked.model_copy(update={"threshold": verified.threshold})
        wanted = rules if target == GENUINE else ()
        tables[VERIFICATION] = card.judged(verified.table, told, GENUINE, GENUINE, wanted)
    elif target == GENUINE:
        raise UsageError("rules about genuine need pairs: there is no verification here to judge")
    say("geometry, probes and classifiers")
    paired = tables[VERIFICATION].result if VERIFICATION in tables else None
    judged = Judged(tables[RETRIEVAL].result, paired, verified)
    measured = tuple(
        grouping_of(space, groups, found, one, settings, asked, judged) for groups, one in zip(grouped, own, strict=True)
    )
    leaks = leaks_of(space, grouped, settings) if "leakage" not in settings.without else ()
    column, trained = (
        trained_of(space, grouped, settings, asked, notes) if "downstream" not in settings.without else ("", ())
    )
    places = places_of(space, grouped[0], asked.seed) if "map" not in settings.without else ()
    labelled = space.classes[space.classes != MISSING]
    if space.people is None:
        notes.append("who is on which image is not known: intervals take images as independent of each other")
    unfound = int((found.relevant == 0).sum())
    if unfound:
        notes.append(
            f"{unfound:,} images are the only ones of their {space.name}: they are in the gallery and ask for nothing"
        )
    if len(labelled) < len(embeddings):
        notes.append(f"{len(embeddings) - len(labelled):,} images without {space.name} are left out")
    notes.append(
        "a gallery of a group's own images is smaller where the group is: its recall is to be compared with care, for "
        "fewer images stand in the way"
    )
    record = {
        "class": space.name,
        "k": list(settings.k),
        "by": [list(names) for names in by],
        "confidence": asked.confidence,
        "min_support": asked.min_support,
        "seed": asked.seed,
        "where": settings.audit.where,
        **({"given": list(given)} if given else {}),
        **({"bins": {name: list(edges) for name, edges in settings.audit.bins.items()}} if settings.audit.bins else {}),
        "without": list(settings.without),
        "clustered_by": None if space.people is None else "identity",
        **({} if verified is None else verified.record),
    }
    result = EmbeddingResult(
        record,
        len(labelled),
        space.unit.shape[1],
        len(np.unique(labelled)),
        measured,
        leaks,
        column,
        trained,
        places,
        tuple(dict.fromkeys(notes)),
    )
    return Audited(result, tables, tables[VERIFICATION if target == GENUINE else RETRIEVAL].result)


def rehearse(embeddings: Embeddings, settings: EmbedSettings) -> None:
    """Refuse before anything is embedded what would be refused afterwards: class, groupings, target and rules.

    Args:
        embeddings: with the columns that there will be, whatever their numbers.
        settings: what is asked.

    Raises:
        FairauditError: as the audit would.
    """
    embeddings = prepared(embeddings, settings.audit, [])
    space = space_of(embeddings, settings.of)
    by, given = groupings(embeddings, settings.audit), held_fixed(embeddings, settings.audit)
    target = _target(settings)
    if "verification" not in settings.without:
        check_genuine(space, _crossed(space, by), given)
    if settings.downstream is not None:
        match("column", settings.downstream, embeddings.columns())
    rows = np.flatnonzero(space.classes != MISSING)
    right = np.ones(len(rows), dtype=np.int64)
    classes = (IMPOSTOR, GENUINE) if target == GENUINE else (MISS, HIT)
    # pairs are labelled either way; what is found is always labelled a hit
    label = np.arange(len(rows)) % 2 if target == GENUINE else right
    attributes = {name: column.take(rows) for name, column in embeddings.attributes.items()}
    table = Predictions(embeddings.rows[rows], {target: Task(classes, label, right)}, attributes)
    _Card(embeddings).judged(table, _for_tables(settings.audit, by), target, classes[1], settings.audit.rules)


def _crossed(space: Space, by: tuple[tuple[str, ...], ...]) -> list[Groups]:
    grouped = [cross(space.embeddings.attributes, names) for names in by]
    for groups in grouped:
        if not ((groups.ids != MISSING) & (space.classes != MISSING)).any():
            raise DataError(f"no image has a {' and a '.join(groups.by)}: there are no groups by it")
    return grouped


def _for_tables(settings: AuditSettings, by: tuple[tuple[str, ...], ...]) -> AuditSettings:
    """What audits of tables are asked, whose rows are those that are audited and whose columns have levels."""
    changes: dict[str, Any] = {"by": by, "where": None, "bins": {}, "threshold": None, "rules": (), "target": None}
    return settings.model_copy(update=changes)


def _target(settings: EmbedSettings) -> str:
    """What rules are about, in one spelling."""
    known = [*(f"recall_at_{k}" for k in settings.k), GENUINE]
    target = (settings.audit.target or known[0]).replace("@", "_at_")
    if target not in known:
        raise UsageError(f"--target {settings.audit.target!r}: rules are about retrieval or pairs{suggest(target, known)}")
    if target == GENUINE and "verification" in settings.without:
        raise UsageError("rules about genuine need pairs: leave out --without verification")
    return target


class _Card:
    """What the embeddings' dataset says of itself, for every audit of a table.

    Args:
        embeddings: whose ``made`` may hold a note and reference levels.
    """

    def __init__(self, embeddings: Embeddings) -> None:
        note, privileged = embeddings.made.get("note"), embeddings.made.get("privileged")
        self._notes = [str(note)] if note else []
        self._privileged = privileged if isinstance(privileged, Mapping) else {}

    def judged(
        self, predictions: Predictions, settings: AuditSettings, target: str, positive: str, rules: Sequence[str]
    ) -> Table:
        """A table and its audit."""
        asked = settings.model_copy(update={"target": target, "positive": positive, "rules": tuple(rules)})
        return Table(predictions, audit(predictions, asked, card_privileged=self._privileged, notes=self._notes))


def _within(space: Space, groups: Groups, ks: Sequence[int]) -> Retrieval:
    """Every query against the gallery of its own group."""
    parts = [
        retrieve(space.unit, space.classes, ks, np.flatnonzero(groups.ids == g))
        for g in range(len(groups))
        if ((groups.ids == g) & (space.classes != MISSING)).any()
    ]
    return Retrieval(
        np.concatenate([one.queries for one in parts]),
        {k: np.concatenate([one.hits[k] for one in parts]) for k in ks},
        np.concatenate([one.relevant for one in parts]),
        *(np.concatenate([one.means[name] for one in parts]) for name in parts[0].means),
    )
