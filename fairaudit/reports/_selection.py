"""What a report shows of an audit, and in which order: a record holds hundreds of numbers, a page has room for some."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence

from fairaudit.errors import UnknownNameError
from fairaudit.reports._rules import ruled_metrics
from fairaudit.results import AuditResult, Disparity, GroupingResult, GroupResult

COLUMNS = 4
"""Metrics per group that are shown unless more were asked for or are ruled on."""

_WHOLE = ("hamming_accuracy", "subset_accuracy", "mean_f2")
_OVER_LABELS = ("f1[macro]", "f1[micro]", "true_positive_rate[micro]")
"""Of several labels what is measured on whole images, and what is shown beside it where there is room."""

_PREFERRED = ("accuracy", "balanced_accuracy", "true_positive_rate", "false_positive_rate", "selection_rate", "f1")


def chosen_metrics(result: AuditResult, asked: Sequence[str] = ()) -> tuple[str, ...]:
    """Metrics to show per group: those asked for; else accuracy, those that rules are about, and what fills the page.

    Args:
        result: the audit.
        asked: metric names; one without its class means every class.

    Raises:
        UnknownNameError: the audit has no such metric.
    """
    known = list(result.overall.metrics)
    if asked:
        found: list[str] = []
        for name in asked:
            wanted = name.strip().replace("-", "_") if "[" not in name else name.strip()
            same = [m for m in known if m.casefold() == wanted.casefold() or _base(m) == wanted.casefold()]
            if not same:
                raise UnknownNameError("metric", name, known)
            found += same
        return tuple(dict.fromkeys(found))
    ruled = [one.metric for rule in result.rules for one in rule.outcomes if one.metric in known]
    if (labels := result.settings.get("multilabel")) is not None:
        whole = [m for m in dict.fromkeys([*_WHOLE, *ruled, *_OVER_LABELS]) if m in known and not _of_one(m, labels)]
        return tuple(whole[: max(COLUMNS, sum(m in ruled or m in _WHOLE for m in whole))])
    shown = list(dict.fromkeys([*[m for m in known if m == "accuracy"], *ruled]))
    if len(shown) < COLUMNS:
        shown += [m for m in _typical(known, len(result.settings.get("classes", ()))) if m not in shown]
        shown = shown[: max(COLUMNS, len(dict.fromkeys(["accuracy", *ruled])))]
    return tuple(shown)


def worst_first(grouping: GroupingResult, metric: str, floor: int) -> list[GroupResult]:
    """Groups from worst to best by one metric; those too small to be judged, undefined and absent come after them.

    Which end is worst is read off the record: the worst group that it names lies there.
    """
    values = {i: _value(group, metric) for i, group in enumerate(grouping.groups)}
    sign = -1.0 if high_is_worse(grouping, metric, floor) else 1.0

    def place(i: int) -> tuple[bool, bool, bool, float, int]:
        group, undefined = grouping.groups[i], math.isnan(values[i])
        small = not undefined and group.metrics[metric].support < floor
        return group.n == 0, undefined, small, 0.0 if undefined else sign * values[i], i

    return [grouping.groups[i] for i in sorted(values, key=place)]


def contrasts(grouping: GroupingResult, metrics: Iterable[str], kind: str, floor: int) -> list[Disparity]:
    """Disparities of one kind for chosen metrics, the largest first, those too small to be judged after them.

    Those without a value are left out.
    """
    wanted = set(metrics)
    found = [d for d in grouping.disparities if d.kind == kind and d.metric in wanted and not math.isnan(d.estimate.value)]
    return sorted(found, key=lambda d: (d.estimate.support < floor, -abs(d.estimate.value)))


def told_apart(one: Disparity, result: AuditResult) -> bool:
    """Whether a difference from the reference group is significant by Holm's method."""
    return one.p_holm is not None and one.p_holm < 1 - _confidence(result)


def told_apart_note(result: AuditResult) -> str:
    """What the mark of such differences means."""
    return f"* p < {1 - _confidence(result):.3g} by Holm's method, over all groups that are compared in the metric"


def _confidence(result: AuditResult) -> float:
    return float(result.settings.get("confidence", 0.95))


def over_groups(grouping: GroupingResult, metric: str) -> Mapping[str, Disparity]:
    """Gap, spread and worst group of one metric, by kind."""
    kinds = ("gap", "spread", "worst_group")
    return {d.kind: d for d in grouping.disparities if d.metric == metric and d.kind is not None and d.kind in kinds}


def named(grouping: GroupingResult, ruled_on: Collection[str] = ()) -> list[Disparity]:
    """Disparities with a name of their own: those ruled on, and of the others each for its worst class and group."""
    found: dict[str, Disparity] = {}
    for one in grouping.disparities:
        if one.kind is not None:
            continue
        key = one.metric if one.metric in ruled_on else _base(one.metric)
        if key not in found or _distance(one) > _distance(found[key]):
            found[key] = one
    return list(found.values())


def often_defined(grouping: GroupingResult, metric: str) -> bool:
    """Whether a metric is defined in more than half of the groups that have images."""
    present = [group for group in grouping.groups if group.n]
    return 2 * sum(not math.isnan(_value(group, metric)) for group in present) > len(present)


def shown_metrics(
    result: AuditResult, grouping: GroupingResult, chosen: Sequence[str], asked: Sequence[str] = ()
) -> list[str]:
    """The chosen metrics that a grouping can show: those asked for, ruled on, or often defined; all of them if none is."""
    kept = {*chosen} if asked else ruled_metrics(result, grouping.by)
    return [m for m in chosen if m in kept or often_defined(grouping, m)] or list(chosen)


def high_is_worse(grouping: GroupingResult, metric: str, floor: int) -> bool:
    """Whether the worst group is that with the largest value: read off the record, whose worst group lies there.

    Groups too small to be judged do not count: the record's worst group is none of them, and theirs may be the extremes.
    """
    worst = over_groups(grouping, metric).get("worst_group")
    if worst is None or worst.group is None:
        return False
    known = [group.metrics[metric] for group in grouping.groups if metric in group.metrics]
    defined = [one.value for one in known if not math.isnan(one.value) and one.support >= floor]
    middle = (min(defined) + max(defined)) / 2 if defined else math.nan
    return worst.estimate.value > middle


def _base(metric: str) -> str:
    return metric.partition("[")[0].casefold()


def _of_one(metric: str, labels: Collection[str]) -> bool:
    return "[" in metric and metric.partition("[")[2][:-1] in labels


def _typical(known: Sequence[str], n_classes: int) -> list[str]:
    """The usual metrics: of the positive class if there is one, of both classes of two, else the mean over classes."""
    found: list[str] = []
    for name in _PREFERRED:
        if name in known:
            found.append(name)
            continue
        of_class = [m for m in known if _base(m) == name]
        macro = [m for m in of_class if m.endswith("[macro]")]
        single = [m for m in of_class if m not in macro]
        found += single if n_classes == 2 and len(single) == 2 else macro
    return found


def _value(group: GroupResult, metric: str) -> float:
    return group.metrics[metric].value if metric in group.metrics else math.nan


def _distance(one: Disparity) -> float:
    value = one.estimate.value
    if math.isnan(value):
        return -1.0
    if _base(one.metric).endswith(("_ratio", "disparate_impact")):  # half is as far as double
        return abs(math.log(value)) if 0 < value < math.inf else math.inf
    return abs(value)
