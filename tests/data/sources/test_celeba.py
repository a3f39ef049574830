"""CelebA: the text and the CSV forms, forty attributes, splits and identities."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fairaudit.data.sources.celeba import ATTRIBUTES, CARD, load
from fairaudit.errors import DataError

N = 6
SIGNS = np.where(np.random.default_rng(3).random((N, 40)) < 0.5, -1, 1)
NAMES = [f"{i + 1:06d}.jpg" for i in range(N)]


def _attributes(path: Path, signs: np.ndarray = SIGNS) -> None:
    if path.suffix == ".csv":
        lines = [f"image_id,{','.join(ATTRIBUTES)}"]
        lines += [f"{name},{','.join(map(str, row))}" for name, row in zip(NAMES, signs, strict=True)]
    else:
        lines = [str(len(signs)), " ".join(ATTRIBUTES) + " "]
        lines += [f"{name} {' '.join(f'{v:2d}' for v in row)}" for name, row in zip(NAMES, signs, strict=True)]
    path.write_text("\r\n".join(lines) + "\r\n")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    images = tmp_path / "img_align_celeba"
    images.mkdir()
    for name in NAMES:
        Image.new("RGB", (18, 22)).save(images / name)
    return tmp_path


@pytest.mark.parametrize("place", ["list_attr_celeba.txt", "list_attr_celeba.csv", "Anno/list_attr_celeba.txt"])
def test_every_attribute_in_both_forms(root: Path, place: str) -> None:
    (root / place).parent.mkdir(exist_ok=True)
    _attributes(root / place)
    manifest = load(root, "all")
    assert manifest.frame["row"].tolist() == [f"img_align_celeba/{name}" for name in NAMES]
    assert manifest.attributes == tuple(ATTRIBUTES)
    assert len(ATTRIBUTES) == 40
    for j, attribute in enumerate(ATTRIBUTES):
        words = ("Female", "Male") if attribute == "Male" else ("no", "yes")
        assert manifest.levels(attribute) == words
        assert manifest.frame[attribute].tolist() == [words[int(sign == 1)] for sign in SIGNS[:, j]]
    assert manifest.store.missing(manifest.frame["row"].tolist()) == []
    assert manifest.notes == ()


@pytest.mark.parametrize("suffix", [".txt", ".csv"])
def test_partition_and_identity(root: Path, suffix: str) -> None:
    _attributes(root / "list_attr_celeba.txt")
    codes = [0, 0, 1, 2, 2]  # the sixth image is in no partition, and the file lists one that is not here
    lines = [f"{name} {code}" for name, code in zip([*NAMES[:5], "999999.jpg"], [*codes, 1], strict=True)]
    people = [f"{name} {person}" for name, person in zip(NAMES, [7, 7, 8, 9, 9, 7], strict=True)]
    if suffix == ".csv":
        lines = ["image_id,partition", *(line.replace(" ", ",") for line in lines)]
    (root / f"list_eval_partition{suffix}").write_text("\n".join(lines))
    (root / "identity_CelebA.txt").write_text("\n".join(people))
    manifest = load(root, "all")
    assert manifest.frame["split"].tolist() == ["train", "train", "val", "test", "test", "none"]
    assert manifest.frame["identity"].tolist() == ["7", "7", "8", "9", "9", "7"]
    assert manifest.notes == ("1 images are not in list_eval_partition; they belong to the split 'none'",)
    assert load(root, "test").frame["row"].tolist() == [f"img_align_celeba/{name}" for name in NAMES[3:5]]


@pytest.mark.parametrize(
    ("attribute", "written", "level"),
    [
        ("Male", "no", "Female"),
        ("Male", "-1", "Female"),
        ("Male", "not male", "Female"),
        ("Male", "yes", "Male"),
        ("Male", "1", "Male"),
        ("Young", "not Young", "no"),
        ("Young", "0", "no"),
        ("Young", "young", "yes"),
        ("Blond_Hair", "blond hair", "yes"),
        ("Blond_Hair", "not blond hair", "no"),
    ],
)
def test_spellings(root: Path, attribute: str, written: str, level: str) -> None:
    _attributes(root / "list_attr_celeba.txt")
    assert load(root, "all").level(attribute, written) == level


def test_zero_and_empty_labels(root: Path) -> None:
    (root / "list_attr_celeba.csv").write_text("image_id,Male,Young\n000001.jpg,0,1\n000002.jpg,,-1\n")
    manifest = load(root, "all")
    assert manifest.frame["Male"].cat.codes.tolist() == [0, -1]
    assert manifest.frame["Young"].tolist() == ["yes", "no"]
    assert manifest.notes == (
        "list_attr_celeba.csv: 1 label of 'Male' is empty; the image is kept and counted as missing",
        "4 images have no label in list_attr_celeba.csv and are left out",
    )


def test_refusals(root: Path) -> None:
    with pytest.raises(DataError, match=r"has no list of attributes .*; to get the dataset, download"):
        load(root, "all")
    path = root / "list_attr_celeba.csv"
    path.write_text("image_id,Male,Beard\n000001.jpg,1,1\n")
    with pytest.raises(DataError, match="'Beard' is none of CelebA's attributes"):
        load(root, "all")
    path.write_text("image_id,Male\n000001.jpg,2\n000002.jpg,2\n000003.jpg,1\n")
    with pytest.raises(DataError, match=r"2 labels of 'Male' are not -1, 0 or 1: '2' \(2\)"):
        load(root, "all")
    path.write_text("image_id,Male\n000001.jpg,maybe\n")
    with pytest.raises(DataError, match=r"1 labels of 'Male' are not -1, 0 or 1: 'maybe' \(1\)"):
        load(root, "all")
    path.write_text("image_id,Male\n../../000001.jpg,1\n/000002.jpg,1\n")
    with pytest.raises(DataError, match=r"1 paths leave the dataset's root"):
        load(root, "all")
    path.write_text("image_id,Male\n000001.jpg,1\n")
    (root / "list_eval_partition.txt").write_text("000001.jpg 5\n")
    with pytest.raises(DataError, match=r"1 images are in none of 0, 1, 2: '5' \(1\)"):
        load(root, "all")
    (root / "list_eval_partition.txt").write_text("000001.jpg 0\n000001.jpg 0\n")
    with pytest.raises(DataError, match=r"lists '000001\.jpg' more than once"):
        load(root, "all")
    (root / "list_eval_partition.txt").write_text("000001.jpg zero\n")
    with pytest.raises(DataError, match=r"list_eval_partition\.txt holds something that is not a whole number: .*zero"):
        load(root, "all")
    (root / "list_eval_partition.txt").unlink()
    with pytest.raises(DataError, match="there is no split 'test'; the images here are not split"):
        load(root, "test")


def test_card_defaults_exist() -> None:
    assert CARD.target in ATTRIBUTES
    assert {a for grouping in CARD.by for a in grouping} <= set(ATTRIBUTES)


@pytest.mark.slow
def test_a_table_of_full_size_is_read_within_seconds(root: Path) -> None:
    n = 202_599
    signs = np.where(np.random.default_rng(0).random((n, 40)) < 0.5, "-1", "1")
    body = "".join(f"{i + 1:06d}.jpg {' '.join(row)}\n" for i, row in enumerate(signs))
    (root / "list_attr_celeba.txt").write_text(f"{n}\n{' '.join(ATTRIBUTES)}\n{body}")
    start = time.perf_counter()
    assert len(load(root, "all")) == n
    assert time.perf_counter() - start < 8


@pytest.mark.real
def test_real_attributes(shared: Path) -> None:
    root = shared / "data" / "celeba"
    manifest = load(root, "all")
    assert len(manifest) == 7_000
    assert manifest.store.missing(manifest.frame["row"].tolist()) == []
    assert manifest.notes == ()
    lines = (root / "list_attr_celeba.txt").read_text().splitlines()
    position = lines[1].split().index("Smiling")
    smiling = [line.split()[1 + position] == "1" for line in lines[2:]]
    assert (manifest.frame["Smiling"] == "yes").tolist() == smiling
