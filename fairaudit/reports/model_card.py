"""A Hugging Face model card's bias section: results per group as metadata, and Markdown to read.

The metadata is a ``model-index`` of ``huggingface_hub.EvalResult`` entries, one per group and metric that has a value; the
Hub's ``metadata_update`` and ``ModelCard.load`` read it back. Merge both parts into the card of the model.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from fairaudit.reports import _wording as words
from fairaudit.reports._markup import safe, table
from fairaudit.reports._rules import SEVERITY, deciding
from fairaudit.reports._selection import chosen_metrics, named, often_defined, over_groups, worst_first
from fairaudit.results import SIGNIFICANT_DIGITS, AuditResult, Estimate, Group, GroupingResult, RuleResult

TASK = "image-classification"
"""The Hub's identifier of what the model does."""


def render(
    result: AuditResult,
    *,
    model_name: str = "audited model",
    dataset_name: str = "audited images",
    dataset_type: str = "custom",
    split: str = "test",
    metrics: tuple[str, ...] = (),
) -> str:
    """Write the bias section of a model card: YAML between two lines of dashes, then Markdown.

    An audit of a table does not know which model or dataset is behind it, so their names are options.

    Args:
        result: the audit.
        model_name: the model, as its card names it.
        dataset_name: the dataset, for people.
        dataset_type: the dataset's identifier on the Hub; ``custom`` where it is not there.
        split: of the dataset.
        metrics: metrics to show per group; empty shows accuracy, what rules are about, and the usual ones.

    Raises:
        UnknownNameError: the audit has no such metric.
    """
    chosen = chosen_metrics(result, metrics)
    dataset = {"dataset_name": _plain(dataset_name), "dataset_type": _plain(dataset_type), "dataset_split": _plain(split)}
    return f"---\n{_metadata(result, chosen, _plain(model_name), dataset)}\n---\n\n" + "\n".join(
        [*_section(result, chosen, bool(metrics)), ""]
    )


def _metadata(result: AuditResult, metrics: tuple[str, ...], model_name: str, dataset: dict[str, str]) -> str:
    from huggingface_hub.repocard_data import EvalResult, ModelCardData

    target = _plain(result.settings.get("target", "the target"))
    entries = [
        EvalResult(
            task_type=TASK,
            task_name=target,
            **dataset,
            metric_type=_plain(metric),
            metric_name=f"{_plain(metric)} ({_plain(who)})",
            metric_value=_rounded(one.value),
            metric_args=arguments | _limits(result, one),
        )
        for metric, who, arguments, one in _values(result, metrics)
        if math.isfinite(one.value)  # the Hub takes numbers only; what is undefined is said in the section below
    ]
    card = ModelCardData(model_name=model_name, eval_results=entries) if entries else ModelCardData()
    card.tags = ["bias-audit", "fairaudit"]
    return str(card.to_yaml())


def _values(result: AuditResult, metrics: tuple[str, ...]) -> Iterator[tuple[str, str, dict[str, Any], Estimate]]:
    """Metric, whose it is, the arguments that single it out, and the number."""
    for metric in metrics:
        yield metric, "all images", {}, result.overall.metrics[metric]
    for grouping in result.unconditional:
        name = words.grouping_name(grouping.by)
        by = [_plain(attribute) for attribute in grouping.by]
        for group in grouping.groups:
            for metric in (m for m in metrics if m in group.metrics):
                arguments = {"by": by, "group": _levels(group.group)}
                yield metric, f"{words.group_name(group.group)}, by {name}", arguments, group.metrics[metric]
        for metric in metrics:
            for kind, one in over_groups(grouping, metric).items():
                whose = {} if one.group is None else {"group": _levels(one.group)}
                yield metric, f"{kind.replace('_', ' ')} by {name}", {"by": by, "kind": kind} | whose, one.estimate


def _limits(result: AuditResult, one: Estimate) -> dict[str, Any]:
    arguments: dict[str, Any] = {"support": one.support}
    if math.isfinite(one.ci_low) and math.isfinite(one.ci_high):
        confidence = float(result.settings.get("confidence", 0.95))
        arguments |= {"confidence": confidence, "ci_low": _rounded(one.ci_low), "ci_high": _rounded(one.ci_high)}
    return arguments


def _section(result: AuditResult, chosen: tuple[str, ...], asked: bool) -> Iterator[str]:
    yield from ("## Bias, Risks, and Limitations", "")
    yield f"Audit of {safe(words.title(result))}. Groups are as the dataset labels them."
    yield from ("", f"**{words.SYMBOLS[result.verdict]} {safe(words.verdict_sentence(result))}**", "")
    if result.rules:
        yield from (*table(("verdict", "rule", "decided by"), map(_rule, _sorted(result))), "")
    for grouping in result.unconditional:
        kept = [m for m in chosen if asked or often_defined(grouping, m)] or list(chosen)
        yield from (*_grouping(result, grouping, kept), "")
    yield from ("### How to read this", "")
    floor = int(result.settings.get("min_support", 0))
    yield f"- In brackets: {words.confidence(result)} intervals. A gap is the largest difference between two groups."
    yield f"- Values of fewer than {words.count(floor, 'image')} are marked (too few); they decide nothing."
    yield "- A rule that passes says what this data shows, not that the model treats people alike elsewhere."
    yield from (f"- {safe(words.clean(note))}" for note in result.notes)


def _sorted(result: AuditResult) -> list[RuleResult]:
    return sorted(result.rules, key=lambda rule: SEVERITY.index(rule.verdict))


def _rule(rule: RuleResult) -> list[str]:
    severity = " (warning)" if rule.severity == "warning" else ""
    first = deciding(rule)[:1]
    return [
        f"{words.SYMBOLS[rule.verdict]} {rule.verdict.value}{severity}",
        safe(words.clean(rule.rule)),
        "".join(safe(words.outcome(one)) for one in first),
    ]


def _grouping(result: AuditResult, grouping: GroupingResult, metrics: list[str]) -> Iterator[str]:
    floor = int(result.settings.get("min_support", 0))

    def cell(one: Estimate | None) -> str:
        if one is None:
            return "–"
        few = not math.isnan(one.value) and one.support < floor
        return safe(words.estimate(one)) + (" (too few)" if few else "")

    yield from (f"### By {safe(words.grouping_name(grouping.by))}", "")
    rows = [
        [safe(words.group_name(g.group)), f"{g.n:,}" if g.n else "absent", *(cell(g.metrics.get(m)) for m in metrics)]
        for g in worst_first(grouping, metrics[0], floor)
    ]
    rows.append(["*all images*", f"{result.overall.n:,}", *(cell(result.overall.metrics.get(m)) for m in metrics)])
    yield from table(("group", "n", *(safe(words.clean(m)) for m in metrics)), rows)
    between = [one for m in metrics for one in over_groups(grouping, m).values()] + named(grouping)
    if between:
        whose = ["" if one.group is None else safe(words.group_name(one.group)) for one in between]
        cells = [[safe(words.contrast_name(one)), cell(one.estimate), who] for one, who in zip(between, whose, strict=True)]
        yield from ("", *table(("disparity", "value", "group"), cells))


def _levels(group: Group) -> dict[str, str]:
    return {_plain(attribute): _plain(level) for attribute, level in group.items()}


def _rounded(value: float) -> float:
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}")


def _plain(text: object) -> str:
    """A name in the metadata, which pages show: no controls, no line breaks (three dashes would end it), no tags."""
    return words.clean(text).replace("<", "&lt;").replace(">", "&gt;")
