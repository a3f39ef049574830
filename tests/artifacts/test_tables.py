from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairaudit.artifacts.foreign import TableColumns
from fairaudit.artifacts.tables import read_predictions, write_predictions
from fairaudit.errors import PredictionsError
from fairaudit.predictions import Column, Predictions, Task

NAMES = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), min_size=1, max_size=6), min_size=2,
                 max_size=4, unique=True)  # fmt: skip


def small(scores: bool = True) -> Predictions:
    y_score = np.array([[0.9, 0.1], [1 / 3, 2 / 3], [0.25, 0.75]]) if scores else None
    return Predictions(
        rows=np.array(["a.jpg", "b/ü.jpg", 'c,"d".jpg'], dtype=object),
        tasks={"gender": Task(("Male", "Female"), np.array([0, 1, -1]), np.array([0, 1, 1]), y_score)},
        attributes={"race": Column.of(["White", None, "Black"], ["White", "Black", "Martian"])},
        numeric={"age": np.array([31.5, np.nan, 7.0])},
        identity=Column.of(["anna", "anna", None]),
    )


def same(a: Predictions, b: Predictions, levels: bool = True) -> None:
    assert a.rows.tolist() == b.rows.tolist()
    assert list(a.tasks) == list(b.tasks)
    for name, task in a.tasks.items():
        other = b.tasks[name]
        assert task.classes == other.classes
        np.testing.assert_array_equal(task.y_true, other.y_true)
        np.testing.assert_array_equal(task.y_pred, other.y_pred)
        if task.y_score is None:
            assert other.y_score is None
        else:
            np.testing.assert_array_equal(task.y_score, other.y_score)
    assert list(a.attributes) == list(b.attributes)
    for name, column in a.attributes.items():
        assert column.values().tolist() == b.attributes[name].values().tolist()
        assert not levels or column.levels == b.attributes[name].levels
    assert list(a.numeric) == list(b.numeric)
    for name, numbers in a.numeric.items():
        np.testing.assert_array_equal(numbers, b.numeric[name])
    assert (a.identity is None) == (b.identity is None)
    if a.identity is not None and b.identity is not None:
        assert a.identity.values().tolist() == b.identity.values().tolist()


@pytest.mark.parametrize("scores", [True, False])
def test_parquet_gives_back_everything_absent_levels_included(tmp_path: Path, scores: bool) -> None:
    path = tmp_path / "predictions.parquet"
    write_predictions(small(scores), path)
    same(small(scores), read_predictions(path))
    same(small(scores), read_predictions(tmp_path))  # the run folder it lies in


def test_csv_gives_back_everything_but_undeclared_levels(tmp_path: Path) -> None:
    path = tmp_path / "predictions.csv"
    write_predictions(small(), path)
    again = read_predictions(path)
    same(small(), again, levels=False)
    assert again.attributes["race"].levels == ("Black", "White")
    header = path.read_text(encoding="utf-8").splitlines()[0]
    assert header.replace('"', "") == ("row,gender,gender_pred,gender_score[Male],gender_score[Female],race,age,identity")


def test_other_programs_see_plain_columns_with_all_levels(tmp_path: Path) -> None:
    path = tmp_path / "predictions.parquet"
    write_predictions(small(), path)
    frame = pd.read_parquet(path)
    assert frame["race"].tolist()[0] == "White"
    assert frame["race"].cat.categories.tolist() == ["White", "Black", "Martian"]
    assert frame["gender_score[Female]"].tolist() == [0.1, 2 / 3, 0.75]


@given(st.data(), NAMES, NAMES)
def test_any_predictions_survive_parquet(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, classes: list[str], levels: list[str]
) -> None:
    n = data.draw(st.integers(1, 6))
    codes = st.lists(st.integers(-1, 1), min_size=n, max_size=n)
    whole = st.lists(st.integers(0, 1), min_size=n, max_size=n)
    numbers = st.lists(st.floats(allow_infinity=False), min_size=n, max_size=n)
    before = Predictions(
        rows=np.array([f"{i}.jpg" for i in range(n)], dtype=object),
        tasks={"t": Task(tuple(classes), np.array(data.draw(codes)), np.array(data.draw(whole)))},
        attributes={"a": Column(np.array(data.draw(codes)), tuple(levels))},
        numeric={"x": np.array(data.draw(numbers))},
    )
    path = tmp_path_factory.mktemp("any") / "p.parquet"
    write_predictions(before, path)
    same(before, read_predictions(path))


