"""Groups and counts against loops over rows."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from fairaudit.errors import UnknownNameError
from fairaudit.metrics.counts import cells, confusion
from fairaudit.metrics.groups import cross
from fairaudit.predictions import MISSING, Column


def test_every_cell_is_listed_and_rows_find_theirs() -> None:
    race = Column.of(["White", "Black", None, "White", "Black"], ["White", "Black", "Asian"])
    gender = Column.of(["F", "M", "F", "", "F"], ["M", "F"])
    groups = cross({"gender": gender, "race": race}, ["race", "gender"])
    assert groups.labels == tuple(product(("White", "Black", "Asian"), ("M", "F")))
    assert len(groups) == 6
    seen = [None if i == MISSING else groups.labels[i] for i in groups.ids]
    assert seen == [("White", "F"), ("Black", "M"), None, None, ("Black", "F")]
    assert groups.as_mapping(2) == {"race": "Black", "gender": "M"}


def test_an_unknown_attribute_is_named() -> None:
    with pytest.raises(UnknownNameError) as caught:
        cross({"race": Column.of(["a"]), "gender": Column.of(["b"])}, ["race", "gendr"])
    assert str(caught.value) == "unknown attribute 'gendr'; did you mean 'gender'?"


def test_confusion_is_a_count_of_rows() -> None:
    rng = np.random.default_rng(0)
    g, k, n = 4, 3, 500
    ids, y_true = rng.integers(-1, g, n), rng.integers(-1, k, n)
    y_pred = rng.integers(0, k, n)
    expected = np.zeros((g, k, k), dtype=int)
    for i, t, p in zip(ids, y_true, y_pred, strict=True):
        if i != MISSING and t != MISSING:
            expected[i, t, p] += 1
    counts = confusion(y_true, y_pred, ids, g, k)
    assert counts.dtype == np.int64
    assert (counts == expected).all()
    parts = [confusion(y_true[s], y_pred[s], ids[s], g, k) for s in (slice(0, 100), slice(100, None), slice(0, 0))]
    assert (parts[0] + parts[1] + parts[2] == counts).all()


def test_cells_are_one_class_against_the_rest() -> None:
    rng = np.random.default_rng(1)
    matrix = rng.integers(0, 9, (2, 3, 4, 4))
    c = cells(matrix)
    for a, b in product(range(2), range(3)):
        m = matrix[a, b]
        assert c.n[a, b] == m.sum()
        assert c.right[a, b] == sum(m[i, i] for i in range(4))
        for k in range(4):
            others = [i for i in range(4) if i != k]
            assert c.tp[a, b, k] == m[k, k]
            assert c.fn[a, b, k] == sum(m[k, i] for i in others)
            assert c.fp[a, b, k] == sum(m[i, k] for i in others)
            assert c.tn[a, b, k] == sum(m[i, j] for i in others for j in others)
            one = c.of_class(k)
            assert (one.tp[a, b], one.fn[a, b], one.fp[a, b], one.tn[a, b]) == (
                c.tp[a, b, k], c.fn[a, b, k], c.fp[a, b, k], c.tn[a, b, k],
            )  # fmt: skip
            assert one.n is c.n
