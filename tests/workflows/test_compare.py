"""Comparing tables of predictions: pairing, alignment, seeds, refusals."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fairaudit.artifacts.tables import TableColumns, write_predictions
from fairaudit.comparison import Change, ComparisonResult, Design, Trend, comparison_json
from fairaudit.config import AuditSettings
from fairaudit.errors import PredictionsError, UnknownNameError, UsageError
from fairaudit.predictions import Column, IntArray, Predictions, Task
from fairaudit.reports._comparison import render_comparison
from fairaudit.results import group_label
from fairaudit.workflows.compare import Side, compare, compare_files

SETTINGS = AuditSettings(by=(("race",),), positive="woman", bootstrap=200)


def predictions(right: tuple[float, ...] = (0.9, 0.9), n: int = 200, seed: int = 0, images: int = 0) -> Predictions:
    """Two races of n images each, right with the given chances; the labels depend on the images alone."""
    rng = np.random.default_rng([images, 99])
    race = np.repeat(np.arange(len(right)), n)
    y, hard = rng.integers(0, 2, len(race)), rng.random(len(race))
    noise = np.random.default_rng(seed).normal(0, 0.02, len(race))
    wrong = hard + noise > np.array(right)[race]
    rows = np.array([f"{images}/{i}.jpg" for i in range(len(race))], dtype=object)
    task = Task(("man", "woman"), y, np.where(wrong, 1 - y, y).astype(np.int64))
    return Predictions(rows, {"gender": task}, {"race": Column(race.astype(np.int64), ("Black", "White"))})


def find(result: ComparisonResult, group: str | None, kind: str | None = None, metric: str = "accuracy") -> Change:
    for change in result.pairs[0].groupings[0].changes:
        if change.metric == metric and change.kind == kind and (group is None or group_label(change.group) == group):
            return change
    raise AssertionError(f"no {metric} {kind} {group}")


def shuffled(one: Predictions, keep: IntArray | None = None) -> Predictions:
    order = np.random.default_rng(5).permutation(len(one)) if keep is None else keep
    return one.take(order)


def test_pairs_are_found_by_row_id_in_any_order() -> None:
    before, after = predictions(), predictions((0.6, 0.9))
    plain = compare([Side("a", before)], [Side("b", after)], SETTINGS)
    assert plain.pairs[0].design is Design.PAIRED
    assert comparison_json(compare([Side("a", before)], [Side("b", shuffled(after))], SETTINGS)) == comparison_json(plain)
    assert find(plain, "Black").trend is Trend.WORSE
    assert find(plain, "White").trend is Trend.UNDECIDED
    assert find(plain, None, "gap").trend is Trend.WORSE
    task = before.tasks["gender"], after.tasks["gender"]
    rates = [float(np.mean(t.y_pred[:200] == t.y_true[:200])) for t in task]
    black = find(plain, "Black")
    assert (black.before.value, black.after.value) == pytest.approx(rates)


def test_levels_and_classes_are_matched_by_name() -> None:
    before, after = predictions(), predictions((0.75, 0.9))
    task, race = after.tasks["gender"], after.attributes["race"]
    other = replace(
        after,
        tasks={"gender": Task(("woman", "man"), 1 - task.y_true, 1 - task.y_pred)},
        attributes={"race": Column(1 - race.codes, ("White", "Black"))},
    )
    plain = compare([Side("a", before)], [Side("b", after)], SETTINGS)
    assert comparison_json(compare([Side("a", before)], [Side("b", other)], SETTINGS)) == comparison_json(plain)


def test_what_only_one_side_has_is_left_out_and_said() -> None:
    before, after = predictions(), predictions((0.75, 0.9))
    result = compare([Side("a", before)], [Side("b", after.take(np.arange(50, 400)))], SETTINGS).pairs[0]
    assert (result.design, result.n) == (Design.PAIRED, (350, 350))
    assert result.notes[0].startswith("paired on the 350 images that both have; 50 of a and 0 of b are left out")


def test_other_images_are_compared_as_such_and_it_is_said() -> None:
    before, after = predictions(), predictions((0.7, 0.9), images=1)
    result = compare([Side("a", before)], [Side("b", after)], SETTINGS)
    assert result.pairs[0].design is Design.UNPAIRED
    assert "no image is in both" in result.pairs[0].notes[0]
    assert find(result, "Black").trend is Trend.WORSE
    assert find(result, "Black").test == "mover"
    same = compare([Side("a", before)], [Side("b", predictions((0.7, 0.9)))], SETTINGS, unpaired=True)
    assert same.pairs[0].design is Design.UNPAIRED
    wide, narrow = (
        find(same, "Black"),
        find(compare([Side("a", before)], [Side("b", predictions((0.7, 0.9)))], SETTINGS), "Black"),
    )
    assert wide.change.ci_high - wide.change.ci_low > narrow.change.ci_high - narrow.change.ci_low


def test_several_models_pay_for_being_several() -> None:
    before, after = Side("a", predictions()), Side("b", predictions((0.8, 0.9)))
    alone = find(compare([before], [after], SETTINGS), "Black")
    both = compare([before], [after, Side("c", predictions((0.9, 0.95)))], SETTINGS)
    assert [pair.after for pair in both.pairs] == ["b", "c"]
    assert find(both, "Black").p_adjusted == pytest.approx(2 * alone.p_adjusted)


def test_seeds() -> None:
    before = [Side(f"a{i}", predictions((0.9, 0.9), seed=i)) for i in range(5)]
    after = [Side(f"b{i}", predictions((0.8, 0.9), seed=10 + i)) for i in range(5)]
    result = compare(before, after, SETTINGS, seeds=True)
    assert result.pairs[0].design is Design.SEEDS
    assert "a sign test on 5 seeds can never reach 0.05: its smallest p is 0.0625" in result.pairs[0].notes
    black = find(result, "Black")
    assert (black.trend, black.test) == (Trend.WORSE, "paired t")
    rates = [
        np.mean(s.predictions.tasks["gender"].y_pred[:200] == s.predictions.tasks["gender"].y_true[:200]) for s in before
    ]
    assert black.before.value == pytest.approx(np.mean(rates))
    assert black.sd is not None
    assert black.sd[0] == pytest.approx(np.std(rates, ddof=1))
    text = render_comparison(result)
    assert "±" in text
    assert "never reach 0.05" in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 80


def test_where_and_people() -> None:
    before, after = predictions(), predictions((0.8, 0.9))
    before = replace(before, identity=Column(np.arange(400) // 2, tuple(map(str, range(200)))))
    settings = SETTINGS.model_copy(update={"where": 'gender == "woman"'})
    result = compare([Side("a", before)], [Side("b", after)], settings)
    women = before.tasks["gender"].y_true == 1
    assert result.pairs[0].n == (women.sum(), women.sum())
    assert "people are on" in result.pairs[0].notes[0]


def test_refusals() -> None:
    before, after = predictions(), predictions((0.8, 0.9))
    task = after.tasks["gender"]
    other = replace(
        after, tasks={"gender": replace(task, y_true=np.where(np.arange(400) == 7, 1 - task.y_true, task.y_true))}
    )
    with pytest.raises(PredictionsError, match=r"a and b do not pair: 'gender' differs in 1 of 400 .* in '0/7.jpg'"):
        compare([Side("a", before)], [Side("b", other)], SETTINGS)
    with pytest.raises(UsageError, match=r"b has no target 'gender', only age"):
        compare([Side("a", before)], [Side("b", replace(after, tasks={"age": task}))], SETTINGS)
    with pytest.raises(UsageError, match=r"b has no attribute 'race', which a is grouped by"):
        compare([Side("a", before)], [Side("b", replace(after, attributes={}))], SETTINGS)
    strange = replace(after, tasks={"gender": replace(task, classes=("m", "f"))})
    with pytest.raises(UsageError, match=r"share no class of 'gender'"):
        compare([Side("a", before)], [Side("b", strange)], SETTINGS, unpaired=True)
    with pytest.raises(UnknownNameError, match=r"unknown attribute 'rac'; did you mean 'race'"):
        compare([Side("a", before)], [Side("b", after)], SETTINGS.model_copy(update={"by": (("rac",),)}))
    with pytest.raises(PredictionsError, match=r"no images are left"):
        compare(
            [Side("a", before)],
            [Side("b", after)],
            SETTINGS.model_copy(update={"where": 'race == "Black" and race == "White"'}),
        )
    with pytest.raises(UnknownNameError, match=r"unknown metric 'acuracy'; did you mean 'accuracy'"):
        render_comparison(compare([Side("a", before)], [Side("b", after)], SETTINGS), metrics=("acuracy",))


def test_files_are_read_compared_and_written_whole(tmp_path: Path) -> None:
    paths = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    for path, right in zip(paths, ((0.9, 0.9), (0.8, 0.9)), strict=True):
        write_predictions(predictions(right), path)
    result, written = compare_files(paths[:1], paths[1:], SETTINGS, None, out=tmp_path / "found")
    assert written == tmp_path / "found" / "comparison.json"
    assert written.read_text() == comparison_json(result)
    again, _ = compare_files(paths[:1], paths[1:], SETTINGS, None)
    assert comparison_json(again) == comparison_json(result), "the same input, settings and seed"
    record = json.loads(written.read_text())
    assert record["comparisons"][0]["groupings"][0]["by"] == ["race"]
    assert record["comparisons"][0]["before"] == "a.parquet"
    with pytest.raises(UsageError, match=r"1 runs before and 2 after cannot be paired"):
        compare_files(paths[:1], [*paths[1:], paths[1]], SETTINGS, None, seeds=True)
    with pytest.raises(UsageError, match=r"has no scatter"):
        compare_files(paths[:1], paths[1:], SETTINGS, None, seeds=True)


def test_the_page_is_plain_and_narrow() -> None:
    result = compare([Side("a", predictions())], [Side("b", predictions((0.75, 0.9)))], SETTINGS)
    text = render_comparison(result, metrics=("accuracy", "selection_rate"))
    assert max(map(len, text.splitlines())) <= 80
    assert "✗ worse: Black" in text
    assert "? nothing can be said of the other 1 group" in text
    same = render_comparison(compare([Side("a", predictions())], [Side("b", predictions())], SETTINGS))
    assert "nothing can be said of any group" in same
    assert "worse:" not in same


REAL = ("predictions_bal_aug.csv", "predictions_bal_aug_valattention.csv")


def real(shared: Path, target: str, *by: str) -> ComparisonResult:
    folder = shared / "data" / "fairface"
    columns = TableColumns(y_true=target, y_pred=f"{target}_pred", by=by)
    settings = AuditSettings(by=(by,), bootstrap=1000)
    return compare_files([folder / REAL[0]], [folder / REAL[1]], settings, columns)[0]


@pytest.mark.real
def test_a_published_mitigation_made_black_women_worse(shared: Path) -> None:
    result = real(shared, "gender", "race", "gender")
    assert (result.pairs[0].design, result.pairs[0].n) == (Design.PAIRED, (5162, 5162))
    women = find(result, "Black Female")
    assert [round(100 * e.value, 1) for e in (women.before, women.after)] == [93.0, 83.1]
    assert women.trend is Trend.WORSE
    assert women.p_adjusted < 1e-4
    assert women.change.ci_high < -0.03
    assert women.before.support == 356
    men = find(result, "Black Male")
    assert (men.trend, men.p_adjusted < 1e-4) == (Trend.BETTER, True)
    worse = [c for c in result.pairs[0].groupings[0].changes if c.metric == "accuracy" and c.trend is Trend.WORSE]
    assert [group_label(c.group) for c in worse] == ["Black Female"]
    overall = next(c for c in result.pairs[0].overall.changes if c.metric == "accuracy")
    assert overall.trend is Trend.UNDECIDED
    text = render_comparison(result)
    assert "✗ worse: Black Female 0.930 → 0.831" in text
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.real
def test_the_same_mitigation_halved_the_spread_of_race(shared: Path) -> None:
    result = real(shared, "race", "race", "gender")
    spread = find(result, None, "spread")
    assert [round(100 * e.value, 1) for e in (spread.before, spread.after)] == [13.7, 7.0]
    assert spread.trend is Trend.BETTER
    assert spread.p <= 0.001
    assert spread.change.ci_high < -0.03
    assert find(result, None, "gap").trend is Trend.BETTER
    assert find(result, "Middle Eastern Male").trend is Trend.WORSE
    assert "✓ the spread narrowed: 0.137 → 0.070" in render_comparison(result)
