"""``fairaudit plan``: how many images a rule needs, and what a finished audit could have shown."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fairaudit.cli import options as o
from fairaudit.cli.streams import write_out
from fairaudit.errors import UsageError

if TYPE_CHECKING:
    from fairaudit.workflows.plan import Reach, Sizes

Audit = Annotated[
    Path | None,
    typer.Option("--audit", metavar="AUDIT", help="audit.json or run folder: what could it have shown?"),
]
Groups = Annotated[
    int | None, typer.Option("--groups", metavar="G", help="How many groups there are. Default: as many as rates.")
]
Rate = Annotated[
    str | None,
    typer.Option(
        "--rate", metavar="P[,P…]", help="True rate of all groups, or one per group, the privileged one first: 0.9"
    ),
]
Power = Annotated[float, typer.Option("--power", metavar="P", help="Wanted chance of a pass.")]
Format = Annotated[str, typer.Option("--format", "-f", metavar="NAME", help="terminal or json.", rich_help_panel=o.OUTPUT)]


def plan(
    rule: o.Rules = None,
    audit: Audit = None,
    groups: Groups = None,
    rate: Rate = None,
    power: Power = 0.9,
    confidence: o.Confidence = None,
    format_: Format = "terminal",
) -> int:
    """Tell how many images per group a rule needs; with --audit, what that audit could have shown.

    fairaudit plan --rule 'accuracy gap by race <= 0.05' --groups 7 --rate 0.9
    """
    if format_ not in ("terminal", "json"):
        raise UsageError(f"--format {format_!r}: choose from terminal, json")
    if not 0.01 <= power <= 0.999:
        raise UsageError(f"--power {power:g}: a chance from 0.01 to 0.999")
    if confidence is not None and not 0.5 < confidence < 1:
        raise UsageError(f"--confidence {confidence:g}: it must be above 0.5 and below 1")
    found: list[Sizes] | list[Reach]
    if audit is not None:
        from fairaudit.artifacts.records import read_audit
        from fairaudit.workflows.plan import plan_audit

        if groups is not None or rate is not None:
            raise UsageError("--audit brings its own groups and rates; leave --groups and --rate out")
        reaches = list(plan_audit(read_audit(audit), rule or (), power=power, confidence=confidence))
        found, lines = reaches, [line for reach in reaches for line in _say_reach(reach)]
    else:
        from fairaudit.workflows.plan import plan_sizes

        if not rule:
            raise UsageError("name a rule: fairaudit plan --rule 'accuracy gap by race <= 0.05' --groups 7 --rate 0.9")
        rates = _rates(rate, groups)
        sizes = [plan_sizes(text, rates, power=power, confidence=confidence or 0.95) for text in rule]
        found, lines = sizes, [line for one in sizes for line in _say_sizes(one)]
    if format_ == "json":
        lines = [json.dumps([asdict(one) for one in found], indent=1, ensure_ascii=False)]
    write_out("\n".join(lines))
    return 0


def _rates(text: str | None, groups: int | None) -> list[float]:
    if text is None:
        raise UsageError("name the true rate that is hoped for, such as --rate 0.9: what is needed depends on it")
    try:
        rates = [float(part) for part in text.split(",")]
    except ValueError as error:
        raise UsageError(f"--rate {text!r}: write a number from 0 to 1, or one per group: 0.9,0.88,0.9") from error
    if not all(0 <= p <= 1 for p in rates):
        raise UsageError(f"--rate {text!r}: a rate lies from 0 to 1")
    if len(rates) == 1 and groups is None:
        raise UsageError("name how many groups there are with --groups, or one --rate per group: 0.9,0.88,0.9")
    if groups is not None and not 1 <= groups <= 2000:
        raise UsageError(f"--groups {groups}: a number from 1 to 2000")
    if groups is not None and len(rates) not in (1, groups):
        raise UsageError(f"--rate names {len(rates)} rates for {groups} groups; write one, or one per group")
    return rates * (groups or 1) if len(rates) == 1 else rates


def _say_sizes(sizes: Sizes) -> list[str]:
    g = len(sizes.rates)
    at = f"{sizes.rates[0]:g} in each" if len(set(sizes.rates)) == 1 else ", ".join(f"{p:g}" for p in sizes.rates)
    lines = [sizes.rule, f"  {g} groups, true rates {at}, {100 * sizes.confidence:g} % intervals"]
    every = dict([*sizes.others, (sizes.power, sizes.support)])
    for power in sorted(every):
        n = every[power]
        needs = "more than 10,000,000" if n is None else f"{n:,}"
        mark = "▸" if power == sizes.power else " "
        total = "" if n is None else f" ({n * g:,} in all)"
        lines.append(f"  {mark} passes with {100 * power:g} % chance: {needs} {sizes.unit} per group{total}")
    return lines


def _say_reach(reach: Reach) -> list[str]:
    power = f"{100 * reach.power:g} %"
    same = f"if all {reach.groups} groups were at {reach.rate:.3f}"
    drop = (
        "no difference could have been shown of it"
        if reach.drop is None
        else f"it must be worse by {reach.drop:.3f} to be shown with {power} chance"
    )
    needs = (
        f"no number of {reach.unit} passes this limit {same}"
        if reach.support is None
        else f"{reach.support:,} {reach.unit} per group pass it with {power} chance"
    )
    return [
        f"{reach.rule} ({reach.metric})",
        f"  observed {reach.value:.3f}; the strictest limit that these data pass is {reach.shown:.3f}",
        f"  {same}, it would pass {reach.equal_limit:.3f} with {power} chance, and its own limit with "
        f"{100 * reach.chance:.0f} %; {needs}",
        f"  smallest group: {reach.smallest_group}, {reach.smallest_support:,} {reach.unit}; {drop}",
    ]
