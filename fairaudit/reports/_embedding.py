"""How the audit of an embedding space is said in words and tables."""

from __future__ import annotations

import math
from collections.abc import Sequence

from fairaudit.reports import _wording as words
from fairaudit.reports._sheets import Sheet, in_markdown, in_terminal
from fairaudit.results import Estimate
from fairaudit.results.embedding import EmbeddedGroup, EmbeddedGrouping, EmbeddingResult

GEOMETRY = (
    "Alignment: mean squared distance within classes (small is good). Uniformity: low where embeddings are spread out. "
    "Intra, inter: cosine distance within classes, and between their centroids. Crowding: mean cosine distance of images "
    "of different classes; density: to the nearest of them; both are small where different classes lie close. ρ: 0 where "
    "every direction is used alike."
)
_GAPS = {"fmr": "FMR", "fnmr": "FNMR"}
_MEASURES = {"r_precision": "R-precision", "map_at_r": "MAP@R", "map_at_1000": "mAP@1000"}


def terminal(result: EmbeddingResult, width: int = 80, color: bool = False) -> str:
    """For a terminal.

    Args:
        result: the audit.
        width: columns of the terminal.
        color: whether headings are bold.
    """
    return in_terminal(title(result), lead(result), _every(result), width, color)


def markdown(result: EmbeddingResult) -> str:
    """As GitHub-flavoured Markdown.

    Args:
        result: the audit.
    """
    return in_markdown(title(result), lead(result), _every(result))


def _every(result: EmbeddingResult) -> list[Sheet]:
    sheets = [sheet for one in result.groupings for sheet in of_grouping(result, one)]
    notes = [Sheet("Notes", (), (), notes=result.notes)] if result.notes else []
    return [*sheets, *besides(result), *notes]


def title(result: EmbeddingResult) -> str:
    """``Embeddings of 2,015 images by identity: 600 classes, 1,280 numbers each``."""
    return (
        f"Embeddings of {words.count(result.n, 'image')} by {words.clean(result.settings['class'])}: "
        f"{result.classes:,} classes, {words.count(result.numbers, 'number')} each"
    )


def lead(result: EmbeddingResult) -> list[str]:
    """The gap that matters most of each grouping, and the two senses of an unfair space."""
    said = []
    for one in result.groupings:
        by, recall = words.grouping_name(one.by), first_recall(result)
        gap = one.gaps.get(recall)
        if gap is not None:
            said.append(f"by {by}: {measure(recall)} gap {words.estimate(gap)}")
        if one.crowding_gap.support:
            worst = min(
                (g for g in one.groups if not math.isnan(g.geometry.get("crowding", math.nan))),
                key=lambda g: g.geometry["crowding"],
            )
            said.append(
                f"by {by}: different classes lie closest in {words.group_name(worst.group)}; crowding gap "
                f"{words.estimate(one.crowding_gap)} in cosine distance"
            )
        if one.majority_advantage.support:
            largest = max(one.groups, key=lambda g: g.n)
            said.append(
                f"by {by}: {measure(recall)} of the largest group, {words.group_name(largest.group)}, less the mean of the "
                f"others: {words.estimate(one.majority_advantage, signed=True)}"
            )
    return said


def first_recall(result: EmbeddingResult) -> str:
    """The first recall that was asked for, ``recall_at_1``."""
    return f"recall_at_{result.settings['k'][0]}"


def measure(name: str) -> str:
    """A measure for people: ``recall@1``, ``MAP@R``."""
    return _MEASURES.get(name, name.replace("recall_at_", "recall@"))


def of_grouping(result: EmbeddingResult, grouping: EmbeddedGrouping) -> list[Sheet]:
    """Retrieval, verification and geometry by one grouping."""
    by = words.grouping_name(grouping.by)
    sheets = [
        _retrieval(grouping, f"Retrieval by {by}, against every image", own=False),
        _retrieval(grouping, f"Retrieval by {by}, against images of the own group", own=True),
    ]
    if any(g.verified is not None for g in grouping.groups):
        sheets.append(_verification(result, grouping, by))
    if any(g.geometry for g in grouping.groups):
        sheets.append(_geometry(grouping, by))
    if grouping.within:
        sheets.append(_levels(result, grouping, by))
    return sheets


