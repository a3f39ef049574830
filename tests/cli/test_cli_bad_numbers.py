"""Tables, policies and baselines that would give wrong numbers: one sentence each, exit code 2, and nothing written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fairaudit.results import SCHEMA_VERSION
from tests.cli.conftest import Cli, files_below

AUDIT = ("--y-true", "y", "--by", "race", "--positive", "yes")
RULE = ("--rule", "accuracy gap by race <= 0.2")
SCORED = (*AUDIT, "--y-score", "p")
SCORES = "scores must be probability-like, after softmax or sigmoid"
PAIR = "name the column of image ids with --id, or compare different images with --unpaired"


@pytest.fixture
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(2)
    y = rng.choice(["no", "yes"], 60)
    called = np.where(rng.random(60) < 0.8, y, "yes")
    return pd.DataFrame(
        {
            "image": [f"{i}.jpg" for i in range(60)],
            "y": y,
            "y_pred": called,
            "race": rng.choice(["a", "b"], 60),
            "p": np.where(called == "yes", 0.75, 0.25),
        }
    )


def spoilt(frame: pd.DataFrame, row: int, column: str, value: object) -> pd.DataFrame:
    """The table with one cell changed."""
    values = frame[column].tolist()
    return frame.assign(**{column: pd.Series([*values[:row], value, *values[row + 1 :]], dtype=object)})


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str, pd.DataFrame], Path]:
    """Write a table beside the working folder, which must stay empty."""

    def write(name: str, table: pd.DataFrame) -> Path:
        path = tmp_path / name
        if path.suffix == ".csv":
            table.to_csv(path, index=False)
        else:
            table.astype({c: float for c in ("p",) if c in table}).to_parquet(path, index=False)
        return path

    return write


Write = Callable[[str, pd.DataFrame], Path]


@pytest.mark.parametrize("command", ["audit", "gate"])
@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
@pytest.mark.parametrize(
    ("value", "said"), [(1.5, "1.5"), (-0.25, "-0.25"), (np.nan, "missing"), (np.inf, "inf"), (-np.inf, "-inf")]
)
def test_scores_that_are_no_chances(
    command: str, name: str, value: float, said: str, frame: pd.DataFrame, written: Write, cli: Cli
) -> None:
    path = written(name, spoilt(frame, 7, "p", value))
    more = ("--out", "run") if command == "audit" else ()
    cli(command, path, *SCORED, *RULE, *more).refused(
        f"column 'p' of {path}: 1 of 60 scores are missing or outside 0 to 1, the first in row 8 ({said}); {SCORES}"
    )
    assert files_below(Path.cwd()) == []


@pytest.mark.parametrize("text", ["nan", "NaN", ""])
def test_scores_that_are_written_as_nothing(text: str, frame: pd.DataFrame, written: Write, cli: Cli) -> None:
    path = written("t.csv", spoilt(frame, 0, "p", text))
    cli("audit", path, *SCORED, "--out", "run").refused(
        f"column 'p' of {path}: 1 of 60 scores are missing or outside 0 to 1, the first in row 1 (missing); {SCORES}"
    )
    assert files_below(Path.cwd()) == []


def test_scores_that_are_words(frame: pd.DataFrame, written: Write, cli: Cli) -> None:
    path = written("t.csv", spoilt(frame, 7, "p", "high"))
    cli("audit", path, *SCORED, "--out", "run").refused(
        f"column 'p' of {path} does not hold scores: they must be numbers from 0 to 1; the first that is none is "
        "'high' (row 8)"
    )
    assert files_below(Path.cwd()) == []


@pytest.mark.parametrize("column", ["y", "y_pred"])
@pytest.mark.parametrize("command", ["audit", "gate"])
def test_labels_that_are_no_class(column: str, command: str, frame: pd.DataFrame, written: Write, cli: Cli) -> None:
    path = written("t.csv", spoilt(frame, 3, column, "maybe"))
    more = ("--out", "run") if command == "audit" else ()
    cli(command, path, *AUDIT, *RULE, "--classes", "no,yes", *more).refused(
        f"column {column!r} of {path} holds 'maybe' (row 4), which is not one of the classes; choose from no, yes"
    )
    assert files_below(Path.cwd()) == []


def test_predictions_that_are_missing(frame: pd.DataFrame, written: Write, cli: Cli) -> None:
    path = written("t.csv", spoilt(frame, 3, "y_pred", None))
    cli("audit", path, *AUDIT, "--out", "run").refused(
        f"column 'y_pred' of {path} is empty in 1 rows, the first is row 4; every image must have a prediction"
    )
    assert files_below(Path.cwd()) == []


def test_images_that_are_counted_twice(frame: pd.DataFrame, written: Write, cli: Cli) -> None:
    path, whole = written("t.csv", spoilt(frame, 2, "image", "0.jpg")), written("whole.csv", frame)
    message = f"column 'image' of {path} holds '0.jpg' 2 times; row ids must be unique"
    cli("audit", path, *AUDIT, "--id", "image", "--out", "run").refused(message)
    cli("gate", path, *AUDIT, "--id", "image", *RULE).refused(message)
    cli("compare", whole, path, *AUDIT, "--id", "image", "--out", "run").refused(message)
    ours = written("ours.parquet", pd.DataFrame({"row": ["a", "b", "a"], "y": list("xyx"), "y_pred": list("xyx")}))
    message = f"column 'row' of {ours} holds 'a' 2 times; row ids must be unique"
    cli("audit", ours, "--by", "y", "--out", "run").refused(message)
    assert files_below(Path.cwd()) == []


def test_tables_that_do_not_pair(frame: pd.DataFrame, written: Write, cli: Cli) -> None:
    whole = written("whole.csv", frame)
    other = "b" if frame["race"][9] == "a" else "a"
    moved = written("moved.csv", spoilt(frame, 9, "race", other))
    words = (*AUDIT, "--id", "image", "--out", "run")
    cli("compare", whole, moved, *words).refused(
        f"whole.csv and moved.csv do not pair: 'race' differs in 1 of 60 images with the same row id, first in '9.jpg' "
        f"({frame['race'][9]} and {other}); {PAIR}"
    )
    label = "no" if frame["y"][4] == "yes" else "yes"
    relabelled = written("relabelled.csv", spoilt(frame, 4, "y", label))
    cli("compare", whole, relabelled, *words).refused(
        f"whole.csv and relabelled.csv do not pair: 'y' differs in 1 of 60 images with the same row id, first in "
        f"'4.jpg' ({frame['y'][4]} and {label}); {PAIR}"
    )
    german = {"no": "nein", "yes": "ja"}
    translated = written("german.csv", frame.replace({"y": german, "y_pred": german}))
    cli("compare", whole, translated, *words).refused(
        "whole.csv and german.csv share no class of 'y': no, yes and ja, nein"
    )
    assert files_below(Path.cwd()) == []


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ('rulez = ["accuracy gap by race <= 0.1"]', "unknown key 'rulez'; did you mean 'rules'?"),
        ('[[rule]]\nrule = "accuracy gap by race <= 0.1"', "unknown key 'rule'; did you mean 'rules'?"),
        (
            '[[rules]]\nrule = "accuracy gap by race <= 0.1"\nseverty = "warning"',
            "unknown key 'rules.0.severty'; did you mean 'severity'?",
        ),
        (
            'rules = ["accuracy gap by race <= 0.1"]\nmin_suport = 5',
            "unknown key 'min_suport'; did you mean 'min_support'?",
        ),
    ],
)
@pytest.mark.parametrize("command", ["audit", "gate"])
def test_policies_with_a_key_that_means_nothing(
    command: str, policy: str, message: str, frame: pd.DataFrame, written: Write, cli: Cli, tmp_path: Path
) -> None:
    path, file = written("t.csv", frame), tmp_path / "policy.toml"
    file.write_text(policy + "\n")
    more = ("--out", "run") if command == "audit" else ()
    cli(command, path, *AUDIT, "--policy", file, *more).refused(f"{file}: {message}")
    assert files_below(Path.cwd()) == []


@pytest.mark.parametrize("version", [0, 99, "1", None])
def test_baselines_of_another_schema(
    version: object, frame: pd.DataFrame, written: Write, cli: Cli, tmp_path: Path
) -> None:
    stored = tmp_path / "stored"
    assert cli("audit", written("t.csv", frame), *AUDIT, "--out", stored, "-q").code == 0
    record = json.loads((stored / "audit.json").read_text())
    baseline = tmp_path / "baseline.json"
    baseline.write_text(json.dumps({**record, "schema_version": version}))
    message = (
        f"{baseline} has the schema version {version!r}, and this fairaudit reads version {SCHEMA_VERSION}; audit the "
        "predictions again, or use the fairaudit that wrote it"
    )
    rule = ("--rule", "accuracy gap by race worse_by <= 0.02")
    cli("gate", stored, "--baseline", baseline, *rule).refused(message)
    cli("gate", written("t.csv", frame), *AUDIT, "--baseline", baseline, *rule).refused(message)
    cli("gate", baseline, *RULE).refused(message)
    cli("merge", stored, baseline, "--out", "run").refused(message)
    cli("report", baseline, "--format", "markdown", "--out", "report.md").refused(message)
    assert files_below(Path.cwd()) == []


def test_an_audit_taken_for_a_table(frame: pd.DataFrame, written: Write, cli: Cli, tmp_path: Path) -> None:
    path, stored = written("t.csv", frame), tmp_path / "stored"
    assert cli("audit", path, *AUDIT, "--out", stored, "-q").code == 0
    message = f"{stored / 'audit.json'} is no table of predictions; name a CSV or Parquet file, or a run folder"
    cli("audit", stored / "audit.json", *AUDIT, "--out", "run").refused(message)
    cli("compare", stored / "audit.json", path, *AUDIT, "--out", "run").refused(message)
    assert files_below(Path.cwd()) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--confidence", "95"), "--confidence 95.0: it must be less than 1"),
        (("--min-support", "-5"), "--min-support -5: it must be greater than or equal to 1"),
        (("--bootstrap", "-5"), "--bootstrap -5: it must be greater than or equal to 100"),
        (("--threshold", "1.5"), "--threshold 1.5: it must be less than or equal to 1"),
        (("--threshold", "nan"), "--threshold nan: it must be less than or equal to 1"),
        (("--bins", "p=0.5,0.5"), "--bins 'p=0.5,0.5': the edges must be finite and rise"),
        (("--bins", "p=nan,1"), "--bins 'p=nan,1': the edges must be finite and rise"),
        (
            ("--rule", "accuracy gap by race <= nan"),
            "the rule 'accuracy gap by race <= nan' has the limit nan, which nothing can be compared with; give a finite "
            "number",
        ),
        (
            ("--rule", "accuracy gap by race <= -0.1"),
            "the rule 'accuracy gap by race <= -0.1' can never decide anything: a gap lies from 0 to 1",
        ),
    ],
)
def test_settings_that_are_out_of_range(
    words: tuple[str, ...], message: str, frame: pd.DataFrame, written: Write, cli: Cli
) -> None:
    cli("audit", written("t.csv", frame), *SCORED, *words, "--out", "run").refused(message)
    assert files_below(Path.cwd()) == []
