"""Label tables: read as text, refused with counts, encoded into declared levels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fairaudit.data.label_table import encode, infer_columns, missing_notes, numbers, path_column, read_table, row_ids
from fairaudit.errors import DataError

HERE = Path("labels.csv")


def _text(*values: str) -> pd.Series[str]:
    return pd.Series(values, dtype=str)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_csv_of_any_origin(tmp_path: Path, encoding: str, newline: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes(newline.join([" path ,name", "a.jpg, Zoë ", 'b.jpg,"NA"', "007,"]).encode(encoding))
    assert read_table(path).to_dict("list") == {"path": ["a.jpg", "b.jpg", "007"], "name": ["Zoë", "NA", ""]}


def test_tsv(tmp_path: Path) -> None:
    (tmp_path / "labels.tsv").write_text("path\tname\na.jpg\tx, y\n")
    assert read_table(tmp_path / "labels.tsv").loc[0, "name"] == "x, y"


def test_parquet_reads_like_csv(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "path": ["a", "b", "c"],
            "code": [1.0, None, 0.0],
            "score": [0.5, 1.0, None],
            "flag": [True, False, True],
            "level": pd.Categorical(["x", None, "y"]),
        }
    )
    frame.to_parquet(tmp_path / "t.parquet")
    table = read_table(tmp_path / "t.parquet")
    assert table["code"].tolist() == ["1", "", "0"]
    assert table["score"].tolist() == ["0.5", "1.0", ""]
    assert table["flag"].tolist() == ["True", "False", "True"]
    assert table["level"].tolist() == ["x", "", "y"]


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e300, 2.0**63])
@pytest.mark.parametrize("kind", ["float64", "float32"])
def test_floats_that_are_no_integers_of_64_bits_stay_texts(tmp_path: Path, value: float, kind: str) -> None:
    with np.errstate(over="ignore"):
        stored = np.array([value, 1.0]).astype(kind)
    pd.DataFrame({"path": ["a", "b"], "code": stored}).to_parquet(tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet")["code"].tolist() == [str(float(stored[0])), "1.0"]


def test_refusals_of_files(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    with pytest.raises(DataError, match=r"there is no file .*labels\.csv"):
        read_table(path)
    path.write_bytes("path\nZoë.jpg".encode("latin-1"))
    with pytest.raises(DataError, match=r"labels\.csv is not UTF-8 \(line 2\); save it as UTF-8"):
        read_table(path)
    path.write_text("")
    with pytest.raises(DataError, match=r"labels\.csv cannot be read as a table: No columns to parse from file"):
        read_table(path)
    path.write_text("path,name\na.jpg,x\nb.jpg,y,z\n")
    with pytest.raises(DataError, match=r"labels\.csv cannot be read as a table: .*Expected 2 fields in line 3, saw 3"):
        read_table(path)
    path.write_text("path,name\na.jpg,x,\nb.jpg,y,z\n")
    with pytest.raises(DataError, match=r"labels\.csv cannot be read as a table: Length of header or names"):
        read_table(path)
    path.write_text("path;gender\na;b\n")
    with pytest.raises(DataError) as caught:
        read_table(path, ("path", "gender"))
    assert str(caught.value) == f"{path} lacks the columns 'path', 'gender'; it has 'path;gender'"
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(DataError, match=r"broken\.parquet cannot be read as a table"):
        read_table(tmp_path / "broken.parquet")


def test_the_path_column_is_found_or_named() -> None:
    frame = pd.DataFrame({"gender": [""], "File": [""], "where": [""]})
    assert path_column(frame, HERE) == "File"
    assert path_column(frame, HERE, "where") == "where"
    with pytest.raises(DataError, match=r"labels\.csv lacks the column 'wher'; it has 'gender', 'File', 'where'"):
        path_column(frame, HERE, "wher")
    with pytest.raises(DataError, match="has no column that names the images"):
        path_column(frame[["gender"]], HERE)


def test_row_ids() -> None:
    assert row_ids(_text("./a\\b.jpg", "c.jpg"), HERE).tolist() == ["a/b.jpg", "c.jpg"]
    assert row_ids(_text("../a.jpg"), HERE).tolist() == ["../a.jpg"], "the manifest must see and refuse it"
    with pytest.raises(DataError, match=r"labels\.csv: 1 of 2 rows name no image"):
        row_ids(_text("a.jpg", ""), HERE)


def test_encode_keeps_declared_order_and_missing() -> None:
    column = encode(_text("WHITE", "", "b", "Black"), ("White", "Black", "Asian"), {"b": "Black"}, "race", HERE)
    assert column.codes.tolist() == [0, -1, 1, 1]
    assert list(column.categories) == ["White", "Black", "Asian"]


def test_unknown_levels_are_counted() -> None:
    with pytest.raises(DataError) as caught:
        encode(_text("Elf", "White", "Orc", "Elf"), ("White", "Black"), {}, "race", HERE)
    assert str(caught.value) == (
        "labels.csv: 3 labels of 'race' are none of its levels: 'Elf' (2), 'Orc' (1); the levels are White, Black "
        "(first in row 1)"
    )


def test_numbers() -> None:
    assert np.allclose(numbers(_text("1", "", "2.5"), "age", HERE), [1, np.nan, 2.5], equal_nan=True)
    with pytest.raises(DataError, match=r"labels.csv: 2 values of 'age' are not numbers: 'old' \(1\), 'inf' \(1\)"):
        numbers(_text("1", "old", "inf"), "age", HERE)


def test_inference() -> None:
    n = 120
    table = pd.DataFrame(
        {
            "age": ["30"] * n,
            "label": [str(i % 11) for i in range(n)],
            "count": [str(i) for i in range(n)],
            "score": ["0.5", "1"] * (n // 2),
            "race": ["b", "a", ""] * (n // 3),
            "remark": [f"text {i}" for i in range(n)],
            "empty": [""] * n,
        },
        dtype=str,
    )
    columns, notes = infer_columns(table, ["count"], HERE)
    numeric = {name for name, values in columns.items() if not isinstance(values, pd.Categorical)}
    assert numeric == {"age", "score"}
    label, race, count = (columns[name] for name in ("label", "race", "count"))
    assert isinstance(label, pd.Categorical)
    assert isinstance(race, pd.Categorical)
    assert isinstance(count, pd.Categorical)
    assert list(label.categories) == [str(i) for i in range(11)], "numbers in numeric order, not '1', '10', '2'"
    assert list(race.categories) == ["a", "b"]
    assert len(count.categories) == n
    assert notes == [
        "labels.csv: column 'remark' has 120 distinct texts and is left out",
        "labels.csv: 40 labels of 'race' are empty; the images are kept and counted as missing",
        "labels.csv: 120 labels of 'empty' are empty; the images are kept and counted as missing",
    ]


def test_one_missing_label_is_singular() -> None:
    assert missing_notes({"g": pd.Categorical(["a", None])}, "t.csv") == [
        "t.csv: 1 label of 'g' is empty; the image is kept and counted as missing"
    ]
