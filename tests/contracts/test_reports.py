"""Every report format, whoever adds one: it has a summary, copes with any audit, and never loads torch."""

from __future__ import annotations

import inspect
import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from fairaudit import plugins
from fairaudit.artifacts.comparisons import write_comparison
from fairaudit.artifacts.embedding_audits import write_embedding_audit
from fairaudit.artifacts.mitigations import write_mitigation
from fairaudit.artifacts.records import write_audit
from fairaudit.comparison import ComparisonResult
from fairaudit.errors import UsageError
from fairaudit.results import (
    AuditResult,
    Disparity,
    Estimate,
    GroupingResult,
    GroupResult,
    Overall,
    RuleOutcome,
    RuleResult,
    Verdict,
)
from fairaudit.results.embedding import EmbeddingResult
from fairaudit.results.mitigation import MitigationResult
from fairaudit.workflows.report import KINDS, Record, formats_of, rendered
from tests.reports import embedded, records

NAMES = plugins.names("reports")
HOSTILE = (
    "<script>alert(1)</script>",
    "[red]x[/red]",
    "\x1b[31mred",
    "a|b`c`",
    "=cmd()",
    "\u202eevil",
    "{{7*7}}",
    "a\nb",
    "",
)
NAN, INF = math.nan, math.inf


def hostile_audit() -> AuditResult:
    """Every name that a dataset could hold against us, and every value that is not a number."""
    groups = [{h: h} for h in HOSTILE]
    values = (
        Estimate(0.5, 0.4, 0.6, 100),
        Estimate(NAN, NAN, NAN, 0, f"undefined: 0 {HOSTILE[0]}"),
        Estimate(INF, 2.0, INF, 5, f"infinite: {HOSTILE[0]}"),
        Estimate(1.5, 0.5, INF, 30),
        Estimate(0.5, NAN, NAN, 3, HOSTILE[3]),
        Estimate(NAN, NAN, NAN, 0, "absent: no images"),
    )
    metrics = ["accuracy", *(f"true_positive_rate[{h}]" for h in HOSTILE)]

    def one(i: int) -> dict[str, Estimate]:
        return {m: values[(i + j) % len(values)] for j, m in enumerate(metrics)}

    cells = tuple(GroupResult(group, 0 if i == 5 else 10 * i, one(i)) for i, group in enumerate(groups))
    kinds = ("difference", "shortfall", "ratio", "gap", "spread", "worst_group", None)
    disparities = tuple(
        Disparity(m, kind, None if kind in ("gap", "spread") else groups[i % len(groups)], values[i % len(values)])
        for i, (m, kind) in enumerate((m, kind) for m in metrics for kind in kinds)
    )
    rules = tuple(
        RuleResult(
            f"{h} gap by {h} <= 0.1",
            verdict,
            tuple(RuleOutcome(metrics[1], group, v.value, v.ci_low, v.ci_high, verdict, v.reason)
                  for group, v in zip([None, *groups], values, strict=False)),
        )
        for h, verdict in zip(HOSTILE, [Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS] * 3, strict=True)
    )  # fmt: skip
    grouping = GroupingResult((HOSTILE[0],), groups[0], "largest", 1, (), cells, disparities)
    settings = {
        "target": HOSTILE[0],
        "classes": list(HOSTILE),
        "positive": HOSTILE[1],
        "confidence": 0.95,
        "min_support": 20,
    }
    return AuditResult(settings, Overall(100, one(0)), (grouping,), rules, Verdict.FAIL, HOSTILE)


def bare_audit() -> AuditResult:
    """An audit with nothing in it but a grouping that no image belongs to."""
    absent = Estimate(NAN, NAN, NAN, 0, "absent: no images")
    empty = GroupResult({"race": "A"}, 0, {"accuracy": absent})
    grouping = GroupingResult(("race",), None, "largest", 4, (((0, 0), (0, 0)),), (empty,), ())
    settings = {"target": "t", "classes": ["a", "b"], "positive": None, "confidence": 0.9, "min_support": 20}
    return AuditResult(settings, Overall(0, {"accuracy": absent}), (grouping,))


BESIDES: dict[type[Record], dict[str, Record]] = {
    ComparisonResult: {
        "plain": records.comparison(),
        "hostile": records.hostile_comparison(HOSTILE),
        "bare": records.bare_comparison(),
    },
    EmbeddingResult: {
        "plain": embedded.plain(),
        "hostile": embedded.hostile(HOSTILE),
        "bare": embedded.bare(),
    },
    MitigationResult: {
        "plain": records.experiment(),
        "sweep": records.sweep(),
        "hostile": records.hostile_experiment(HOSTILE),
        "bare": records.bare_experiment(),
    },
}
"""Records other than audits, which a format may know."""
RENDERERS = [(name, kind) for kind in BESIDES for name in formats_of(kind)]


