"""Every metric of ``fairaudit list metrics``, in a whole audit of random rows, against somebody else's definition of it.

The oracles are scikit-learn's and Fairlearn's functions on the rows of each group, and plain restatements where neither has
the measure. Rows include groups in which much is undefined: there the oracle is told to say nan. What has a name among the
disparities is in ``test_disparity_oracles``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import fairlearn.metrics as fl
import numpy as np
import pytest
from sklearn import metrics as sk

from fairaudit.metrics.measure import Table
from fairaudit.metrics.registry import entries
from fairaudit.predictions import BoolArray, FloatArray, IntArray, Task
from tests.metrics.oracle_rows import GROUPS, SEEDS, audited, part

NAN = np.nan

# One class against the rest: labels and predictions, as (n,) bools

Binary = Callable[[BoolArray, BoolArray], float]
ZERO: dict[str, Any] = {"zero_division": NAN}
OF_CLASS: Mapping[str, Binary] = {
    "precision": lambda t, p: sk.precision_score(t, p, **ZERO),
    "true_positive_rate": lambda t, p: sk.recall_score(t, p, **ZERO),
    "false_positive_rate": lambda t, p: sk.recall_score(~t, p, **ZERO),
    "true_negative_rate": lambda t, p: sk.recall_score(~t, ~p, **ZERO),
    "false_negative_rate": lambda t, p: sk.recall_score(t, ~p, **ZERO),
    "positive_predictive_value": lambda t, p: sk.precision_score(t, p, **ZERO),
    "negative_predictive_value": lambda t, p: sk.precision_score(~t, ~p, **ZERO),
    "false_discovery_rate": lambda t, p: sk.precision_score(~t, p, **ZERO),
    "false_omission_rate": lambda t, p: sk.precision_score(t, ~p, **ZERO),
    "f1": lambda t, p: sk.f1_score(t, p, **ZERO),
    "f2": lambda t, p: sk.fbeta_score(t, p, beta=2, **ZERO),
    "jaccard": lambda t, p: sk.jaccard_score(t, p) if (t | p).any() else NAN,
    "selection_rate": lambda t, p: fl.selection_rate(t, p, pos_label=True),
    "prevalence": lambda t, p: fl.selection_rate(p, t, pos_label=True),
    "false_negative_share": lambda t, p: float(t[t != p].mean()) if (t != p).any() else NAN,
    "mcc_one_vs_rest": lambda t, p: sk.matthews_corrcoef(t, p) if t.std() and p.std() else NAN,
}
SCORES_OF_CLASS: Mapping[str, Callable[[BoolArray, FloatArray], float]] = {
    "auroc": lambda t, s: sk.roc_auc_score(t, s) if t.std() else NAN,
    "average_precision": lambda t, s: sk.average_precision_score(t, s) if t.any() else NAN,
    "brier": lambda t, s: sk.brier_score_loss(t, s) if t.std() else float(((s - t) ** 2).mean()),
    "ece": lambda t, s: _calibration_error(t, s, np.minimum((s * 100).astype(int), 99)),
    "ece_equal_mass": lambda t, s: _calibration_error(t, s, np.searchsorted(np.sort(s), s) * 100 // len(s)),
}
OF_ALL: Mapping[str, Callable[[Task], float]] = {
    "accuracy": lambda t: sk.accuracy_score(t.y_true, t.y_pred),
    "error_rate": lambda t: sk.zero_one_loss(t.y_true, t.y_pred),
    # scikit-learn leaves classes without labels out of the mean, with a warning; here it is then undefined
    "balanced_accuracy": lambda t: (
        sk.balanced_accuracy_score(t.y_true, t.y_pred) if len(set(t.y_true)) == len(t.classes) else NAN
    ),
    "mcc": lambda t: sk.matthews_corrcoef(t.y_true, t.y_pred) if t.y_true.std() and t.y_pred.std() else NAN,
    "cohen_kappa": lambda t: (
        sk.cohen_kappa_score(t.y_true, t.y_pred) if len({*t.y_true.tolist(), *t.y_pred.tolist()}) > 1 else NAN
    ),
    # scikit-learn keeps scores from 0 by 2e-16 (by 1e-15 in its earlier versions, as here)
    "log_loss": lambda t: sk.log_loss(
        t.y_true, np.maximum(_scores(t) / _scores(t).sum(1)[:, None], 1e-15), labels=range(len(t.classes))
    ),
    "confidence_ece": lambda t: _calibration_error(
        _scores(t).argmax(1) == t.y_true, _scores(t).max(1), np.minimum((_scores(t).max(1) * 100).astype(int), 99)
    ),
}
OF_MANY: Mapping[str, Callable[[Task], float]] = {
    "top_3_accuracy": lambda t: sk.top_k_accuracy_score(t.y_true, _scores(t), k=3, labels=range(len(t.classes))),
}
OF_LABELS: Mapping[str, Callable[[BoolArray, BoolArray], float]] = {
    "subset_accuracy": lambda t, p: sk.accuracy_score(t, p),
    "hamming_accuracy": lambda t, p: 1 - sk.hamming_loss(t, p),
    "mean_f2": lambda t, p: sk.fbeta_score(t, p, beta=2, average="samples", zero_division=1),
}
JOINT: Mapping[str, Callable[[BoolArray], float]] = {
    "some_right": lambda right: float((right.any(0) & ~right.all(0)).mean()),
    "none_right": lambda right: float((~right.any(0)).mean()),
}


def _scores(task: Task) -> FloatArray:
    assert task.y_score is not None
    return task.y_score


def _calibration_error(t: BoolArray, s: FloatArray, bins: IntArray) -> float:
    return float(sum(abs(s[bins == b].mean() - t[bins == b].mean()) * (bins == b).mean() for b in set(bins.tolist())))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("target", ["two", "four"])
@pytest.mark.filterwarnings("ignore:.*:sklearn.exceptions.UndefinedMetricWarning")
def test_metrics_of_groups(target: str, seed: int) -> None:
    for g, found in enumerate(audited(seed, target).groupings[0].groups):
        task = part(seed, target, g)
        classes = {"": 1} if target == "two" else {f"[{name}]": c for c, name in enumerate(task.classes)}
        expected: dict[str, float] = {}
        for suffix, c in classes.items():
            t, p = task.y_true == c, task.y_pred == c
            expected |= {name + suffix: oracle(t, p) for name, oracle in OF_CLASS.items()}
            expected |= {name + suffix: oracle(t, _scores(task)[:, c]) for name, oracle in SCORES_OF_CLASS.items()}
        expected |= {name: oracle(task) for name, oracle in OF_ALL.items()}
        if target == "four":
            expected |= {name: oracle(task) for name, oracle in OF_MANY.items()}
        else:
            del expected["mcc_one_vs_rest"]  # of two classes it is mcc
        for name, value in expected.items():
            assert found.metrics[name].value == pytest.approx(value, abs=1e-9, nan_ok=True), (g, name)


@pytest.mark.parametrize("seed", SEEDS)
def test_metrics_of_several_targets(seed: int) -> None:
    side_by_side, jointly = audited(seed, "x+y+z"), audited(seed, "two,four")
    for g in range(len(GROUPS)):
        true, predicted = (
            np.stack([getattr(part(seed, name, g), what) == 1 for name in "xyz"], 1) for what in ("y_true", "y_pred")
        )
        for name, oracle in OF_LABELS.items():
            assert side_by_side.groupings[0].groups[g].metrics[name].value == pytest.approx(oracle(true, predicted)), name
        right = np.stack([part(seed, name, g).y_true == part(seed, name, g).y_pred for name in ("two", "four")])
        for name, share in JOINT.items():
            assert jointly.groupings[0].groups[g].metrics[name].value == pytest.approx(share(right)), name


def test_every_metric_of_the_list_has_an_oracle() -> None:
    told = {*OF_CLASS, *SCORES_OF_CLASS, *OF_ALL, *OF_MANY, *OF_LABELS, *JOINT}
    assert told == {e.name for e in entries() if e.what != "disparity"}


def test_undefined_cases_by_hand() -> None:
    """What oracles write as 0 or 1, or leave out with a warning, is undefined here."""
    table = Table(np.array([[[5, 0], [0, 0]], [[0, 0], [4, 0]], [[3, 2], [0, 0]]]), ("no", "yes"), 1)
    values = {table.key(m): table.measure(m).value.tolist() for m in table.catalogue()}
    nan = [True, False]
    told = {
        "true_positive_rate": (nan[0], nan[1], nan[0]),  # no positives; none found; no positives
        "precision": (True, True, False),
        "false_positive_rate": (False, True, False),
        "f1": (True, False, False),
        "balanced_accuracy": (True, True, True),
        "mcc": (True, True, True),
        "cohen_kappa": (True, False, False),
        "jaccard": (True, False, False),
        "false_negative_share": (True, False, False),
        "accuracy": (False, False, False),
    }
    for name, undefined in told.items():
        assert [math.isnan(v) for v in values[name]] == list(undefined), name
    assert values["f1"][1:] == [0.0, 0.0]
    assert values["cohen_kappa"][1:] == [0.0, 0.0]
    assert values["false_negative_share"][1:] == [1.0, 0.0]
