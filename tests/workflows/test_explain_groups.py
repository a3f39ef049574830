"""Groups whose attention is compared with the reference group's are judged together."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from fairaudit.attribution.group_maps import contrast
from fairaudit.metrics.region_test import region_test
from fairaudit.workflows.explain_groups import _contrasts, _shares

SIDE, PERMUTATIONS = 4, 199


def scene(groups: int) -> Any:
    """What the contrasts of so many groups are told."""
    names = [{"g": str(g)} for g in range(groups)]
    asked = SimpleNamespace(permutations=PERMUTATIONS, grid=2, quantile=0.5)
    return SimpleNamespace(
        config=SimpleNamespace(explain=asked),
        plan=SimpleNamespace(audit=SimpleNamespace(seed=0, confidence=0.95)),
        explainer=SimpleNamespace(subject=SimpleNamespace(preprocess=SimpleNamespace(size=(SIDE, SIDE)))),
        groups=SimpleNamespace(as_mapping=names.__getitem__),
        maps={"hat": np.arange(SIDE * SIDE, dtype=float).reshape(SIDE, SIDE)},
    )


def test_p_of_cells_grows_with_the_groups_that_are_judged_together() -> None:
    rng = np.random.default_rng(0)
    ids = np.repeat(np.arange(4), 12)
    maps = rng.normal(size=(48, SIDE, SIDE))
    maps[ids == 1] += 1.5
    found = _contrasts(scene(4), maps, ids, [0, 1, 2, 3], 0)
    assert len(found) == 3
    for g, one in enumerate(found, start=1):
        alone = contrast(maps, ids, g, 0, (2, 2), PERMUTATIONS, 0)
        assert alone is not None
        assert np.allclose(np.ravel(one.p_adjusted), np.minimum(1, 3 * alone.p_adjusted))
        assert one.different == int((np.ravel(one.p_adjusted) <= 0.05).sum())
    assert found[0].different == 4, (
        "a shift of three standard deviations of a cell's mean of four pixels is seen all the same"
    )


def test_p_of_shares_is_holms_over_the_groups() -> None:
    rng = np.random.default_rng(1)
    ids = np.repeat(np.arange(3), 10)
    maps = np.abs(rng.normal(size=(30, SIDE, SIDE)))
    maps[ids == 2, 2:] *= 3  # where the hat is
    found = _shares(scene(3), list(maps), ids, None, [0, 1, 2], 0)
    inside = np.array([heat[2:].sum() / heat.sum() for heat in maps])
    raw = [
        float(region_test(inside[ids == g, None], inside[ids == 0, None], PERMUTATIONS, np.random.default_rng([0, g])).p[0])
        for g in (1, 2)
    ]
    assert np.isnan(found[0][0].p), "the reference group is compared with nobody"
    assert [found[g][0].p for g in (1, 2)] == [max(raw[0], min(1.0, 2 * min(raw))), min(1.0, 2 * raw[1])]
