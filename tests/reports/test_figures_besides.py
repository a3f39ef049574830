"""Figures of comparisons and experiments: what they say, whom they name, and that names do not cover each other."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairaudit.comparison import ComparisonResult, Trend
from fairaudit.reports._figures.arms import label_points, spaced, styles
from fairaudit.reports._figures.canvas import FAIL, PASS, Picture, canvas
from fairaudit.reports._figures.changes import MOST, changes
from fairaudit.reports._figures.curves import curves
from fairaudit.reports._figures.tradeoff import tradeoff
from fairaudit.results.mitigation import Epoch
from tests.reports.records import BY, arm, bare_comparison, bare_experiment, change, comparison, experiment, sweep


def drawn(result: ComparisonResult, metric: str = "accuracy") -> Picture:
    found = changes(result, result.pairs[0], result.pairs[0].groupings[0], metric)
    assert found is not None
    return found


def texts(picture: Picture) -> list[str]:
    return re.findall(r">([^<>\n]+)</text>", picture.svg())


def test_changes_are_sorted_and_say_who_lost() -> None:
    picture = drawn(comparison())
    assert picture.name == "changes-race-gender-accuracy"
    assert picture.alt.startswith("accuracy by race × gender: worse: Black Female 0.930 → 0.830 (change −0.100 [")
    assert "the gap narrowed: 0.120 → 0.060" in picture.alt
    assert "Without a change: 1 group whose number is undefined." in picture.caption
    rows = [text for text in texts(picture) if re.search("Male|Female|all images|^[✗✓ ]*(mean|gap|spread|worst)", text)]
    assert rows == [
        "✗ Black Female", "White Female", "✓ Black Male", "all images", "mean", "✓ gap", "✗ spread", "worst group",
    ]  # fmt: skip
    assert all(colour in picture.svg() for colour in (FAIL, PASS))
    assert drawn(comparison()).svg() == picture.svg()


def test_where_lower_is_better_the_worst_is_first_as_well() -> None:
    pair = comparison().pairs[0]
    groups = (
        change(("A", "x"), 0.1, 0.05, Trend.BETTER), change(("B", "x"), 0.1, 0.2, Trend.WORSE),
        change(("C", "x"), 0.1, 0.11, Trend.UNDECIDED),
    )  # fmt: skip
    grouping = replace(pair.groupings[0], changes=groups)
    picture = changes(comparison(), pair, grouping, "accuracy")
    assert picture is not None
    assert [text for text in texts(picture) if text.endswith(" x")] == ["✗ B x", "C x", "✓ A x"]


def test_of_many_groups_those_are_drawn_of_which_something_is_shown() -> None:
    pair = comparison().pairs[0]
    groups = [change((f"G{i}", "x"), 0.5, 0.5 + 0.001 * i, Trend.UNDECIDED) for i in range(80)]
    groups[3] = replace(groups[3], trend=Trend.BETTER)
    picture = changes(comparison(), pair, replace(pair.groupings[0], changes=tuple(groups)), "accuracy")
    assert picture is not None
    names = {text for text in texts(picture) if text.endswith(" x")}
    assert names == {"✓ G3 x", *(f"G{i} x" for i in range(80 - MOST + 1, 80))}
    assert f"{MOST} of 80 groups" in picture.caption


def test_without_any_change_there_is_no_figure() -> None:
    pair = bare_comparison().pairs[0]
    assert changes(bare_comparison(), pair, pair.groupings[0], "accuracy") is None


def test_the_tradeoff_names_the_baseline_and_the_front() -> None:
    picture = tradeoff(experiment(), BY)
    assert picture is not None
    assert picture.alt == (
        "Baseline erm (accuracy 0.900, gap 0.120); no other arm has both a higher accuracy and a smaller gap than erm "
        "(accuracy 0.900, gap 0.120), max-group (accuracy 0.890, gap 0.060)."
    )
    assert {"erm", "max-group", "reweight"} <= set(texts(picture))
    assert "Large marks: mean of 2 seeds" in picture.caption
    alone = tradeoff(experiment(seeds=1), BY)
    assert alone is not None
    assert "One seed: how far another training would lie from it is not known." in alone.caption
    assert tradeoff(bare_experiment(), BY) is None


def test_of_many_arms_only_those_are_named_that_a_reader_looks_for() -> None:
    found = {one.arm.name: one for one in styles(sweep(), BY)}
    assert sum(one.named for one in found.values()) == 8  # the baseline, a front of four and two twins, and the widest gap
    assert found["erm"].named
    assert not found["group-dro(step_size=0.5)(lr=0.0001)"].named
    picture = tradeoff(sweep(), BY)
    assert picture is not None
    shown = texts(picture)
    assert "…(step_size=0.01)(lr=0.0001) and 2 more" in shown  # the twins lie on top of it
    assert "Grey: arms that are on no front and not the worst; the table has them all." in picture.caption
    assert len({(one.colour, one.mark, str(one.dash)) for one in found.values() if one.named}) == 8


def test_names_cover_neither_each_other_nor_marks() -> None:
    points = [(0.50 + 0.05 * (i % 3), 0.50 + 0.05 * (i // 3), f"an arm called {i}", "#000000") for i in range(9)]
    with canvas(height=4.3) as figure:
        axes = figure.add_subplot()
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        layout = figure.get_layout_engine()
        assert layout is not None
        layout.execute(figure)
        label_points(axes, points, [(x, y) for x, y, _, _ in points])
        written = [text for text in axes.texts if text.get_text()]
        boxes = [text.get_window_extent() for text in written]
        assert len(boxes) == 9
        assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
        marks = [axes.transData.transform((x, y)) for x, y, _, _ in points]
        assert not any(box.contains(*mark) for box in boxes for mark in marks)
        assert all(axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1 for box in boxes)


@given(st.lists(st.floats(0, 1), max_size=8))
def test_labels_beside_lines_keep_their_order_and_distance(heights: list[float]) -> None:
    found = spaced(heights, 0.1, 0.0, 1.0)
    order = sorted(range(len(heights)), key=lambda i: heights[i])
    apart = [found[b] - found[a] for a, b in pairwise(order)]
    assert all(gap >= 0.1 - 1e-9 for gap in apart)
    assert all(-1e-9 <= y <= 1 + 1e-9 for y in found)


def test_curves_show_every_epoch_and_what_was_kept() -> None:
    picture = curves(experiment())
    assert picture is not None
    assert "max-group: worst group 0.830 after the first epoch, at best 0.870 after epoch 3" in picture.alt
    assert "selected by worst-group" in picture.caption
    assert {"1", "2", "3", "training loss", "erm", "max-group", "reweight"} <= set(texts(picture))
    blind = [replace(one, runs=tuple(replace(run, epochs=tuple(replace(e, score=math.nan, mean=math.nan, worst=math.nan)
             for e in run.epochs)) for run in one.runs)) for one in experiment().arms]  # fmt: skip
    alone = curves(experiment(*blind))
    assert alone is not None
    assert "validation accuracy," not in texts(alone)
    assert "max-group: loss 1.000 → 0.333" in alone.alt
    assert curves(bare_experiment()) is None


def test_a_curve_is_the_mean_and_range_of_the_seeds_that_trained_so_long() -> None:
    runs = arm("a", 0.5, 0.1).runs
    short = replace(runs[1], epochs=(replace(runs[1].epochs[0], loss=3.0),))
    curve = replace(arm("a", 0.5, 0.1), runs=(runs[0], short)).curve("loss")
    assert [(p.epoch, p.mean, p.low, p.high) for p in curve] == [(1, 2.0, 1.0, 3.0), (2, 0.5, 0.5, 0.5), (3, *[1 / 3] * 3)]


@pytest.mark.parametrize("name", ["<b>&", "\x1b[31m", "$x_1$", "a" * 300])
def test_names_are_text(name: str) -> None:
    three = experiment().arms
    result = experiment(three[0], replace(three[1], name=name))
    for picture in (tradeoff(result, BY), curves(result)):
        assert picture is not None
        assert "<b>&" not in picture.inline()
        assert "\x1b" not in picture.inline()
        assert len(picture.png()) > 1000


def test_an_epoch_far_out_costs_no_more_than_a_near_one() -> None:
    far = replace(experiment().arms[0].runs[0], epochs=(Epoch(10**9, 0.5, 0.5, 0.5, 0.5, (0.5,)),))
    result = experiment()
    picture = curves(replace(result, arms=(replace(result.arms[0], runs=(far,)), *result.arms[1:])))
    near = curves(result)
    assert picture is not None
    assert near is not None
    assert len(texts(picture)) <= len(texts(near)) + 8
