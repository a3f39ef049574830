"""The hinge refuses tables that do not fit together."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from fairaudit.errors import PredictionsError
from fairaudit.predictions import MISSING, Column, Predictions, Task


def _codes(*values: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(values, dtype=np.int64)


def _predictions(n: int = 3) -> Predictions:
    score = np.linspace(0, 1, 2 * n).reshape(n, 2)
    return Predictions(
        np.array([f"{i}.jpg" for i in range(n)], dtype=object),
        {"smiling": Task(("no", "yes"), _codes(*([0, 1, MISSING] * n)[:n]), _codes(*([1, 1, 0] * n)[:n]), score)},
        {"race": Column(_codes(*([0, 2, MISSING] * n)[:n]), ("a", "b", "c"))},
        {"age": np.arange(float(n))},
        Column(np.zeros(n, dtype=np.int64), ("someone",)),
    )


def test_columns_encode_and_decode() -> None:
    column = Column.of(["b", "a", None, "", float("nan"), "b"])
    assert column.levels == ("a", "b")
    assert column.codes.tolist() == [1, 0, MISSING, MISSING, MISSING, 1]
    assert column.values().tolist() == ["b", "a", None, None, None, "b"]
    assert Column.of([3, 10, 2]).levels == ("10", "2", "3")
    declared = Column.of(["b"], ["c", "b", "a"])
    assert (declared.levels, declared.codes.tolist()) == (("c", "b", "a"), [1])
    assert Column.of([]).values().tolist() == []


def test_every_label_can_make_groups() -> None:
    predictions = _predictions()
    columns = predictions.columns()
    assert list(columns) == ["smiling", "race"]
    assert columns["smiling"].values().tolist() == ["no", "yes", None]


def test_rows_are_taken_together() -> None:
    predictions = _predictions(4)
    for rows in (np.array([2, 0]), np.array([True, False, True, False])):
        some = predictions.take(rows)
        chosen = np.arange(4)[rows]
        assert some.rows.tolist() == [f"{i}.jpg" for i in chosen]
        assert some.numeric["age"].tolist() == chosen.tolist()
        assert some.tasks["smiling"].y_true.tolist() == predictions.tasks["smiling"].y_true[chosen].tolist()
        assert some.tasks["smiling"].y_score is not None
        assert some.tasks["smiling"].y_score.shape == (2, 2)
        assert some.attributes["race"].levels == ("a", "b", "c")
        assert some.identity is not None
        assert len(some.identity.codes) == len(some) == 2


def _rows(*names: str) -> np.ndarray[tuple[int], np.dtype[np.object_]]:
    return np.array(names, dtype=object)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Column.of(["Blak"], ["Black", "White"]), "unknown level 'Blak'; did you mean 'Black'?"),
        (lambda: Column(_codes(0, 2), ("a", "b")), "column: code 2 has no name"),
        (lambda: Column(_codes(0, -2), ("a", "b")), "column: code -2 has no name"),
        (lambda: Column(_codes(0), ("a", "a")), "column: the names ['a', 'a'] are not distinct"),
        (
            lambda: Column(np.zeros(2, dtype=np.int32), ("a",)),
            "column: codes must be a vector of int64, not int32 of shape (2,)",
        ),
        (
            lambda: Column(np.zeros((2, 1), dtype=np.int64), ("a",)),
            "column: codes must be a vector of int64, not int64 of shape (2, 1)",
        ),
        (lambda: Task(("a", "b"), _codes(0, 1), _codes(0, MISSING)), "y_pred: code -1 has no name"),
        (lambda: Task(("a", "b"), _codes(0, 3), _codes(0, 1)), "y_true: code 3 has no name"),
        (lambda: Task(("a", "b"), _codes(0, 1), _codes(0)), "2 labels but 1 predictions"),
        (
            lambda: Task(("a", "b"), _codes(0, 1), _codes(0, 1), np.zeros((2, 3))),
            "scores have the shape (2, 3), but 2 rows of 2 classes were expected",
        ),
        (
            lambda: Predictions(_rows("x", "y"), {"t": Task(("a",), _codes(0), _codes(0))}),
            "there are 2 row ids, but task 't' has 1",
        ),
        (
            lambda: Predictions(
                _rows("x"), {}, {"race": Column(_codes(0, 0), ("a",))}, {"age": np.zeros(3)}, Column(_codes(), ("a",))
            ),
            "there are 1 row ids, but attribute 'race' has 2, column 'age' has 3, identity has 0",
        ),
        (
            lambda: Predictions(_rows("x", "y", "y"), {}),
            "row id 'y' occurs more than once; every image must be one row",
        ),
    ],
)
def test_what_does_not_fit_is_refused(build: Callable[[], object], message: str) -> None:
    with pytest.raises(PredictionsError) as caught:
        build()
    assert str(caught.value) == message
