"""How many images are worth one: copies, single images, scarce kinds, coverage of clustered areas."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, ndtr

from fairaudit.config import AuditSettings
from fairaudit.metrics.counts import confusion
from fairaudit.metrics.influence import row_pulls, share_pull
from fairaudit.metrics.measure import Measure, Metric, Table
from fairaudit.metrics.score_clusters import pull_effect, repeated
from fairaudit.metrics.score_measures import score_measures
from fairaudit.predictions import MISSING, Column, FloatArray, IntArray, Predictions, Task
from fairaudit.workflows.audit import audit

Z = 1.959964


def measures(
    y: IntArray, p: FloatArray, ids: IntArray, identity: IntArray | None = None
) -> tuple[dict[Metric, Measure], Task, Table]:
    task = Task(("no", "yes"), y, (p > 0.5).astype(np.int64), np.stack([1 - p, p], 1))
    table = Table(confusion(y, task.y_pred, ids, int(ids.max()) + 1, 2), task.classes, 1)
    return score_measures(task, ids, table, (), identity), task, table


def drawn(seed: int, n: int = 80) -> tuple[IntArray, FloatArray, IntArray]:
    rng = np.random.default_rng(seed)
    y = (np.arange(n) % 2).astype(np.int64)
    return y, expit(1.2 * (y - 0.5) + rng.normal(size=n)), rng.integers(0, 2, n)


@given(st.integers(0, 2**20), st.integers(2, 5))
@settings(max_examples=10, deadline=None)
def test_copies_are_worth_one_image(seed: int, copies: int) -> None:
    y, p, ids = drawn(seed)
    once, _, _ = measures(y, p, ids)
    y4, ids4, p4 = np.repeat(y, copies), np.repeat(ids, copies), np.repeat(p, copies)
    who = np.repeat(np.arange(80), copies)
    many, task, table = measures(y4, p4, ids4, who)
    blunt, _, _ = measures(y4, p4, ids4)
    for metric, pull in row_pulls(task, ids4, table).items():
        effect = pull_effect(pull, ids4, who, 2)
        assert (effect >= copies * 0.999).all(), metric
        assert (effect <= copies * 1.35).all(), metric
        np.testing.assert_allclose(many[metric].value, blunt[metric].value)
        np.testing.assert_array_equal(many[metric].support, blunt[metric].support)
        low, high = many[metric].limits(Z)
        assert (low <= blunt[metric].limits(Z)[0] + 1e-12).all(), metric
        if "ece" not in metric.rate:  # whose upper limit takes off what more noise adds
            assert (high >= blunt[metric].limits(Z)[1] - 1e-12).all(), metric
        if metric.rate in ("brier", "auroc", "average_precision"):
            assert (high - low >= 0.97 * np.subtract(*once[metric].limits(Z)[::-1])).all(), metric


def test_one_image_each_is_the_plain_case() -> None:
    y, p, ids = drawn(1)
    plain, task, table = measures(y, p, ids)
    for who in (np.arange(80), np.full(80, MISSING)):
        alone, _, _ = measures(y, p, ids, who)
        assert not repeated(who)
        for metric, pull in row_pulls(task, ids, table).items():
            np.testing.assert_array_equal(pull_effect(pull, ids, who, 2), [1.0, 1.0])
            for a, b in zip(plain[metric].limits(Z), alone[metric].limits(Z), strict=True):
                np.testing.assert_array_equal(a, b)


def test_where_a_kind_is_of_hardly_anybody_the_worst_is_taken() -> None:
    who = np.repeat(np.arange(20), 4)
    hit = np.zeros(80, dtype=bool)
    hit[:3] = True  # of one person only
    zero = np.zeros(80, dtype=np.int64)
    assert pull_effect(share_pull(hit, zero, 1), zero, who, 1)[0] >= 4
    assert pull_effect(share_pull(np.zeros(80, dtype=bool), zero, 1), zero, who, 1)[0] >= 4
    rng = np.random.default_rng(0)
    apart = pull_effect(share_pull(rng.random(80) < 0.5, zero, 1), zero, who, 1)[0]
    assert 1 <= apart < 3
    assert pull_effect(share_pull(hit, np.full(80, MISSING), 1), np.full(80, MISSING), who, 2).tolist() == [1, 1]


@pytest.mark.statistics
def test_areas_and_losses_of_people_are_covered() -> None:
    rng, trials = np.random.default_rng(2), 100
    truth = {Metric("auroc", 1): float(ndtr(1.5 / np.sqrt(2))), Metric("brier", 1): np.nan}
    big = rng.normal(size=400_000)
    label = np.arange(400_000) % 2
    truth[Metric("brier", 1)] = float(np.mean((expit(1.5 * (1.5 * (label - 0.5) + big)) - label) ** 2))
    people, copies = 60, 5
    who, ids = np.repeat(np.arange(people), copies), np.zeros(people * copies, dtype=np.int64)
    y = (who % 2).astype(np.int64)
    covered, blunt = dict.fromkeys(truth, 0), dict.fromkeys(truth, 0)
    for _ in range(trials):
        x = np.sqrt(0.8) * rng.normal(size=people)[who] + np.sqrt(0.2) * rng.normal(size=len(who))
        p = expit(1.5 * (1.5 * (y - 0.5) + x))
        for found, times in ((measures(y, p, ids, who)[0], covered), (measures(y, p, ids)[0], blunt)):
            for metric, expected in truth.items():
                low, high = found[metric].limits(Z)
                times[metric] += bool(low[0] <= expected <= high[0])
    for metric in truth:
        assert covered[metric] >= (0.95 - 4 * np.sqrt(0.95 * 0.05 / trials)) * trials, metric
        assert blunt[metric] < 0.85 * trials, "the negative control covers"


def test_joint_shares_know_their_people() -> None:
    from fairaudit.metrics.joint import joined, joint_measures

    rng = np.random.default_rng(3)
    parts = [Task(("x", "y"), rng.integers(0, 2, 60), rng.integers(0, 2, 60)) for _ in range(2)]
    wide = [Task(t.classes, np.repeat(t.y_true, 3), np.repeat(t.y_pred, 3)) for t in parts]
    ids = np.zeros(180, dtype=np.int64)
    task = joined(wide)
    table = Table(confusion(task.y_true, task.y_pred, ids, 1, 4), task.classes)
    plain, people = joint_measures(wide, ids, table), joint_measures(wide, ids, table, np.repeat(np.arange(60), 3))
    for metric in plain:
        assert plain[metric].value == pytest.approx(people[metric].value)
        narrow, wide_ = (np.subtract(*m[metric].limits(Z)[::-1])[0] for m in (plain, people))
        assert 1.5 * narrow < wide_ < 2.2 * narrow


def test_an_audit_takes_people_into_account_in_metrics_of_scores_too() -> None:
    y, p, ids = drawn(4, 60)
    y3, ids3, p3, who = np.repeat(y, 3), np.repeat(ids, 3), np.repeat(p, 3), np.repeat(np.arange(60), 3)
    task = Task(("no", "yes"), y3, (p3 > 0.5).astype(np.int64), np.stack([1 - p3, p3], 1))
    rows = np.array([f"{i}.jpg" for i in range(180)], dtype=object)
    race, people = Column(ids3.astype(np.int64), ("A", "B")), Column(who, tuple(map(str, range(60))))
    asked = AuditSettings(by=(("race",),), positive="yes", bootstrap=100)
    clustered = audit(Predictions(rows, {"smile": task}, {"race": race}, {}, people), asked)
    plain = asked.model_copy(update={"cluster": False})
    blunt = audit(Predictions(rows, {"smile": task}, {"race": race}, {}, people), plain)
    for metric in ("auroc", "average_precision", "brier", "log_loss"):
        widths = []
        for result in (clustered, blunt):
            found = [result.overall.metrics[metric], *(one.metrics[metric] for one in result.groupings[0].groups)]
            widths.append(np.array([one.ci_high - one.ci_low for one in found]))
        assert (widths[0] > 1.2 * widths[1]).all(), metric
        gaps = [
            next(d.estimate for d in r.groupings[0].disparities if (d.metric, d.kind) == (metric, "gap"))
            for r in (clustered, blunt)
        ]
        assert gaps[0].ci_high > gaps[1].ci_high
        assert gaps[0].value == gaps[1].value
    assert any(note.startswith("180 images show 60 people: intervals of metrics") for note in clustered.notes)