def _retrieval(grouping: EmbeddedGrouping, heading: str, own: bool) -> Sheet:
    names = list(grouping.groups[0].full)
    rows = []
    for g in grouping.groups:
        told = g.own if own else g.full
        rows.append(
            [words.group_name(g.group), f"{g.n:,}", f"{g.classes:,}", *(words.estimate(told[name]) for name in names)]
        )
    gaps = [grouping.gaps.get(f"own {name}" if own else name) for name in names]
    rows.append(["gap", "", "", *("–" if gap is None else words.estimate(gap) for gap in gaps)])
    columns = ["", "images", "classes", *(measure(name) for name in names)]
    return Sheet(heading, columns, rows, range(1, len(columns)), last_apart=True)


def _verification(result: EmbeddingResult, grouping: EmbeddedGrouping, by: str) -> Sheet:
    rows = []
    for g in grouping.groups:
        one = g.verified
        if one is None:
            continue
        rows.append(
            [
                words.group_name(g.group), f"{one.genuine:,}", f"{one.impostors:,}", _rare(one.fmr),
                words.estimate(one.fnmr), words.number(one.eer), words.number(one.threshold),
            ]
        )  # fmt: skip
    fmr, fnmr = (grouping.gaps.get(name) for name in ("fmr", "fnmr"))
    shown = ["–" if fmr is None else _rare(fmr), "–" if fnmr is None else words.estimate(fnmr)]
    rows.append(["gap", "", "", *shown, "", ""])
    s = result.settings
    own = f"the threshold that gives a group an FMR of {s['fmr']:.3g}" if s.get("fmr") else "its own threshold"
    note = (
        f"One threshold for all, {words.number(float(s['threshold']))} ({s['threshold_is']}; FMR {s['fmr']:.3g} over all "
        f"impostors); scores are (1 + cosine) ÷ 2; pairs within {', '.join(map(words.clean, s['pairs_within']))}. "
        f"FMR: false match rate, FNMR: false non-match rate, EER: equal error rate; own: {own}."
    )
    columns = ["", "genuine", "impostors", "FMR", "FNMR", "EER", "own"]
    return Sheet(f"Verification by {by}", columns, rows, range(1, 7), [note], last_apart=True)


def _rare(rate: Estimate) -> str:
    """A rate that may be one in thousands; five decimals where three would say nothing."""
    if not 0 <= rate.value < 0.01:
        return words.estimate(rate)
    limits = "" if math.isnan(rate.ci_low) else f" [{rate.ci_low:.5f}, {rate.ci_high:.5f}]"
    return f"{rate.value:.5f}{limits}"


def _geometry(grouping: EmbeddedGrouping, by: str) -> Sheet:
    names = ("alignment", "uniformity", "intra", "inter", "ratio", "crowding", "density", "spectrum")
    rows = []
    for g in grouping.groups:
        numbers = [words.number(g.geometry[name]) for name in names] + [_share(g, "nmi"), _share(g, "f1")]
        rows.append([words.group_name(g.group), *numbers])
    columns = ["", *names[:-1], "ρ", "NMI", "F1"]
    note = (
        f"{GEOMETRY} It and density are of {words.count(grouping.spectrum_rows, 'image')} of each group. NMI and F1: of "
        f"k-means with as many clusters as classes, {grouping.cluster_classes:,} of each group at the most."
    )
    return Sheet(f"Geometry by {by}", columns, rows, range(1, len(columns)), [note])


