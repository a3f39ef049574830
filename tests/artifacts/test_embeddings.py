"""Embeddings come back from their file as they were, anybody's archive is read, and what cannot be used is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairaudit.artifacts.embeddings import Embeddings, read_embeddings, write_embeddings
from fairaudit.errors import DataError, FairauditError
from fairaudit.predictions import Column


def some(n: int = 4, d: int = 3, prefix: str = "im") -> Embeddings:
    values = np.random.default_rng(0).normal(size=(n, d)).astype(np.float32)
    rows = np.array([f"{prefix}/ä{i}.jpg" for i in range(n)], dtype=object)
    race = Column.of(["b", None, "a", "b"][:n], ("b", "a", "none has it"))
    return Embeddings(
        values, rows, {"race": race, "file": race}, Column.of(list("xyzx")[:n]), {"model": "m.pt", "sha256": "ab"}
    )


def refused(path: Path, said: str, **arrays: Any) -> None:
    np.savez(path, **arrays)
    with pytest.raises(DataError, match=said):
        read_embeddings([path])


def test_a_file_of_ours_comes_back_with_levels_that_nobody_has(tmp_path: Path) -> None:
    kept = some()
    write_embeddings(kept, tmp_path / "e.npz")
    found = read_embeddings([tmp_path / "e.npz"])
    np.testing.assert_array_equal(found.values, kept.values)
    assert found.values.dtype == np.float32
    assert found.rows.tolist() == kept.rows.tolist()
    assert found.attributes["race"].levels == ("b", "a", "none has it")
    assert found.attributes["race"].codes.tolist() == [0, -1, 1, 0]
    assert set(found.columns()) == {"race", "file", "identity"}
    assert found.identity is not None
    assert found.identity.values().tolist() == list("xyzx")
    assert found.made == {"model": "m.pt", "sha256": "ab"}


def test_the_same_embeddings_are_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one.npz", "two.npz"):
        write_embeddings(some(), tmp_path / name)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()


def test_anybodys_archive_needs_no_more_than_numbers_and_columns(tmp_path: Path) -> None:
    np.savez(tmp_path / "e.npz", embeddings=np.eye(3), species=np.array(["crow", "", "jay"]), bird=np.array([7, 7, 9]))
    found = read_embeddings([tmp_path / "e.npz"])
    assert found.rows.tolist() == ["0", "1", "2"]
    assert found.attributes["species"].codes.tolist() == [0, -1, 1]
    assert found.attributes["bird"].levels == ("7", "9")


def test_numbers_are_kept_as_numbers_and_joined(tmp_path: Path) -> None:
    for name, age in (("a", [30.5, np.nan, 2.0]), ("b", [1.0, 2.0, 3.0])):
        rows = np.array([f"{name}{i}" for i in range(3)])
        np.savez(tmp_path / f"{name}.npz", embeddings=np.eye(3), rows=rows, age=np.array(age))
    found = read_embeddings([tmp_path / "a.npz", tmp_path / "b.npz"])
    np.testing.assert_array_equal(found.numeric["age"], [30.5, np.nan, 2, 1, 2, 3])
    assert found.attributes == {}
    write_embeddings(found, tmp_path / "c.npz")
    np.testing.assert_array_equal(read_embeddings([tmp_path / "c.npz"]).numeric["age"], found.numeric["age"])
    np.savez(tmp_path / "d.npz", embeddings=np.eye(3), rows=np.array([*"xyz"]), age=np.array([1, 2, 3]))
    with pytest.raises(DataError, match=r"d.npz and .*a.npz have different columns: age"):
        read_embeddings([tmp_path / "a.npz", tmp_path / "d.npz"])


def test_parts_are_joined_and_their_levels_too(tmp_path: Path) -> None:
    write_embeddings(some(), tmp_path / "a.npz")
    write_embeddings(some(2, prefix="other"), tmp_path / "b.npz")
    found = read_embeddings([tmp_path / "a.npz", tmp_path / "b.npz"])
    assert len(found) == 6
    assert found.attributes["race"].codes.tolist() == [0, -1, 1, 0, 0, -1]


def test_parts_that_do_not_fit_together_are_refused(tmp_path: Path) -> None:
    write_embeddings(some(), tmp_path / "a.npz")
    write_embeddings(some(d=5, prefix="other"), tmp_path / "b.npz")
    with pytest.raises(DataError, match=r"b.npz has embeddings of 5 numbers and .*a.npz of 3: they are of different"):
        read_embeddings([tmp_path / "a.npz", tmp_path / "b.npz"])
    with pytest.raises(DataError, match=r"together: the image 'im/ä0.jpg' occurs more than once"):
        read_embeddings([tmp_path / "a.npz", tmp_path / "a.npz"])
    np.savez(tmp_path / "c.npz", embeddings=np.ones((1, 3)))
    with pytest.raises(DataError, match="have different columns: file, identity, race"):
        read_embeddings([tmp_path / "a.npz", tmp_path / "c.npz"])


def test_what_cannot_be_used_is_refused_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "e.npz"
    eye = np.eye(3)
    broken = eye.copy()
    broken[1, 1] = np.nan
    refused(path, "1 embeddings are not finite, the first is that of 'b'", embeddings=broken, rows=np.array([*"abc"]))
    refused(path, "not finite, the first is that of '0'", embeddings=eye * 1e300)
    refused(path, "2 embeddings are 0 throughout, the first is that of '0'", embeddings=np.eye(3) * [[0], [0], [1]])
    refused(path, "holds no array 'embeddings'", features=eye)
    refused(path, "must be a table of numbers, one row per image, not 3 of float64", embeddings=eye[0])
    refused(path, "3 embeddings, but 2 row names", embeddings=eye, rows=np.array(["a", "b"]))
    refused(path, "'a' occurs more than once", embeddings=eye, rows=np.array([*"aba"]))
    refused(path, "the column 'race' is 2 of", embeddings=eye, race=np.array(["a", "b"]))
    refused(path, "the column 'age' holds complex128; columns are texts or numbers", embeddings=eye, age=1j * np.ones(3))
    refused(path, "holds more than numbers and texts", embeddings=np.array([object()]))
    refused(path, "is damaged; embed again", embeddings=eye, fairaudit=np.array("{"))
    refused(path, "has the format version 9", embeddings=eye, fairaudit=np.array('{"version": 9}'))
    with pytest.raises(DataError, match="No such file"):
        read_embeddings([tmp_path / "none.npz"])
    np.save(tmp_path / "plain.npy", eye)
    with pytest.raises(DataError, match="is no archive of arrays"):
        read_embeddings([tmp_path / "plain.npy"])
    path.write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(DataError, match="cannot be read"):
        read_embeddings([path])


def test_a_column_must_not_take_a_name_of_the_file(tmp_path: Path) -> None:
    kept = some()
    with pytest.raises(FairauditError, match="cannot be called 'rows'"):
        write_embeddings(Embeddings(kept.values, kept.rows, {"rows": kept.attributes["race"]}), tmp_path / "e.npz")