def test_a_target_that_is_an_attribute_with_other_levels_keeps_both(tmp_path: Path) -> None:
    before = Predictions(
        rows=np.array(["1", "2"], dtype=object),
        tasks={"gender": Task(("male", "female"), np.array([0, -1]), np.array([0, 0]))},
        attributes={"gender": Column.of(["male", "other"], ["female", "male", "other"])},
    )
    write_predictions(before, tmp_path / "p.parquet")
    same(before, read_predictions(tmp_path / "p.parquet"))


def test_parts_in_a_folder_are_one_table(tmp_path: Path) -> None:
    first, second = small().take(np.array([0])), small().take(np.array([1, 2]))
    write_predictions(first, tmp_path / "predictions" / "part-0.parquet")
    write_predictions(second, tmp_path / "predictions" / "part-1.parquet")
    for folder in (tmp_path / "predictions", tmp_path):
        same(small(), read_predictions(folder))
    write_predictions(small(scores=False), tmp_path / "predictions" / "part-2.parquet")
    with pytest.raises(PredictionsError, match=r"part-2\.parquet has other columns than part-0\.parquet; the parts of a"):
        read_predictions(tmp_path)


TABLE = """file,gender,gender_pred,p_female,race,age,old,note
a.jpg,Female,Female,0.9,White,3,True,x
b.jpg,Male,Female,0.6,Black,30,False,y
c.jpg,,Male,0.25,NA,4.0,True,"a, b"
"""


def csv(tmp_path: Path, text: str = TABLE, name: str = "table.csv", encoding: str = "utf-8") -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return path


def test_anybodys_csv_with_hints(tmp_path: Path) -> None:
    hints = TableColumns("gender", "gender_pred", ("p_female",), by=("race", "gender"), positive="female")
    found = read_predictions(csv(tmp_path, encoding="utf-8-sig"), hints)
    assert found.rows.tolist() == ["a.jpg", "b.jpg", "c.jpg"]
    task = found.tasks["gender"]
    assert task.classes == ("Female", "Male")
    assert task.y_true.tolist() == [0, 1, -1]
    assert task.y_pred.tolist() == [0, 0, 1]
    assert task.y_score is not None
    np.testing.assert_allclose(task.y_score, [[0.9, 0.1], [0.6, 0.4], [0.25, 0.75]])
    assert found.attributes["race"].values().tolist() == ["White", "Black", None]
    assert found.attributes["old"].levels == ("False", "True")
    assert found.attributes["note"].values().tolist() == ["x", "y", "a, b"]
    assert "gender" in found.columns()
    np.testing.assert_array_equal(found.numeric["age"], [3, 30, 4])


def test_the_same_table_as_parquet_with_native_types(tmp_path: Path) -> None:
    frame = pd.read_csv(csv(tmp_path))
    frame["race"] = frame["race"].astype("category")
    frame.to_parquet(tmp_path / "t.parquet")
    hints = TableColumns("gender", "gender_pred", ("Female=p_female",), by=("race",))
    same(read_predictions(csv(tmp_path), hints), read_predictions(tmp_path / "t.parquet", hints), levels=False)


def test_numbers_as_groups_are_sorted_as_numbers_and_labels_1_and_1_0_agree(tmp_path: Path) -> None:
    path = csv(tmp_path, "y,p,bin,age\n1,1.0,10,0-2\n-1,1.0,9,10-19\n1,-1.0,-1,3-9\n")
    found = read_predictions(path, TableColumns("y", "p", by=("bin", "age"), target="smiling"))
    assert found.tasks["smiling"].classes == ("-1", "1")
    assert found.tasks["smiling"].y_pred.tolist() == [1, 1, 0]
    assert found.attributes["bin"].levels == ("-1", "9", "10")
    assert found.attributes["age"].levels == ("0-2", "3-9", "10-19")
    assert "bin" not in found.numeric
    assert found.rows.tolist() == ["1", "2", "3"]  # no column of ids, so rows are numbered


