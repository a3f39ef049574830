"""Which files of a folder count as images."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairaudit.data.image_files import folder_names, image_names, image_tree, require_folder, unlabelled_note
from fairaudit.data.manifest import Card
from fairaudit.errors import DataError


def test_images_are_found_by_name(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.png", "._a.png", "labels.csv", "sub/c.webp", "sub/deep/d.jpeg", ".hidden/e.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.jpg").mkdir()
    assert image_names(tmp_path) == ["a.png", "b.JPG"]
    assert image_names(tmp_path / "absent") == []
    assert image_tree(tmp_path) == ["a.png", "b.JPG", "sub/c.webp", "sub/deep/d.jpeg"]
    assert folder_names(tmp_path) == ["folder.jpg", "sub"]


def test_a_missing_root_says_how_to_get_the_data(tmp_path: Path) -> None:
    card = Card(obtain="download it")
    with pytest.raises(DataError, match=r"there is no folder .*absent; to get the dataset, download it"):
        require_folder(tmp_path / "absent", card)
    with pytest.raises(DataError, match="this dataset needs a root folder; to get it, download it"):
        require_folder(None, card)


def test_unlabelled_images_are_counted() -> None:
    assert unlabelled_note(["a", "b", "c"], ["b"], "labels.csv") == [
        "2 images have no label in labels.csv and are left out"
    ]
    assert unlabelled_note(["a"], ["b"], "labels.csv") == ["1 image has no label in labels.csv and is left out"]
    assert unlabelled_note(["b"], ["b"], "labels.csv") == []
