"""A comparison of models in words: who got worse, who gained, what cannot be said; the same in every format."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fairaudit.comparison import Change, ComparisonResult, Design, GroupingChange, PairComparison, Trend
from fairaudit.errors import UnknownNameError
from fairaudit.reports import _wording as words

MARKS = {Trend.WORSE: "✗", Trend.BETTER: "✓", Trend.HIGHER: "↑", Trend.LOWER: "↓", Trend.UNDECIDED: ""}
ORDER = (Trend.WORSE, Trend.LOWER, Trend.UNDECIDED, Trend.HIGHER, Trend.BETTER)
"""How rows are sorted: what a reader must not miss comes first."""

OPEN = "?"
"""The mark of a sentence about what cannot be said."""

KEY = "✗ worse and ✓ better are shown by this data; of a number without a mark, no change is shown and none is ruled out"
_TESTS = {
    "mcnemar": "McNemar's mid-p on the images where the models differ",
    "person sign-flip": "exact sign-flip test, mid-p, of what each person gained or lost",
    "permutation": "permutation of the two models",
    "mover": "by inverting the interval of the difference",
    "paired t": "paired t over seeds",
}
_LOSSES = "losses: limits of both, combined with the correlation of the images' losses"
_CALIBRATION = "calibration errors: limits of both, combined with their correlation in a paired bootstrap of the rows"
_LIMITS = {
    "auroc": "areas: limits of both, combined with DeLong's covariance of the two models",
    "average_precision": "average precision: limits of both, combined with the correlation of the images' pulls on them",
    "brier": _LOSSES,
    "log_loss": _LOSSES,
    "ece": _CALIBRATION,
    "ece_equal_mass": _CALIBRATION,
    "confidence_ece": _CALIBRATION,
}
"""Whose changes have limits of their own kind where the images are the same."""
_OVER = {"mean": "the mean over groups", "gap": "the gap", "spread": "the spread", "worst_group": "the worst group"}


@dataclass(frozen=True)
class Said:
    """A sentence about one change, or about several that nothing can be said of.

    Attributes:
        trend: what is shown; ``undecided`` of what cannot be said.
        text: the sentence, without a mark.
    """

    trend: Trend
    text: str

    @property
    def mark(self) -> str:
        """Its mark, ``?`` where nothing can be said."""
        return MARKS[self.trend] or OPEN


def chosen(result: ComparisonResult, metrics: Sequence[str]) -> tuple[str, ...]:
    """The metrics to show: those asked for, else accuracy, or the first one where there is none.

    Args:
        result: the comparison.
        metrics: as the user named them.

    Raises:
        UnknownNameError: the comparison has no such metric.
    """
    known = known_metrics(result)
    for name in metrics:
        if name not in known:
            raise UnknownNameError("metric", name, known)
    return tuple(metrics) or tuple(m for m in known if m == "accuracy") or tuple(known[:1])


def known_metrics(result: ComparisonResult) -> list[str]:
    """Every metric that was compared."""
    return list(dict.fromkeys(c.metric for pair in result.pairs for c in pair.overall.changes))


def title(result: ComparisonResult, pair: PairComparison) -> str:
    """What was compared with what."""
    target = words.clean(result.settings.get("target", "the target"))
    return f"Comparison of {target}: {words.clean(pair.before)} → {words.clean(pair.after)}"


def confidence(result: ComparisonResult) -> str:
    """Of the intervals, in percent: ``95 %``."""
    return f"{100 * float(result.settings.get('confidence', 0.95)):g} %"


def design(result: ComparisonResult, pair: PairComparison) -> str:
    """How the images belong together, and how many there are."""
    sizes = f"{pair.n[0]:,}" if pair.n[0] == pair.n[1] else f"{pair.n[0]:,} and {pair.n[1]:,}"
    how = {
        Design.PAIRED: f"paired by image, {sizes} images",
        Design.UNPAIRED: f"unpaired: {sizes} different images",
        Design.SEEDS: f"over seeds, {sizes} images a run",
    }[pair.design]
    return f"{how}, {confidence(result)} intervals"


def of_metric(grouping: GroupingChange, metric: str) -> tuple[list[Change], list[Change]]:
    """Changes of groups, what is worse first, and those over groups that are defined.

    Args:
        grouping: of the comparison.
        metric: which one.
    """
    own = [c for c in grouping.changes if c.metric == metric]
    groups = sorted((c for c in own if c.kind is None), key=_worst_first)
    return groups, [c for c in own if c.kind is not None and not math.isnan(c.change.value)]


def sentences(groups: Sequence[Change], over: Sequence[Change], p: bool = True) -> Iterable[Said]:
    """Who got worse, who gained, what became of the kinds over groups, and of how many groups nothing can be said.

    Args:
        groups: changes of groups.
        over: changes over groups.
        p: whether p-values are told.
    """
    for trend in (Trend.WORSE, Trend.LOWER, Trend.BETTER, Trend.HIGHER):
        for c in sorted((c for c in groups if c.trend is trend), key=lambda c: -abs(c.change.value)):
            yield Said(trend, f"{trend.value}: {words.group_name(c.group)} {moved(c, p)}")
    for c in over:
        yield Said(c.trend, f"{over_word(c)} {moved(c, p)}")
    open_ = [c for c in groups if c.trend is Trend.UNDECIDED and not math.isnan(c.change.value)]
    if not open_:
        return
    if len(open_) == len(groups):
        yield Said(Trend.UNDECIDED, "nothing can be said of any group: no change is shown, and none is ruled out")
    else:
        yield Said(Trend.UNDECIDED, f"nothing can be said of the other {words.count(len(open_), 'group')}")


def over_word(c: Change) -> str:
    """What a change over groups is called, with what is shown of it: ``the gap narrowed:``."""
    name = _OVER[c.kind or "gap"]
    if c.trend is Trend.UNDECIDED:
        return f"{name}: no change is shown,"
    if c.kind in ("mean", "worst_group"):
        return f"{name} is {c.trend.value}:"
    return f"{name} {'narrowed' if c.trend is Trend.BETTER else 'widened'}:"


def moved(c: Change, p: bool = True) -> str:
    """From what to what a number moved, with the change, its interval and, unless ``p`` is False, its p-value."""
    limits = words.interval(c.change.ci_low, c.change.ci_high, signed=True)
    said = f"change {words.number(c.change.value, signed=True)} {limits}".strip()
    tested = f", {p_value(c.p_adjusted)}" if p else ""
    return f"{words.number(c.before.value)} → {words.number(c.after.value)} ({said}{tested})"


def row_name(c: Change) -> str:
    """What a row of a table is about: a group, a kind over groups, or all images."""
    return words.group_name(c.group) if c.group is not None else (c.kind or "all images").replace("_", " ")


def side(c: Change, which: int) -> str:
    """The number before (0) or after (1), with its interval, or over seeds its standard deviation."""
    one = (c.before, c.after)[which]
    if c.sd is not None and not math.isnan(one.value):
        sd = c.sd[which]
        return words.number(one.value) + ("" if math.isnan(sd) else f" ± {words.number(sd)}")
    return words.estimate(one)


def change(c: Change) -> str:
    """The change with its interval and its mark."""
    if math.isnan(c.change.value):
        return "–"
    limits = words.interval(c.change.ci_low, c.change.ci_high, signed=True)
    return " ".join(f"{words.number(c.change.value, signed=True)} {limits} {MARKS[c.trend]}".split())


def p_cell(c: Change) -> str:
    """The adjusted p-value as a cell of a table; empty where there is no test."""
    return "" if math.isnan(c.p_adjusted) else p_value(c.p_adjusted).removeprefix("p = ").removeprefix("p ")


def p_value(p: float) -> str:
    """A p-value in a sentence."""
    if math.isnan(p):
        return "no test"
    return "p < 0.0001" if p < 0.0001 else f"p = {p:.4f}" if p < 0.01 else f"p = {p:.2f}"


def notes(result: ComparisonResult, pair: PairComparison, metrics: Sequence[str]) -> list[str]:
    """What a reader must know of one pair: which images, which tests, how many metrics are not shown.

    Args:
        result: the comparison.
        pair: of it.
        metrics: those that are shown.
    """
    used = [c for g in (pair.overall, *pair.groupings) for c in g.changes if c.metric in metrics and c.test is not None]
    tests = [_TESTS[name] for name in dict.fromkeys(c.test for c in used if c.test is not None)]
    replicates = int(result.settings.get("bootstrap", 0))
    told = [*pair.notes]
    if tests:
        told.append(
            f"p: {'; '.join(tests)}. Over the groups of a grouping, p-values are adjusted (Holm)"
            + ("" if pair.design is Design.SEEDS else " and intervals of changes hold together (Šidák)")
        )
    if pair.design is Design.PAIRED:
        told += dict.fromkeys(_LIMITS[name] for metric in metrics if (name := metric.partition("[")[0]) in _LIMITS)
    if _TESTS["permutation"] in tests:
        told.append(f"{replicates:,} permutations: their p is never below 1/{replicates + 1:,} (--bootstrap)")
        level = 1 - float(result.settings.get("confidence", 0.95))
        over = [c for c in used if c.kind is not None and c.trend is Trend.UNDECIDED and c.p_adjusted < level]
        if any(c.change.ci_low <= 0 <= c.change.ci_high for c in over):
            told.append(
                "a small p whose interval contains 0: that the models differ is shown, but not that this number moved; "
                "a number is called better or worse only where both show it"
            )
    return told


def hidden(result: ComparisonResult, metrics: Sequence[str]) -> int:
    """How many metrics are not shown."""
    return len(set(known_metrics(result)) - set(metrics))


def _worst_first(c: Change) -> tuple[bool, int, float]:
    return math.isnan(c.change.value), ORDER.index(c.trend), -abs(c.change.value)
