"""Splits: nobody and no copy on two sides, every stratum in proportion, the same seed the same splits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairaudit.data.manifest import Card, Manifest
from fairaudit.data.splits import Splits, apart, cut_validation, divide, official_splits, stratified_splits
from fairaudit.errors import DataError, UsageError

CARD = Card(obtain="nothing to get")


class Bytes:
    """Images as bytes in memory; a content of None cannot be read."""

    def __init__(self, content: dict[str, bytes | None]) -> None:
        self.content = content

    def read(self, row: str) -> bytes:
        found = self.content[row]
        if found is None:
            raise OSError("gone")
        return found

    def missing(self, rows: Sequence[str]) -> list[str]:
        return [row for row in rows if self.content[row] is None]


def table(
    gender: Sequence[str],
    race: Sequence[str],
    people: Sequence[str | None] | None = None,
    content: Sequence[bytes | None] | None = None,
    split: Sequence[str] | None = None,
    prefix: str = "i",
) -> Manifest:
    n = len(gender)
    rows = [f"{prefix}{i}" for i in range(n)]
    frame = pd.DataFrame({"row": rows, "split": list(split) if split else ["all"] * n})
    frame["gender"] = pd.Categorical(list(gender), categories=["F", "M"])
    frame["race"] = pd.Categorical(list(race), categories=["a", "b", "c"])
    if people is not None:
        frame["identity"] = pd.Series(list(people), dtype="string")
    held = content if content is not None else [r.encode() for r in rows]
    return Manifest(frame, Bytes(dict(zip(rows, held, strict=True))), CARD)


def rows(manifest: Manifest) -> list[str]:
    return [str(r) for r in manifest.frame["row"]]


def cells(manifest: Manifest) -> Counter[tuple[str, str]]:
    return Counter(zip(manifest.frame["gender"].astype(str), manifest.frame["race"].astype(str), strict=True))


@given(st.lists(st.tuples(st.sampled_from("FM"), st.sampled_from("abc")), min_size=30, max_size=120), st.integers(0, 50))
def test_every_row_once_and_every_cell_in_proportion(labels: list[tuple[str, str]], seed: int) -> None:
    whole = table([g for g, _ in labels], [r for _, r in labels])
    shares = (0.6, 0.2, 0.2)
    parts = divide(whole, ["gender", "race"], shares, seed)
    assert sorted(rows(parts[0]) + rows(parts[1]) + rows(parts[2])) == sorted(rows(whole))
    for cell, n in cells(whole).items():
        for part, share in zip(parts, shares, strict=True):
            assert abs(cells(part)[cell] - share * n) < 1.0 + 1e-9


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 25)), min_size=60, max_size=90), st.integers(0, 9))
def test_people_and_copies_are_never_divided(units: list[tuple[int, int]], seed: int) -> None:
    n = len(units)
    whole = table(
        ["F", "M"] * (n // 2) + ["F"] * (n % 2),
        ["a"] * n,
        people=[None if p == 0 else f"p{p}" for p, _ in units],
        content=[f"{i if c > 20 else c}-{c > 20}".encode() for i, (_, c) in enumerate(units)],
    )
    parts = divide(whole, ["gender"], (0.5, 0.25, 0.25), seed, _codes(whole))
    for one in range(3):
        for other in range(one + 1, 3):
            assert not _people(parts[one]) & _people(parts[other])
            assert not _content(parts[one]) & _content(parts[other])


def _codes(manifest: Manifest) -> np.ndarray:
    content = [manifest.store.read(r) for r in rows(manifest)]
    return np.array([content.index(c) for c in content], dtype=np.int64)


def _people(manifest: Manifest) -> set[str]:
    return set(manifest.frame["identity"].dropna())


def _content(manifest: Manifest) -> set[bytes]:
    return {manifest.store.read(r) for r in rows(manifest)}


def test_a_tie_by_person_and_a_tie_by_content_make_one_unit() -> None:
    whole = table("FFFF" * 5, "a" * 20, people=["x", "x", "y", None] * 5, content=[b"1", b"2", b"2", b"3"] * 5)
    parts = divide(whole, ["gender"], (0.5, 0.5), 0, _codes(whole))
    sides = [{r for r in rows(part) if int(r[1:]) % 4 < 3} for part in parts]
    assert sorted(map(len, sides)) == [0, 15]


def test_the_seed_decides() -> None:
    whole = table("FM" * 50, "abcab" * 20)
    one, again, other = (stratified_splits(whole, ["race"], (0.78, 0.11, 0.11), s) for s in (1, 1, 2))
    assert rows(one.test) == rows(again.test)
    assert rows(one.test) != rows(other.test)
    assert (len(one.train), len(one.validation), len(one.test)) == pytest.approx((78, 11, 11), abs=3)


def test_two_official_splits_lose_an_eighth_of_training_to_validation() -> None:
    whole = table("FM" * 50, "ab" * 50, split=["train"] * 80 + ["val"] * 20)
    splits = official_splits(whole, ["gender"], 0)
    assert rows(splits.test) == [f"i{i}" for i in range(80, 100)]
    assert len(splits.validation) == 10
    assert cells(splits.validation) == {("F", "a"): 5, ("M", "b"): 5}


def test_three_official_splits_stay_as_they_are_but_for_copies() -> None:
    content: list[bytes | None] = [str(i).encode() for i in range(30)]
    content[3] = content[25]
    whole = table("FM" * 15, "ab" * 15, content=content, split=["train"] * 10 + ["valid"] * 10 + ["test"] * 10)
    splits = official_splits(whole, ["gender"], 0)
    assert "i3" not in rows(splits.train)
    assert len(splits.train) == 9
    assert len(splits.validation) == 10
    assert splits.notes == ("1 training images that are byte-identical to a test image are left out",)


def test_a_person_of_the_test_images_trains_nothing() -> None:
    train = table("FM" * 5, "ab" * 5, people=[f"p{i}" for i in range(10)])
    test = table("FM", "ab", people=["p0", "q"], prefix="t")
    splits = apart(Splits(train, train.take([]), test))
    assert rows(splits.train) == [f"i{i}" for i in range(1, 10)]
    assert splits.notes == ("1 training images of people who are in the test images are left out",)


def test_three_official_splits_share_no_person_and_no_copy() -> None:
    people = ["a", "b", "c", None, "e", "a", "b", "h", None, "j", "k", "b"]
    content: list[bytes | None] = [str(i).encode() for i in range(12)]
    content[4] = content[8] = b"copy"
    split = ["train"] * 5 + ["valid"] * 4 + ["test"] * 3
    whole = table("FM" * 6, "ab" * 6, people=people, content=content, split=split)
    splits = official_splits(whole, ["gender"], 0)
    assert rows(splits.test) == ["i9", "i10", "i11"]
    assert rows(splits.validation) == ["i5", "i7", "i8"]
    assert rows(splits.train) == ["i2", "i3"]
    assert splits.notes == (
        "1 validation images of people who are in the test images are left out",
        "1 training images of people who are in the test images are left out",
        "1 training images of people who are in the validation images are left out",
        "1 training images that are byte-identical to a validation image are left out",
    )


def test_splits_that_share_everybody_leave_nothing_to_learn_from() -> None:
    whole = table("FM" * 3, "ab" * 3, people=["a", "b"] * 3, split=["train"] * 2 + ["valid"] * 2 + ["test"] * 2)
    with pytest.raises(DataError, match=r"^every training image is of a person, .*--split-shares 0\.78,0\.11,0\.11$"):
        official_splits(whole, ["gender"], 0)


def test_the_same_number_in_another_dataset_is_another_person() -> None:
    train = table("FM", "ab", people=["1", "2"])
    other = table("FM", "ab", people=["1", "2"], prefix="t")
    foreign = Manifest(other.frame, other.store, Card(obtain="elsewhere"))
    assert len(apart(Splits(train, train.take([]), foreign)).train) == 2


def test_an_unreadable_image_is_nobodys_copy() -> None:
    whole = table("FM" * 10, "ab" * 10, content=[None] * 20)
    splits = stratified_splits(whole, ["gender"], (0.6, 0.2, 0.2), 0)
    assert len(splits.train) == 12
    assert splits.notes == ()


def test_refusals() -> None:
    whole = table("FM" * 10, "ab" * 10)
    with pytest.raises(UsageError, match=r"must be above 0, not 1 / 0 / 0\.1$"):
        stratified_splits(whole, ["gender"], (1, 0, 0.1), 0)
    with pytest.raises(UsageError, match=r"^2 images split 0.78 / 0.11 / 0.11 leave none for \w+; use more images$"):
        stratified_splits(whole.take([0, 1]), ["gender"], (0.78, 0.11, 0.11), 0)
    with pytest.raises(UsageError, match=r"must be between 0 and 1, not 1$"):
        cut_validation(whole, whole, ["gender"], 1, 0)
    with pytest.raises(DataError, match=r"^there are no official splits for training and testing here, only all; "):
        official_splits(whole, ["gender"], 0)