def test_rows_are_numbered_where_paths_repeat_and_semicolons_separate(tmp_path: Path) -> None:
    path = csv(tmp_path, "path;y;p\nsame.jpg;a;b\nsame.jpg;b;b\n")
    assert read_predictions(path, TableColumns("y", "p")).rows.tolist() == ["1", "2"]


def test_given_classes_fix_the_order_and_declared_levels_are_kept(tmp_path: Path) -> None:
    hints = TableColumns("gender", "gender_pred", classes=("male", "FEMALE", "other"))
    assert read_predictions(csv(tmp_path), hints).tasks["gender"].classes == ("Male", "Female", "other")
    write_predictions(small(), tmp_path / "p.parquet")
    ours = read_predictions(tmp_path / "p.parquet", TableColumns("gender", "gender_pred", by=("race",), id="row"))
    assert ours.tasks["gender"].classes == ("Male", "Female")
    assert ours.attributes["race"].levels == ("White", "Black", "Martian")


def test_what_where_asks_for_is_kept_however_many_values_it_has(tmp_path: Path) -> None:
    text = "y,p,name\n" + "".join(f"a,b,n{i}\n" for i in range(60))
    assert "name" not in read_predictions(csv(tmp_path, text), TableColumns("y", "p")).attributes
    kept = read_predictions(csv(tmp_path, text), TableColumns("y", "p", extra=("name",)))
    assert len(kept.attributes["name"].levels) == 60
    people = read_predictions(csv(tmp_path, text), TableColumns("y", "p", identity="name"))
    assert people.identity is not None
    assert len(people.identity.levels) == 60


@pytest.mark.parametrize(
    ("column", "female"),
    [("p_female", True), ("P(Female)", True), ("female", True), ("gender.score-MALE", False), ("male_prob", False)],
)
def test_a_score_that_says_which_class_it_scores(tmp_path: Path, column: str, female: bool) -> None:
    path = csv(tmp_path, f"y,p,{column}\nFemale,Male,0.2\nMale,Male,0.4\n")
    score = read_predictions(path, TableColumns("y", "p", (column,))).tasks["y"].y_score
    assert score is not None
    np.testing.assert_allclose(score[:, 0 if female else 1], [0.2, 0.4])
    np.testing.assert_allclose(score.sum(1), 1.0)


@pytest.mark.parametrize("column", ["pfemale", "p_females", "p_female_or_male", "p_not_female", "score"])
def test_a_score_that_does_not_say_one_class(tmp_path: Path, column: str) -> None:
    path = csv(tmp_path, f"y,p,{column}\nFemale,Male,0.2\nMale,Male,0.4\n")
    with pytest.raises(PredictionsError, match=f"^--y-score {column} does not say which class it scores; "):
        read_predictions(path, TableColumns("y", "p", (column,)))


def test_a_score_that_says_another_class_than_the_positive_one(tmp_path: Path) -> None:
    path = csv(tmp_path, "y,p,p_female\nFemale,Male,0.2\nMale,Male,0.4\n")
    with pytest.raises(PredictionsError) as caught:
        read_predictions(path, TableColumns("y", "p", ("p_female",), positive="male"))
    assert str(caught.value) == (
        "--y-score p_female says Female by its name and --positive says male; write CLASS=p_female"
    )


def test_scores_of_several_classes_by_their_names(tmp_path: Path) -> None:
    path = csv(tmp_path, "y,p,p_a,p_b b,p_c\na,b b,0.1,0.8,0.1\nc,a,0.5,0.2,0.3\n")
    score = read_predictions(path, TableColumns("y", "p", ("p_c", "p_a", "p_b b"))).tasks["y"].y_score
    assert score is not None
    np.testing.assert_allclose(score, [[0.1, 0.8, 0.1], [0.5, 0.2, 0.3]])


def test_multi_class_scores(tmp_path: Path) -> None:
    path = csv(tmp_path, "y,p,s1,s2,s3\na,b,.1,.8,.1\nc,a,.5,.2,.3\n")
    hints = TableColumns("y", "p", ("c=s3", "a=s1", "b=s2"))
    score = read_predictions(path, hints).tasks["y"].y_score
    assert score is not None
    np.testing.assert_allclose(score, [[0.1, 0.8, 0.1], [0.5, 0.2, 0.3]])


