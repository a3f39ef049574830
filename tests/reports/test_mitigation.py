"""An experiment for a terminal: what is shown at 80 columns, and what is said about whom."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from fairaudit.reports._mitigation import change
from fairaudit.reports.terminal import render_mitigation
from fairaudit.results.mitigation import ArmResult, Loser, MitigationResult, Number, SeedRun

NAN = math.nan


def arm(name: str, values: Sequence[float], change: float, p: float, trend: str, **more: object) -> ArmResult:
    """Accuracy, worst group and gap by race, each changed by as much."""
    places = ((None, ()), ("worst_group", ("race",)), ("gap", ("race",)))
    numbers = tuple(
        Number("accuracy", kind, by, value, 0.01, change, change - 0.01, change + 0.01, p, NAN, NAN, NAN, trend)
        for (kind, by), value in zip(places, values, strict=True)
    )
    losers, notes = more.get("losers", ()), more.get("notes", ())
    return ArmResult(name, name, None, (SeedRun(0, "f", 1, 1.0),), numbers, losers, bool(more.get("front")), notes)  # type: ignore[arg-type]


def experiment(*arms: ArmResult, seeds: int = 3, target: Sequence[str] = ("gender",)) -> MitigationResult:
    settings = {
        "target": list(target), "by": [["race"]], "seeds": seeds, "architecture": "timm/x", "start": "random weights",
        "select": "worst-group", "confidence": 0.95,
    }  # fmt: skip
    return MitigationResult(settings, {"train": 1000, "validation": 200, "test": 3000}, {"a": 500}, arms[0].name, arms)


ERM = arm("erm", (0.8, 0.6, 0.3), NAN, NAN, "undecided")


def text(result: MitigationResult) -> str:
    """On one line, as sentences are wrapped."""
    return " ".join(render_mitigation(result).split())


def test_every_line_fits() -> None:
    notes = ("it learnt from validation images, so what it scores on them proves nothing" * 3,)
    long = arm("domain-independent+group-dro(step_size=0.1)", (0.8, 0.7, 0.1), 0.1, 0.01, "better", notes=notes)
    lines = render_mitigation(experiment(ERM, long), width=80).splitlines()
    assert max(map(len, lines)) <= 80
    assert not any(line.endswith(" ") for line in lines)


def test_values_and_changes() -> None:
    shown = text(experiment(ERM, arm("max-group", (0.79, 0.7, 0.1), 0.125, 0.0004, "better")))
    assert "gender on 3,000 test images, mean ± SD of 3 seeds" in shown
    assert "trained on 1,000 images, epochs selected by worst-group on 200 others" in shown
    assert "0.790 ±0.010 0.700 ±0.010 0.100 ±0.010" in shown
    assert "+0.125 p<.001 ✓" in shown
    assert "by a t-test over seeds and by an interval over images; p is of the seeds" in shown


def test_one_seed_speaks_of_images_alone() -> None:
    shown = text(experiment(ERM, arm("max-group", (0.79, 0.7, 0.1), 0.1, NAN, "worse"), seeds=1))
    assert "one seed" in shown
    assert "t-test" not in shown


def test_few_groups_stand_in_the_table_and_many_do_not() -> None:
    def told(groups: int) -> str:
        both = [
            replace(one, groups=tuple(
                Number("accuracy", None, ("race",), 0.5 + i / 100, 0.02, moved, NAN, NAN, 0.02, NAN, NAN, 0.03, "worse",
                       group={"race": f"level {i}"})
                for i in range(groups)
            ))
            for one, moved in ((ERM, NAN), (arm("max-group", (0.79, 0.7, 0.1), 0.1, 0.01, "better"), -0.04))
        ]  # fmt: skip
        return text(experiment(*both))

    assert "level 1 worst group" in told(2)
    assert "−0.040 p=.020 ✗" in told(2)
    assert "p of a group is adjusted over the groups (Holm)" in told(2)
    assert "level" not in told(5)


def test_settings_that_all_arms_of_a_kind_share_are_told_once() -> None:
    names = [f"focal(gamma={gamma},alpha=1)(lr=0.1,epochs={epochs})" for gamma, epochs in ((1, 5), (2, 5), (1, 9))]
    names += ["max-group(ema=0.1)", "lisa(a=1)+focal(b=1)", "own, (x=1)"]
    shown = text(experiment(ERM, *(arm(name, (0.79, 0.7, 0.1), 0.1, 0.01, "better") for name in names)))
    assert "focal(gamma=1)(epochs=5)" in shown
    assert "every focal has alpha=1, lr=0.1" in shown
    assert all(name in shown for name in names[3:])


def test_seeds_that_do_not_scatter_give_no_p_and_the_images_do_not_speak_for_them() -> None:
    number = Number("accuracy", None, (), 0.8, 0.0, -0.03, NAN, NAN, NAN, -0.05, -0.01, 0.0004, "undecided")
    alone = replace(number, sd=NAN)
    assert change(number) == "−0.030"
    assert change(alone) == "−0.030 p<.001"


def test_who_lost_most() -> None:
    losers = (Loser(("race",), {"race": "b"}, 0.9, 0.7, 0.01, True), Loser(("race",), {"race": "c"}, 0.5, 0.4, 0.4, False))
    shown = text(experiment(ERM, arm("max-group", (0.79, 0.7, 0.1), 0.1, 0.01, "better", losers=losers)))
    assert "max-group costs b most: accuracy 0.900 → 0.700 (p = 0.010 after Holm)" in shown
    assert "max-group costs c most: accuracy 0.500 → 0.400 (p = 0.400 after Holm, not shown)" in shown


def test_nothing_scatters() -> None:
    losers = (Loser(("race",), {"race": "b"}, 1.0, 0.0, NAN, False),)
    shown = text(experiment(ERM, arm("max-group", (0.79, 0.7, 0.1), 0.1, 0.01, "better", losers=losers)))
    assert "(no test: nothing scatters, not shown)" in shown


def test_many_notes_are_folded() -> None:
    notes = tuple(f"seed {seed}: note" for seed in range(9))
    shown = text(experiment(ERM, arm("thresholds", (0.79, 0.7, 0.1), 0.1, 0.01, "better", notes=notes)))
    assert "thresholds: seed 3: note" in shown
    assert "seed 4" not in shown
    assert "thresholds: 5 more sentences are in mitigation.json" in shown


def test_what_is_undefined_is_explained() -> None:
    said = "undefined: a group has too few images, or none of a class"
    assert said not in text(experiment(ERM, arm("a", (0.7, 0.6, 0.1), 0.1, 0.1, "better")))
    assert said in text(experiment(ERM, arm("a", (0.7, NAN, 0.1), 0.1, 0.1, "better")))


def test_several_targets_are_right_together() -> None:
    said = "an image is right where every target is"
    assert said in text(experiment(ERM, target=("race", "gender")))
    assert said not in text(experiment(ERM))


def test_control_characters_of_names_do_not_reach_the_terminal() -> None:
    assert "\x1b" not in render_mitigation(experiment(ERM, arm("a\x1b[31m", (0.7, 0.6, 0.1), 0.1, 0.1, "better")))
