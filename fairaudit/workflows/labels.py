"""Labels meet predictions: the dataset's spelling of a model's classes, and one table of both."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from fairaudit.data.manifest import Manifest
from fairaudit.errors import DataError, UsageError
from fairaudit.predictions import MISSING, Column, FloatArray, IntArray, Predictions, StrArray, Task


def columns_of(manifest: Manifest) -> tuple[dict[str, Column], dict[str, np.ndarray]]:
    """Categorical and numeric columns of a manifest, as the statistics want them."""
    frame = manifest.frame
    categorical = {
        name: Column(frame[name].cat.codes.to_numpy().astype(np.int64), manifest.levels(name))
        for name in manifest.attributes
    }
    numeric = {
        str(name): frame[name].to_numpy(dtype=np.float64)
        for name in frame.columns
        if pd.api.types.is_float_dtype(frame[name])
    }
    return categorical, numeric


def spelling(
    tasks: Mapping[str, tuple[str, ...]], manifest: Manifest, target: str
) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...]]:
    """Class names of every task as the dataset spells them.

    Beside the target, a task is kept where its classes are the dataset's levels, or the dataset has no such column.

    Args:
        tasks: task → class names, in output order, as the model's head has them.
        manifest: the labels.
        target: the audited column.

    Returns:
        Column (see ``column_of``) → class names, and a sentence for each task that is left out.

    Raises:
        UsageError: the model does not predict the target.
    """
    if target not in {column_of(task, manifest) for task in tasks}:
        raise UsageError(f"the model predicts {', '.join(tasks)}, not {target!r}; name another --target or --head")
    spelt: dict[str, tuple[str, ...]] = {}
    left_out = []
    for task, classes in tasks.items():
        name = column_of(task, manifest)
        if name not in manifest.attributes:
            spelt[name] = classes
            continue
        own = tuple(level_of(c, name, manifest) for c in classes)
        if name == target or set(own) == set(manifest.levels(name)):
            spelt[name] = own
        else:
            left_out.append(f"what the model says of {name} is left out: its classes are not this dataset's levels")
    return spelt, tuple(left_out)


def column_of(task: str, manifest: Manifest) -> str:
    """What the dataset calls a task; its own name where the dataset has no such column."""
    return next((name for name in manifest.attributes if name.casefold() == task.casefold()), task)


def level_of(name: str, column: str, manifest: Manifest) -> str:
    """What the dataset calls a level; the name itself where it has no such level."""
    try:
        return manifest.level(column, name)
    except UsageError:
        return name


def first_label(tasks: Mapping[str, tuple[str, ...]], manifest: Manifest, asked: str) -> str:
    """The first of several labels that are audited side by side; all of them must be predicted.

    Args:
        tasks: task → class names, in output order, as the model's head has them.
        manifest: the labels.
        asked: ``Smiling+Young``, or ``all``.

    Raises:
        UsageError: the model does not predict a label, or nothing that the dataset has.
    """
    known = {column_of(task, manifest): classes for task, classes in tasks.items()}
    wanted = asked.split("+") if "+" in asked else [
        name for name, classes in known.items() if len(classes) == 2 and name in manifest.attributes
    ]  # fmt: skip
    lacking = [name for name in wanted if name not in known]
    if lacking or not wanted:
        what = repr(lacking[0]) if lacking else "a column of this dataset with two levels"
        raise UsageError(f"the model predicts {', '.join(tasks)}, not {what}; name another --target or --head")
    return wanted[0]


def assemble(
    rows: StrArray,
    scored: Mapping[str, FloatArray],
    manifest: Manifest,
    spelt: Mapping[str, tuple[str, ...]],
    target: str,
) -> Predictions:
    """Join what was predicted with what is true.

    The target's classes stay in the model's order. Those of other columns take the dataset's, because they are levels of
    groups first: that a model predicts race as well must not change the order in which races are shown.

    Args:
        rows: (n,) row ids.
        scored: column → (n, k) scores.
        manifest: the labels.
        spelt: column → class names as the dataset spells them, in output order.
        target: the audited column.

    Raises:
        DataError: labels occur that the model has no class for.
    """
    position = {str(row): i for i, row in enumerate(manifest.frame["row"])}
    read = manifest.take(np.array([position[str(row)] for row in rows], dtype=np.int64))
    categorical, numeric = columns_of(read)
    tasks = {}
    for name, classes in spelt.items():
        scores = scored[name]
        if name in categorical and name != target:
            levels = manifest.levels(name)
            scores, classes = scores[:, [classes.index(level) for level in levels]], levels
        y_pred = scores.argmax(-1).astype(np.int64)
        y_true = np.full(len(y_pred), MISSING, dtype=np.int64)
        if name in categorical:
            y_true = encode(categorical[name], classes, name)
        tasks[name] = Task(classes, y_true, y_pred, scores)
    identity = None
    if "identity" in read.frame.columns:
        identity = Column.of(read.frame["identity"].tolist())
    attributes = {name: column for name, column in categorical.items() if name not in tasks}
    return Predictions(np.asarray(rows, dtype=object), tasks, attributes, numeric, identity)


def encode(labels: Column, classes: tuple[str, ...], name: str) -> IntArray:
    """Labels as (n,) indices of the model's classes.

    Args:
        labels: of the dataset.
        classes: of the model, as the dataset spells them.
        name: of the column.

    Raises:
        DataError: labels occur that the model has no class for.
    """
    index = {c: i for i, c in enumerate(classes)}
    codes = np.array([*(index.get(level, MISSING) for level in labels.levels), MISSING], dtype=np.int64)
    unknown = [i for i, level in enumerate(labels.levels) if level not in index and (labels.codes == i).any()]
    if unknown:
        counted = ", ".join(f"{labels.levels[i]} ({int((labels.codes == i).sum())} images)" for i in unknown)
        raise DataError(
            f"the model has no class for {counted} of {name!r}; its classes are {', '.join(classes)}: "
            "name them with --classes, count outputs together with --merge, or restrict the audit with --where"
        )
    return np.asarray(codes[labels.codes])
