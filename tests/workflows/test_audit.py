"""The audit of a table: who is compared with whom, what is left out, and what the reader is told."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from fairaudit.config import AuditSettings
from fairaudit.errors import PredictionsError, UnknownNameError, UsageError
from fairaudit.predictions import Column, Predictions, Task
from fairaudit.results import AuditResult, GroupingResult, Verdict, from_record, to_json, to_record
from fairaudit.workflows.audit import audit

RACES = ("White", "Black", "East Asian")
GENDERS = ("Male", "Female")


def _predictions(
    cells: Mapping[tuple[str | None, str | None, str | None, str], int],
    *,
    ages: Sequence[float] | None = None,
    targets: Sequence[str] = ("label",),
) -> Predictions:
    """Predictions with so many rows of each (race, gender, label, predicted)."""
    rows = [key for key, times in cells.items() for _ in range(times)]
    race, gender, label, predicted = zip(*rows, strict=True)
    task = Task(("no", "yes"), Column.of(label, ("no", "yes")).codes, Column.of(predicted, ("no", "yes")).codes)
    return Predictions(
        np.array([f"{i}.jpg" for i in range(len(rows))], dtype=object),
        dict.fromkeys(targets, task),
        {"race": Column.of(race, RACES), "gender": Column.of(gender, GENDERS)},
        {} if ages is None else {"age": np.array(ages, dtype=float)},
    )


def _typical() -> Predictions:
    return _predictions(
        {
            ("White", "Male", "yes", "yes"): 90, ("White", "Male", "yes", "no"): 10,
            ("White", "Female", "no", "no"): 60, ("White", "Female", "no", "yes"): 20,
            ("Black", "Male", "yes", "yes"): 70, ("Black", "Male", "no", "no"): 50,
            ("Black", "Female", "yes", "no"): 30, ("Black", "Female", "no", "no"): 90,
        }
    )  # fmt: skip


def _audit(predictions: Predictions, card: Mapping[str, str] | None = None, **settings: Any) -> AuditResult:
    settings.setdefault("by", (("race",),))
    return audit(predictions, AuditSettings(**settings), card_privileged=card)


def _grouping(result: AuditResult, *by: str) -> GroupingResult:
    return next(g for g in result.groupings if g.by == by)


def test_counts_and_values() -> None:
    result = _audit(_typical(), by=(("race",), ("race", "gender")), positive="YES")
    assert result.overall.n == 420
    assert result.overall.metrics["accuracy"].value == pytest.approx(360 / 420)
    race = _grouping(result, "race")
    assert race.counts == (((60, 20), (10, 90)), ((140, 0), (30, 70)), ((0, 0), (0, 0)))
    assert [g.n for g in race.groups] == [180, 240, 0]
    assert race.groups[0].metrics["true_positive_rate"].value == 0.9
    assert race.groups[2].group == {"race": "East Asian"}
    assert race.groups[2].metrics["accuracy"].reason == "absent: no images"
    crossed = _grouping(result, "race", "gender")
    assert [tuple(g.group.values()) for g in crossed.groups] == [(r, s) for r in RACES for s in GENDERS]
    assert "no images of East Asian (by race): expected, and absent" in result.notes
    assert "no images of East Asian Male, East Asian Female (by race,gender): expected, and absent" in result.notes
    assert result.verdict is Verdict.NONE
    assert result.settings["positive"] == "yes"
    assert result.settings["classes"] == ["no", "yes"]


def test_an_audit_survives_its_record() -> None:
    result = _audit(
        _typical(), by=(("race", "gender"),), rules=("disparate_impact[yes] by race,gender >= 0.8",),
        privileged=({"race": "Black", "gender": "Female"},),
    )  # fmt: skip
    again = from_record(to_record(result))
    assert to_json(again) == to_json(result)
    outcomes = {tuple((o.group or {}).values()): o for o in again.rules[0].outcomes}
    infinite = outcomes["White", "Male"]
    assert infinite.value == math.inf
    assert infinite.reason == "infinite: the privileged group's value is 0"
    assert outcomes["East Asian", "Male"].reason == "absent: no images"
    assert to_json(_audit(_typical())) == to_json(_audit(_typical()))


def test_the_order_of_rows_changes_nothing() -> None:
    predictions = _typical()
    order = np.random.default_rng(0).permutation(len(predictions))
    rules = ("accuracy gap by race <= 0.1", "f1[macro] worst_group by gender,race >= 0.5")
    assert to_json(_audit(predictions.take(order), rules=rules)) == to_json(_audit(predictions, rules=rules))


@pytest.mark.parametrize(
    ("named", "card", "by", "privileged", "how"),
    [
        ((), None, ("race",), {"race": "Black"}, "largest"),
        ((), {"race": "White"}, ("race",), {"race": "White"}, "named"),
        ((), {"race": "Martian"}, ("race",), {"race": "Black"}, "largest"),
        (({"RACE": "east asian"},), {"race": "White"}, ("race",), {"race": "East Asian"}, "named"),
        (({"race": "white"},), None, ("race", "gender"), {"race": "White", "gender": "Male"}, "largest"),
        (({"race": "Black"},), None, ("race", "gender"), {"race": "Black", "gender": "Male"}, "largest"),
        (({"gender": "Female"},), None, ("race", "gender"), {"race": "Black", "gender": "Female"}, "largest"),
        (({"gender": "Female", "race": "White"},), None, ("race", "gender"),
         {"race": "White", "gender": "Female"}, "named"),
        (({"race": "White"}, {"gender": "Female"}), None, ("race", "gender"),
         {"race": "White", "gender": "Female"}, "named"),
        ((), {"race": "White"}, ("race", "gender"), {"race": "White", "gender": "Male"}, "largest"),
        ((), {"race": "White", "gender": "Female"}, ("race", "gender"), {"race": "White", "gender": "Female"}, "named"),
    ],
)  # fmt: skip
def test_who_is_privileged(
    named: tuple[dict[str, str], ...],
    card: dict[str, str] | None,
    by: tuple[str, ...],
    privileged: dict[str, str],
    how: str,
) -> None:
    grouping = _audit(_typical(), card, by=(by,), privileged=named).groupings[0]
    assert grouping.privileged == privileged
    assert grouping.privileged_is == how


def test_the_most_specific_reference_is_taken_for_each_grouping() -> None:
    named = ({"race": "White"}, {"race": "Black", "gender": "Female"})
    result = _audit(_typical(), by=(("race",), ("race", "gender")), privileged=named)
    assert _grouping(result, "race").privileged == {"race": "White"}
    assert _grouping(result, "race", "gender").privileged == {"race": "Black", "gender": "Female"}


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"by": ()}, UsageError, "name at least one grouping with --by; the table has label, race, gender"),
        ({"by": (("rcae",),)}, UnknownNameError, "unknown attribute 'rcae'; did you mean 'race'?"),
        ({"by": (("race", "Race"),)}, UsageError, "--by race,Race names an attribute twice"),
        ({"by": (("age",),)}, UsageError,
         "age is numeric and makes no groups; use a column of levels (label, race, gender)"),
        ({"privileged": ({"gender": "Male"},)}, UsageError,
         "--privileged gender=Male fits no grouping; the groupings are race"),
        ({"privileged": ({"race": "White", "gender": "Male"},)}, UsageError,
         "--privileged race=White,gender=Male fits no grouping; the groupings are race"),
        ({"privileged": ({"race": "Wite"},)}, UnknownNameError,
         "unknown level of 'race' in --privileged: 'Wite'; did you mean 'White'?"),
        ({"privileged": ({"rase": "White"},)}, UnknownNameError,
         "unknown attribute in --privileged: 'rase'; did you mean 'race'?"),
        ({"privileged": ({"race": "White"}, {"race": "Black"})}, UsageError,
         "--privileged names several groups of race; name one"),
        ({"positive": "ye"}, UnknownNameError, "unknown class 'ye'; did you mean 'yes'?"),
        ({"target": "lable"}, UnknownNameError, "unknown target 'lable'; did you mean 'label'?"),
        ({"rules": ("f1[maybe] gap by race <= 0.1",)}, UnknownNameError,
         "unknown class 'maybe'; choose from no, yes, macro"),
        ({"rules": ("accuracy gap by rcae <= 0.1",)}, UnknownNameError, "unknown attribute 'rcae'; did you mean 'race'?"),
        ({"where": "race == 'East Asian'"}, PredictionsError,
         "no images are left after --where \"race == 'East Asian'\"; all 420 were ruled out"),
        ({"where": "race == 'Martian'"}, UnknownNameError,
         "unknown level of 'race' in --where: 'Martian'; choose from White, Black, East Asian"),
    ],
)  # fmt: skip
def test_what_is_refused(settings: dict[str, Any], error: type[Exception], message: str) -> None:
    predictions = _typical()
    aged = Predictions(predictions.rows, predictions.tasks, predictions.attributes, {"age": np.zeros(len(predictions))})
    with pytest.raises(error) as caught:
        _audit(aged, **settings)
    assert type(caught.value) is error
    assert str(caught.value) == message


def test_two_targets_need_one_name() -> None:
    predictions = _predictions({("White", "Male", "yes", "yes"): 9}, targets=("smiling", "young"))
    with pytest.raises(UsageError) as caught:
        _audit(predictions)
    assert str(caught.value) == "the predictions have 2 targets (smiling, young); name one with --target"
    assert _audit(predictions, target="Young").settings["target"] == "young"


def test_nothing_labelled_is_nothing_to_audit() -> None:
    with pytest.raises(PredictionsError) as caught:
        _audit(_predictions({("White", "Male", None, "yes"): 9}))
    assert str(caught.value) == "no row has a label for 'label'; there is nothing to audit"


def test_what_is_missing_is_counted_and_said() -> None:
    result = _audit(
        _predictions(
            {
                ("White", "Male", "yes", "yes"): 30, ("Black", None, "no", "no"): 25, (None, "Male", "no", "no"): 4,
                ("White", "Male", None, "yes"): 3, (None, None, None, "yes"): 2,
            }
        ),
        by=(("race",), ("race", "gender")),
    )  # fmt: skip
    assert result.overall.n == 59
    assert _grouping(result, "race").missing == 4
    assert _grouping(result, "race", "gender").missing == 29
    assert "5 images without a label for label are left out" in result.notes
    assert "4 images whose race is not known are left out of that grouping" in result.notes
    assert "29 images whose race,gender is not known are left out of that grouping" in result.notes


def test_where_narrows_rows_and_what_is_expected() -> None:
    rules = ("accuracy gap by race,gender <= 0.5",)
    result = _audit(_typical(), by=(("gender",), ("race", "gender")), where="Gender == 'female' and race != 'East Asian'",
                    rules=rules)  # fmt: skip
    assert result.overall.n == 200
    assert [g.group for g in _grouping(result, "gender").groups] == [{"gender": "Female"}]
    assert [tuple(g.group.values()) for g in _grouping(result, "race", "gender").groups] == [
        ("White", "Female"), ("Black", "Female"),
    ]  # fmt: skip
    assert result.notes[0] == "restricted to 200 images by --where Gender == 'female' and race != 'East Asian'"
    assert result.verdict is Verdict.PASS
    assert not any("absent" in note for note in result.notes)
    other = _audit(_typical(), where="gender == 'Female'")
    assert [g.n for g in other.groupings[0].groups] == [80, 120, 0]  # race is not what was narrowed


def test_where_on_the_target_narrows_groups_but_not_classes() -> None:
    result = _audit(_typical(), by=(("label", "race"),), where="label == 'yes' and race in ['White', 'Black']")
    assert [tuple(g.group.values()) for g in result.groupings[0].groups] == [("yes", "White"), ("yes", "Black")]
    assert result.settings["classes"] == ["no", "yes"]
    assert result.groupings[0].counts == (((0, 0), (10, 90)), ((0, 0), (30, 70)))


def test_where_on_numbers() -> None:
    predictions = _predictions({("White", "Male", "yes", "yes"): 3, ("Black", "Male", "no", "yes"): 2},
                               ages=[1, 20, 30, math.nan, 40])  # fmt: skip
    result = _audit(predictions, where="age >= 20")
    assert [g.n for g in result.groupings[0].groups] == [2, 1, 0]


def test_a_rule_brings_its_grouping_along() -> None:
    result = _audit(_typical(), rules=("accuracy gap by gender <= 0.5", "accuracy gap by Gender,RACE <= 0.5",
                                       "accuracy spread by race,gender <= 0.3"))  # fmt: skip
    assert [g.by for g in result.groupings] == [("race",), ("gender",), ("gender", "race")]
    assert [r.rule for r in result.rules] == [
        "accuracy gap by gender <= 0.5", "accuracy gap by Gender,RACE <= 0.5", "accuracy spread by race,gender <= 0.3",
    ]  # fmt: skip
    assert result.rules[0].verdict is Verdict.PASS
    assert result.rules[1].verdict is Verdict.INCONCLUSIVE  # East Asian people are absent


def test_the_target_itself_can_make_groups() -> None:
    result = _audit(_typical(), by=(("label",),))
    assert any(note.startswith("label includes the target: ") for note in result.notes)
    yes = result.groupings[0].groups[1]
    assert yes.n == 200
    assert yes.metrics["true_positive_rate[yes]"].value == pytest.approx(0.8)
    assert yes.metrics["true_positive_rate[no]"].reason == "undefined: 0 positives"


def test_a_model_that_was_read_wrongly_is_suspected() -> None:
    constant = _predictions({("White", "Male", "yes", "yes"): 15, ("Black", "Male", "no", "yes"): 15})
    assert "every prediction is 'yes': check preprocessing, weights and classes" in _audit(constant).notes
    swapped = _predictions({("White", "Male", "yes", "no"): 27, ("Black", "Male", "no", "yes"): 27,
                            ("White", "Male", "yes", "yes"): 6})  # fmt: skip
    said = "accuracy 0.100 is far below chance: the classes may be listed in a wrong order"
    assert said in _audit(swapped).notes
    one_class = _predictions({("White", "Male", "yes", "yes"): 30})
    dozen = _predictions({("White", "Male", "yes", "no"): 6, ("Black", "Male", "no", "yes"): 6})
    assert said.replace("0.100", "0.000") in _audit(dozen).notes
    few = _predictions({("White", "Male", "yes", "no"): 3, ("Black", "Male", "no", "yes"): 3})
    for predictions in (one_class, few, _typical()):
        assert not any("check preprocessing" in note or "wrong order" in note for note in _audit(predictions).notes)


def test_a_tiny_group_makes_the_verdict_inconclusive() -> None:
    predictions = _predictions({("White", "Male", "yes", "yes"): 900, ("Black", "Male", "yes", "yes"): 900,
                                ("East Asian", "Female", "yes", "yes"): 12})  # fmt: skip
    result = _audit(predictions, rules=("accuracy gap by race <= 0.10",))
    assert result.verdict is Verdict.INCONCLUSIVE
    reasons = [o.reason for o in result.rules[0].outcomes if o.group is not None]
    assert reasons == ["too small: support 12 is below 20"]


def test_notes_of_the_caller_are_passed_on_once() -> None:
    settings = AuditSettings(by=(("race",),))
    result = audit(_typical(), settings, notes=["3 images were unreadable", "3 images were unreadable"])
    assert result.notes[0] == "3 images were unreadable"
    assert result.notes.count("3 images were unreadable") == 1


@pytest.mark.slow
def test_a_hundred_thousand_rows_and_fourteen_groups_take_no_time() -> None:
    import time

    rng = np.random.default_rng(0)
    n = 100_000
    y_true = rng.integers(0, 2, n)
    predictions = Predictions(
        np.array([f"{i}.jpg" for i in range(n)], dtype=object),
        {"gender": Task(GENDERS, y_true, np.where(rng.random(n) < 0.9, y_true, 1 - y_true))},
        {"race": Column(rng.integers(0, 7, n), tuple("abcdefg")), "sex": Column(rng.integers(0, 2, n), ("f", "m"))},
    )
    start = time.perf_counter()
    result = _audit(predictions, by=(("race", "sex"),), positive="Male")
    assert time.perf_counter() - start < 5.0
    assert result.overall.n == n


def test_a_grouping_of_nothing_is_refused_where_it_is_said() -> None:
    with pytest.raises(ValidationError, match="a grouping names at least one attribute"):
        AuditSettings(by=((),))
