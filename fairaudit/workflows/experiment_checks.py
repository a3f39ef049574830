"""What is refused of an experiment's images before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping

from fairaudit.artifacts.embeddings import IDENTITY
from fairaudit.data.manifest import Manifest
from fairaudit.data.splits import Splits
from fairaudit.errors import DataError
from fairaudit.metrics.groups import cross
from fairaudit.workflows.labels import columns_of


def check_files(splits: Splits) -> None:
    """Refuse images that are not there.

    Args:
        splits: as they are trained and tested.

    Raises:
        DataError: an image is missing.
    """
    for what in ("train", "validation", "test"):
        part: Manifest = getattr(splits, what)
        gone = part.store.missing([str(row) for row in part.frame["row"]])
        if gone:
            raise DataError(
                f"{len(gone)} of {len(part)} {what} images are not there, the first is {gone[0]!r}; "
                "check the dataset's folder, or leave them out of its labels"
            )


def check_splits(splits: Splits, tasks: Mapping[str, tuple[str, ...]], by: tuple[str, ...]) -> None:
    """Refuse images from which nothing can be learnt, or on which nothing can be tested.

    Args:
        splits: as they are trained and tested; training and validation images have every label.
        tasks: target → its classes.
        by: attributes that make the groups.

    Raises:
        DataError: a split is empty, all training images are of one class, there are more groups than images, or the test
            images lack a column.
    """
    for what, part in (("training", splits.train), ("validation", splits.validation)):
        if not len(part):
            raise DataError(f"there are no {what} images with a known {', '.join(dict.fromkeys([*tasks, *by]))}")
    for name in tasks:
        held = splits.train.frame[name].dropna().unique()
        if len(held) < 2:
            learner = "nothing can be told from it" if name == IDENTITY else "a classifier needs two classes or more"
            raise DataError(f"all {len(splits.train)} training images are {held[0]!r} in {name}; {learner}")
    groups = len(cross(columns_of(splits.train)[0], by))
    if groups > len(splits.train):
        raise DataError(
            f"{','.join(by)} makes {groups} groups, more than the {len(splits.train)} training images; "
            "cross fewer attributes"
        )
    known = [*splits.test.attributes, *([IDENTITY] if IDENTITY in splits.test.frame.columns else [])]
    lacking = [name for name in dict.fromkeys([*tasks, *by]) if name not in known]
    if lacking:
        raise DataError(f"the test images have no {lacking[0]!r}; name a test dataset that has it")
