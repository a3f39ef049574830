"""Exact limits of many proportions, looked up or computed, are to the last bit those of each alone."""

from __future__ import annotations

import numpy as np
import pytest

from fairaudit.metrics import exact
from fairaudit.metrics.exact import clopper_pearson
from fairaudit.predictions import FloatArray

Z = 2.1234
MANY = 3000


def _counts(seed: int, images: int = 60) -> tuple[FloatArray, FloatArray]:
    """(2, m) counts with many alike, also of no images, none and all of them."""
    rng = np.random.default_rng(seed)
    n = rng.integers(0, images, (2, MANY // 2))
    return rng.integers(0, n + 1).astype(np.float64), n.astype(np.float64)


def _one_by_one(x: FloatArray, n: FloatArray, z: float) -> list[tuple[float, float]]:
    each = (clopper_pearson(np.array([a]), np.array([b]), z) for a, b in zip(x.ravel(), n.ravel(), strict=True))
    return [(float(low[0]), float(high[0])) for low, high in each]


@pytest.fixture(autouse=True)
def nothing_known() -> None:
    """What another test asked for is forgotten."""
    exact._remembered.cache_clear()


def test_many_at_once_are_each_alone() -> None:
    for seed in (0, 1):  # the second time most are known
        x, n = _counts(seed)
        low, high = clopper_pearson(x, n, Z)
        assert low.shape == high.shape == x.shape
        assert np.array_equal(np.stack([low.ravel(), high.ravel()], -1), _one_by_one(x, n, Z), equal_nan=True)
        assert np.isnan(low[n == 0]).all()
        assert (low[(x == 0) & (n > 0)] == 0).all()
        assert (high[(x == n) & (n > 0)] == 1).all()


def test_each_different_one_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[tuple[float, float]] = []
    plain = exact._limits

    def listing(x: FloatArray, n: FloatArray, z: float) -> exact.Pair:
        computed.extend(zip(x.tolist(), n.tolist(), strict=True))
        return plain(x, n, z)

    monkeypatch.setattr(exact, "_limits", listing)
    (x, n), (y, m) = _counts(0), _counts(1)
    clopper_pearson(x, n, Z)
    clopper_pearson(y, m, Z)
    clopper_pearson(x, n, Z)
    wanted = {*zip(x.ravel(), n.ravel(), strict=True), *zip(y.ravel(), m.ravel(), strict=True)}
    assert len(computed) == len(wanted)
    assert set(computed) == wanted


def test_what_is_known_at_one_quantile_is_not_taken_for_another() -> None:
    x, n = _counts(0)
    narrow, wide = (clopper_pearson(x, n, z)[0] for z in (1.0, 3.0))
    inside = (x > 0) & (n > 0)
    assert (wide[inside] < narrow[inside]).all()


def test_with_too_many_known_ones_it_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exact, "_KEPT", 10)
    x, n = _counts(0)
    for more in (0.0, 100.0):
        low, _ = clopper_pearson(x, n + more, Z)
        assert np.array_equal(low.ravel(), [a for a, _ in _one_by_one(x, n + more, Z)], equal_nan=True)
    assert (exact._remembered(Z).found[0] >> exact._WIDTH).min() >= 100


@pytest.mark.parametrize("shift", [0.25, -0.25])
def test_parts_of_images_and_quantiles_of_their_own_are_computed_as_they_are(shift: float) -> None:
    x, n = (side.ravel() for side in _counts(0))
    x, n = np.maximum(x + shift, 0), n + 1
    low, _ = clopper_pearson(x, n, Z)
    assert np.array_equal(low[:50], [a for a, _ in _one_by_one(x[:50], n[:50], Z)])
    z = np.linspace(1, 3, len(n))
    each, _ = clopper_pearson(np.floor(x), n, z)
    assert each[7] == clopper_pearson(np.floor(x[7]), n[7], z[7])[0]
