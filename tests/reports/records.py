"""Comparisons and experiments that every report must cope with: plain ones, and ones that hold everything against us."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from fairaudit.comparison import Change, ComparisonResult, Design, GroupingChange, PairComparison, Trend
from fairaudit.results import Estimate
from fairaudit.results.mitigation import ArmResult, Epoch, Loser, MitigationResult, Number, SeedRun

NAN = math.nan
NONE = Estimate(NAN, NAN, NAN, 0, "undefined: 0 positives")
BY = ("race", "gender")


def change(
    group: tuple[str, str] | None, before: float, after: float, trend: Trend, kind: str | None = None, **more: object
) -> Change:
    """A change of accuracy with limits 0.03 on either side."""

    def estimate(value: float) -> Estimate:
        return NONE if math.isnan(value) else Estimate(value, value - 0.03, value + 0.03, 300)

    levels = None if group is None else dict(zip(BY, group, strict=True))
    p, adjusted = (0.4, 0.9) if trend is Trend.UNDECIDED else (0.00001, 0.00004)
    one = Change(
        "accuracy", kind, levels, estimate(before), estimate(after), estimate(after - before), p, adjusted,
        test="mcnemar" if kind is None else "permutation", trend=trend,
    )  # fmt: skip
    return replace(one, **more)  # type: ignore[arg-type]


def comparison() -> ComparisonResult:
    """Black women got worse, Black men gained, of White women nothing can be said, Martians have no images."""
    groups = (
        change(("White", "Female"), 0.92, 0.91, Trend.UNDECIDED, gained=10, lost=12),
        change(("Black", "Male"), 0.84, 0.93, Trend.BETTER, gained=39, lost=7),
        change(("Black", "Female"), 0.93, 0.83, Trend.WORSE, gained=6, lost=41),
        change(("Martian", "Female"), NAN, NAN, Trend.UNDECIDED),
    )
    over = (
        change(None, 0.90, 0.89, Trend.UNDECIDED, "mean"),
        change(None, 0.12, 0.06, Trend.BETTER, "gap"),
        change(None, 0.05, 0.09, Trend.WORSE, "spread"),
        change(None, 0.84, 0.83, Trend.UNDECIDED, "worst_group"),
    )
    other = replace(groups[2], metric="f1", trend=Trend.WORSE)
    overall = change(None, 0.9, 0.895, Trend.UNDECIDED)
    pair = PairComparison(
        "old.csv", "new.csv", Design.PAIRED, (1200, 1200),
        GroupingChange((), (overall, replace(overall, metric="f1"))),
        (GroupingChange(BY, (*groups, *over, other)),), ("two images were left out",),
    )  # fmt: skip
    settings = {"target": "gender", "confidence": 0.95, "bootstrap": 500, "min_support": 20, "seed": 0}
    return ComparisonResult(settings, (pair,))


def hostile_comparison(names: Sequence[str]) -> ComparisonResult:
    """Two pairs, every trend, and names that are no names."""
    trends = list(Trend)
    groups = tuple(
        replace(
            change((name, name), 0.5 if i % 3 else NAN, 0.6, trends[i % len(trends)]),
            metric=f"accuracy[{names[0]}]",
            group={name: name},
            sd=(0.1, NAN) if i % 2 else None,
            test=None if i % 2 else "paired t",
        )
        for i, name in enumerate(names)
    )
    gap = replace(change(None, 0.1, 0.2, Trend.WORSE, "gap"), metric=f"accuracy[{names[0]}]")
    overall = GroupingChange((), (replace(gap, kind=None),))
    pairs = [
        PairComparison(
            name, names[1], design, (3, 4), overall, (GroupingChange((names[0],), (*groups, gap)),), tuple(names)
        )
        for name, design in zip(names, Design, strict=False)
    ]
    return ComparisonResult({"target": names[0], "classes": list(names), "confidence": 0.9}, tuple(pairs))


def bare_comparison() -> ComparisonResult:
    """Nothing could be measured, and only one model is compared."""
    none = replace(change(None, NAN, NAN, Trend.UNDECIDED), p=NAN, p_adjusted=NAN, test=None)
    lost = replace(none, group={"race": "A"})
    pair = PairComparison(
        "a", "b", Design.UNPAIRED, (0, 0), GroupingChange((), (none,)), (GroupingChange(("race",), (lost,)),)
    )
    return ComparisonResult({"target": "t"}, (pair,))


def number(kind: str | None, value: float, moved: float = NAN, trend: str = "undecided", seeds: int = 2) -> Number:
    """Accuracy by race × gender, from ``value`` − 0.01 to ``value`` + 0.01 over seeds."""
    by = () if kind is None else BY
    each = tuple(value + 0.02 * (seed / max(1, seeds - 1) - 0.5) for seed in range(seeds))
    sd, p_seeds = (0.0141, 0.01) if seeds > 1 else (NAN, NAN)
    p_seeds = NAN if moved != moved else p_seeds
    limits = (moved - 0.02, moved + 0.02)
    p_images = NAN if moved != moved else 0.004
    return Number("accuracy", kind, by, value, sd, moved, *limits, p_seeds, *limits, p_images, trend, each)


def arm(name: str, accuracy: float, gap: float, moved: float = NAN, trend: str = "undecided", **more: object) -> ArmResult:
    """An arm that was trained for three epochs with two seeds, of which the second epoch was kept."""
    seeds = int(more.pop("seeds", 2))  # type: ignore[call-overload]
    epochs = tuple(
        Epoch(e, 1 / e, accuracy - 0.1 / e, accuracy - 0.1 / e, accuracy - gap / e, (accuracy, accuracy - gap / e))
        for e in (1, 2, 3)
    )
    runs = tuple(SeedRun(seed, f"{name}/seed-{seed}", 2, 12.5, epochs) for seed in range(seeds))
    numbers = (
        number(None, accuracy, moved, seeds=seeds),
        number("worst_group", accuracy - gap, moved, seeds=seeds),
        number("gap", gap, moved, trend, seeds),
        number("spread", gap / 3, moved, seeds=seeds),
    )
    return replace(ArmResult(name, "cross-entropy", None, runs, numbers, (), False), **more)  # type: ignore[arg-type]


def experiment(*arms: ArmResult, seeds: int = 2) -> MitigationResult:
    """``max-group`` narrows the gap and costs Black women; nothing is shown of ``reweight``."""
    loser = Loser(BY, {"race": "Black", "gender": "Female"}, 0.93, 0.83, 0.0004, True)
    three = (
        arm("erm", 0.90, 0.12, on_front=True, seeds=seeds),
        arm("max-group", 0.89, 0.06, -0.06, "better", losers=(loser,), on_front=True, seeds=seeds),
        arm("reweight", 0.88, 0.13, 0.01, losers=(replace(loser, p=0.4, shown=False),), notes=("it ran",), seeds=seeds),
    )
    settings = {
        "target": ["gender"], "by": [list(BY)], "seeds": seeds, "architecture": "timm/x", "start": "random weights",
        "select": "worst-group", "confidence": 0.95, "epochs": 3,
    }  # fmt: skip
    notes = ("one seed: whether training again would show the same is not known",) if seeds == 1 else ()
    images = {"train": 900, "validation": 100, "test": 1200}
    return MitigationResult(settings, images, {"Black Female": 20, "White Male": 500}, "erm", arms or three, notes)


def sweep() -> MitigationResult:
    """Twelve arms whose names begin alike, five of them on the front."""
    settings = [(step, lr) for step in (0.01, 0.1, 0.5) for lr in (1e-4, 3e-4, 1e-3)]
    arms = [
        arm(f"group-dro(step_size={step})(lr={lr:g})", 0.8 + 0.01 * i, 0.05 + 0.01 * i if i < 4 else 0.3 - 0.01 * i,
            0.01, on_front=i < 4)
        for i, (step, lr) in enumerate(settings)
    ]  # fmt: skip
    same = [replace(arms[0], name=f"twin-{i}") for i in range(2)]
    return experiment(arm("erm", 0.79, 0.2), *arms, *same)


def hostile_experiment(names: Sequence[str]) -> MitigationResult:
    """Names that are no names, numbers that are none, and a baseline that did not train by epochs."""
    trends = ("better", "worse", "higher", "lower", "undecided")
    arms = []
    for i, name in enumerate(names):
        numbers = tuple(
            replace(
                one, by=(names[0],) if one.by else (), trend=trends[i % 5], value=NAN if i == 2 else one.value, by_seed=()
            )
            for one in arm("a", 0.5, 0.2).numbers
        )
        losers = (Loser((names[0],), {names[0]: name}, 0.5, 0.4, NAN if i % 2 else 0.01, bool(i % 2)),)
        runs = (SeedRun(0, name, 0, 0.0), *arm("a", 0.5, 0.2).runs)
        arms.append(ArmResult(name, name, None, runs, numbers, losers if i else (), bool(i % 2), tuple(names)))
    settings = {**experiment().settings, "target": [names[0], names[1]], "by": [[names[0]]], "start": names[3]}
    images = experiment().images
    return MitigationResult(settings, images, {names[0]: 1}, names[0], tuple(arms), tuple(names))


def bare_experiment() -> MitigationResult:
    """One arm, one seed, no baseline, nothing that is defined, as the first version of the record had it."""
    empty = Number("accuracy", "gap", BY, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, "undecided")
    alone = ArmResult("reweight", "reweight", None, (SeedRun(0, "reweight/seed-0", 0, 1.0),), (empty,), (), False)
    return replace(experiment(alone, seeds=1), baseline=None)
