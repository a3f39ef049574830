"""Mean maps of groups, people counted once, overlap with a map, and probes of a planted shortcut."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fairaudit.attribution.group_maps import attention_overlap, contrast, evenly_scaled, one_per_person
from fairaudit.attribution.probes import probe_regions, without
from fairaudit.attribution.removal import KINDS, removed
from fairaudit.attribution.superpixels import superpixels
from fairaudit.errors import UsageError
from fairaudit.predictions import MISSING
from tests.attribution.planted import classifier, hatted, looks_at


def test_every_image_has_the_same_weight() -> None:
    heat = np.array([[4.0, -2.0], [0.0, 2.0]])
    assert np.abs(evenly_scaled(heat)).mean() == 1.0
    np.testing.assert_allclose(evenly_scaled(heat), evenly_scaled(100 * heat))
    assert not evenly_scaled(np.zeros((2, 2))).any()


def test_people_count_once_within_a_group() -> None:
    values = np.array([1.0, 3.0, 10.0, 5.0, 7.0])
    ids, people = np.array([0, 0, 0, 1, MISSING]), np.array([4, 4, MISSING, 4, 4])
    means, groups = one_per_person(values, ids, people)
    assert sorted(zip(groups.tolist(), means.tolist(), strict=True)) == [(0, 2.0), (0, 10.0), (1, 5.0)]
    same, kept = one_per_person(values, ids, None)
    assert (same.tolist(), kept.tolist()) == ([1.0, 3.0, 10.0, 5.0], [0, 0, 0, 1])


def test_a_group_that_is_looked_at_elsewhere() -> None:
    rng = np.random.default_rng(0)
    maps, ids = rng.normal(size=(40, 16, 16)), np.repeat([0, 1], 20)
    maps[ids == 1, :4, 12:] += 2.0
    found = contrast(maps, ids, 1, 0, (4, 4), 499, 0)
    assert found is not None
    assert np.argwhere(found.p_adjusted.reshape(4, 4) <= 0.05).tolist() == [[0, 3]]
    assert found.difference.reshape(4, 4)[0, 3] == pytest.approx(2.0, abs=0.3)
    assert contrast(maps[:21], ids[:21], 1, 0, (4, 4), 99, 0) is None, "one map has no scatter"


def test_overlap_with_a_map_of_an_attribute() -> None:
    attribute = np.arange(100.0).reshape(10, 10)
    heat = np.zeros((10, 10))
    heat[7:] = 1.0  # exactly the top 30 %
    heat[:7] = -3.0
    full = attention_overlap(heat, attribute, 0.7)
    assert (full.mass, full.area, full.points_inside) == (1.0, 0.3, True)
    assert full.times_even == pytest.approx(1 / 0.3)
    even = attention_overlap(np.ones((10, 10)), attribute, 0.7)
    assert even.times_even == pytest.approx(1.0)
    assert np.isnan(even.correlation)


@pytest.mark.parametrize("how", KINDS)
def test_a_probe_hides_the_region_and_nothing_else(how: str) -> None:
    """Without the region that a network looks at, every image looks alike to it; without another, nothing changes."""
    _, hat = hatted(0)
    made = classifier(looks_at(hat))
    values = hat + 0.01 * np.random.default_rng(0).random(hat.shape)
    region, control = probe_regions(values, 1 - hat.mean())
    assert region.sum() == control.sum()
    assert not (control & hat).any()
    inputs = torch.randn(6, 3, *hat.shape, generator=torch.Generator().manual_seed(0))
    before, hidden, elsewhere = (
        one.model(inputs).detach() for one in (made, without(made, hat, how), without(made, control, how))
    )
    if how == "grey":
        assert float(hidden.std(0).max()) < 1e-6, "nothing of the image reaches it"
    assert float(hidden[:, 1].max()) < float(before[:, 1].min()), "what it saw there is gone"
    np.testing.assert_allclose(elsewhere, before, atol=1e-5)
    assert made.model(inputs).equal(before), "the classifier itself is as it was"


def test_a_blur_keeps_a_plain_colour_and_hides_texture() -> None:
    plain = torch.full((1, 3, 20, 20), 0.7)
    np.testing.assert_allclose(removed(plain, "blur"), plain, atol=1e-5)
    noise = torch.randn(1, 3, 20, 20, generator=torch.Generator().manual_seed(0))
    assert float(removed(noise, "blur").std()) < 0.25
    assert not removed(noise, "grey").any()


@pytest.mark.parametrize("kind", ["slic", "quickshift", "grid"])
def test_superpixels_cover_the_image_without_gaps(kind: str) -> None:
    pixels, _ = hatted(0)
    found = superpixels(pixels, kind, 30, 0)
    assert found.shape == tuple(pixels.shape[1:])
    assert sorted(set(found.ravel().tolist())) == list(range(found.max() + 1))
    assert found.max() >= 1
    if kind != "quickshift":
        assert 15 <= found.max() + 1 <= 45
    np.testing.assert_array_equal(found, superpixels(pixels, kind, 30, 0))


def test_what_cannot_be_cut() -> None:
    tiny = torch.zeros(3, 8, 8, dtype=torch.uint8)
    with pytest.raises(
        UsageError, match=r"^65 segments are more than the 8 × 8 = 64 pixels of the network's input; ask for"
    ):
        superpixels(tiny, "slic", 65, 0)
    assert superpixels(tiny, "grid", 64, 0).max() == 63
    for kind in ("slic", "quickshift"):
        assert superpixels(tiny, kind, 9, 0).max() >= 1, "a picture of one colour is cut all the same"
