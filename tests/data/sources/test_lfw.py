"""LFW: identities from folders, gender from a table or from name lists."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from PIL import Image

from fairaudit.data.sources.lfw import load
from fairaudit.errors import DataError

PEOPLE = {"Ann_Lee": 2, "Bo_Q_Chan": 1, "Cy_Wu": 1, "Di_Roe": 1}


@pytest.fixture(params=["", "lfw-deepfunneled"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    for person, n in PEOPLE.items():
        folder = tmp_path / request.param / person
        folder.mkdir(parents=True)
        for i in range(n):
            Image.new("RGB", (8, 8)).save(folder / f"{person}_{i + 1:04d}.jpg")
    return tmp_path


def test_gender_lists_of_images_and_people(root: Path) -> None:
    (root / "female_names.txt").write_text("Ann_Lee_0001.jpg\r\nAnn_Lee_0002.jpg\r\nCy_Wu\r\n\r\n")
    (root / "male_names.txt").write_text("Bo_Q_Chan/Bo_Q_Chan_0001.jpg\nCy_Wu\n")
    manifest = load(root, "all")
    by_file = {Path(str(row.row)).name: (row.identity, row.gender) for row in manifest.frame.itertuples(index=False)}
    assert by_file["Ann_Lee_0002.jpg"] == ("Ann_Lee", "female")
    assert by_file["Bo_Q_Chan_0001.jpg"] == ("Bo_Q_Chan", "male")
    assert by_file["Cy_Wu_0001.jpg"][0] == "Cy_Wu"
    assert manifest.frame["gender"].isna().sum() == 2
    assert manifest.notes == (
        "1 images are in both gender lists; they are kept and their gender counts as missing",
        "1 images are in no gender list; they are kept and their gender counts as missing",
    )
    assert manifest.store.missing(manifest.frame["row"].tolist()) == []


def test_a_labels_table_wins(root: Path) -> None:
    (root / "female_names.txt").write_text("Bo_Q_Chan\n")
    (root / "labels.csv").write_text("path,gender\nBo_Q_Chan/Bo_Q_Chan_0001.jpg,M\n")
    manifest = load(root, "all")
    assert manifest.frame[["identity", "gender"]].values.tolist() == [["Bo_Q_Chan", "male"]]
    (root / "labels.csv").write_text("path,gender,identity\nx/1.jpg,female,p9\nx/2.jpg,,\n")
    manifest = load(root, "all")
    assert manifest.frame["identity"].isna().tolist() == [False, True]
    assert manifest.notes[0] == "labels.csv: 1 label of 'gender' is empty; the image is kept and counted as missing"


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has neither labels\.csv nor female_names\.txt and male_names\.txt; to get"):
        load(tmp_path, "all")
    (tmp_path / "female_names.txt").touch()
    (tmp_path / "male_names.txt").touch()
    with pytest.raises(DataError, match="has no images in folders, one per person"):
        load(tmp_path, "all")


@pytest.mark.real
def test_real_people(shared: Path, tmp_path: Path) -> None:
    real = shared / "data" / "lfw"
    manifest = load(real, "all")
    assert len(manifest) == 2_015
    assert manifest.frame["identity"].nunique() == 600
    assert manifest.notes == ()
    # the lists that people publish give the same labels as the table made from them
    with (real / "labels.csv").open() as lines:
        labels = list(csv.DictReader(lines))
    (tmp_path / "lfw").symlink_to(real)
    for gender in ("female", "male"):
        names = [Path(row["path"]).name for row in labels if row["gender"] == gender]
        (tmp_path / f"{gender}_names.txt").write_text("\n".join(names))
    listed = load(tmp_path, "all").frame.set_index("row")["gender"]
    assert listed.to_dict() == {f"lfw/{row['path']}": row["gender"] for row in labels}