@pytest.mark.parametrize("name", NAMES)
def test_it_says_what_it_is_and_its_options_have_defaults(name: str) -> None:
    summary = plugins.summary("reports", name)
    assert summary.endswith(".")
    assert len(summary) <= 100
    render = plugins.load("reports", name).render
    first, *others = inspect.signature(render, eval_str=True).parameters.values()
    assert first.annotation is AuditResult
    assert inspect.signature(render, eval_str=True).return_annotation is str
    assert all(p.kind is inspect.Parameter.KEYWORD_ONLY and p.default is not inspect.Parameter.empty for p in others)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("audit", [hostile_audit(), bare_audit()], ids=["hostile", "bare"])
def test_it_copes_with_any_audit_and_repeats_itself(name: str, audit: AuditResult) -> None:
    render = plugins.load("reports", name).render
    text = render(audit)
    assert isinstance(text, str)
    assert text.endswith("\n")
    assert render(audit) == text


@pytest.mark.parametrize("name", NAMES)
def test_names_from_a_dataset_are_text_and_nothing_else(name: str) -> None:
    text = plugins.load("reports", name).render(hostile_audit())
    if name not in ("csv", "json"):  # read by programs, which need the names as they are
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert "[red]x" in text or "&#91;red&#93;x" in text or "&#91;red]x" in text
    if name in ("html", "markdown", "model-card", "junit"):
        assert "<script>alert" not in text
    if name == "json":
        assert "<script>" in json.loads(text)["settings"]["target"]


@pytest.mark.parametrize("name", NAMES)
def test_it_never_calls_a_model_fair_or_biased(name: str) -> None:
    passing = replace(hostile_audit(), verdict=Verdict.PASS, rules=(RuleResult("x gap by y <= 0.05", Verdict.PASS, ()),))
    words = plugins.load("reports", name).render(passing).lower().replace("fairaudit", "").split()
    assert not {"fair", "unbiased", "debiased", "unfair"} & {word.strip(".,:;*()") for word in words}


WITHOUT_TENSORS = """
import json, sys
from pathlib import Path
from fairaudit.workflows.report import formats_of, kind_of, report

found, heavy = [], ("torch", "torchvision", "timm", "pandas")
for path in map(Path(sys.argv[1]).joinpath, ("audit.json", "comparison.json", "embedding.json", "mitigation.json")):
    for name in formats_of(kind_of(path)):
        assert report(path, name)
        found.append((path.stem, name, [m for m in heavy if m in sys.modules]))
print(json.dumps(found))
"""
"""What each format of each record has loaded by the time it is rendered."""


def test_no_format_of_any_record_needs_torch_or_pandas(tmp_path: Path) -> None:
    write_audit(bare_audit(), tmp_path / "audit.json")
    write_comparison(records.comparison(), tmp_path / "comparison.json")
    write_mitigation(records.experiment(), tmp_path / "mitigation.json")
    write_embedding_audit(embedded.plain(), tmp_path / "embedding.json")
    words = [sys.executable, "-c", WITHOUT_TENSORS, str(tmp_path)]
    found = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
    assert [one for one in found if one[2]] == []
    assert [name for what, name, _ in found if what == "audit"] == NAMES
    assert [what for what, *_ in found[len(NAMES) :]] == [
        what
        for what, kind in (
            ("comparison", ComparisonResult),
            ("embedding", EmbeddingResult),
            ("mitigation", MitigationResult),
        )
        for _ in formats_of(kind)
    ]


@pytest.mark.parametrize(
    ("name", "kind"),
    # pages with all their figures are drawn four times and more; comparisons have the fewest of them
    [
        pytest.param(n, k, marks=pytest.mark.training if n == "html" and k is not ComparisonResult else ())
        for n, k in RENDERERS
    ],
)
def test_it_copes_with_other_records_that_it_knows(name: str, kind: type[Record]) -> None:
    function = getattr(plugins.load("reports", name), KINDS[kind][0])
    signature = inspect.signature(function, eval_str=True)
    first, *others = signature.parameters.values()
    assert (first.annotation, signature.return_annotation) == (kind, str)
    assert all(p.kind is inspect.Parameter.KEYWORD_ONLY and p.default is not inspect.Parameter.empty for p in others)
    for what, record in BESIDES[kind].items():
        text = rendered(record, name)
        assert text.endswith("\n"), what
        assert what != "plain" or function(record) == text
        words = text.lower().replace("fairaudit", "").split()
        assert not {"fair", "unbiased", "debiased", "unfair"} & {word.strip(".,:;*()") for word in words}, what
        if what == "hostile" and name not in ("csv", "json"):
            assert "\x1b" not in text
            assert "\u202e" not in text
            assert name == "terminal" or "<script>alert" not in text


@pytest.mark.parametrize("kind", BESIDES)
def test_a_format_that_cannot_show_a_record_names_those_that_can(kind: type[Record]) -> None:
    for name in set(NAMES) - set(formats_of(kind)):
        with pytest.raises(UsageError, match=f"{name}' cannot show an? .*; choose from {', '.join(formats_of(kind))}"):
            rendered(BESIDES[kind]["plain"], name)
    assert {"terminal", "json", "markdown", "csv", "html"} <= set(formats_of(kind))
