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
from fairaudit.reports.terminal import render_comparison
from fairaudit.results import group_label
from fairaudit.workflows.audit import audit
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
    assert result.notes == (
        "paired on the 350 images that both have; 50 of a and 0 of b are left out, the first is 0/0.jpg of a",
    )


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


def test_seeds_have_scores_and_say_which_runs_have_other_images() -> None:
    before = [Side(f"a{i}", scored(predictions(seed=i), i, 3.0)) for i in range(3)]
    after = [Side(f"b{i}", scored(predictions((0.8, 0.9), seed=9 + i), 9 + i, 0.5)) for i in range(3)]
    result = compare(before, after, SETTINGS, seeds=True)
    auroc = find(result, "Black", metric="auroc")
    assert (auroc.trend, auroc.test) == (Trend.WORSE, "paired t")
    own = [audit(s.predictions, SETTINGS).groupings[0].groups[0].metrics["auroc"].value for s in before]
    assert auroc.before.value == pytest.approx(np.mean(own))
    assert not any("same images" in note for note in result.pairs[0].notes)
    fewer = [*after[:2], Side("b2", after[2].predictions.take(np.arange(300)))]
    note = compare(before, fewer, SETTINGS, seeds=True).pairs[0].notes[-1]
    assert note.startswith("the runs do not all have the same images: b2 differs from a0, and what changes with the images")
    task = after[1].predictions.tasks["gender"]
    wrong = replace(after[1].predictions, tasks={"gender": replace(task, y_true=1 - task.y_true)})
    with pytest.raises(PredictionsError, match=r"a0 and b1 do not pair: 'gender' differs"):
        compare(before, [after[0], Side("b1", wrong), after[2]], SETTINGS, seeds=True)


def test_where() -> None:
    before, after = predictions(), predictions((0.8, 0.9))
    settings = SETTINGS.model_copy(update={"where": 'gender == "woman"'})
    result = compare([Side("a", before)], [Side("b", after)], settings)
    women = before.tasks["gender"].y_true == 1
    assert result.pairs[0].n == (women.sum(), women.sum())


def named(one: Predictions, who: IntArray, names: tuple[str, ...] | None = None) -> Predictions:
    """Predictions with people; codes may stand for other names."""
    return replace(one, identity=Column(who, names or tuple(f"p{i}" for i in range(int(who.max()) + 1))))


def copied(one: Predictions, times: int) -> Predictions:
    """Every image several times, as images of one person."""
    rows = np.array([f"{row}#{i}" for row in one.rows for i in range(times)], dtype=object)
    wide = {name: Task(t.classes, np.repeat(t.y_true, times), np.repeat(t.y_pred, times)) for name, t in one.tasks.items()}
    race = one.attributes["race"]
    column = Column(np.repeat(race.codes, times), race.levels)
    return named(Predictions(rows, wide, {"race": column}), np.repeat(np.arange(len(one)), times))


def test_copies_of_peoples_images_say_no_more_than_one_of_each() -> None:
    before, after = predictions(), predictions((0.8, 0.9))
    once = compare([Side("a", before)], [Side("b", after)], SETTINGS)
    sides = [Side("a", copied(before, 3))], [Side("b", copied(after, 3))]
    people, blunt = compare(*sides, SETTINGS), compare(*sides, SETTINGS.model_copy(update={"cluster": False}))
    for group in ("Black", "White"):
        a, b, c = (find(r, group) for r in (once, people, blunt))
        assert (b.test, c.test) == ("person sign-flip", "mcnemar")
        assert b.p == pytest.approx(a.p)
        width = [x.change.ci_high - x.change.ci_low for x in (a, b, c)]
        assert width[0] <= width[1] + 1e-3
        assert width[1] <= 1.1 * width[0]
        assert width[2] < 0.65 * width[0]
    assert find(blunt, "Black").p < find(once, "Black").p
    assert find(people, None, "gap").p == pytest.approx(find(once, None, "gap").p, abs=0.05)
    assert people.pairs[0].notes[0].startswith("1,200 images show 400 people, whose images change together")
    assert "McNemar's test is replaced by an exact sign-flip test" in people.pairs[0].notes[0]
    assert (blunt.pairs[0].notes, blunt.settings["cluster"]) == ((), False)
    assert "exact sign-flip test, mid-p, of what each person gained or lost" in " ".join(render_comparison(people).split())


