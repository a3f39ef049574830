"""The manifest refuses tables that cannot be trusted, and its spellings are forgiving."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairaudit.data.manifest import Card, FolderStore, Manifest, leaves_root, match_level
from fairaudit.errors import DataError, UnknownNameError

CARD = Card(obtain="make it up", levels={"gender": ("female", "male")}, aliases={"gender": {"woman": "female"}})


def _manifest(rows: list[str], **columns: object) -> Manifest:
    gender = pd.Categorical(["female", None, "male"][: len(rows)], categories=["female", "male"])
    frame = pd.DataFrame({"row": rows, "split": ["train", "val", "val"][: len(rows)], "gender": gender, **columns})
    return Manifest(frame, FolderStore(Path()), CARD)


@given(st.text(alphabet="ab./\\:\0", max_size=9))
def test_leaves_root_agrees_with_pathlib(row: str) -> None:
    path = PurePosixPath(row.replace("\\", "/"))
    expected = path.is_absolute() or ".." in path.parts or not path.parts or "\0" in row or row[1:2] == ":"
    assert leaves_root(row) == expected


@pytest.mark.parametrize("row", ["../a.jpg", "/etc/passwd", "a/../../b.jpg", "C:\\a.jpg", "\\\\host\\a.jpg", ""])
def test_a_path_outside_the_root_is_refused(row: str) -> None:
    with pytest.raises(DataError) as caught:
        _manifest(["a.jpg", row])
    assert str(caught.value) == (
        f"1 paths leave the dataset's root, the first is {row!r}; paths must be relative to the root and stay below it"
    )


def test_a_doubled_row_is_refused() -> None:
    with pytest.raises(DataError, match=r"^1 images are listed more than once, the first is 'a\.jpg'$"):
        _manifest(["a.jpg", "a.jpg"])


def test_plain_text_is_not_a_column() -> None:
    with pytest.raises(DataError, match="a source must return categories or floats"):
        _manifest(["a.jpg", "b.jpg"], race=["x", "y"])


def test_columns_and_levels_ignore_case_and_know_aliases() -> None:
    manifest = _manifest(["a", "b", "c"])
    assert manifest.column("Gender") == "gender"
    assert manifest.levels("GENDER") == ("female", "male")
    assert manifest.level("gender", " Woman ") == "female"
    assert manifest.level("gender", "MALE") == "male"
    with pytest.raises(UnknownNameError, match="unknown level of 'gender' 'femal'; did you mean 'female'"):
        manifest.level("gender", "femal")


def test_an_alias_of_an_undeclared_level_is_unknown() -> None:
    with pytest.raises(UnknownNameError):
        match_level("Black", ("White",), {"Black": "African"}, "race")


def test_taking_rows_keeps_declared_levels() -> None:
    manifest = _manifest(["a", "b", "c"])
    part = manifest.take(np.array([True, False, False]))
    assert part.frame["row"].tolist() == ["a"]
    assert part.levels("gender") == ("female", "male")


def test_splits() -> None:
    manifest = _manifest(["a", "b", "c"])
    assert manifest.of_split("all") is manifest
    assert manifest.of_split("val").frame["row"].tolist() == ["b", "c"]
    with pytest.raises(DataError, match="there is no split 'vall'; did you mean 'val'"):
        manifest.of_split("vall")


def test_a_folder_store_does_not_follow_links_out(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    (tmp_path / "root" / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    (tmp_path / "root" / "own.jpg").write_bytes(b"own")
    store = FolderStore(tmp_path / "root")
    assert store.read("own.jpg") == b"own"
    assert store.missing(["own.jpg", "gone.jpg"]) == ["gone.jpg"]
    with pytest.raises(PermissionError):
        store.read("link.jpg")
