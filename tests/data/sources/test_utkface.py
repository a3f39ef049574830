"""UTKFace: labels out of file names, malformed ones named and never guessed at."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from fairaudit.data.sources.utkface import load
from fairaudit.errors import DataError

GOOD = {
    "1_0_2_20161219154354285.jpg.chip.jpg": ("male", "Asian", "0-2", 1.0),
    "26_1_0_20170112234340711.jpg.chip.jpg": ("female", "White", "20-29", 26.0),
    "9_1_3_20170104222252734.jpg": ("female", "Indian", "3-9", 9.0),
    "70_0_1_20170103182716210.JPG": ("male", "Black", "70+", 70.0),
    "116_1_4_20170103182716210.png": ("female", "Others", "70+", 116.0),
}
# the ways in which published names are broken, and labels outside their range
BAD = [
    "39_1_20170116174525125.jpg.chip.jpg",
    "24_0_1_20170116220224657 .jpg.chip.jpg",
    "55_0_0_20170116232725357jpg.chip.jpg",
    "24_3_1_20170116220224657.jpg.chip.jpg",
    "24_1_5_20170116220224657.jpg.chip.jpg",
]


def _pictures(folder: Path, names: list[str]) -> None:
    folder.mkdir(exist_ok=True)
    for name in names:
        Image.new("RGB", (8, 8)).save(folder / name, "JPEG")


@pytest.mark.parametrize("below", ["", "UTKFace"])
def test_labels_from_names(tmp_path: Path, below: str) -> None:
    _pictures(tmp_path / below, list(GOOD))
    manifest = load(tmp_path, "all")
    prefix = f"{below}/" if below else ""
    found = {row.row: (row.gender, row.race, row.age_group, row.age) for row in manifest.frame.itertuples(index=False)}
    assert found == {prefix + name: labels for name, labels in GOOD.items()}
    assert manifest.levels("gender") == ("male", "female")
    assert manifest.levels("race") == ("White", "Black", "Asian", "Indian", "Others")
    assert manifest.store.missing(manifest.frame["row"].tolist()) == []
    assert manifest.notes == ()


def test_malformed_names_are_skipped_counted_and_named(tmp_path: Path) -> None:
    _pictures(tmp_path, [*GOOD, *BAD])
    manifest = load(tmp_path, "all")
    assert len(manifest) == len(GOOD)
    assert manifest.notes == (
        "5 files are skipped because the name is not [age]_[gender]_[race]_[stamp].jpg: "
        + ", ".join(repr(name) for name in sorted(BAD)),
    )
    with pytest.raises(DataError) as caught:
        load(tmp_path, "all", strict=True)
    assert str(caught.value).startswith(f"5 files in {tmp_path} are not named [age]_[gender]_[race]_[stamp].jpg: ")
    assert str(caught.value).endswith("; mend or remove them, or leave out the option strict")


def test_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has no images named \[age\]_\[gender\]_\[race\]_\[stamp\]\.jpg; to get"):
        load(tmp_path, "all")
    _pictures(tmp_path, BAD)
    with pytest.raises(DataError, match=r"the 5 images in .* are not named"):
        load(tmp_path, "all")


def test_there_are_no_splits(tmp_path: Path) -> None:
    _pictures(tmp_path, list(GOOD))
    with pytest.raises(DataError, match="there is no split 'val'; the images here are not split"):
        load(tmp_path, "val")


@pytest.mark.real
def test_real_names(shared: Path) -> None:
    manifest = load(shared / "data" / "utkface", "all")
    assert manifest.frame.groupby(["race", "gender"], observed=False).size().tolist() == [600] * 10
    for row in manifest.frame.iloc[::500].itertuples(index=False):
        age, gender, race, _ = str(row.row).split("_")
        assert (row.age, row.gender) == (float(age), ("male", "female")[int(gender)])
        assert row.race == ("White", "Black", "Asian", "Indian", "Others")[int(race)]
    wild = load(shared / "data" / "utkface_wild", "all")
    counts = wild.frame["race"].value_counts()
    assert counts.to_dict() == {"White": 2479, "Black": 800, "Indian": 627, "Asian": 569, "Others": 25}
