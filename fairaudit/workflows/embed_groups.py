"""One grouping of an embedding space: what retrieval, verification and geometry say of each of its groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fairaudit.config import AuditSettings, EmbedSettings
from fairaudit.errors import DataError
from fairaudit.metrics.clustered_means import clustered_means
from fairaudit.metrics.crowding import crowding_gap
from fairaudit.metrics.geometry import geometry
from fairaudit.metrics.groups import Groups
from fairaudit.metrics.intervals import mover_mean
from fairaudit.metrics.retrieval import Retrieval
from fairaudit.predictions import MISSING, IntArray
from fairaudit.results import AuditResult, Disparity, Estimate, GroupingResult, group_label
from fairaudit.results.embedding import EmbeddedGroup, EmbeddedGrouping, EmbeddedLevel, Verified
from fairaudit.workflows.audit import audit
from fairaudit.workflows.embed_besides import clusters_of
from fairaudit.workflows.embed_tables import HIT, Space, found_table
from fairaudit.workflows.embed_verify import Verification

_EQUAL_ROWS = 1000
"""Of each group, at the most, for density and spectrum."""

_GEOMETRY = ("alignment", "uniformity", "intra", "inter", "ratio", "density", "spectrum")


@dataclass(frozen=True, eq=False)
class Judged:
    """Audits of the tables that a space was turned into.

    Attributes:
        retrieval: of what was found among every image.
        pairs: of pairs; None where there is none.
        verified: the pairs themselves.
    """

    retrieval: AuditResult
    pairs: AuditResult | None
    verified: Verification | None


def grouping_of(
    space: Space,
    groups: Groups,
    found: Retrieval,
    own: Retrieval,
    settings: EmbedSettings,
    asked: AuditSettings,
    judged: Judged,
) -> EmbeddedGrouping:
    """Measure every group of a grouping.

    Args:
        space: embeddings and classes.
        groups: the grouping.
        found: queries against every image.
        own: queries against their own group.
        settings: what is asked.
        asked: the same for audits of tables, without rules.
        judged: the audits of tables.

    Raises:
        DataError: no group has anything to find again.
    """
    single = asked.model_copy(update={"by": (groups.by,), "given": ()})
    full_rates, gaps = _rates(space, groups, found, settings.k, single)
    own_rates, own_gaps = _rates(space, groups, own, settings.k, single)
    gaps |= {f"own {name}": gap for name, gap in own_gaps.items()}
    pairs, verified = judged.pairs, judged.verified
    rates = None if pairs is None else next(g for g in pairs.groupings if g.by == groups.by and g.given is None)
    rows = [np.flatnonzero((groups.ids == g) & (space.classes != MISSING)) for g in range(len(groups))]
    present = [g for g in range(len(groups)) if len(rows[g])]
    classes = {g: len(np.unique(space.classes[rows[g]])) for g in present}
    # what depends on how much there is of a group is measured on equally much, groups too small to be judged aside
    enough = [g for g in present if len(rows[g]) >= asked.min_support] or present
    most = min([_EQUAL_ROWS, *(len(rows[g]) for g in enough)])
    fewest = min([classes[g] for g in enough if classes[g] > 1], default=1)
    told, crowded = [], []
    for g in present:
        shape: dict[str, float] = {}
        clusters: dict[str, float] = {}
        if "geometry" not in settings.without:
            measured = geometry(space.unit[rows[g]], space.classes[rows[g]], space.who[rows[g]], most, asked.seed)
            crowded.append(measured.crowding)
            shape = {name: float(getattr(measured, name)) for name in _GEOMETRY} | {"crowding": measured.crowding.value}
            clusters = _alike(space, rows[g], classes[g], fewest, asked.seed)
        checked = None if rates is None or verified is None else _verified(verified, groups, g, rates)
        told.append(
            EmbeddedGroup(
                groups.as_mapping(g), len(rows[g]), classes[g], full_rates[g], own_rates[g], shape, clusters, checked
            )
        )
    if rates is not None:
        gaps |= _match_gaps(rates.disparities)
    return EmbeddedGrouping(
        groups.by,
        tuple(told),
        gaps,
        crowding_gap(crowded, asked.confidence),
        _advantage(told, f"recall_at_{settings.k[0]}", asked.min_support),
        most,
        fewest,
        _levels(groups.by, judged),
    )


def _alike(space: Space, rows: IntArray, classes: int, fewest: int, seed: int) -> dict[str, float]:
    if classes < max(fewest, 2):
        return {"nmi": float("nan"), "f1": float("nan")}
    return clusters_of(space, rows, seed, fewest)


def _match_gaps(disparities: Sequence[Disparity]) -> dict[str, Estimate]:
    """Gaps of false match and false non-match rates, which are a table's false positive and negative rates."""
    return {
        short: one.estimate
        for short, name in (("fmr", "false_positive_rate"), ("fnmr", "false_negative_rate"))
        for one in disparities
        if one.kind == "gap" and one.metric.partition("[")[0] == name
    }


