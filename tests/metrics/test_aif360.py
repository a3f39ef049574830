"""What is called as AIF360 calls it is what AIF360 computes, group by group against the privileged one.

AIF360 knows two groups at a time, and no intervals. It is not among the tools that tests need; where it is installed
(``pip install aif360``) it is asked, and its formulas are restated in ``test_disparity_oracles`` in any case.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from fairaudit.config import AuditSettings
from fairaudit.metrics.registry import entries
from fairaudit.predictions import Column, Predictions, Task
from fairaudit.workflows.audit import audit

datasets: Any = pytest.importorskip("aif360.datasets")
metrics: Any = pytest.importorskip("aif360.metrics")

SEEDS = range(3)
OF_GROUPS = {
    "false_positive_rate": "false_positive_rate",
    "true_negative_rate": "true_negative_rate",
    "false_negative_rate": "false_negative_rate",
    "true_positive_rate": "true_positive_rate",
    "positive_predictive_value": "positive_predictive_value",
    "negative_predictive_value": "negative_predictive_value",
    "false_discovery_rate": "false_discovery_rate",
    "false_omission_rate": "false_omission_rate",
    "selection_rate": "selection_rate",
    "prevalence": "base_rate",
    "accuracy": "accuracy",
    "error_rate": "error_rate",
}
"""Our name and AIF360's."""
AGAINST_PRIVILEGED = {
    "disparate_impact": "disparate_impact",
    "error_rate_ratio": "error_rate_ratio",
    "false_positive_rate_ratio": "false_positive_rate_ratio",
    "false_negative_rate_ratio": "false_negative_rate_ratio",
    "average_odds_difference": "average_odds_difference",
    "average_abs_odds_difference": "average_abs_odds_difference",
}
OVER_ALL = {
    "generalized_entropy_index": "generalized_entropy_index",
    "theil_index": "theil_index",
    "coefficient_of_variation": "coefficient_of_variation",
    "between_group_generalized_entropy_index": "between_all_groups_generalized_entropy_index",
    "between_group_theil_index": "between_all_groups_theil_index",
}


def rows(seed: int) -> tuple[pd.DataFrame, Predictions]:
    """500 rows in three groups, the second privileged."""
    rng = np.random.default_rng(seed)
    group, y = rng.integers(0, 3, 500), rng.integers(0, 2, 500)
    called = np.where(rng.random(500) < 0.6 + 0.1 * group, y, 1 - y)
    frame = pd.DataFrame({"group": group, "y": y, "called": called}).astype(float)
    columns = {"group": Column(group.astype(np.int64), ("0", "1", "2"))}
    names = np.array([str(i) for i in range(500)], dtype=object)
    return frame, Predictions(names, {"y": Task(("no", "yes"), y, called)}, columns)


def asked(frame: pd.DataFrame, group: int) -> Any:
    """AIF360's view of one group against the privileged one."""

    def dataset(label: str) -> Any:
        return datasets.BinaryLabelDataset(
            df=frame[["group", label]].rename(columns={label: "y"}),
            label_names=["y"],
            protected_attribute_names=["group"],
        )

    return metrics.ClassificationMetric(
        dataset("y"), dataset("called"), unprivileged_groups=[{"group": group}], privileged_groups=[{"group": 1}]
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_numbers_are_aif360s(seed: int) -> None:
    frame, predictions = rows(seed)
    settings = {"target": "y", "positive": "yes", "by": (("group",),), "privileged": ({"group": "1"},), "bootstrap": 100}
    [grouping] = audit(predictions, AuditSettings.model_validate(settings)).groupings
    found = {(d.metric, d.kind, None if d.group is None else int(d.group["group"])): d.estimate.value
             for d in grouping.disparities}  # fmt: skip
    for group in (0, 2):
        oracle = asked(frame, group)
        for ours, theirs in OF_GROUPS.items():
            value = getattr(oracle, theirs)
            assert grouping.groups[group].metrics[ours].value == pytest.approx(value(privileged=False)), ours
            assert grouping.groups[1].metrics[ours].value == pytest.approx(value(privileged=True)), ours
            difference = value(privileged=False) - value(privileged=True)
            assert found[ours, "difference", group] == pytest.approx(difference, abs=1e-12), ours
        for ours, theirs in AGAINST_PRIVILEGED.items():
            assert found[ours, None, group] == pytest.approx(getattr(oracle, theirs)()), ours
        for ours, theirs in OVER_ALL.items():
            assert found[ours, None, None] == pytest.approx(getattr(oracle, theirs)()), ours


@pytest.mark.parametrize("seed", SEEDS)
def test_differential_fairness_is_aif360s_without_its_prior(seed: int) -> None:
    frame, predictions = rows(seed)
    of = datasets.BinaryLabelDataset(
        df=frame[["group", "called"]], label_names=["called"], protected_attribute_names=["group"]
    )
    expected = metrics.BinaryLabelDatasetMetric(of).smoothed_empirical_differential_fairness(concentration=1e-9)
    settings = AuditSettings.model_validate({"target": "y", "by": (("group",),), "bootstrap": 100})
    [grouping] = audit(predictions, settings).groupings
    [found] = [d.estimate.value for d in grouping.disparities if d.metric == "differential_fairness"]
    assert found == pytest.approx(expected, rel=1e-6)


def test_everything_that_is_called_aif360s_is_asked() -> None:
    told = {e.name for e in entries() if e.source.startswith("AIF360")}
    assert told <= {*OF_GROUPS, *AGAINST_PRIVILEGED, *OVER_ALL}
