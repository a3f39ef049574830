"""FairFace: the official layout and the hub's Parquet export give the same labels."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from fairaudit.data.sources.fairface import CARD, load
from fairaudit.errors import DataError

HEADER = "file,age,gender,race,service_test\n"
HUB_NAMES = {
    "age": ["0-2", "3-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "more than 70"],
    "gender": ["Male", "Female"],
    "race": ["East Asian", "Indian", "Black", "White", "Middle Eastern", "Latino_Hispanic", "Southeast Asian"],
}
ROWS = [
    ("val/1.jpg", "3-9", "Male", "East Asian", False),
    ("val/2.jpg", "more than 70", "Female", "White", True),
    ("val/3.jpg", "20-29", "Female", "Black", True),
]


def _jpeg(shade: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), (shade, shade, shade)).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture
def official(tmp_path: Path) -> Path:
    for part in ("train", "val"):
        (tmp_path / part).mkdir()
    for i, row in enumerate(ROWS):
        (tmp_path / row[0]).write_bytes(_jpeg(40 * i))
    (tmp_path / "train" / "1.jpg").write_bytes(_jpeg(0))
    lines = "".join(f"{','.join(map(str, row))}\n" for row in ROWS)
    (tmp_path / "fairface_label_val.csv").write_text(HEADER + lines)
    (tmp_path / "fairface_label_train.csv").write_text(HEADER + "train/1.jpg,0-2,Male,Indian,False\n")
    return tmp_path


def _shard(path: Path, rows: list[tuple[str, str, str, str, bool]], names: dict[str, list[str]], keep_paths: bool) -> None:
    columns: dict[str, object] = {
        "image": [{"bytes": _jpeg(40 * i), "path": Path(row[0]).name if keep_paths else None} for i, row in enumerate(rows)]
    }
    for position, column in enumerate(("age", "gender", "race"), start=1):
        columns[column] = [names[column].index(str(row[position])) for row in rows]
    columns["service_test"] = [row[4] for row in rows]
    table = pa.table(columns)
    features = {c: {"names": n, "_type": "ClassLabel"} for c, n in names.items()} | {"image": {"_type": "Image"}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    pq.write_table(table.replace_schema_metadata(metadata), path)


def _labels(frame: pd.DataFrame) -> list[tuple[str, ...]]:
    return list(frame[["row", "split", "age", "gender", "race"]].astype(str).itertuples(index=False, name=None))


def test_official_layout(official: Path) -> None:
    manifest = load(official, "val")
    assert _labels(manifest.frame) == [(file, "val", age, gender, race) for file, age, gender, race, _ in ROWS]
    assert manifest.notes == ()
    assert manifest.levels("race") == CARD.levels["race"], "declared, so that races without images are seen to be absent"
    assert manifest.store.missing(manifest.frame["row"].tolist()) == []
    assert len(load(official, "all")) == 4
    assert load(official, "train").frame["row"].tolist() == ["train/1.jpg"]


def test_balanced_keeps_the_service_test(official: Path) -> None:
    assert load(official, "val", balanced=True).frame["row"].tolist() == ["val/2.jpg", "val/3.jpg"]
    with pytest.raises(DataError, match="lists no images for the split 'train' with service_test == True"):
        load(official, "train", balanced=True)


@pytest.mark.parametrize("keep_paths", [True, False])
@pytest.mark.parametrize("order", ["hub", "reversed"])
@pytest.mark.parametrize("folder", ["", "data", "0.25"])
def test_parquet_export_gives_the_same_labels(tmp_path: Path, order: str, keep_paths: bool, folder: str) -> None:
    names = {c: n if order == "hub" else n[::-1] for c, n in HUB_NAMES.items()}
    (tmp_path / folder).mkdir(exist_ok=True)
    _shard(tmp_path / folder / "validation-00000-of-00002.parquet", ROWS[:2], names, keep_paths)
    _shard(tmp_path / folder / "validation-00001-of-00002.parquet", ROWS[2:], names, keep_paths)
    manifest = load(tmp_path, "val")
    expected = ["val/1.jpg", "val/2.jpg", "val/3.jpg"] if keep_paths else ["val/000000", "val/000001", "val/000002"]
    assert _labels(manifest.frame) == [(row, "val", *labels[1:4]) for row, labels in zip(expected, ROWS, strict=True)]
    assert [manifest.store.read(row) for row in expected] == [_jpeg(0), _jpeg(40), _jpeg(0)]
    assert len(load(tmp_path, "val", balanced=True)) == 2
    with pytest.raises(DataError, match="has no Parquet files for the split 'train'; it has val"):
        load(tmp_path, "train")


def test_row_ids_of_a_split_do_not_depend_on_the_others(tmp_path: Path) -> None:
    _shard(tmp_path / "validation-0.parquet", ROWS, HUB_NAMES, True)
    _shard(tmp_path / "train-0.parquet", [ROWS[0], ROWS[0]], HUB_NAMES, True)
    assert load(tmp_path, "all").frame["row"].tolist() == ["train/000000", "train/000001", *(row[0] for row in ROWS)]
    assert load(tmp_path, "val").frame["row"].tolist() == [row[0] for row in ROWS]


def test_text_labels_in_parquet_need_no_names(tmp_path: Path) -> None:
    table = pa.table({"file": [{"bytes": b"x", "path": "9.jpg"}], "age": ["0-2"], "gender": ["Male"], "race": ["White"]})
    pq.write_table(table, tmp_path / "val-0.parquet")
    assert _labels(load(tmp_path, "val").frame) == [("val/9.jpg", "val", "0-2", "Male", "White")]
    with pytest.raises(DataError, match="the option balanced needs the column 'service_test'"):
        load(tmp_path, "val", balanced=True)


def test_integers_without_names_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "train-0.parquet"
    image = [{"bytes": b"x", "path": None}]
    pq.write_table(pa.table({"image": image, "age": [0], "gender": [1], "race": [2]}), path)
    with pytest.raises(DataError) as caught:
        load(tmp_path, "train")
    assert str(caught.value) == (
        f"{path}: column 'age' holds integers, but the schema's metadata does not name its classes; "
        "export the dataset with its features"
    )
    _shard(path, [ROWS[0]], HUB_NAMES, True)
    metadata = pq.read_schema(path).metadata
    table = pq.read_table(path).set_column(1, "age", pa.array([9]))
    pq.write_table(table.replace_schema_metadata(metadata), path)
    with pytest.raises(DataError, match="1 labels of 'age' have no name, the first is 9"):
        load(tmp_path, "train")
    pq.write_table(table.replace_schema_metadata({"huggingface": "{}"}), path)
    with pytest.raises(DataError, match="the class names in the schema's metadata cannot be understood: KeyError"):
        load(tmp_path, "train")


def test_two_margins_must_be_chosen(tmp_path: Path) -> None:
    for margin in ("0.25", "1.25"):
        (tmp_path / margin).mkdir()
        _shard(tmp_path / margin / "train-0.parquet", [ROWS[0]], HUB_NAMES, True)
    with pytest.raises(DataError, match=r"holds two versions of the images, 0\.25 and 1\.25; choose with --root .*0\.25$"):
        load(tmp_path, "train")


def test_refusals_and_notes(official: Path) -> None:
    path = official / "fairface_label_val.csv"
    path.write_text(HEADER + "val/1.jpg,3-9,,Elf,False\nval/2.jpg,3-9,Male,Elf,False\n")
    with pytest.raises(
        DataError, match=r"fairface_label_val\.csv: 2 labels of 'race' are none of its levels: 'Elf' \(2\);"
    ):
        load(official, "val")
    path.write_bytes((HEADER + "val/1.jpg,3-9,,White,False\nval/99.jpg,3-9,Male,White,False\n").encode("utf-8-sig"))
    manifest = load(official, "val")
    assert manifest.notes == (
        "fairface_label_val.csv: 1 label of 'gender' is empty; the image is kept and counted as missing",
        "2 images have no label in fairface_label_val.csv and are left out",
    )
    assert manifest.frame["gender"].isna().tolist() == [True, False]
    assert manifest.store.missing(manifest.frame["row"].tolist()) == ["val/99.jpg"], "listed, so that the run counts it"
    path.write_text(HEADER + "../../etc/1.jpg,3-9,Male,White,False\n")
    with pytest.raises(DataError, match="1 paths leave the dataset's root"):
        load(official, "val")
    path.write_text("file,age,race\nval/1.jpg,3-9,White\n")
    with pytest.raises(DataError, match="lacks the column 'gender'; it has 'file', 'age', 'race'"):
        load(official, "val")
    path.unlink()
    with pytest.raises(DataError, match=r"there is no file .*fairface_label_val\.csv; to get the dataset, download"):
        load(official, "val")
    with pytest.raises(DataError, match="fairface has no split 'vall'; did you mean 'val'"):
        load(official, "vall")


def test_an_empty_folder_says_what_belongs_there(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        load(tmp_path, "val")
    assert str(caught.value) == (
        f"{tmp_path} has neither fairface_label_train.csv nor fairface_label_val.csv nor train-*.parquet or "
        f"validation-*.parquet; to get the dataset, {CARD.obtain}"
    )


@pytest.mark.real
def test_real_label_tables(shared: Path) -> None:
    root = shared / "data" / "fairface"
    assert len(load(root, "train")) == 86_744
    assert len(load(root, "val")) == 10_954
    balanced = load(root, "val", balanced=True)
    assert len(balanced) == 5_162
    cells = balanced.frame.groupby(["race", "gender"], observed=False).size()
    assert cells["Black", "Female"] == 356
    assert cells["White", "Male"] == 385
    assert len(balanced.store.missing(balanced.frame["row"].tolist())) == 5_162, "no images there, and no row dropped"
