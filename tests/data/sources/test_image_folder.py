"""Class folders, with attributes joined by file name."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from fairaudit.data.sources.image_folder import load
from fairaudit.errors import DataError


def _pictures(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(root / name)


def test_classes_alone(tmp_path: Path) -> None:
    _pictures(tmp_path, "dog/b.jpg", "cat/a.jpg", "cat/deep/c.jpg", "stray.jpg")
    (tmp_path / "owl").mkdir()
    manifest = load(tmp_path, "all")
    assert manifest.frame["row"].tolist() == ["cat/a.jpg", "cat/deep/c.jpg", "dog/b.jpg"]
    assert manifest.frame["class"].tolist() == ["cat", "cat", "dog"]
    assert manifest.levels("class") == ("cat", "dog", "owl"), "an empty class is still a class of the model"
    assert manifest.notes == (
        "no images in the class folder 'owl'",
        "1 image lies in no class folder and is left out",
    )


def test_splits(tmp_path: Path) -> None:
    _pictures(tmp_path, "train/cat/a.jpg", "valid/cat/a.jpg", "valid/dog/b.jpg")
    manifest = load(tmp_path, "val", folder_column="animal")
    assert manifest.frame["row"].tolist() == ["valid/cat/a.jpg", "valid/dog/b.jpg"]
    assert manifest.levels("animal") == ("cat", "dog")
    assert manifest.card.target == "animal"


@pytest.mark.parametrize("bare", [True, False])
@pytest.mark.parametrize("named", [True, False])
def test_attributes_are_joined(tmp_path: Path, bare: bool, named: bool) -> None:
    _pictures(tmp_path, "dog/b.jpg", "cat/a.jpg", "cat/c.jpg")
    names = ["b.jpg", "a.jpg", "z.jpg"] if bare else ["dog/b.jpg", "./cat/a.jpg", "cat/z.jpg"]
    path = tmp_path / ("mine.csv" if named else "attributes.csv")
    path.write_text("file,tone,age\n" + "".join(f"{n},{t},{a}\n" for n, t, a in zip(names, "xyz", (1, 2, 3), strict=True)))
    for attributes in (path, Path("mine.csv")) if named else (None,):
        manifest = load(tmp_path, "all", attributes=attributes, by=("tone", "tone,class"))
        found = {row.row: (row.tone, row.age) for row in manifest.frame.itertuples(index=False)}
        assert found["dog/b.jpg"] == ("x", 1.0)
        assert found["cat/a.jpg"] == ("y", 2.0)
        assert manifest.frame["tone"].isna().sum() == 1
        assert manifest.card.by == (("tone",), ("tone", "class"))
        assert manifest.notes[0] == f"{path.name}: 1 names are no image in a class folder, the first is {names[2]!r}"


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no images in folders, one per class; sort the images"):
        load(tmp_path, "all")
    _pictures(tmp_path, "dog/a.jpg", "cat/a.jpg")
    with pytest.raises(DataError, match=r"has no table of attributes .* to take 'tone' from"):
        load(tmp_path, "all", by=("tone",))
    path = tmp_path / "attributes.csv"
    path.write_text("file,tone\na.jpg,x\n")
    with pytest.raises(DataError, match=r"'a\.jpg' is the name of images in several folders; write paths relative"):
        load(tmp_path, "all")
    path.write_text("file,tone\ndog/a.jpg,x\ndog/a.jpg,y\n")
    with pytest.raises(DataError, match=r"lists 1 images more than once, the first is 'dog/a\.jpg'"):
        load(tmp_path, "all")
    path.write_text("file,tone\ndog/q.jpg,x\n")
    with pytest.raises(DataError, match=r"none of the 1 names in .* is an image below its class folders, such as 'cat/a"):
        load(tmp_path, "all")
    path.write_text("file,tone\ndog/a.jpg,x\n")
    with pytest.raises(DataError, match=r"attributes\.csv lacks the column 'sex'; it has 'tone'"):
        load(tmp_path, "all", by=("sex",))
    with pytest.raises(DataError, match="a column cannot be called 'row'"):
        load(tmp_path, "all", folder_column="row")
