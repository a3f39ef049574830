"""An experiment in words: which arms are shown to be better or worse than the baseline, and who lost; for every format."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from fairaudit.reports import _wording as words
from fairaudit.results import group_label
from fairaudit.results.mitigation import ArmResult, Loser, MitigationResult, Number

MARKS = {"better": "✓", "worse": "✗", "higher": "↑", "lower": "↓", "undecided": " "}
FRONT = "◆"
FRONT_SAYS = f"{FRONT} no other arm has both a higher accuracy and a smaller gap"
FEW_GROUPS = 4
"""Groups whose own accuracy stands in the tables of text; a page and CSV have those of every group."""
NOTES = 4
"""Sentences of one arm that are shown; each seed may have its own."""
UNDEFINED = "undefined: a group has too few images, or none of a class; audit.json of each run gives the reason"
TOGETHER = "an image is right where every target is; audit_TARGET.json of each run is of one target by itself"

_NAMED = re.compile(r"([^()=,]+)((?:\([^()=,]+=[^()=,]*(?:,[^()=,]+=[^()=,]*)*\))+)")
_COLUMNS = (("accuracy", None, "accuracy"), ("accuracy", "worst_group", "worst group"), ("accuracy", "gap", "gap"))
_F1 = (("f1", "gap", "F1 gap"), ("f1[macro]", "gap", "F1 gap"))
_KINDS = {None: "", "worst_group": "worst group", "gap": "gap", "spread": "spread"}


@dataclass(frozen=True)
class Said:
    """A sentence about one arm.

    Attributes:
        trend: of what it is about; ``undecided`` of what cannot be said.
        text: the sentence, without a mark.
    """

    trend: str
    text: str

    @property
    def mark(self) -> str:
        """Its mark, ``?`` where nothing can be said."""
        return MARKS[self.trend].strip() or "?"


def targets(result: MitigationResult) -> str:
    """What was predicted, several targets side by side."""
    return words.clean(", ".join(result.settings["target"]))


def runs(result: MitigationResult) -> str:
    """How often everything was trained: ``one seed``, ``mean ± SD of 3 seeds``."""
    seeds = int(result.settings["seeds"])
    return "one seed" if seeds == 1 else f"mean ± SD of {seeds} seeds"


def setting(result: MitigationResult) -> str:
    """What was trained from what, on which images."""
    s, n = result.settings, result.images
    return (
        f"{words.clean(s['architecture'])} from {words.clean(s['start'])}; trained on {n['train']:,} images, epochs "
        f"selected by {words.clean(s['select'])} on {n['validation']:,} others"
    )


def groupings(result: MitigationResult) -> list[tuple[str, ...]]:
    """Every grouping, the one that the front is about first."""
    return [tuple(by) for by in result.settings["by"]]


def others(result: MitigationResult) -> list[ArmResult]:
    """Every arm that is compared with the baseline; none without one."""
    return [] if result.baseline is None else [arm for arm in result.arms if arm.name != result.baseline]


def columns(result: MitigationResult, by: tuple[str, ...]) -> list[tuple[str, str | None, str]]:
    """Metric, kind and heading of the numbers that tables show by a grouping."""
    return [*_COLUMNS, *(f for f in _F1 if result.arms[0].number(f[0], f[1], by) is not None)]


def served(arm: ArmResult, by: tuple[str, ...]) -> list[Number]:
    """Accuracy of every group of a grouping; none of a record that does not say."""
    return [one for one in arm.groups if one.by == by]


def headings(result: MitigationResult, by: tuple[str, ...]) -> list[str]:
    """Of the columns of tables of text: the accuracies of few groups stand before what is made of them."""
    first, *rest = [title for _, _, title in columns(result, by)]
    return [first, *(words.group_name(one.group) for one in _few(result, result.arms[0], by)), *rest]


def numbers(result: MitigationResult, arm: ArmResult, by: tuple[str, ...]) -> list[Number | None]:
    """The numbers of an arm below these headings."""
    first, *rest = [arm.number(metric, kind, by if kind else ()) for metric, kind, _ in columns(result, by)]
    return [first, *_few(result, arm, by), *rest]


def _few(result: MitigationResult, arm: ArmResult, by: tuple[str, ...]) -> list[Number]:
    known = all(len(served(one, by)) == len(served(result.arms[0], by)) for one in result.arms)
    return served(arm, by) if known and len(served(arm, by)) <= FEW_GROUPS else []


def arm_name(result: MitigationResult, arm: ArmResult, by: tuple[str, ...]) -> str:
    """An arm as tables name it, marked where it is on the front of this grouping."""
    return short_name(result, arm) + (f" {FRONT}" if arm.on_front and by == groupings(result)[0] else "")


def short_name(result: MitigationResult, arm: ArmResult) -> str:
    """An arm without the settings that all arms of its kind share, as in a sweep.

    Args:
        result: the experiment.
        arm: one of its arms.
    """
    head, brackets = _parts(arm.name)
    shared = common(result).get(head, ())
    own = [[one for one in bracket if one not in shared] for bracket in brackets]
    return words.clean(head + "".join(f"({','.join(bracket)})" for bracket in own if bracket))


def common(result: MitigationResult) -> dict[str, tuple[str, ...]]:
    """Loss or method → settings that all of its arms share, where there are several that differ in others."""
    of_each: dict[str, list[list[str]]] = {}
    for head, brackets in (_parts(arm.name) for arm in result.arms):
        of_each.setdefault(head, []).append([one for bracket in brackets for one in bracket])
    found = {head: [one for one in some[0] if all(one in other for other in some)] for head, some in of_each.items()}
    return {head: tuple(found[head]) for head, some in of_each.items() if len(some) > 1 and found[head]}


def _parts(name: str) -> tuple[str, list[list[str]]]:
    """``focal(gamma=1)(lr=0.1)`` → what is before the brackets, and the settings in each; other names stay whole."""
    found = _NAMED.fullmatch(name)
    return (name, []) if found is None else (found[1], [one.split(",") for one in found[2][1:-1].split(")(")])


def value(one: Number | None) -> str:
    """A number and its standard deviation over seeds."""
    if one is None or math.isnan(one.value):
        return "undefined"
    return f"{one.value:.3f}" + ("" if math.isnan(one.sd) else f" ±{one.sd:.3f}")


def change(one: Number | None) -> str:
    """How a number differs from the baseline's, with p and a mark where it is shown."""
    if one is None or math.isnan(one.change):
        return ""
    p = tested(one)
    said = "" if math.isnan(p) else f" {p_value(p)}"
    return f"{words.number(one.change, signed=True)}{said} {MARKS[one.trend]}".rstrip()


