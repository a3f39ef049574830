from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from huggingface_hub import ModelCard
from huggingface_hub.repocard_data import EvalResult, model_index_to_eval_results

from fairaudit.reports.model_card import render
from fairaudit.results import AuditResult


def results(text: str) -> list[EvalResult]:
    """The metadata as the Hub's own client reads it from a card."""
    found = ModelCard(text).data.eval_results
    assert isinstance(found, list)
    return found


def arguments(one: EvalResult) -> dict[str, Any]:
    assert isinstance(one.metric_args, dict)
    return one.metric_args


def test_the_hub_reads_every_number_that_is_one(audit: AuditResult) -> None:
    found = results(render(audit, metrics=("accuracy", "true_positive_rate")))
    own = {
        (one.metric_type, arguments(one)["group"]["race"]): one
        for one in found
        if "group" in arguments(one) and "kind" not in arguments(one)
    }
    groups = {(m, g.group["race"]): e for g in audit.groupings[0].groups for m, e in g.metrics.items()}
    expected = {k: e for k, e in groups.items() if not math.isnan(e.value) and k[0] != "false_positive_rate"}
    assert set(own) == set(expected)
    for key, one in own.items():
        estimate = expected[key]
        assert one.metric_value == estimate.value
        assert arguments(one) == {
            "by": ["race"], "group": {"race": key[1]}, "support": estimate.support,
            "confidence": 0.95, "ci_low": estimate.ci_low, "ci_high": estimate.ci_high,
        }  # fmt: skip
    assert {(one.metric_type, arguments(one)["kind"]) for one in found if "kind" in arguments(one)} == {
        ("accuracy", "gap"), ("accuracy", "spread"), ("accuracy", "worst_group"),
    }  # fmt: skip
    assert [one.metric_value for one in found if "by" not in arguments(one)] == [0.893, 0.856]


def test_names_are_those_asked_for(audit: AuditResult) -> None:
    text = render(audit, model_name="me/faces", dataset_name="FairFace", dataset_type="me/fairface", split="val")
    head = ModelCard(text).data.to_dict()
    name, found = model_index_to_eval_results(head["model-index"])
    assert name == "me/faces"
    assert {(r.task_type, r.task_name, r.dataset_name, r.dataset_type, r.dataset_split) for r in found} == {
        ("image-classification", "gender", "FairFace", "me/fairface", "val")
    }
    assert head["tags"] == ["bias-audit", "fairaudit"]


def test_the_section(audit: AuditResult) -> None:
    text = ModelCard(render(audit)).text
    assert text.lstrip().startswith("## Bias, Risks, and Limitations\n")
    assert "**✗ 1 of 2 rules fails**" in text
    assert "| ✗ fail | accuracy difference by race &#60;= 0.05 | Black: 0.130 [0.080, 0.180] |" in text
    assert "| Black | 400 | 0.820 [0.780, 0.855] | 0.800 [0.740, 0.850] | 0.100 [0.050, 0.200] |" in text
    assert "| Inuit | 12 | 0.917 [0.646, 0.985] (too few) | undefined (0 positives) |" in text
    assert "| accuracy gap | 0.130 [0.080, 0.180] |  |" in text
    assert "- gender is perceived, not self-identified" in text


def test_no_name_ends_the_metadata(audit: AuditResult) -> None:
    settings = {**audit.settings, "target": "x\n---\ninjected: true"}
    text = render(replace(audit, settings=settings), model_name="a: b\n---\n# c", split="{{ x }}")
    head = ModelCard(text).data.to_dict()
    assert set(head) == {"tags", "model-index"}
    [one] = head["model-index"]
    assert one["name"] == "a: b --- # c"
    assert {r["dataset"]["split"] for r in one["results"]} == {"{{ x }}"}
    assert {r["task"]["name"] for r in one["results"]} == {"x --- injected: true"}
