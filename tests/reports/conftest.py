"""One audit with everything a report must cope with: a broken rule, an undefined rate, a small and an absent group."""

from __future__ import annotations

import math

import pytest

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

NAN, INF = math.nan, math.inf


def _group(level: str, n: int, accuracy: Estimate, tpr: Estimate) -> GroupResult:
    metrics = {"accuracy": accuracy, "true_positive_rate": tpr, "false_positive_rate": Estimate(0.1, 0.05, 0.2, n)}
    return GroupResult({"race": level}, n, metrics)


@pytest.fixture
def audit() -> AuditResult:
    """Four levels of race: White is the reference, Black is worse, Inuit are 12 people, Martians are absent."""
    undefined = Estimate(NAN, NAN, NAN, 0, "undefined: 0 positives")
    absent = Estimate(NAN, NAN, NAN, 0, "absent: no images")
    white, black, inuit = ({"race": level} for level in ("White", "Black", "Inuit"))
    groups = (
        _group("White", 500, Estimate(0.95, 0.93, 0.965, 500), Estimate(0.9, 0.87, 0.92, 250)),
        _group("Black", 400, Estimate(0.82, 0.78, 0.855, 400), Estimate(0.8, 0.74, 0.85, 200)),
        _group("Inuit", 12, Estimate(0.9167, 0.646, 0.985, 12), undefined),
        GroupResult({"race": "Martian"}, 0, dict.fromkeys(("accuracy", "true_positive_rate"), absent)),
    )
    out = "left out: 2 of 4 groups (undefined or too small)"
    disparities = (
        Disparity("accuracy", "difference", black, Estimate(-0.13, -0.18, -0.08, 400), 4e-7, 8e-7, 8e-7),
        Disparity("accuracy", "difference", inuit, Estimate(-0.0333, -0.3, 0.1, 12, "too small: support 12 is below 20")),
        Disparity("true_positive_rate", "difference", black, Estimate(-0.1, -0.17, 0.01, 200), 0.03, 0.06, 0.04),
        Disparity("true_positive_rate", "difference", inuit, undefined),
        Disparity("accuracy", "gap", None, Estimate(0.13, 0.08, 0.18, 400, out)),
        Disparity("accuracy", "spread", None, Estimate(0.065, 0.04, 0.09, 400, out)),
        Disparity("accuracy", "worst_group", black, Estimate(0.82, 0.775, 0.86, 400, out)),
        Disparity("false_positive_rate", "worst_group", white, Estimate(0.1, 0.05, 0.2, 500)),
        Disparity("disparate_impact", None, black, Estimate(INF, 3.0, INF, 400, "infinite: the privileged value is 0")),
        Disparity("acc_diff", None, None, Estimate(0.13, 0.08, 0.18, 400, out)),
    )
    return AuditResult(
        settings={"target": "gender", "classes": ["Female", "Male"], "positive": "Female", "confidence": 0.95,
                  "min_support": 20},
        overall=Overall(912, {
            "accuracy": Estimate(0.893, 0.871, 0.911, 912),
            "true_positive_rate": Estimate(0.856, 0.82, 0.885, 450),
            "false_positive_rate": Estimate(0.1, 0.08, 0.12, 462),
            "f2": Estimate(0.86, 0.83, 0.88, 912),
        }),
        groupings=(GroupingResult(("race",), white, "named", 3, (), groups, disparities),),
        rules=(
            RuleResult("accuracy gap by race <= 0.30", Verdict.PASS,
                       (RuleOutcome("accuracy", None, 0.13, 0.08, 0.18, Verdict.PASS),)),
            RuleResult("accuracy difference by race <= 0.05", Verdict.FAIL, (
                RuleOutcome("accuracy", inuit, 0.0333, 0.0, 0.3, Verdict.INCONCLUSIVE, "too small: support 12 is below 20"),
                RuleOutcome("accuracy", black, 0.13, 0.08, 0.18, Verdict.FAIL),
            )),
        ),
        verdict=Verdict.FAIL,
        notes=("gender is perceived, not self-identified",),
    )  # fmt: skip
