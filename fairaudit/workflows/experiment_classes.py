"""What an experiment learns to tell apart: a column's levels, or who is on the images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fairaudit.artifacts.embeddings import IDENTITY
from fairaudit.config import MitigateConfig
from fairaudit.data.manifest import Manifest
from fairaudit.data.sampling import skewed_sample
from fairaudit.data.splits import Splits, stratified_splits
from fairaudit.errors import DataError, UsageError
from fairaudit.predictions import Column
from fairaudit.workflows.labels import columns_of

_CLASSES_APART = "each class of {} is in one split alone"


def target_name(written: str, manifest: Manifest, embeds: bool) -> str:
    """The column that is predicted, or the identity that images are found again by.

    Args:
        written: as the user wrote it.
        manifest: every image.
        embeds: whether embeddings are trained.

    Raises:
        DataError: the images tell no identity.
        UsageError: a classifier is asked for the identity.
        UnknownNameError: there is no such column.
    """
    if written.casefold() != IDENTITY or IDENTITY in manifest.attributes:
        return manifest.column(written)
    if IDENTITY not in manifest.frame.columns:
        raise DataError(
            f"the data tell no identity to find images by; name a column with --target ({', '.join(manifest.attributes)})"
        )
    if not embeds:
        raise UsageError(
            "the identity is a target of methods that train embeddings (metric-learning, parade, adversarial): whoever is "
            "on the test images is on no training image"
        )
    return IDENTITY


def classes_of(manifest: Manifest, name: str) -> Column:
    """The classes of images: levels that were declared, or the people who are on these images.

    Args:
        manifest: some images.
        name: a column, or the identity.
    """
    if name == IDENTITY and name not in manifest.attributes:
        return Column.of(manifest.frame[IDENTITY].tolist())
    return columns_of(manifest)[0][name]


def splits_by_class(manifest: Manifest, config: MitigateConfig, strata: list[str], target: str, embeds: bool) -> Splits:
    """Split so that no class is in two splits.

    Args:
        manifest: every image.
        config: shares and seed.
        strata: categorical columns whose crossed levels are kept in proportion.
        target: the classes.
        embeds: whether embeddings are trained.

    Raises:
        UsageError: a classifier is trained, or a split gets nothing.
    """
    if not embeds:
        raise UsageError(
            "--splits classes is for methods that train embeddings: a classifier knows only classes it has seen"
        )
    column = classes_of(manifest, target)
    marked = replace(manifest, frame=manifest.frame.assign(identity=column.values()))
    others = [name for name in strata if name != target]
    found = stratified_splits(
        marked, others, config.split_shares, config.split_seed, compare_content=config.compare_content
    )
    place = {str(row): i for i, row in enumerate(manifest.frame["row"])}

    def back(part: Manifest) -> Manifest:
        return manifest.take(np.array([place[str(row)] for row in part.frame["row"]], dtype=np.int64))

    told = (_CLASSES_APART.format(target),)
    return Splits(back(found.train), back(found.validation), back(found.test), told)


def skewed(config: MitigateConfig, splits: Splits) -> Splits:
    """The splits with the imbalance that was asked for among the training images.

    Args:
        config: the run.
        splits: as they were cut.

    Raises:
        UnknownNameError: there is no such attribute or level.
        DataError: the training images cannot have that share.
    """
    train, told = splits.train, list(splits.notes)
    for written, share in config.imbalance.items():
        name, colon, level = (part.strip() for part in written.partition(":"))
        column = train.column(name)
        first = train.level(column, level) if colon else train.levels(column)[0]
        before = len(train)
        train = skewed_sample(train, column, first, share, config.split_seed)
        told.append(
            f"{before - len(train)} training images are left out, so that {share:.0%} of the "
            f"{'people' if IDENTITY in train.frame.columns else 'images'} are {first!r} in {column}"
        )
    return replace(splits, train=train, notes=tuple(told))