def test_people_are_known_by_name_and_on_either_side() -> None:
    before, after = predictions(), predictions((0.8, 0.9))
    who = np.arange(400) // 4
    a, b = named(before, who), named(after, 99 - who, tuple(f"p{i}" for i in range(99, -1, -1)))
    both = compare([Side("a", a)], [Side("b", b)], SETTINGS)
    assert comparison_json(compare([Side("a", a)], [Side("b", after)], SETTINGS)) == comparison_json(both)
    assert comparison_json(compare([Side("a", before)], [Side("b", b)], SETTINGS)) == comparison_json(both)
    with pytest.raises(
        PredictionsError, match=r"a and b do not pair: who is on the image differs in 396 of 400 .* '0/4.jpg'"
    ):
        compare([Side("a", a)], [Side("b", named(after, np.zeros(400, dtype=np.int64)))], SETTINGS)


def test_people_on_different_images() -> None:
    before, after = named(predictions(), np.arange(400) // 4), named(predictions((0.7, 0.9), images=1), np.arange(400) // 4)
    result = compare([Side("a", before)], [Side("b", after)], SETTINGS)
    assert "although 100 people are on both" in result.pairs[0].notes[1]
    apart = replace(after, identity=Column(np.arange(400) // 4, tuple(f"q{i}" for i in range(100))))
    other = compare([Side("a", before)], [Side("b", apart)], SETTINGS)
    assert other.pairs[0].notes[1].endswith("intervals follow the design effect of people")
    plain = compare([Side("a", before)], [Side("b", apart)], SETTINGS.model_copy(update={"cluster": False}))
    for group in ("Black", "White"):
        width = [find(r, group).change.ci_high - find(r, group).change.ci_low for r in (other, plain)]
        assert width[0] >= width[1]
    assert find(other, "Black").trend is Trend.WORSE


def scored(one: Predictions, seed: int, strength: float = 1.5) -> Predictions:
    task = one.tasks["gender"]
    score = 1 / (1 + np.exp(-strength * (task.y_true - 0.5) - np.random.default_rng(seed).normal(size=len(one))))
    both = replace(task, y_score=np.stack([1 - score, score], 1))
    return replace(one, tasks={"gender": both})


def test_scores() -> None:
    before, after = scored(predictions(), 1, 4.0), scored(predictions((0.8, 0.9)), 2, 0.5)
    result = compare([Side("a", before)], [Side("b", after)], SETTINGS)
    listed = audit(before, SETTINGS).overall.metrics
    assert {c.metric for c in result.pairs[0].overall.changes} == set(listed)
    for metric in ("auroc", "average_precision", "brier", "log_loss", "ece", "ece_equal_mass", "confidence_ece"):
        overall = next(c for c in result.pairs[0].overall.changes if c.metric == metric)
        assert overall.before.value == pytest.approx(listed[metric].value)
        assert find(result, "Black", metric=metric).before.value == pytest.approx(
            audit(before, SETTINGS).groupings[0].groups[0].metrics[metric].value
        )
        if not metric.startswith(("ece", "confidence")):
            assert overall.trend is Trend.WORSE, metric
    text = " ".join(render_comparison(result, metrics=("auroc", "ece", "brier")).split())
    assert "combined with DeLong's covariance of the two models" in text
    assert "their correlation in a paired bootstrap of the rows" in text
    # the other order of classes is the same comparison
    task, score = after.tasks["gender"], after.tasks["gender"].y_score
    assert score is not None
    turned = Task(("woman", "man"), 1 - task.y_true, 1 - task.y_pred, score[:, ::-1])
    again = compare([Side("a", before)], [Side("b", replace(after, tasks={"gender": turned}))], SETTINGS)
    assert comparison_json(again) == comparison_json(result)
    alone = compare([Side("a", before)], [Side("b", predictions((0.8, 0.9)))], SETTINGS).pairs[0]
    assert "only a has scores: metrics of scores are not compared" in alone.notes
    assert "auroc" not in {c.metric for c in alone.overall.changes}


def test_a_threshold_decides_both_sides() -> None:
    before, after = scored(predictions(), 1), scored(predictions(), 2)
    strict = compare([Side("a", before)], [Side("b", after)], SETTINGS.model_copy(update={"threshold": 0.9}))
    assert strict.settings["threshold"] == 0.9
    for side, predicted in zip(("before", "after"), (before, after), strict=True):
        score = predicted.tasks["gender"].y_score
        assert score is not None
        overall = next(c for c in strict.pairs[0].overall.changes if c.metric == "selection_rate")
        assert getattr(overall, side).value == pytest.approx(float(np.mean(score[:, 1] >= 0.9)))


def test_joint_targets() -> None:
    rng = np.random.default_rng(0)

    def both(seed: int) -> Predictions:
        one = predictions((0.9, 0.8), seed=seed)
        age = Task(("old", "young"), np.arange(400) % 2, np.where(rng.random(400) < 0.8, np.arange(400) % 2, 0))
        return replace(one, tasks={**one.tasks, "age": age})

    before, after = both(1), both(2)
    settings = SETTINGS.model_copy(update={"target": "Gender, age", "positive": None})
    result = compare([Side("a", before)], [Side("b", after)], settings)
    assert result.settings["target"] == "gender,age"
    assert result.settings["classes"] == ["man old", "man young", "woman old", "woman young"]
    right = [
        (s.tasks["gender"].y_true == s.tasks["gender"].y_pred) * 1 + (s.tasks["age"].y_true == s.tasks["age"].y_pred)
        for s in (before, after)
    ]
    for metric, count in (("accuracy", 2), ("some_right", 1), ("none_right", 0)):
        black = find(result, "Black", metric=metric)
        values = [float(np.mean(r[:200] == count)) for r in right]
        assert (black.before.value, black.after.value) == pytest.approx(tuple(values))
    gained = find(result, "Black")
    assert gained.gained == int(((right[1] == 2) & (right[0] != 2))[:200].sum())
    assert gained.test == "mcnemar"
    with pytest.raises(UsageError, match=r"several labels are audited side by side, and compared one at a time"):
        compare([Side("a", before)], [Side("b", after)], SETTINGS.model_copy(update={"target": "gender+age"}))


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
def test_of_both_targets_the_mean_stayed_the_spread_halved_and_who_lost_is_named(shared: Path) -> None:
    folder = shared / "data" / "fairface"
    columns = TableColumns(y_true="race,gender", y_pred="race_pred,gender_pred")
    settings = AuditSettings(by=(("race", "gender"),), bootstrap=1000)
    result = compare_files([folder / REAL[0]], [folder / REAL[1]], settings, columns)[0]
    assert result.settings["target"] == "race,gender"
    mean, spread = find(result, None, "mean"), find(result, None, "spread")
    assert [round(100 * e.value, 1) for e in (mean.before, spread.before)] == [58.3, 12.2]
    assert [round(100 * e.value, 1) for e in (mean.after, spread.after)] == [58.0, 5.8]
    assert mean.trend is Trend.UNDECIDED
    assert spread.trend is Trend.BETTER
    assert spread.p == pytest.approx(1 / 1001)  # no permutation of the models came near
    assert spread.change.ci_high < 0
    changes = [c for c in result.pairs[0].groupings[0].changes if c.metric == "accuracy" and c.kind is None]
    found = {trend: {group_label(c.group) for c in changes if c.trend is trend} for trend in Trend}
    assert found[Trend.WORSE] == {
        "Black Female", "Indian Female", "Middle Eastern Female", "Middle Eastern Male", "White Male",
    }  # fmt: skip
    assert found[Trend.BETTER] == {"Latino_Hispanic Female", "Latino_Hispanic Male"}
    text = render_comparison(result)
    assert "✗ worse: Black Female 0.736 → 0.621" in text
    assert "? the mean over groups: no change is shown, 0.583 → 0.580" in text
    assert "✓ the spread narrowed: 0.122 → 0.058" in text


@pytest.mark.real
def test_the_scores_of_black_women_got_worse_as_well(shared: Path) -> None:
    folder = shared / "data" / "fairface"
    columns = TableColumns(y_true="gender", y_pred="gender_pred", y_score=("p_female",), by=("race",))
    settings = AuditSettings(by=(("race", "gender"), ("race",)), bootstrap=1000, positive="Female")
    result = compare_files([folder / REAL[0]], [folder / REAL[1]], settings, columns)[0]
    women = find(result, "Black Female", metric="brier")
    assert women.trend is Trend.WORSE
    assert find(result, "Black Male", metric="brier").trend is Trend.BETTER
    area = next(c for c in result.pairs[0].overall.changes if c.metric == "auroc")
    assert round(area.before.value, 3) == 0.977
    assert area.trend is Trend.UNDECIDED


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