def _advantage(told: Sequence[EmbeddedGroup], recall: str, min_support: int) -> Estimate:
    """Recall of the largest group less the mean of the others; groups too small to be judged are left out."""
    known = [one.full[recall] for one in sorted(told, key=lambda one: -one.n) if one.full[recall].support >= min_support]
    if len(known) < 2:
        return Estimate(np.nan, np.nan, np.nan, 0, "undefined: fewer than two groups")
    if sum(one.n == max(other.n for other in told) for one in told) > 1:
        return Estimate(np.nan, np.nan, np.nan, 0, "undefined: no group is the largest")
    value, low, high = (np.array([getattr(one, end) for one in known]) for end in ("value", "ci_low", "ci_high"))
    mean = float(value[1:].mean())
    below, above = mover_mean(value[1:], low[1:], high[1:])
    d = float(value[0]) - mean
    return Estimate(
        d,
        d - float(np.hypot(value[0] - low[0], above - mean)),
        d + float(np.hypot(high[0] - value[0], mean - below)),
        min(one.support for one in known),
    )


def _levels(by: tuple[str, ...], judged: Judged) -> tuple[EmbeddedLevel, ...]:
    """The grouping within levels of what is held fixed, level by level."""
    recall = str(judged.retrieval.settings["target"])
    levels: list[EmbeddedLevel] = []
    for grouping in judged.retrieval.groupings:
        if grouping.by != by or grouping.given is None:
            continue
        n = sum(one.n for one in grouping.groups)
        gap = next((d.estimate for d in grouping.disparities if (d.metric, d.kind) == ("accuracy", "gap")), None)
        gaps = {} if gap is None else {recall: gap}
        if judged.pairs is not None:
            twin = next((g for g in judged.pairs.groupings if (g.by, g.given) == (by, grouping.given)), None)
            gaps |= {} if twin is None else _match_gaps(twin.disparities)
        levels.append(EmbeddedLevel(grouping.given, n, gaps))
    return tuple(levels)


def _rates(
    space: Space, groups: Groups, found: Retrieval, ks: Sequence[int], asked: AuditSettings
) -> tuple[list[dict[str, Estimate]], dict[str, Estimate]]:
    """Every measure of each group, and the gaps of recalls: limits of shares are those of the tables' audits."""
    told: list[dict[str, Estimate]] = [{} for _ in range(len(groups))]
    gaps: dict[str, Estimate] = {}
    if not (found.relevant > 0).any():
        raise DataError(f"no group has two images of one {space.name}: there is nothing to find again within groups")
    table = found_table(space, found)
    for k in ks:
        name = f"recall_at_{k}"
        result = audit(table, asked.model_copy(update={"target": name, "positive": HIT}))
        cells = {group_label(one.group): one.metrics["accuracy"] for one in result.groupings[0].groups}
        for g in range(len(groups)):
            told[g][name] = cells[group_label(groups.as_mapping(g))]
        for one in result.groupings[0].disparities:
            if (one.metric, one.kind) == ("accuracy", "gap"):
                gaps[name] = one.estimate
    ids: IntArray = groups.ids[found.queries]
    people = space.who[found.queries]
    for name, values in found.means.items():
        means = clustered_means(values, ids, people, len(groups))
        for g, estimate in enumerate(means.estimates(asked.confidence)):
            told[g][name] = estimate
        if (gap := means.gap(asked.confidence, asked.min_support)) is not None:
            gaps[name] = gap
    return told, gaps


def _verified(verified: Verification, groups: Groups, g: int, rates: GroupingResult) -> Verified:
    cell = next(one for one in rates.groups if dict(one.group) == groups.as_mapping(g))
    own = verified.of(groups, g)
    named = {name.partition("[")[0]: estimate for name, estimate in cell.metrics.items()}
    return replace(own, fmr=named["false_positive_rate"], fnmr=named["false_negative_rate"])
