"""Trade-off: the Pareto front by plain loops, pooled seeds, and the table's guard against formulas."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fairaudit.predictions import Column, Predictions, Task
from fairaudit.reports.csv import render_mitigation
from fairaudit.results.mitigation import ArmResult, MitigationResult, Number
from fairaudit.workflows.tradeoff import pareto_front, pooled

values = st.sampled_from([0.1, 0.2, 0.3, 0.4, math.nan])


@given(st.lists(st.tuples(values, values), max_size=12))
def test_the_front_is_what_no_other_point_beats(
    points: list[tuple[float, float]],
) -> None:
    for on, (good, bad) in zip(pareto_front(points), points, strict=True):
        beaten = False
        for g, b in points:
            beaten |= (g > good and b <= bad) or (g >= good and b < bad)
        assert on == (not beaten and good == good and bad == bad)


def run(right: list[int], people: list[str] | None = None) -> Predictions:
    n = len(right)
    return Predictions(
        np.array([f"r{i}" for i in range(n)], dtype=object),
        {"t": Task(("a", "b"), np.zeros(n, dtype=np.int64), np.array(right, dtype=np.int64))},
        {"race": Column.of(["x", "y"] * (n // 2))},
        identity=None if people is None else Column.of(people),
    )


def test_pooled_seeds_are_clusters_of_one_image() -> None:
    found = pooled([run([0, 1]), run([1, 1])])
    assert len(found) == 4
    assert found.tasks["t"].y_pred.tolist() == [0, 1, 1, 1]
    assert found.identity is not None
    assert found.identity.values().tolist() == ["r0", "r1", "r0", "r1"]


def test_people_stay_one_cluster_over_their_pictures_and_seeds() -> None:
    found = pooled([run([0, 1, 0, 0], ["p", "p", "q", ""]), run([1, 1, 1, 1], ["p", "p", "q", ""])])
    assert found.identity is not None
    assert found.identity.values().tolist() == ["person p", "person p", "person q", "r3"] * 2


def test_one_seed_is_itself() -> None:
    one = run([0, 1])
    assert pooled([one]) is one


def test_a_name_that_a_spreadsheet_would_run_is_quoted() -> None:
    nan = math.nan
    number = Number("accuracy", "gap", ("race",), 0.5, nan, -0.1, nan, nan, nan, nan, nan, nan, "undecided")
    arm = ArmResult('=cmd|"x",1', "l", None, (), (number,), (), True)
    header, line = render_mitigation(MitigationResult({}, {}, {}, None, (arm,))).splitlines()
    assert line == '"\'=cmd|""x"",1",accuracy,gap,race,,0.5,,-0.1,,,,,,,undecided,yes'
    assert len(header.split(",")) == 16
