"""Any table: the user's column names, inferred columns, a card made of them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from fairaudit.data.sources.table import load
from fairaudit.errors import DataError

TABLE = """where,label,tone,age,person,part,note
img/1.jpg,cat,dark,3,p1,train,x
img/2.jpg,dog,light,4,p1,test,y
img/3.jpg,cat,,5,,test,
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "img").mkdir()
    for i in (1, 2, 3, 4):
        Image.new("RGB", (8, 8)).save(tmp_path / "img" / f"{i}.jpg")
    (tmp_path / "faces.csv").write_text(TABLE)
    return tmp_path


def test_named_columns(root: Path) -> None:
    manifest = load(
        root,
        "all",
        path_column="where",
        target="label",
        by=("tone", "tone,label"),
        identity_column="person",
        split_column="part",
    )
    frame = manifest.frame
    assert frame["row"].tolist() == ["img/1.jpg", "img/2.jpg", "img/3.jpg"]
    assert frame["split"].tolist() == ["train", "test", "test"]
    assert frame["identity"].tolist()[:2] == ["p1", "p1"]
    assert frame["identity"].isna().tolist() == [False, False, True]
    assert frame["age"].tolist() == [3.0, 4.0, 5.0]
    assert manifest.levels("tone") == ("dark", "light")
    card = manifest.card
    assert (card.target, card.by) == ("label", (("tone",), ("tone", "label")))
    assert card.levels["label"] == ("cat", "dog")
    assert card.numeric == ("age",)
    assert "faces.csv: 1 label of 'tone' is empty; the image is kept and counted as missing" in manifest.notes
    assert manifest.notes[-1] == "1 image has no label in faces.csv and is left out"
    test = load(root, "test", path_column="where", split_column="part")
    assert len(test) == 2


@pytest.mark.parametrize("form", ["file", "parquet", "named"])
def test_where_the_table_is(root: Path, form: str) -> None:
    if form == "file":
        manifest = load(root / "faces.csv", "all", path_column="where")
    elif form == "parquet":
        pd.read_csv(root / "faces.csv").to_parquet(root / "labels.parquet")
        manifest = load(root, "all", path_column="where")
    else:
        (root / "other.csv").write_text("path\nimg/9.jpg\n")
        with pytest.raises(DataError, match=r"holds several tables, 'faces\.csv', 'other\.csv'; name one with the option"):
            load(root, "all", path_column="where")
        manifest = load(root, "all", file="faces.csv", path_column="where")
    assert len(manifest) == 3
    assert manifest.store.missing(manifest.frame["row"].tolist()) == []


def test_refusals(root: Path) -> None:
    with pytest.raises(DataError) as caught:
        load(root, "all", path_column="where", target="lable", by=("tone,sex",))
    assert str(caught.value) == (
        f"{root / 'faces.csv'} lacks the columns 'lable', 'sex'; "
        "it has 'where', 'label', 'tone', 'age', 'person', 'part', 'note'"
    )
    with pytest.raises(DataError, match="has no column that names the images"):
        load(root, "all")
    (root / "faces.csv").write_text("path,row\n../1.jpg,3\n")
    with pytest.raises(DataError, match="the column 'row' has a name that fairaudit keeps for itself; rename it"):
        load(root, "all")
    (root / "faces.csv").write_text("path\n../1.jpg\n")
    with pytest.raises(DataError, match=r"1 paths leave the dataset's root, the first is '\.\./1\.jpg'"):
        load(root, "all")
    (root / "faces.csv").unlink()
    with pytest.raises(DataError, match="holds no table; write a CSV or Parquet table"):
        load(root, "all")


@pytest.mark.real
def test_real_predictions_table_is_a_table(shared: Path) -> None:
    manifest = load(shared / "data" / "fairface" / "predictions_bal_aug.csv", "all", target="gender", by=("race",))
    assert len(manifest) == 5_162
    assert manifest.card.numeric == ("p_female",)
    assert len(manifest.levels("race")) == 7
