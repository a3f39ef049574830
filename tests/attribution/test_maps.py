"""From places to pixels against Algorithm 1's loop, confidence and its sign, top regions, and what two maps share."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairaudit.attribution.confidence import MEASURES, confidence, softmax
from fairaudit.attribution.maps import general_map, overlap, stretched, to_pixels, top_region
from fairaudit.attribution.patches import Positions
from fairaudit.config import Measure


def algorithm_1(regions: np.ndarray, positions: Positions) -> np.ndarray:
    """The paper's loop over patches."""
    total, counts = np.zeros((positions.image,) * 2), np.zeros((positions.image,) * 2)
    k = positions.patch
    for position, value in enumerate(regions):
        y, x = positions.corner(position)
        total[y : y + k, x : x + k] += value
        counts[y : y + k, x : x + k] += 1
    return total / counts


@pytest.mark.parametrize("positions", [Positions(128, 32, 49), Positions(10, 4, 4), Positions(9, 3, 3), Positions(8, 2, 7)])
def test_two_products_are_the_loop(positions: Positions) -> None:
    regions = np.random.default_rng(0).random(len(positions))
    assert np.abs(to_pixels(regions, positions) - algorithm_1(regions, positions)).max() < 1e-12


def test_many_maps_at_once_are_each_its_own() -> None:
    positions = Positions(10, 4, 4)
    regions = np.random.default_rng(1).random((2, 3, len(positions)))
    found = to_pixels(regions, positions)
    assert found.shape == (2, 3, 10, 10)
    assert np.allclose(found[1, 2], algorithm_1(regions[1, 2], positions), atol=1e-12)


def test_a_single_sure_place_is_where_it_is() -> None:
    """Transposing rows and columns anywhere would put it elsewhere."""
    positions = Positions(10, 4, 4)
    regions = np.zeros(len(positions))
    regions[2] = 1.0  # first row of patches, third column: pixels 0 to 3 down, 4 to 7 across
    found = to_pixels(regions, positions)
    assert found[0, 4] > 0
    assert found[4:, :].max() == 0
    assert found[:, :4].max() == 0


def test_the_general_map_is_the_mean_of_pictures_then_stretched() -> None:
    positions = Positions(10, 4, 4)
    regions = np.random.default_rng(2).random((5, len(positions)))
    loop = algorithm_1(regions.mean(axis=0), positions)
    expected = (loop - loop.min()) / (loop.max() - loop.min())
    assert np.allclose(general_map(regions, positions), expected, atol=1e-12)
    assert np.allclose(general_map(regions.mean(axis=0), positions), expected, atol=1e-12)
    assert stretched(np.full((3, 3), 0.7)).tolist() == np.zeros((3, 3)).tolist()


def test_quantile_seventy_is_the_top_thirty_percent() -> None:
    pixels = np.random.default_rng(3).permutation(100).reshape(10, 10).astype(float)
    region = top_region(pixels, 0.7)
    assert region.sum() == 30
    assert pixels[region].min() > pixels[~region].max()
    both = top_region(np.stack([pixels, -pixels]), 0.9)
    assert both.sum(axis=(1, 2)).tolist() == [10, 10]
    assert not (both[0] & both[1]).any()
    assert not top_region(np.ones((4, 4)), 0.5).any(), "a flat map has no top"


@given(st.lists(st.floats(-8, 8), min_size=2, max_size=6), st.sampled_from(MEASURES))
def test_confidence_against_plain_formulas(logits: list[float], measure: Measure) -> None:
    powers = [math.exp(v) for v in logits]
    s = [p / sum(powers) for p in powers]
    k = len(s)
    plain = {
        "top": max(s),
        "margin": sorted(s)[-1] - sorted(s)[-2],
        "entropy": sum(v * math.log(v) for v in s),
    }
    scaled = {
        "top": (max(s) - 1 / k) / (1 - 1 / k),
        "margin": plain["margin"],
        "entropy": 1 + plain["entropy"] / math.log(k),
    }
    scores = softmax(np.array(logits))
    assert confidence(scores, measure) == pytest.approx(plain[measure], abs=1e-9)
    assert confidence(scores, measure, scaled=True) == pytest.approx(scaled[measure], abs=1e-9)


@pytest.mark.parametrize("measure", MEASURES)
def test_surer_is_larger_and_the_ends_of_the_scale_are_met(measure: Measure) -> None:
    scores = np.array([[1 / 3, 1 / 3, 1 / 3], [0.4, 0.35, 0.25], [0.9, 0.05, 0.05], [1.0, 0.0, 0.0]])
    found = confidence(scores, measure, scaled=True)
    assert found[0] == pytest.approx(0, abs=1e-12)
    assert found[-1] == pytest.approx(1)
    assert (np.diff(found) > 0).all()
    assert (confidence(scores, "entropy") <= 0).all(), "the negative entropy has the formula's sign"


def test_overlap_of_maps() -> None:
    one = np.arange(100.0).reshape(10, 10)
    same = overlap(one, 3 * one + 1, 0.8)
    assert same.iou == 1.0
    assert same.correlation == pytest.approx(1.0)
    assert same.by_chance == pytest.approx(0.04 / 0.36)
    other = overlap(one, -one, 0.8)
    assert other.iou == 0.0
    assert other.correlation == pytest.approx(-1.0)
    half = overlap(one, np.roll(one, 1, axis=0), 0.8)  # the top two rows against rows 0 and 9
    assert half.iou == pytest.approx(10 / 30)
    flat = overlap(one, np.ones((10, 10)), 0.8)
    assert flat.iou == 0
    assert math.isnan(flat.correlation)
