"""One grouping of an embedding space: what retrieval, verification and geometry say of each of its groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fairaudit.config import AuditSettings, EmbedSettings
from fairaudit.errors import DataError
from fairaudit.metrics.clustered_means import clustered_means
from fairaudit.metrics.geometry import geometry
from fairaudit.metrics.groups import Groups
from fairaudit.metrics.retrieval import Retrieval
from fairaudit.predictions import MISSING, IntArray
from fairaudit.results import AuditResult, Estimate, GroupingResult, group_label
from fairaudit.results.embedding import EmbeddedGroup, EmbeddedGrouping, Verified
from fairaudit.workflows.audit import audit
from fairaudit.workflows.embed_besides import clusters_of
from fairaudit.workflows.embed_tables import HIT, Space, found_table
from fairaudit.workflows.embed_verify import Verification

_SPECTRUM_ROWS = 1000
_GEOMETRY = ("alignment", "uniformity", "intra", "inter", "ratio", "crowding", "density", "spectrum")


def grouping_of(
    space: Space,
    groups: Groups,
    found: Retrieval,
    own: Retrieval,
    settings: EmbedSettings,
    asked: AuditSettings,
    pairs: AuditResult | None,
    verified: Verification | None,
) -> EmbeddedGrouping:
    """Measure every group of a grouping.

    Args:
        space: embeddings and classes.
        groups: the grouping.
        found: queries against every image.
        own: queries against their own group.
        settings: what is asked.
        asked: the same for audits of tables, without rules.
        pairs: the audit of pairs; None where there is none.
        verified: the pairs themselves.

    Raises:
        DataError: no group has anything to find again.
    """
    single = asked.model_copy(update={"by": (groups.by,)})
    full_rates, gaps = _rates(space, groups, found, settings.k, single)
    own_rates, own_gaps = _rates(space, groups, own, settings.k, single)
    gaps |= {f"own {name}": gap for name, gap in own_gaps.items()}
    rates = None if pairs is None else next(g for g in pairs.groupings if g.by == groups.by)
    rows = [np.flatnonzero((groups.ids == g) & (space.classes != MISSING)) for g in range(len(groups))]
    present = [g for g in range(len(groups)) if len(rows[g])]
    most = min([_SPECTRUM_ROWS, *(len(rows[g]) for g in present)])
    told = []
    for g in present:
        shape: dict[str, float] = {}
        clusters: dict[str, float] = {}
        if "geometry" not in settings.without:
            measured = geometry(space.unit[rows[g]], space.classes[rows[g]], most, asked.seed)
            shape = {name: float(getattr(measured, name)) for name in _GEOMETRY}
            clusters = clusters_of(space, rows[g], asked.seed)
        checked = None if rates is None or verified is None else _verified(verified, groups, g, rates)
        classes = len(np.unique(space.classes[rows[g]]))
        told.append(
            EmbeddedGroup(
                groups.as_mapping(g), len(rows[g]), classes, full_rates[g], own_rates[g], shape, clusters, checked
            )
        )
    if rates is not None:
        gaps |= {
            short: one.estimate
            for short, name in (("fmr", "false_positive_rate"), ("fnmr", "false_negative_rate"))
            for one in rates.disparities
            if one.kind == "gap" and one.metric.partition("[")[0] == name
        }
    crowding = [one.geometry["crowding"] for one in told if np.isfinite(one.geometry.get("crowding", np.nan))]
    recall = f"recall_at_{settings.k[0]}"
    largest = max(told, key=lambda one: one.n)
    others = [one.full[recall].value for one in told if one is not largest and np.isfinite(one.full[recall].value)]
    return EmbeddedGrouping(
        groups.by,
        tuple(told),
        gaps,
        float(max(crowding) - min(crowding)) if len(crowding) > 1 else float("nan"),
        float(largest.full[recall].value - np.mean(others)) if others else float("nan"),
        most,
    )


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
        means = clustered_means(values, ids, people, len(groups), asked.confidence)
        for g, estimate in enumerate(means):
            told[g][name] = estimate
        known = [one.value for one in means if one.support >= asked.min_support]
        if len(known) > 1:
            gaps[name] = Estimate(
                max(known) - min(known), float("nan"), float("nan"), min(o.support for o in means if o.support)
            )
    return told, gaps


def _verified(verified: Verification, groups: Groups, g: int, rates: GroupingResult) -> Verified:
    cell = next(one for one in rates.groups if dict(one.group) == groups.as_mapping(g))
    own = verified.of(groups, g)
    named = {name.partition("[")[0]: estimate for name, estimate in cell.metrics.items()}
    return replace(own, fmr=named["false_positive_rate"], fnmr=named["false_negative_rate"])