def _levels(result: EmbeddingResult, grouping: EmbeddedGrouping, by: str) -> Sheet:
    """Gaps within every level of other columns."""
    names = [name for name in (first_recall(result), "fmr", "fnmr") if any(name in one.gaps for one in grouping.within)]
    rows = []
    for one in grouping.within:
        gaps = [one.gaps.get(name) for name in names]
        shown = [
            "–" if gap is None else _rare(gap) if name == "fmr" else words.estimate(gap)
            for name, gap in zip(names, gaps, strict=True)
        ]
        rows.append([words.group_name(one.given), f"{one.n:,}", *shown])
    given = ", ".join(words.clean(name) for name in result.settings.get("given", ()))
    note = "The folders of the tables hold every group within every level, and the means over levels."
    columns = ["", "queries", *(f"{_GAPS.get(name, measure(name))} gap" for name in names)]
    return Sheet(f"By {by} within levels of {given}", columns, rows, range(1, len(columns)), [note])


def _share(group: EmbeddedGroup, name: str) -> str:
    return words.number(group.clusters.get(name, math.nan))


def besides(result: EmbeddingResult) -> list[Sheet]:
    """Leakage and downstream classifiers, those that were asked for."""
    found = []
    if result.leaks:
        rows = [
            [
                words.clean(one.attribute), one.probe, f"{one.levels}", words.estimate(one.accuracy),
                words.number(one.majority), words.number(one.balanced), words.number(1 / one.levels),
            ]
            for one in result.leaks
        ]  # fmt: skip
        columns = ("attribute", "probe", "levels", "accuracy", "majority", "balanced", "chance")
        note = (
            "On people that a probe was not fitted on. Majority: what naming the commonest level reaches; balanced: mean "
            "over levels, of which chance is 1 ÷ levels."
        )
        found.append(Sheet("Leakage: attributes recovered from embeddings", columns, rows, range(2, 7), [note], leads=2))
    return [*found, *_trained(result)]


def _trained(result: EmbeddingResult) -> list[Sheet]:
    sheets = []
    for by in dict.fromkeys(one.by for one in result.trained):
        own = [one for one in result.trained if one.by == by]
        original = {one.classifier: one for one in own if one.training == "original"}
        groups = list(dict.fromkeys(name for one in own for name in one.accuracy))
        shown = groups if len(groups) <= 4 else []
        balanced = any(one.balanced_gap.support for one in own)
        rows = []
        for one in sorted(own, key=lambda one: (list(original).index(one.classifier), one.training != "original")):
            rows.append(
                [
                    one.classifier, one.training, *(words.estimate(one.accuracy[name]) for name in shown),
                    words.estimate(one.gap),
                    "" if one.training == "original" else _stays(one.gap, original[one.classifier].gap),
                    *([words.estimate(one.balanced_gap)] if balanced else []),
                ]
            )  # fmt: skip
        columns = [
            "classifier",
            "trained on",
            *map(words.clean, shown),
            "gap",
            "stays",
            *(["balanced gap"] if balanced else []),
        ]
        note = (
            "Accuracy on images that were not trained on; rebalanced: images of smaller groups repeated until groups are "
            "equal. Stays: the share of the original gap that is left, where there was one that the data show."
        ) + (" Balanced gap: of accuracy in which every class counts once, however common in a group." if balanced else "")
        heading = f"Downstream: {words.clean(result.target)} told from frozen embeddings, by {words.grouping_name(by)}"
        sheets.append(Sheet(heading, columns, rows, range(2, len(columns)), [note], leads=2))
    return sheets


def _stays(after: Estimate, before: Estimate) -> str:
    if math.isnan(after.value) or not before.ci_low > 0:
        return "–"
    return f"{100 * after.value / before.value:.0f} %"


def facts(result: EmbeddingResult) -> Sequence[tuple[str, str]]:
    """What was looked at, side by side."""
    s = result.settings
    pairs = [("images", f"{result.n:,}"), ("found by", f"{words.clean(s['class'])}, {result.classes:,} classes")]
    pairs.append(("numbers", f"{result.numbers:,} each"))
    if "genuine" in s:
        pairs.append(("pairs", f"{s['genuine']:,} genuine, {s['impostors']:,} impostors"))
    pairs.append(("limits", f"{100 * float(s['confidence']):g} %"))
    return pairs