def tested(one: Number) -> float:
    """The p-value that is told: over seeds, nan where nothing scatters, or over images with one seed."""
    return one.p_images if math.isnan(one.sd) else one.p_seeds


def p_value(p: float) -> str:
    """A p-value in a table, ``p=.012``."""
    return "p<.001" if p < 0.001 else f"p={p:.3f}".replace("0.", ".")


def named(one: Number) -> str:
    """What a number is called: ``accuracy``, ``worst group accuracy by race``."""
    kind = _KINDS[one.kind]
    where = f" by {words.grouping_name(one.by)}" if one.by else ""
    if one.kind == "worst_group":
        return f"{words.clean(one.metric)} of the worst group{where}"
    return f"{words.clean(one.metric)} {kind}".strip() + where


def verdicts(result: MitigationResult) -> Iterable[Said]:
    """What is shown of each arm against the baseline, and of which arms nothing is."""
    silent = []
    for arm in others(result):
        found = [one for one in arm.numbers if one.trend != "undecided"]
        for trend in ("worse", "lower", "better", "higher"):
            own = [f"{named(one)} {words.number(one.change, signed=True)}" for one in found if one.trend == trend]
            if own:
                yield Said(trend, f"{short_name(result, arm)} is {trend}: {', '.join(own)}")
        if not found:
            silent.append(short_name(result, arm))
    if silent:
        which = "any arm" if len(silent) == len(others(result)) else ", ".join(silent)
        yield Said("undecided", f"no change is shown for {which}, and none is ruled out")


def lost_groups(result: MitigationResult) -> list[tuple[str, int]]:
    """Who is shown to lose most by the first grouping, and under how many arms, most often first."""
    by = groupings(result)[0]
    names = [words.clean(group_label(one.group)) for arm in result.arms for one in arm.losers if one.by == by and one.shown]
    return Counter(names).most_common()


def loss(result: MitigationResult, arm: ArmResult, loser: Loser) -> str:
    """Who lost most under an arm, and whether that is shown."""
    group = words.clean(group_label(loser.group))
    p = "p < .001" if loser.p < 0.001 else f"p = {loser.p:.3f}"
    p = "no test: nothing scatters" if math.isnan(loser.p) else f"{p} after Holm"
    shown = "" if loser.shown else ", not shown"
    return f"{short_name(result, arm)} costs {group} most: accuracy {loser.before:.3f} → {loser.after:.3f} ({p}{shown})"


def how_shown(result: MitigationResult) -> str:
    """What a mark beside a change means."""
    several = result.settings["seeds"] > 1
    how = "by a t-test over seeds and by an interval over images" if several else "by an interval over images"
    p = "of the seeds" if several else "of the images"
    level = f"{result.settings['confidence']:.0%}"
    return f"✓ better and ✗ worse than {words.clean(result.baseline)} are shown at {level} {how}; p is {p}"


def reading(result: MitigationResult) -> Iterable[str]:
    """How to read the tables: what marks mean, and what is undefined."""
    if others(result):
        yield how_shown(result)
    for head, settings in common(result).items():
        yield f"every {words.clean(head)} has {', '.join(map(words.clean, settings))}"
    if any(math.isnan(n.value) for arm in result.arms for n in arm.numbers):
        yield UNDEFINED
    if any(arm.on_front for arm in result.arms) and len(result.arms) > 1:
        yield FRONT_SAYS


def sentences(result: MitigationResult) -> Iterable[str]:
    """Everything that stands below tables of text: who lost, how to read them, and what methods said."""
    if len(result.settings["target"]) > 1:
        yield TOGETHER
    for arm in result.arms:
        yield from (loss(result, arm, loser) for loser in arm.losers)
    yield from reading(result)
    if any(_few(result, result.arms[0], by) for by in groupings(result)) and others(result):
        yield "p of a group is adjusted over the groups (Holm)"
    for arm in result.arms:
        yield from (f"{short_name(result, arm)}: {words.clean(note)}" for note in arm.notes[:NOTES])
        if len(arm.notes) > NOTES:
            yield f"{short_name(result, arm)}: {len(arm.notes) - NOTES} more sentences are in mitigation.json"
