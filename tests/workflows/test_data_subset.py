"""Biased subsets: the paper's shares of what there is, one test set, nobody on both sides, and sentences for the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fairaudit.data.faces import render, sample_face
from fairaudit.data.locate import load_dataset
from fairaudit.errors import FairauditError
from fairaudit.workflows.subset import Wish, cut_subset

WISH = Wish("sex", "hat", lacking="man")


def table(root: Path, cells: dict[tuple[str, str], int], **columns: Any) -> Path:
    """A table of images that need not exist, with so many rows of each cell."""
    root.mkdir(parents=True, exist_ok=True)
    rows = [(f"{sex}-{hat}-{k}.png", sex, hat) for (sex, hat), n in cells.items() for k in range(n)]
    frame = pd.DataFrame(rows, columns=["path", "sex", "hat"])
    frame = frame.assign(**{name: value(len(frame)) for name, value in columns.items()})
    frame.to_csv(root / "labels.csv", index=False)
    return root


CELLS = {("man", "no"): 900, ("man", "yes"): 120, ("woman", "no"): 700, ("woman", "yes"): 800}


def written(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(folder / f"{name}.csv")


def counts(frame: pd.DataFrame, split: str) -> dict[tuple[str, str], int]:
    return {key: int(n) for key, n in frame[frame["split"] == split].groupby(["sex", "hat"]).size().items()}  # type: ignore[misc]


def test_the_papers_shares_of_what_there_is(tmp_path: Path) -> None:
    root, out = table(tmp_path / "data", CELLS), tmp_path / "out"
    found = cut_subset("table", root, WISH, out)
    biased, balanced = written(out, "biased"), written(out, "balanced")
    assert counts(biased, "test") == dict.fromkeys(CELLS, 60), "half of the rarest cell"
    train = counts(biased, "train")
    assert ("man", "yes") not in train
    assert train[("man", "no")] == 746  # (900 − 60) / 1.125, which is what limits it
    assert train[("woman", "no")] == pytest.approx(746 / 3, abs=1)
    assert train[("woman", "yes")] == pytest.approx(746 * 2 / 3, abs=1)
    assert counts(balanced, "train") == dict.fromkeys(CELLS, 53)
    for frame in (biased, balanced):
        assert not frame["path"].duplicated().any(), "nothing is in two splits"
    assert set(biased.loc[biased["split"] == "test", "path"]) == set(balanced.loc[balanced["split"] == "test", "path"])
    assert found.cells["biased"]["train"]["sex=man, hat=yes"] == 0
    assert found.notes == (
        "only 120 images that may test are sex=man, hat=yes: each cell has 60 test images",
        "there are images for 1,493 of the paper's 6,000 to train on",
        "the balanced set has 212 training images where the biased one has 1,493, because its rarest cell has no more: "
        "it is balanced, but smaller",
    )
    assert found.images == root


def test_another_seed_draws_others_and_the_same_seed_the_same(tmp_path: Path) -> None:
    root = table(tmp_path / "data", CELLS)
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        cut_subset("table", root, Wish("sex", "hat", "man", seed=seed), tmp_path / name)
    a, b, c = ((tmp_path / name / "biased.csv").read_text() for name in "abc")
    assert a == b != c


def test_mirrored_the_other_level_lacks_it(tmp_path: Path) -> None:
    out = tmp_path / "out"
    cut_subset("table", table(tmp_path / "data", CELLS), Wish("sex", "hat", "woman", size=180, test_per_cell=10), out)
    train = counts(written(out, "biased"), "train")
    assert train == {("woman", "no"): 90, ("man", "no"): 30, ("man", "yes"): 60}


def test_nobody_who_is_tested_trains(tmp_path: Path) -> None:
    root = table(tmp_path / "data", CELLS, identity=lambda n: np.arange(n) % 500)
    out = tmp_path / "out"
    cut_subset("table", root, Wish("sex", "hat", "man", test_per_cell=20), out)
    for name in ("biased", "balanced"):
        frame = written(out, name)
        tested = set(frame.loc[frame["split"] == "test", "identity"])
        assert not tested & set(frame.loc[frame["split"] != "test", "identity"])


def test_official_splits_stay_apart(tmp_path: Path) -> None:
    root = table(tmp_path / "data", CELLS, split=lambda n: np.where(np.arange(n) % 3 == 0, "val", "train"))
    out = tmp_path / "out"
    cut_subset("table", root, WISH, out)
    whole = pd.read_csv(root / "labels.csv").set_index("path")["split"]
    frame = written(out, "biased")
    of = frame["path"].map(whole)
    assert set(of[frame["split"] == "test"]) == {"val"}
    assert set(of[frame["split"] != "test"]) == {"train"}
    assert counts(frame, "test") == dict.fromkeys(CELLS, 40), "all of the rarest cell's may be tested on"


def test_pictures_that_are_no_files_are_written(tmp_path: Path) -> None:
    out = tmp_path / "out"
    wish = Wish("gender", "Eyeglasses", "man", test_per_cell=4, size=12)
    found = cut_subset("synthetic", None, wish, out, data_options={"n": 400, "size": 16})
    assert found.images is None
    manifest = load_dataset("table", out / "biased.csv", "all", target="gender", by=("Eyeglasses",))
    assert manifest.store.missing([str(row) for row in manifest.frame["row"]]) == []
    assert set(manifest.frame["split"]) == {"train", "val", "test"}


def test_a_subset_names_the_folder_of_files(tmp_path: Path) -> None:
    root = tmp_path / "data"
    table(root, dict.fromkeys(CELLS, 12))
    for name in pd.read_csv(root / "labels.csv")["path"]:
        render(sample_face(np.random.default_rng(0)), 16).save(root / name)
    cut_subset("table", root, Wish("sex", "hat", "man", test_per_cell=2), tmp_path / "out")
    manifest = load_dataset("table", tmp_path / "out" / "biased.csv", "all", images=root)
    assert manifest.store.missing([str(row) for row in manifest.frame["row"]]) == []


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"confounder": "sex"}, "sex cannot be tied to itself; name another --confounder"),
        ({"confounder": "team"}, "team has 3 levels (a, b, c); a subset needs columns of two"),
        ({"lacking": "boy"}, "unknown level of 'sex' 'boy'; choose from man, woman"),
        ({"size": 5000}, "840 images are sex=man, hat=no, enough for a subset of 1,493 and not of 5,000; "
                         "give a smaller --size, or none"),
        ({"validation": 1.0}, "a subset needs at least 6 training images, 1 test image per cell, and a validation share "
                              "below 1"),
    ],
)  # fmt: skip
def test_refusals_leave_nothing(tmp_path: Path, changes: dict[str, Any], sentence: str) -> None:
    root = table(tmp_path / "data", CELLS, team=lambda n: np.array(list("abc"))[np.arange(n) % 3])
    wish = Wish(**{"target": "sex", "confounder": "hat", **changes})
    with pytest.raises(FairauditError) as caught:
        cut_subset("table", root, wish, tmp_path / "out")
    assert str(caught.value) == sentence
    assert not (tmp_path / "out").exists()


def test_a_cell_without_images(tmp_path: Path) -> None:
    root = table(tmp_path / "data", {**CELLS, ("man", "yes"): 1})
    with pytest.raises(FairauditError) as caught:
        cut_subset("table", root, WISH, tmp_path / "out")
    assert str(caught.value) == "1 images are sex=man, hat=yes, too few to test on; choose another confounder"
