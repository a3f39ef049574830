"""Embedding spaces drawn: scores of pairs, error trade-off, recall over k, and a map."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fairaudit.reports import _wording as words
from fairaudit.reports._embedding import measure
from fairaudit.reports._figures.canvas import DASHES, INK, MARKS, MUTED, PASS, RULE, SERIES, WIDTH, Picture, canvas, picture
from fairaudit.reports._figures.rows import short
from fairaudit.results.embedding import EmbeddedGroup, EmbeddedGrouping, EmbeddingResult, Verified

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST = len(SERIES)
"""Groups of a figure, the largest first."""

Paired = tuple[EmbeddedGroup, Verified]


def largest(grouping: EmbeddedGrouping) -> list[EmbeddedGroup]:
    """The groups that a figure has room for."""
    return sorted(grouping.groups, key=lambda g: -g.n)[:MOST]


def distances(result: EmbeddingResult, grouping: EmbeddedGrouping) -> Picture | None:
    """Scores of genuine pairs and impostors, a panel for each group; None where there are no pairs.

    Args:
        result: the audit.
        grouping: one of its groupings.
    """
    groups: list[Paired] = [(g, g.verified) for g in largest(grouping) if g.verified is not None]
    if not groups:
        return None
    across = min(len(groups), 3)
    down = -(-len(groups) // across)
    with canvas(WIDTH, 0.4 + 1.75 * down) as figure:
        several = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True)
        for i, axes in enumerate(several.flat):
            if i < len(groups):
                _panel(axes, groups[i], float(result.settings["threshold"]))
            else:
                axes.set_visible(False)
        figure.supxlabel("score, (1 + cosine) ÷ 2", fontsize=9, color=MUTED)
        figure.supylabel("share of the pairs", fontsize=9, color=MUTED)
    by = words.grouping_name(grouping.by)
    worst = max(groups, key=lambda one: one[1].fmr.value if one[1].fmr.support else -1.0)
    alt = f"{words.group_name(worst[0].group)} has the highest false match rate, {words.estimate(worst[1].fmr)}."
    caption = (
        "Above the line: genuine pairs, with their number; below: impostors. Dashed: the one threshold; dotted: the one "
        f"that the group would need for the same false match rate. {_which(grouping)}"
    )
    return picture(figure, f"pairs {' '.join(grouping.by)}", f"Scores of pairs, by {by}", alt, caption)


def _panel(axes: Axes, one: Paired, threshold: float) -> None:
    group, pairs = one
    for sign, counts, colour in ((1, pairs.genuine_scores, PASS), (-1, pairs.impostor_scores, SERIES[1])):
        total = sum(counts)
        if total:
            edges = [i / len(counts) for i in range(len(counts) + 1)]
            axes.stairs([sign * n / total for n in counts], edges, color=colour, fill=True, alpha=0.85)
    axes.axhline(0, color=INK, linewidth=0.7)
    axes.axvline(threshold, color=INK, linewidth=0.8, linestyle=(0, (4, 2)))
    if pairs.threshold == pairs.threshold:
        axes.axvline(pairs.threshold, color=INK, linewidth=0.9, linestyle=(0, (1, 1.5)))
    axes.set_xlim(0, 1)
    axes.text(0.03, 0.95, f"genuine {pairs.genuine:,}", transform=axes.transAxes, fontsize=8, va="top")
    axes.text(0.03, 0.05, f"impostors {pairs.impostors:,}", transform=axes.transAxes, fontsize=8, va="bottom")
    ticks = [t for t in axes.get_yticks() if abs(t) <= 1]
    axes.set_yticks(ticks, [f"{abs(t):.2g}" for t in ticks])
    axes.set_title(short(words.group_name(group.group), 24), fontsize=8.5, color=INK)


def trade_off(grouping: EmbeddedGrouping) -> Picture | None:
    """False non-match over false match rate of each group, both on logarithmic axes; None where there are no pairs.

    Args:
        grouping: one of the audit's groupings.
    """
    groups: list[Paired] = [
        (g, g.verified) for g in largest(grouping) if g.verified is not None and g.verified.genuine and g.verified.impostors
    ]
    if not groups:
        return None
    with canvas(WIDTH, 3.4) as figure:
        axes = figure.subplots()
        for i, (group, pairs) in enumerate(groups):
            drawn = [(fmr, fnmr) for _, fmr, fnmr in pairs.curve if fmr > 0 and fnmr > 0]
            label = f"{short(words.group_name(group.group), 24)}, EER {words.number(pairs.eer)}"
            axes.plot(*zip(*drawn, strict=True) if drawn else ([], []), color=SERIES[i], linestyle=DASHES[i], label=label)
            if pairs.fmr.value > 0 and pairs.fnmr.value > 0:
                axes.plot(pairs.fmr.value, pairs.fnmr.value, MARKS[i], color=SERIES[i], markersize=5)
        axes.set_xscale("log")
        axes.set_yscale("log")
        for axis in (axes.xaxis, axes.yaxis):  # figures have no mathematical text, which logarithmic axes would want
            axis.set_major_formatter(lambda value, _: f"{value:g}")
            axis.set_minor_formatter(lambda *_: "")
        axes.set_xlabel("false match rate")
        axes.set_ylabel("false non-match rate")
        axes.grid(True)
        axes.legend(fontsize=8.5)
    worst = max(groups, key=lambda one: one[1].eer)
    alt = f"{words.group_name(worst[0].group)} has the highest equal error rate, {words.number(worst[1].eer)}."
    caption = f"Closer to the lower left is better. Marks: at the one threshold. {_which(grouping)}"
    title = f"Error trade-off (DET), by {words.grouping_name(grouping.by)}"
    return picture(figure, f"det {' '.join(grouping.by)}", title, alt, caption)


def recalls(result: EmbeddingResult, grouping: EmbeddedGrouping) -> Picture:
    """Recall@k of each group over k, with limits.

    Args:
        result: the audit.
        grouping: one of its groupings.
    """
    ks = sorted(int(k) for k in result.settings["k"])
    groups = largest(grouping)
    with canvas(WIDTH, 3.0) as figure:
        several = figure.subplots(1, 2, sharey=True)
        for axes, own, heading in zip(several, (False, True), ("every image", "the own group"), strict=True):
            for i, group in enumerate(groups):
                told = [(group.own if own else group.full)[f"recall_at_{k}"] for k in ks]
                shift = (i - (len(groups) - 1) / 2) * 0.06
                # a value outside its own limits, which resampling can give, must not stop the page
                errors = [[max(t.value - t.ci_low, 0.0) for t in told], [max(t.ci_high - t.value, 0.0) for t in told]]
                axes.errorbar(
                    [j + shift for j in range(len(ks))], [t.value for t in told], errors, color=SERIES[i],
                    linestyle=DASHES[i], marker=MARKS[i], markersize=4, linewidth=1.2, elinewidth=0.9,
                    label=short(words.group_name(group.group), 24),
                )  # fmt: skip
            axes.set_xticks(range(len(ks)), [str(k) for k in ks])
            axes.set_xlabel("k")
            axes.set_title(f"against {heading}", fontsize=9, color=INK)
            axes.grid(axis="y")
        several[0].set_ylabel("recall@k")
        several[0].legend(fontsize=8.5, loc="lower right")
    name = f"recall_at_{ks[0]}"
    known = [g for g in groups if g.full[name].support]
    alt = "No group has anything to find."
    if known:
        worst = min(known, key=lambda g: g.full[name].value)
        alt = f"{words.group_name(worst.group)} has the lowest {measure(name)}: {words.estimate(worst.full[name])}."
    title = f"Recall@k, by {words.grouping_name(grouping.by)}"
    caption = f"Bars: limits at {100 * float(result.settings['confidence']):g} %. {_which(grouping)}"
    return picture(figure, f"recall {' '.join(grouping.by)}", title, alt, caption)


def flat(result: EmbeddingResult) -> Picture | None:
    """The map, coloured by group and by class; None where it was left out.

    Args:
        result: the audit.
    """
    if not result.places:
        return None
    grouping = result.groupings[0]
    of_group = [i for i, _ in Counter(one.group for one in result.places if one.group >= 0).most_common(MOST)]
    of_class = [name for name, _ in Counter(one.of for one in result.places).most_common(MOST)]
    with canvas(WIDTH, 3.7) as figure:
        left, right = figure.subplots(1, 2)
        names = [words.group_name(grouping.groups[i].group) for i in of_group]
        _scatter(left, result, [[one.group == i for one in result.places] for i in of_group], names)
        _scatter(right, result, [[one.of == name for one in result.places] for name in of_class], of_class)
        left.set_title(f"by {words.grouping_name(grouping.by)}", fontsize=9, color=INK)
        right.set_title(f"by {words.clean(result.settings['class'])}", fontsize=9, color=INK)
    alt = f"{words.count(len(result.places), 'image')} of {words.count(len(of_group), 'group')} on a map of two dimensions."
    caption = (
        "t-SNE keeps neighbours together; distances between clouds, and their sizes, mean nothing. Grey: the other "
        f"{'classes' if len({one.of for one in result.places}) > MOST else 'images'}."
    )
    return picture(figure, "map", "Map of the embeddings", alt, caption)


def _scatter(axes: Axes, result: EmbeddingResult, which: Sequence[Sequence[bool]], names: Sequence[str]) -> None:
    rest = [not any(one[i] for one in which) for i in range(len(result.places))]
    for i, (own, name) in enumerate([(rest, ""), *zip(which, names, strict=True)]):
        at = [one for one, chosen in zip(result.places, own, strict=True) if chosen]
        colour, mark = (RULE, ".") if i == 0 else (SERIES[i - 1], MARKS[i - 1])
        axes.scatter([p.x for p in at], [p.y for p in at], 9, color=colour, marker=mark, linewidths=0, alpha=0.75,
                     label=short(words.clean(name), 18) if name else None)  # fmt: skip
    axes.set_xticks([])
    axes.set_yticks([])
    axes.legend(
        fontsize=7.5, loc="upper center", bbox_to_anchor=(0.5, -0.02), ncols=3, handletextpad=0.1, columnspacing=0.8
    )


def _which(grouping: EmbeddedGrouping) -> str:
    return f"The {MOST} largest of {len(grouping.groups)} groups." if len(grouping.groups) > MOST else ""
