"""Which figures a page of an audit has: the ones that say most first, and no more than a reader looks at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from fairaudit.reports._figures.canvas import Picture
from fairaudit.reports._figures.confusion import confusion, whole
from fairaudit.reports._figures.forest import forest, labels
from fairaudit.reports._figures.heat import heat
from fairaudit.reports._figures.joint_cells import joint_cells
from fairaudit.reports._figures.limits import limits
from fairaudit.reports._figures.reliability import reliability
from fairaudit.reports._figures.scores import scores
from fairaudit.reports._figures.thresholds import thresholds
from fairaudit.reports._labels import label_metrics, label_rows
from fairaudit.reports._rules import ruled_metrics
from fairaudit.reports._selection import chosen_metrics, shown_metrics
from fairaudit.results import AuditResult, GroupingResult

MOST = 12
"""Figures of a page. Each takes a quarter of a second or so to draw, and a reader longer to read."""

GROUPS = 20
"""Groups of a grouping of which every chosen metric is drawn, and of more only the first and those that rules are about."""

LABELS = 20
"""Labels of one figure."""

_Maker = Callable[[], Picture | None]


@dataclass(frozen=True)
class Pictures:
    """The figures of an audit.

    Attributes:
        rules: of all rules together; None without any.
        groupings: of each unconditional grouping, in the record's order.
        left_out: how many were not drawn because there are too many.
    """

    rules: Picture | None
    groupings: tuple[tuple[Picture, ...], ...]
    left_out: int = 0

    @property
    def every(self) -> tuple[Picture, ...]:
        """All of them, in the page's order; each has a name of its own."""
        first = () if self.rules is None else (self.rules,)
        return first + tuple(picture for own in self.groupings for picture in own)


def pictures(result: AuditResult, asked: Sequence[str] = (), most: int = MOST) -> Pictures:
    """Draw the figures of an audit.

    Args:
        result: the audit.
        asked: metrics that were asked for; empty for the usual ones.
        most: how many at most.

    Raises:
        UnknownNameError: the audit has no such metric.
    """
    chosen, taken = chosen_metrics(result, asked), set[str]()
    rules = limits(result)
    taken |= set() if rules is None else {rules.name}
    drawn, left_out = 0 if rules is None else 1, 0
    found: list[dict[int, Picture]] = [{} for _ in result.unconditional]
    wanted = [list(_makers(result, one, shown_metrics(result, one, chosen, asked), asked)) for one in result.unconditional]
    # In rounds, so that a second grouping has its first figure before the first one has its last.
    for place in range(max(map(len, wanted), default=0)):
        for i, makers in enumerate(wanted):
            if place >= len(makers):
                continue
            if drawn >= most:
                left_out += 1
            elif (one := makers[place]()) is not None:
                found[i][place] = _renamed(one, taken)
                drawn += 1
    return Pictures(rules, tuple(tuple(own[place] for place in sorted(own)) for own in found), left_out)


def _makers(
    result: AuditResult, grouping: GroupingResult, metrics: Sequence[str], asked: Sequence[str]
) -> Iterator[_Maker]:
    """What could be drawn of one grouping, what says most first."""
    if not metrics:
        return
    first, floor = metrics[0], int(result.settings.get("min_support", 0))
    yield lambda: forest(result, grouping, first)
    if "some_right" in result.overall.metrics:
        yield lambda: joint_cells(result, grouping)
        if grouping is result.unconditional[0]:  # that of all images is the same in every grouping
            yield lambda: whole(result, grouping)
    if len(grouping.by) == 2:
        yield lambda: heat(result, grouping, first)
    for metric in label_metrics(result, grouping, asked):
        if rows := label_rows(result, grouping, metric, floor)[:LABELS]:
            yield lambda metric=metric, rows=rows: labels(result, grouping, metric, rows)  # type: ignore[misc]
    few = asked or len(grouping.groups) <= GROUPS
    for metric in metrics[1:] if few else [m for m in metrics[1:] if m in ruled_metrics(result, grouping.by)]:
        yield lambda metric=metric: forest(result, grouping, metric)  # type: ignore[misc]
    if grouping.together is None and "some_right" not in result.overall.metrics:
        yield lambda: confusion(result, grouping, first)
    # Of groups that are the target's own classes, scores tell nothing that others do not.
    if grouping.scores is not None and any(sum(g.positives) and sum(g.negatives) for g in grouping.scores.groups):
        yield lambda: thresholds(result, grouping, first)
        yield lambda: scores(result, grouping, first)
        yield lambda: reliability(result, grouping, first)


def _renamed(picture: Picture, taken: set[str]) -> Picture:
    """With a name that no other has: names that differ only in letters that files do not take would share one."""
    name, k = picture.name, 1
    while name in taken:
        k += 1
        name = f"{picture.name}-{k}"
    taken.add(name)
    return picture if name == picture.name else replace(picture, name=name)
