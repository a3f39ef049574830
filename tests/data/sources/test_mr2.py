"""MR2: labels out of names, or out of a table that wins."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from fairaudit.data.sources.mr2 import CARD, load
from fairaudit.errors import DataError


def _pictures(folder: Path, *names: str) -> None:
    for name in names:
        Image.new("RGB", (8, 8)).save(folder / name, "PNG")


def test_names(tmp_path: Path) -> None:
    _pictures(tmp_path, "MR2af01.png", "mr2BM02.PNG", "ef03.png", "MR2wm11.png", "poster.png")
    manifest = load(tmp_path, "all")
    found = {row.row: (row.race, row.gender) for row in manifest.frame.itertuples(index=False)}
    assert found == {
        "MR2af01.png": ("Asian", "Female"),
        "mr2BM02.PNG": ("African", "Male"),
        "ef03.png": ("European", "Female"),
        "MR2wm11.png": ("European", "Male"),
    }
    assert manifest.notes == ("1 images are not named like MR2af01.png and are left out: 'poster.png'",)
    assert manifest.card.self_identified


def test_a_labels_table_wins(tmp_path: Path) -> None:
    _pictures(tmp_path, "MR2af01.png", "MR2bm02.png")
    (tmp_path / "labels.csv").write_text("file,race,gender,age\nMR2af01.png,Black,f,27.5\ngone.png,,male,\n")
    manifest = load(tmp_path, "all")
    assert manifest.frame["race"].cat.codes.tolist() == [0, -1]
    assert manifest.frame["gender"].tolist() == ["Female", "Male"]
    assert manifest.frame["age"].isna().tolist() == [False, True]
    assert manifest.store.missing(manifest.frame["row"].tolist()) == ["gone.png"]
    assert manifest.notes == (
        "labels.csv: 1 label of 'race' is empty; the image is kept and counted as missing",
        "labels.csv: 1 label of 'age' is empty; the image is kept and counted as missing",
        "1 image has no label in labels.csv and is left out",
    )


def test_refusals(tmp_path: Path) -> None:
    _pictures(tmp_path, "portrait.png")
    with pytest.raises(DataError, match=r"has neither labels\.csv nor images named like MR2af01\.png"):
        load(tmp_path, "all")
    (tmp_path / "labels.csv").write_text("file,race,gender\nportrait.png,Elf,f\n")
    with pytest.raises(DataError) as caught:
        load(tmp_path, "all")
    assert str(caught.value) == (
        f"{tmp_path / 'labels.csv'}: 1 labels of 'race' are none of its levels: 'Elf' (1); "
        "the levels are African, Asian, European (first in row 1)"
    )


@pytest.mark.real
def test_real_faces(shared: Path) -> None:
    manifest = load(shared / "data" / "mr2", "all")
    assert set(manifest.frame["race"]) == {"Asian"}
    assert set(manifest.frame["gender"]) == {"Female"}
    assert len(manifest) == 12
    assert manifest.levels("race") == CARD.levels["race"]
