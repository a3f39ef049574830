"""Which images are worth a look, against plain sorting."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fairaudit.metrics.mistakes import worth_a_look
from fairaudit.predictions import MISSING


@given(st.integers(0, 40), st.integers(2, 4), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_the_surest_mistakes_and_the_closest_decisions(n: int, k: int, most: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    y_true, ids = rng.integers(-1, k, n), rng.integers(-1, 3, n)
    score = rng.dirichlet(np.ones(k), n)
    y_pred = score.argmax(1)
    for g, found in enumerate(worth_a_look(y_true, y_pred, score, ids, 3, most)):
        own = [i for i in range(n) if ids[i] == g and y_true[i] != MISSING]
        wrong = sorted((i for i in own if y_true[i] != y_pred[i]), key=lambda i: -score[i].max())[:most]
        assert found.mistakes.tolist() == wrong
        rest = [i for i in own if i not in wrong]
        close = sorted(rest, key=lambda i: np.sort(score[i])[-1] - np.sort(score[i])[-2])[:most]
        assert found.close.tolist() == close


def test_without_scores_mistakes_come_in_order_and_nothing_is_close() -> None:
    y_true, y_pred = np.array([0, 1, 0, 1]), np.array([1, 1, 1, 0])
    [found] = worth_a_look(y_true, y_pred, None, np.zeros(4, dtype=np.int64), 1, 2)
    assert found.mistakes.tolist() == [0, 2]
    assert found.close.tolist() == []
