"""Stratified samples keep shares, cells, order and the seed's promise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairaudit.data.manifest import Card, FolderStore, Manifest
from fairaudit.data.sampling import skewed_sample, stratified_sample
from fairaudit.errors import DataError, UnknownNameError, UsageError


def _manifest(codes: list[int], other: list[int] | None = None) -> Manifest:
    frame = pd.DataFrame({"row": [f"{i:04d}" for i in range(len(codes))], "split": "all"})
    frame["race"] = pd.Categorical.from_codes(codes, categories=pd.Index(["a", "b", "c"]))
    if other is not None:
        frame["gender"] = pd.Categorical.from_codes(other, categories=pd.Index(["f", "m"]))
    return Manifest(frame, FolderStore(Path()), Card(obtain=""))


@given(
    st.lists(st.tuples(st.integers(-1, 2), st.integers(0, 1)), min_size=1, max_size=60),
    st.integers(1, 70),
    st.integers(0, 5),
)
def test_shares_cells_and_order(pairs: list[tuple[int, int]], n: int, seed: int) -> None:
    manifest = _manifest([a for a, _ in pairs], [b for _, b in pairs])
    sample = stratified_sample(manifest, ["race", "gender"], n, seed)
    rows = sample.frame["row"].tolist()
    assert len(rows) == min(n, len(pairs))
    assert rows == sorted(rows)
    assert len(set(rows)) == len(rows)
    taken = [pairs[int(row)] for row in rows]
    cells = set(pairs)
    for cell in cells:
        got, ideal = taken.count(cell), pairs.count(cell) * min(n, len(pairs)) / len(pairs)
        if n >= len(cells):
            assert got >= 1
        # keeping rare cells alive costs the others at most one image per rare cell
        assert got <= max(1, np.ceil(ideal))
        assert got >= np.floor(ideal) - len(cells)
    assert stratified_sample(manifest, ["race", "gender"], n, seed).frame["row"].tolist() == rows


def test_exact_allocation() -> None:
    sample = stratified_sample(_manifest([0] * 70 + [1] * 28 + [2] * 2), ["race"], 10, 0)
    assert sample.frame["race"].value_counts(sort=False).tolist() == [7, 2, 1], "shares 7, 2.8 and 0.2"
    assert sample.levels("race") == ("a", "b", "c")


def test_the_seed_matters_and_a_large_n_changes_nothing() -> None:
    manifest = _manifest([0] * 50 + [1] * 50)
    first, second = (stratified_sample(manifest, ["race"], 20, seed).frame["row"].tolist() for seed in (0, 1))
    assert first != second
    assert stratified_sample(manifest, ["race"], 100, 0) is manifest


@pytest.mark.statistics
def test_every_row_has_the_same_chance() -> None:
    manifest = _manifest([0] * 6 + [1] * 6)
    counts = np.zeros(12)
    for seed in range(300):
        counts[stratified_sample(manifest, ["race"], 4, seed).frame["row"].astype(int).to_numpy()] += 1
    # 300 draws at 1/3: mean 100, standard deviation 8.2; four of them either side
    assert counts.min() > 67
    assert counts.max() < 133


def test_fewer_than_cells_takes_the_largest() -> None:
    sample = stratified_sample(_manifest([0] * 5 + [1] * 3 + [2]), ["race"], 2, 0)
    assert sample.frame["race"].tolist() == ["a", "b"]


def test_refusals() -> None:
    with pytest.raises(UsageError, match="a sample needs at least 1 image, not 0"):
        stratified_sample(_manifest([0]), ["race"], 0, 0)
    with pytest.raises(UnknownNameError, match="unknown column 'rase'; did you mean 'race'"):
        stratified_sample(_manifest([0]), ["rase"], 1, 0)


def people(levels: str) -> Manifest:
    """Two images of each person, whose level is a letter."""
    rows = [f"{i}-{k}.png" for i in range(len(levels)) for k in range(2)]
    told = [level for level in levels for _ in range(2)]
    frame = pd.DataFrame({"row": rows, "split": "all", "identity": [row.partition("-")[0] for row in rows]})
    frame["race"] = pd.Categorical(told, categories=["a", "b", "c", "d"])
    return Manifest(frame, FolderStore(Path()), Card(obtain=""))


@pytest.mark.parametrize(
    ("levels", "share", "wanted"),
    [
        ("aaaaabbbbb", 0.9, {"a": 5, "b": 1}),
        ("aaaaabbbbb", 0.5, {"a": 5, "b": 5}),
        ("a" * 20 + "b" * 20 + "c" * 10, 0.25, {"a": 10, "b": 20, "c": 10}),
        ("a" * 20 + "b" * 20 + "c" * 10, 0.8, {"a": 20, "b": 3, "c": 2}),
    ],
)
def test_a_skewed_sample_keeps_as_many_people_as_its_share_allows(
    levels: str, share: float, wanted: dict[str, int]
) -> None:
    found = skewed_sample(people(levels), "race", "a", share, 0)
    assert found.frame["identity"].value_counts().eq(2).all()
    counts = found.frame.groupby("identity")["race"].first().astype(str).value_counts().to_dict()
    assert counts == wanted
    assert found.frame["row"].tolist() == sorted(found.frame["row"], key=people(levels).frame["row"].tolist().index)
    again = skewed_sample(people(levels), "race", "a", share, 0)
    assert again.frame["row"].tolist() == found.frame["row"].tolist()


def test_a_skewed_sample_without_people_is_of_images_and_needs_two_levels() -> None:
    manifest = people("aaaaabbbbb")
    nobody = replace(manifest, frame=manifest.frame.drop(columns=["identity"]))
    assert skewed_sample(nobody, "race", "a", 0.9, 0).frame["race"].astype(str).value_counts().to_dict() == {
        "a": 10,
        "b": 1,
    }
    with pytest.raises(DataError) as caught:
        skewed_sample(manifest, "race", "c", 0.9, 0)
    assert str(caught.value) == "no training image is 'c' in race, so it cannot be 0.9 of them; leave --imbalance out"
    with pytest.raises(DataError) as caught:
        skewed_sample(people("aaaa"), "race", "a", 0.9, 0)
    assert str(caught.value).startswith("no training image is 'anything but a' in race")
