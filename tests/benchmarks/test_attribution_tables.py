"""What the benchmarks of attribution count: places in maps, middles of patches, and the table's numbers."""

from __future__ import annotations

import numpy as np
import pytest

from fairaudit.attribution.calibrate import calibration
from fairaudit.attribution.patches import Positions
from tests.benchmarks.attribution import Cell, interval, markdown, paired
from tests.benchmarks.attribution_stems import Found, in_place


def test_a_map_is_compared_with_the_place_where_the_attribute_is() -> None:
    general = np.zeros((8, 8))
    general[2, 3], general[2, 4], general[7, 7] = 1.0, 0.5, 0.5
    place = np.zeros((8, 8), dtype=bool)
    place[2, 3:5] = True
    found = Found(calibration(np.zeros((1, 4, 2)), np.array([0])), 0.5, 0.5, general)
    assert found.peak == (2.5 / 8, 3.5 / 8)
    assert found.mass(place) == pytest.approx(0.75)
    assert found.surest(place) == 1.0
    place[2, 4], place[7, 7] = False, True
    place[0, 0] = True
    assert found.surest(place) == pytest.approx(2 / 3), "three pixels of the map, of which one is elsewhere"


def test_patches_lie_where_their_middles_are() -> None:
    positions = Positions(8, 4, 3)  # corners at 0, 2 and 4, so middles at 2, 4 and 6
    place = np.zeros((8, 8), dtype=bool)
    place[4, 6] = True
    assert np.flatnonzero(in_place(place, positions)).tolist() == [5]


def test_the_table_tests_gaps_in_pairs_of_seeds() -> None:
    plain = Cell("erm", *(np.array(values) for values in ([0.7] * 3, [0.6, 0.6, 0.6], [0.8, 0.9, 0.7], [0.1, 0.2, 0.0])))
    ours = Cell("x", *(np.array(values) for values in ([0.7] * 3, [0.8, 0.7, 0.7], [0.7, 0.6, 0.75], [0.0, 0.1, 0.0])))
    assert plain.gap == pytest.approx([0.2, 0.3, 0.1])
    assert ours.gap == pytest.approx([0.1, 0.1, 0.05])
    rows = markdown({"Smiling": {"original": plain, "balanced": ours}}).splitlines()
    assert rows[2].startswith("| Smiling | original | 0.70 ± 0.00 | 0.60 ± 0.00 | 0.80 ± 0.25 | 0.20 ± 0.25 |  |")
    # differences −.1, −.2, −.05: t = −2.646 on 2 degrees of freedom
    assert rows[3].split(" | ")[6] == "0.118"
    assert paired(np.append(ours.gap, 0.9), plain.gap) == "0.118", "a seed that only one has is no pair"
    assert interval(np.array([0.5])) == "0.50 ± nan"
