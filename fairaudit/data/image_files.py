"""Which image files a dataset's folder holds, found by name alone."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from fairaudit.data.manifest import Card
from fairaudit.errors import DataError

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})


def require_folder(root: Path | None, card: Card) -> Path:
    """The dataset's root, which must be a folder.

    Raises:
        DataError: there is none; the sentence says how to get the data.
    """
    if root is None:
        raise DataError(f"this dataset needs a root folder; to get it, {card.obtain}")
    if not root.is_dir():
        raise DataError(f"there is no folder {root}; to get the dataset, {card.obtain}")
    return root


def first_existing(root: Path, names: Sequence[str], what: str, card: Card) -> Path:
    """The first of several places below the root that exists.

    Args:
        root: the dataset's folder.
        names: paths relative to it, the official one first.
        what: what is looked for, named in the error.
        card: says how to get the data.

    Raises:
        DataError: none exists.
    """
    for name in names:
        if (root / name).exists():
            return root / name
    raise DataError(f"{root} has no {what} ({' or '.join(names)}); to get the dataset, {card.obtain}")


def image_names(folder: Path) -> list[str]:
    """Names of the image files directly in a folder, sorted; an absent folder has none."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        return _written(sorted(e.name for e in entries if is_image(e.name) and e.is_file()), folder)


def folder_names(folder: Path) -> list[str]:
    """Names of the folders directly in a folder, sorted, hidden ones left out."""
    with os.scandir(folder) as entries:
        return sorted(e.name for e in entries if e.is_dir() and not e.name.startswith("."))


def image_tree(folder: Path, whole: bool = False) -> list[str]:
    """Image files anywhere below a folder, as paths relative to it with forward slashes, sorted.

    Args:
        folder: where to look.
        whole: whether these are the dataset, so that a folder that may not be read is no folder to pass over.

    Raises:
        DataError: a name is no UTF-8, or a folder of the dataset cannot be read.
    """

    def unread(error: OSError) -> None:
        if whole:
            raise DataError(f"the folder {error.filename} cannot be read: {error.strerror or error}") from error

    found: list[str] = []
    for where, folders, files in os.walk(folder, onerror=unread):
        folders[:] = [f for f in folders if not f.startswith(".")]
        prefix = Path(where).relative_to(folder).as_posix()
        found += [name if prefix == "." else f"{prefix}/{name}" for name in files if is_image(name)]
    return _written(sorted(found), folder)


def _written(names: list[str], folder: Path) -> list[str]:
    """The names, all of which can be written down; bytes of a name that are no UTF-8 come as half characters."""
    broken = [name for name in names if not name.isascii() and name.encode("utf-8", "ignore").decode() != name]
    if broken:
        raise DataError(
            f"{len(broken):,} images in {folder} have names that are no UTF-8, the first is {broken[0]!r}; rename them"
        )
    return names


def is_image(name: str) -> bool:
    """Whether a file name looks like an image's; hidden files and macOS resource forks do not."""
    return not name.startswith(".") and os.path.splitext(name)[1].casefold() in IMAGE_SUFFIXES  # noqa: PTH122


def unlabelled_note(present: Iterable[str], labelled: Iterable[str], where: str) -> list[str]:
    """A sentence about images that lie in the folder without a label; none where every image has one."""
    known = set(labelled)
    extra = [name for name in present if name not in known]
    if not extra:
        return []
    one = len(extra) == 1
    return [f"{len(extra):,} image{' has' if one else 's have'} no label in {where} and {'is' if one else 'are'} left out"]