@pytest.mark.parametrize(
    ("text", "hints", "message"),
    [
        ("", TableColumns("y", "p"), "{path} is empty; a table of predictions has a header and one row per image"),
        ("y,p\n", TableColumns("y", "p"),
         "{path} has a header but no rows; a table of predictions has one row per image"),
        ("gender,p\na,b\n", TableColumns("gendr", "p"),
         "{path} has no column 'gendr' (--y-true); did you mean 'gender'?"),
        ("y,p\na,b\n", TableColumns("y", "p", by=("race",)),
         "{path} has no column 'race' (--by); choose from y, p"),
        ("y,p,p\na,b,c\n", TableColumns("y", "p"),
         "{path} has 2 columns called 'p' (--y-pred); rename all but one"),
        ("y,p\na,b,c\n", TableColumns("y", "p"),
         "{path} cannot be read as CSV: line 2: Expected 2 columns, got 3: a,b,c"),
        ("y,p\na,\nb,a\n", TableColumns("y", "p"),
         "column 'p' of {path} is empty in 1 rows, the first is row 1; every image must have a prediction"),
        ("y,p\na,a\n", TableColumns("y", "p"),
         "every label and prediction in {path} is 'a'; name the classes with --classes"),
        ("y,p\nmale,male\nfemal,male\n", TableColumns("y", "p", classes=("male", "female")),
         "column 'y' of {path} holds 'femal' (row 2), which is not one of the classes; did you mean 'female' or 'male'?"),
        ("y,p,s\na,b,0.5\na,b,1.5\n", TableColumns("y", "p", ("a=s",)),
         "column 's' of {path}: 1 of 2 scores are missing or outside 0 to 1, the first in row 2 (1.5); scores must be "
         "probability-like, after softmax or sigmoid"),
        ("y,p,s\na,b,0.5\na,b,\n", TableColumns("y", "p", ("a=s",)),
         "column 's' of {path}: 1 of 2 scores are missing or outside 0 to 1, the first in row 2 (missing); scores must be "
         "probability-like, after softmax or sigmoid"),
        ("y,p,s\na,b,high\n", TableColumns("y", "p", ("a=s",)),
         "column 's' of {path} does not hold scores: they must be numbers from 0 to 1; the first that is "
         "none is 'high' (row 1)"),
        ("y,p,s\na,b,0.5\n", TableColumns("y", "p", ("s",)),
         "--y-score s does not say which class it scores; write b=s, or name the class with --positive"),
        ("y,p,s\na,b,0.5\nc,b,0.5\n", TableColumns("y", "p", ("s",), positive="a"),
         "--y-score s does not say which class it scores; write CLASS=COLUMN for each of the 3 classes "
         "(a=COLUMN,b=COLUMN …)"),
        ("y,p,s\na,b,0.5\nc,b,0.5\n", TableColumns("y", "p", ("a=s",)),
         "--y-score has no column for the class 'b'; give CLASS=COLUMN for every class"),
        ("y,p,s\na,b,0.5\n", TableColumns("y", "p", ("z=s",)),
         "--y-score z=s: 'z' is not one of the classes; choose from a, b"),
        ("y,p,i\na,b,1\nb,b,1\n", TableColumns("y", "p", id="i"),
         "column 'i' of {path} holds '1' 2 times; row ids must be unique"),
        ("y,p,i\na,b,1\nb,b,\n", TableColumns("y", "p", id="i"),
         "column 'i' of {path} is empty in 1 rows, the first is row 2; row ids must be complete"),
        ("y,p,x\n" + "".join(f"a,b,{i}.5\n" for i in range(51)), TableColumns("y", "p", by=("x",)),
         "column 'x' of {path} has 51 different values, too many to be groups; bin it into a few levels first"),
        ("a,b\n1,2\n", None,
         "{path} does not say which columns are labels and predictions; name them with --y-true and --y-pred "
         "(its columns are a, b)"),
    ],
)  # fmt: skip
def test_refusals(tmp_path: Path, text: str, hints: TableColumns | None, message: str) -> None:
    path = csv(tmp_path, text)
    with pytest.raises(PredictionsError, match=f"^{re.escape(message.format(path=path))}$"):
        read_predictions(path, hints)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("t.parquet", b"PAR1 but cut off", r"t\.parquet cannot be read as Parquet: \w"),
        ("t.csv", b"y,p\na,\xff\n", r"t\.csv is not UTF-8 text \(line 2\); save it as UTF-8, or as Parquet"),
        ("t.csv", "y,p\na,b\n".encode("utf-16"), r"t\.csv is UTF-16 text; save it as UTF-8"),
        ("t.csv", b"\x00\x01\x02", r"t\.csv is neither CSV nor Parquet: it holds binary data"),
    ],
)
def test_files_that_are_no_tables(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(PredictionsError, match=message):
        read_predictions(tmp_path / name, TableColumns("y", "p"))


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(PredictionsError, match=r"nothing\.csv: no such file; name a CSV or Parquet table of predictions"):
        read_predictions(tmp_path / "nothing.csv")
    with pytest.raises(PredictionsError, match=r"holds no predictions: neither predictions\.parquet nor \*\.parquet parts"):
        read_predictions(tmp_path)
    with pytest.raises(PredictionsError, match=r"p\.xlsx: a table of predictions is written as \.parquet or \.csv"):
        write_predictions(small(), tmp_path / "p.xlsx")


def rewritten(path: Path, old: bytes, new: bytes) -> None:
    table = pq.read_table(path)
    meta = {key: value.replace(old, new) for key, value in table.schema.metadata.items()}
    pq.write_table(table.replace_schema_metadata(meta), path)


def test_a_file_of_ours_that_was_tampered_with(tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    write_predictions(small(), path)
    rewritten(path, b'"version": 1', b'"version": 9')
    with pytest.raises(PredictionsError, match=r"has the format version 9, and this fairaudit reads version 1"):
        read_predictions(path)
    rewritten(path, b'"version": 9', b'"version": 1, "attributes": 3, "x')
    with pytest.raises(PredictionsError, match="what it says of its own columns is damaged; write it again"):
        read_predictions(path)
    write_predictions(small(), path)
    rewritten(path, b"Martian", b"Venusian")  # an unused level may change
    assert read_predictions(path).attributes["race"].levels == ("White", "Black", "Venusian")
    rewritten(path, b"Black", b"Blakc")
    with pytest.raises(PredictionsError, match=r"column 'race' of .*: unknown level 'Black'; did you mean 'Blakc'\?"):
        read_predictions(path)
    table = pq.read_table(path)
    pq.write_table(table.drop_columns(["gender_pred"]), path)
    with pytest.raises(PredictionsError, match=r"has no column 'gender_pred' \(declared by the file\)"):
        read_predictions(path)


def test_a_column_of_lists_is_left_alone_unless_asked_for(tmp_path: Path) -> None:
    pq.write_table(pa.table({"y": ["a", "b"], "p": ["a", "b"], "box": [[1, 2], [3, 4]]}), tmp_path / "t.parquet")
    assert not read_predictions(tmp_path / "t.parquet", TableColumns("y", "p")).attributes
    with pytest.raises(PredictionsError, match=r"column 'box' of .* holds list<.*>, not labels"):
        read_predictions(tmp_path / "t.parquet", TableColumns("y", "p", by=("box",)))


def test_neither_torch_nor_pandas_is_imported(tmp_path: Path) -> None:
    path = csv(tmp_path)
    code = (
        "import sys; from pathlib import Path\n"
        "from fairaudit.artifacts.tables import TableColumns, read_predictions, write_predictions\n"
        f"p = read_predictions(Path({str(path)!r}), TableColumns('gender', 'gender_pred', ('Male=p_female',)))\n"
        f"write_predictions(p, Path({str(tmp_path / 'p.parquet')!r}))\n"
        f"read_predictions(Path({str(tmp_path / 'p.parquet')!r}))\n"
        "print([m for m in ('torch', 'pandas', 'pydantic') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.real
def test_the_published_fairface_figures(shared: Path) -> None:
    path = shared / "data" / "fairface" / "predictions_bal_aug.csv"
    found = read_predictions(path, TableColumns("gender", "gender_pred", ("p_female",), by=("race",), positive="Female"))
    task, race = found.tasks["gender"], found.attributes["race"].values()
    assert len(found) == 5162
    black_men = (race == "Black") & (task.y_true == 1)
    assert black_men.sum() == 376
    assert round(100 * float((task.y_pred == task.y_true)[black_men].mean()), 1) == 84.3
