"""Confusion: what the images of each true class were called, for each group and for all images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fairaudit.reports import _wording as words
from fairaudit.reports._figures.canvas import MUTED, WIDTH, Picture, canvas, ink_on, picture
from fairaudit.reports._figures.rows import short
from fairaudit.reports._figures.tiles import tiles
from fairaudit.reports._selection import worst_first
from fairaudit.results import AuditResult, GroupingResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANELS = 8
"""Groups that are drawn side by side: the worst ones."""

NAMES = 10
"""Classes that have room for their names beside a small matrix."""

SHORT = 16
"""Letters of such a name."""

CLASSES = 20
"""More classes are too small to be told apart."""

FEW = 6
"""Classes of which each cell has room for two decimals."""

Matrix = Sequence[Sequence[int]]


def confusion(result: AuditResult, grouping: GroupingResult, metric: str) -> Picture | None:
    """Draw the confusion matrix of each group, those worst in a metric first.

    None where there are no counts of one target, too many classes, or groups of one true class each, as of the target's own
    attribute.

    Args:
        result: the audit.
        grouping: the grouping.
        metric: the metric that says which groups are worst.
    """
    classes, floor = [str(c) for c in result.settings.get("classes", ())], int(result.settings.get("min_support", 0))
    found = {id(g): m for g, m in zip(grouping.groups, grouping.weighted or grouping.counts, strict=False)}
    first = [g for g in worst_first(grouping, metric, floor) if g.n and id(g) in found]
    told = [g for g in first if sum(map(bool, map(sum, found[id(g)]))) > 1]
    if grouping.together is not None or not 2 <= len(classes) <= CLASSES or 2 * len(told) <= len(first):
        return None
    shown = told[:PANELS]
    across = min(len(shown), 4)
    down = -(-len(shown) // across)
    names = classes if len(classes) <= NAMES else []
    letters = max((len(short(name, SHORT)) for name in names), default=0)
    tilted = _tilted(names)
    # Their places are known: finding them takes longer than drawing them.
    left, below = 0.4 + 0.073 * letters, 0.36 + (0.05 * letters if tilted else 0.12 * bool(letters))
    side = min(1.55, (WIDTH - left - 0.1) / across - 0.12)
    wide, tall = left + 0.1 + (side + 0.12) * across, below + (side + 0.34) * down
    with canvas(wide, tall) as figure:
        figure.set_layout_engine("none")
        for i, group in enumerate(shown):
            x, y = left + (side + 0.12) * (i % across), i // across
            lowest = i + across >= len(shown)
            bottom = tall - 0.28 - side - y * (side + 0.34)
            axes = figure.add_axes((x / wide, bottom / tall, side / wide, side / tall))
            _matrix(axes, found[id(group)], names, 8.5 if len(classes) <= FEW else 0.0, (lowest, i % across == 0))
            room = max(6, int(15.5 * side) - len(f"{group.n:,}") - 3)
            axes.set_title(f"{short(words.group_name(group.group), room)} ({group.n:,})", fontsize=8.5)
        figure.text((left + wide) / 2 / wide, 0.06 / tall, "predicted", fontsize=9, color=MUTED, ha="center", va="bottom")
        figure.text(0.06 / wide, 0.5, "true", fontsize=9, color=MUTED, ha="left", va="center", rotation=90)
    which = "Worst group first"
    if len(shown) < len(first):
        which = f"The {len(shown)} worst of {len(first)} groups by {words.metric_name(metric)}"
    order = f" Classes in order: {', '.join(map(words.clean, classes))}." if len(classes) > NAMES else ""
    return picture(
        figure,
        f"confusion {' '.join(grouping.by)}",
        f"What each class was called, by {words.grouping_name(grouping.by)}",
        _finding([(words.group_name(g.group), found[id(g)]) for g in shown], classes),
        f"{which}; in brackets its images. Each row is a true class and adds up to 1; the darker, the more.{order}",
    )


def whole(result: AuditResult, grouping: GroupingResult) -> Picture | None:
    """Draw the confusion matrix of all images of a grouping; None where there are no counts or too many classes.

    Args:
        result: the audit.
        grouping: its counts are added up over groups.
    """
    classes = [str(c) for c in result.settings.get("classes", ())]
    if grouping.together is not None or not grouping.counts or not 2 <= len(classes) <= CLASSES:
        return None
    matrices = grouping.weighted or grouping.counts
    total = [[sum(m[t][p] for m in matrices) for p in range(len(classes))] for t in range(len(classes))]
    side = min(WIDTH, 1.9 + 0.38 * len(classes))
    with canvas(side, side - 0.3) as figure:
        axes = figure.add_subplot()
        _matrix(axes, total, classes, 8.5 if len(classes) <= 14 else 0.0)
        axes.set_xlabel("predicted")
        axes.set_ylabel("true")
    target = words.clean(result.settings.get("target", "the target"))
    return picture(
        figure,
        f"confusion all {' '.join(grouping.by)}",
        f"What each class of {target} was called, all images",
        _finding([("all images", total)], classes),
        "Each row is a true class and adds up to 1; in hundredths, none below half of one. The darker, the more.",
    )


def _matrix(
    axes: Axes, counts: Matrix, classes: Sequence[str], size: float, named: tuple[bool, bool] = (True, True)
) -> None:
    """One matrix, each row as shares; names where there are classes, below and beside; numbers where the size is not 0."""
    k = len(counts)
    shares = [[n / sum(row) if sum(row) else None for n in row] for row in counts]
    tiles(axes, shares, 0.6)
    for t, row in enumerate(shares):
        for p, share in enumerate(row):
            if not size or share is None or (k > FEW and share < 0.005):
                continue
            text = f"{share:.2f}" if k <= FEW else f"{100 * share:.0f}"
            axes.text(p, t, text, ha="center", va="center_baseline", fontsize=size, color=ink_on(share))
    axes.set_aspect("equal")
    tilted = _tilted(classes)
    names = [short(name, SHORT if len(classes) <= NAMES else 22) for name in classes]
    places = range(len(names))
    axes.set_xticks(places if named[0] else [], names if named[0] else [], rotation=40 if tilted else 0,
                    ha="right" if tilted else "center", rotation_mode="anchor" if tilted else "default")  # fmt: skip
    axes.set_yticks(places if named[1] else [], names if named[1] else [])
    axes.tick_params(pad=2)


def _tilted(names: Sequence[str]) -> bool:
    return len(names) > 4 or any(len(name) > 7 for name in names)


def _finding(matrices: Sequence[tuple[str, Matrix]], classes: Sequence[str]) -> str:
    """The largest share of a class that was called another."""
    worst: tuple[float, str] | None = None
    for name, counts in matrices:
        for t, row in enumerate(counts):
            for p, n in enumerate(row):
                if t != p and n and (worst is None or n / sum(row) > worst[0]):
                    called = f"{words.clean(classes[t])} called {words.clean(classes[p])}"
                    worst = n / sum(row), f"{called}, {words.number(n / sum(row))} of {sum(row):,} ({name})"
    return "No image was called another class." if worst is None else f"Largest confusion: {worst[1]}."
