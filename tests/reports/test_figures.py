"""Figures of an audit: where the marks lie, what their texts say, and that a page can hold them."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from fairaudit.reports._figures import confusion as confusion_figure
from fairaudit.reports._figures.canvas import FAIL, OPEN, PASS, Picture
from fairaudit.reports._figures.confusion import confusion, whole
from fairaudit.reports._figures.forest import forest
from fairaudit.reports._figures.heat import heat
from fairaudit.reports._figures.joint_cells import joint_cells
from fairaudit.reports._figures.limits import limits
from fairaudit.reports._figures.reliability import reliability
from fairaudit.reports._figures.rows import bounds
from fairaudit.reports._figures.scores import coarse, scores
from fairaudit.reports._figures.thresholds import above, thresholds
from fairaudit.reports._pictures import pictures
from fairaudit.reports._selection import high_is_worse, worst_first
from fairaudit.results import (
    AuditResult,
    Disparity,
    Estimate,
    GroupingResult,
    GroupResult,
    GroupScores,
    Overall,
    RuleOutcome,
    RuleResult,
    Scores,
    Verdict,
)
from tests.contracts.test_reports import hostile_audit

NAN = math.nan


def cells_audit(target: str = "gender") -> AuditResult:
    """Race × gender: every cell has 100 images but one of 5 and one that is absent; scores and counts included."""
    groups, counts, binned = [], [], []
    for i, race in enumerate(("A", "B", "C")):
        for j, gender in enumerate(("f", "m")):
            n = {(2, 0): 5, (2, 1): 0}.get((i, j), 100)
            right = 0.9 - 0.1 * i - 0.05 * j
            reason = None if n else "absent: no images"
            value = Estimate(right, right - 0.05, right + 0.05, n) if n else Estimate(NAN, NAN, NAN, 0, reason)
            parts = {"accuracy": value}
            if target == "race,gender":
                parts |= {
                    "some_right": replace(value, value=(1 - right) * 0.8),
                    "none_right": replace(value, value=(1 - right) * 0.2),
                }
            groups.append(GroupResult({"race": race, "gender": gender}, n, parts))
            counts.append(((n // 2 - 5 * i, 5 * i), (10, n // 2 - 10)) if n > 50 else ((n, 0), (0, 0)))
            negatives, positives = [0] * 1024, [0] * 1024
            negatives[100], positives[900] = n // 2, n - n // 2
            bins = [(0, NAN, NAN)] * 10
            bins[0], bins[8] = (n // 2, 0.098, 0.0), (n - n // 2, 0.88, 0.6 + 0.1 * i)
            binned.append(
                GroupScores(tuple(negatives), tuple(positives), tuple(b if b[0] else (0, NAN, NAN) for b in bins))
            )
    disparities = (
        Disparity("accuracy", "worst_group", groups[3].group, Estimate(0.75, 0.7, 0.8, 100)),
        Disparity("accuracy", "gap", None, Estimate(0.15, 0.1, 0.2, 100)),
        Disparity("accuracy", "spread", None, Estimate(0.06, 0.03, 0.09, 100)),
    )
    grouping = GroupingResult(
        ("race", "gender"), groups[0].group, "largest", 0, tuple(counts), tuple(groups), disparities,
        Scores("f", tuple(binned)),
    )  # fmt: skip
    overall = {"accuracy": Estimate(0.83, 0.8, 0.86, 405), "balanced_accuracy": Estimate(0.82, 0.79, 0.85, 100)}
    if target == "race,gender":
        overall |= {"some_right": Estimate(0.13, 0.1, 0.16, 405), "none_right": Estimate(0.04, 0.02, 0.06, 405)}
    settings = {"target": target, "classes": ["f", "m"], "confidence": 0.95, "min_support": 20}
    return AuditResult(settings, Overall(405, overall), (grouping,))


def texts(picture: Picture) -> list[str]:
    """What a reader reads in a figure, in the order in which it is drawn."""
    root = ElementTree.fromstring(picture.inline())
    return ["".join(one.itertext()) for one in root.iter("{http://www.w3.org/2000/svg}text")]


def every(result: AuditResult) -> tuple[Picture, ...]:
    return pictures(result, most=99).every


@pytest.mark.parametrize(
    "result", [hostile_audit(), cells_audit(), cells_audit("race,gender")], ids=["hostile", "cells", "joint"]
)
def test_a_page_can_hold_every_figure(result: AuditResult) -> None:
    found = every(result)
    ids: list[str] = []
    for picture in found:
        root = ElementTree.fromstring(picture.inline())
        title, description = root[0], root[1]
        assert title.text == picture.title
        assert description.text == picture.alt
        assert picture.alt.endswith((".", ".)"))
        assert root.attrib["aria-labelledby"] == f"{title.attrib['id']} {description.attrib['id']}"
        assert root.attrib["role"] == "img"
        ids += [one.attrib["id"] for one in root.iter() if "id" in one.attrib]
        used = re.findall(r"url\(#([^)]+)\)|xlink:href=\"#([^\"]+)\"", picture.inline())
        assert {a or b for a, b in used} <= set(ids)
        tags = {one.tag.rpartition("}")[2] for one in root.iter()}
        assert not tags & {"script", "style", "image", "foreignObject", "a", "metadata"}
        sizes = [float(size) for size in re.findall(r"font: (?:\w+ )?([\d.]+)px", picture.inline())]
        assert all(size >= 8.4 for size in sizes)
        assert re.fullmatch(r"[a-z0-9-]{1,80}", picture.name)
    assert len(ids) == len(set(ids))
    assert len({one.name for one in found}) == len(found)


def test_the_same_record_gives_the_same_bytes() -> None:
    first, second = every(cells_audit()), every(cells_audit())
    assert [one.svg() for one in first] == [one.svg() for one in second]
    assert first[0].png() == second[0].png()
    assert first[0].png().startswith(b"\x89PNG")


def test_a_forest_puts_marks_where_the_numbers_are(audit: AuditResult) -> None:
    [grouping] = audit.groupings
    picture = forest(audit, grouping, "accuracy")
    axes = picture._figure.axes[0]
    marks = {
        (round(float(x), 4), int(y))
        for line in axes.get_lines()
        if line.get_linestyle() == "None"
        for x, y in zip(_x(line), _y(line), strict=True)
    }
    assert marks == {(0.82, 0), (0.95, 1), (0.9167, 2), (0.893, 4)}, "worst first, the small one last, the absent one not"
    spans = {tuple(round(float(x), 3) for x in segment[:, 0]) for c in axes.collections for segment in _segments(c)}
    assert {(0.78, 0.855), (0.93, 0.965), (0.646, 0.985), (0.871, 0.911)} <= spans
    verticals = {round(float(_x(line)[0]), 3) for line in axes.get_lines() if len(set(_x(line))) == 1}
    assert {0.95, 0.9, 1.0} <= verticals, "the reference group, and 0.05 to either side of it: the rule's limit"
    said = texts(picture)
    for text in ("Black", "White (reference)", "Inuit", "Martian", "all images", "0.820 [0.780, 0.855]", "400", "absent"):
        assert text in said
    assert FAIL in picture.svg()
    assert picture.alt == (
        "accuracy by race: worst Black 0.820 [0.780, 0.855] of 400 images; best White 0.950 [0.930, 0.965] of 500 images; "
        "gap 0.130 [0.080, 0.180]. Without a value: Martian."
    )
    assert "limit of the rule accuracy difference by race <= 0.05" in picture.caption
    assert "Hollow: fewer than 20 images" in picture.caption


def _x(line: Any) -> list[float]:
    """Where a line's points lie; matplotlib's own types allow anything."""
    return [float(x) for x in line.get_xdata()]


def _y(line: Any) -> list[float]:
    return [float(y) for y in line.get_ydata()]


def _segments(collection: Any) -> list[Any]:
    return list(collection.get_segments()) if hasattr(collection, "get_segments") else []


def test_limits_lie_between_the_zones_and_marks_on_their_side(audit: AuditResult) -> None:
    picture = limits(audit)
    assert picture is not None
    axes = picture._figure.axes[0]
    lines = [sorted({round(float(x), 3) for x in _x(line)}) for line in axes.get_lines()]
    assert [0.05] in lines
    assert [0.3] in lines
    zones = [
        {round(float(x), 3) for x in np.asarray(path.vertices)[:, 0]}
        for c in axes.collections
        if not _segments(c)
        for path in c.get_paths()
    ]
    left, right = (round(float(x), 3) for x in axes.get_xlim())
    assert [{left, 0.05}, {0.05, right}, {left, 0.3}, {0.3, right}] == zones
    said = texts(picture)
    assert "✗ fail: accuracy difference by race <= 0.05" in said
    assert "✓ pass: accuracy gap by race <= 0.30" in said
    assert {"Black", "Inuit", "all groups", "0.130 [0.080, 0.180]"} <= set(said)
    assert all(colour in picture.svg() for colour in (PASS, FAIL, OPEN))
    assert picture.alt.startswith("Of 2 rules: 1 fail, 1 pass. accuracy difference by race <= 0.05: Black: 0.130")


def test_rules_of_one_scale_share_an_axis_and_what_does_not_fit_is_counted(audit: AuditResult) -> None:
    def rule(text: str, n: int = 1) -> RuleResult:
        one = RuleOutcome("accuracy", None, 0.5, 0.4, 0.6, Verdict.PASS)
        return RuleResult(text, Verdict.PASS, (one,) * n)

    texts_of = ("accuracy gap by race <= 0.9", "accuracy ratio by race >= 0.1", "accuracy worst_group by race >= 0.3")
    picture = limits(replace(audit, rules=tuple(map(rule, texts_of))))
    assert picture is not None
    assert [axes.get_xlabel() for axes in picture._figure.axes] == [
        "difference between groups", "ratio between groups", "value of the worst group",
    ]  # fmt: skip
    many = limits(replace(audit, rules=tuple(rule(f"accuracy gap by race <= 0.9{i}", 9) for i in range(20))))
    assert many is not None
    assert "and 4 more contrasts" in texts(many)
    assert "14 more rules in the table" in many.caption
    presence = RuleResult("expected race: A", Verdict.PASS, (RuleOutcome("images", None, 5, 5, 5, Verdict.PASS),))
    assert limits(replace(audit, rules=(presence,))) is None


def test_a_heat_map_hatches_what_nobody_can_judge() -> None:
    result = cells_audit()
    picture = heat(result, result.groupings[0], "accuracy")
    assert picture is not None
    said = texts(picture)
    assert [text for text in said if text.startswith("0.")] == ["0.900", "0.850", "0.800", "0.750", "0.700"]
    assert "of 5" in said
    assert "absent" in said
    assert picture.svg().count("fill: url(#") == 2, "two cells"
    assert picture.alt == (
        "accuracy by race × gender: from B m 0.750 (worst) to A f 0.900 (best). 2 cells undefined, absent or too small."
    )
    alone = replace(result.groupings[0], by=("race",))
    assert heat(result, alone, "accuracy") is None


def test_confusion_matrices_are_shares_of_the_true_class() -> None:
    result = cells_audit()
    [grouping] = result.groupings
    picture = confusion(result, grouping, "accuracy")
    assert picture is not None
    assert len(picture._figure.axes) == 4, "groups of one true class, or of none, have no matrix"
    assert [text for text in texts(picture) if re.fullmatch(r"[01]\.\d\d", text)][:4] == ["0.90", "0.10", "0.20", "0.80"]
    assert picture.alt == "Largest confusion: m called f, 0.200 of 50 (B m)."
    together = whole(result, grouping)
    assert together is not None
    assert [text for text in texts(together) if re.fullmatch(r"[01]\.\d\d", text)] == ["0.95", "0.05", "0.20", "0.80"]
    many = replace(result, settings={**result.settings, "classes": [str(i) for i in range(confusion_figure.CLASSES + 1)]})
    assert confusion(many, grouping, "accuracy") is None
    assert whole(many, grouping) is None


def test_joint_cells_add_up_and_carry_mean_and_deviation() -> None:
    result = cells_audit("race,gender")
    picture = joint_cells(result, result.groupings[0])
    assert picture is not None
    patches: list[Any] = list(picture._figure.axes[0].patches)
    bars = [patch for patch in patches if patch.get_width()]
    rows: dict[float, float] = {}
    for bar in bars:
        rows[round(bar.get_y(), 3)] = rows.get(round(bar.get_y(), 3), 0.0) + bar.get_width()
    assert len(rows) == 5
    assert all(total == pytest.approx(1.0) for total in rows.values())
    assert picture.caption.startswith("Worst group first; mean 0.820 ± 0.060 (standard deviation over groups).")
    assert {"both right", "one right", "none right"} <= set(texts(picture))
    assert joint_cells(cells_audit(), cells_audit().groupings[0]) is None
    elsewhere = replace(result.groupings[0], by=("race", "age"))
    other = joint_cells(result, elsewhere)
    assert other is not None
    assert "standard deviation over groups 0.060" in other.caption, "of other groups the record has no mean"


def test_scores_and_reliability_show_each_groups_own() -> None:
    result = cells_audit()
    [grouping] = result.groupings
    spread = scores(result, grouping, "accuracy")
    assert spread is not None
    shown = [axes.get_title() for axes in spread._figure.axes if axes.get_visible()]
    assert shown == ["B m", "B f", "A m", "A f", "C f"], "not the absent one"
    assert "f 50" in texts(spread)
    assert "others 50" in texts(spread)
    drawn = reliability(result, grouping, "accuracy")
    assert drawn is not None
    line = next(one for one in drawn._figure.axes[0].get_lines() if one.get_linestyle() == "-")
    assert [list(map(float, _x(line))), list(map(float, _y(line)))] == [[0.098, 0.88], [0.0, 0.7]]
    assert (
        drawn.alt == "Farthest from the diagonal: A m, where 50 images scored 0.880 on average are of the class in 0.600."
    )
    none = replace(grouping, scores=None)
    assert [make(result, none, "accuracy") for make in (scores, reliability, thresholds)] == [None] * 3


def test_rates_over_the_threshold_are_counts_at_or_above_it() -> None:
    counts = [3, 0, 1, 4, 0, 0, 0, 2]
    curve = above(counts, points=8)
    assert curve == pytest.approx([sum(counts[i:]) / 10 for i in range(9)])
    assert above(counts, points=4) == pytest.approx([1.0, 0.7, 0.2, 0.2, 0.0])
    fine = [i % 7 for i in range(1024)]
    assert sum(coarse(fine)) == sum(fine)
    assert coarse([5, 1], bins=4) == [0, 5, 0, 1]
    result = cells_audit()
    picture = thresholds(result, result.groupings[0], "accuracy")
    assert picture is not None
    true, false, _ = picture._figure.axes
    for axes, jump in ((true, 900 / 1024), (false, 100 / 1024)):
        line = max(axes.get_lines(), key=lambda one: len(_x(one)))
        for x, y in zip(_x(line), _y(line), strict=True):
            assert y == (1.0 if x <= jump else 0.0)
    assert picture.alt == "At 0.500 the true positive rate of f is 1.000 for A f and 1.000 for B m."


def test_a_page_has_few_figures_and_each_grouping_its_first() -> None:
    result = cells_audit()
    several = replace(result, groupings=tuple(replace(result.groupings[0], by=("race", str(i))) for i in range(3)))
    few = pictures(replace(several, groupings=_renamed(several)), most=3)
    assert [[one.name for one in own] for own in few.groupings] == [
        ["forest-race-g0-accuracy"], ["forest-race-g1-accuracy"], ["forest-race-g2-accuracy"],
    ]  # fmt: skip
    assert few.left_out > 0
    assert few.rules is None


def _renamed(result: AuditResult) -> tuple[GroupingResult, ...]:
    """The groupings with attributes of their own."""
    return tuple(
        replace(
            one,
            by=("race", f"g{i}"),
            groups=tuple(replace(g, group={"race": g.group["race"], f"g{i}": g.group["gender"]}) for g in one.groups),
            privileged=None,
            disparities=(),
        )
        for i, one in enumerate(result.groupings)
    )


def test_groups_too_small_to_be_judged_do_not_say_which_end_is_worst() -> None:
    result = cells_audit()
    [grouping] = result.groupings
    tiny = replace(grouping.groups[4], metrics={"accuracy": Estimate(0.0, 0.0, 0.5, 5)})
    mixed = replace(grouping, groups=(*grouping.groups[:4], tiny, grouping.groups[5]))
    assert not high_is_worse(mixed, "accuracy", 20)
    assert [group.group["race"] + group.group["gender"] for group in worst_first(mixed, "accuracy", 20)] == [
        "Bm", "Bf", "Am", "Af", "Cf", "Cm",
    ]  # fmt: skip


def test_axes_leave_room_and_ignore_what_is_not_finite() -> None:
    assert bounds([0.2, 0.7, math.inf, NAN]) == pytest.approx((0.18, 0.72))
    assert bounds([0.5]) == pytest.approx((0.45, 0.55))
    assert bounds([NAN]) == (0.0, 1.0)
