"""Which columns of a table of shards an audit needs, and the predictions made of their distinct combinations."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from fairaudit.artifacts.arrow import text_array
from fairaudit.artifacts.foreign import TableColumns
from fairaudit.artifacts.shards import Counted, Shards, count_combinations
from fairaudit.artifacts.tables import DESCRIPTION, described, predictions_of
from fairaudit.errors import PredictionsError, UnknownNameError, UsageError
from fairaudit.predictions import IntArray, Predictions


@dataclass(frozen=True, eq=False)
class Part:
    """Predictions that know one grouping.

    Attributes:
        predictions: the distinct rows, as if each occurred once.
        times: (m,) how many rows of the table each stands for.
        scores: (m, k, b) of these, how many have a score of each class in each bin (``rank_bins``); None where that was
            not counted.
    """

    predictions: Predictions
    times: IntArray
    scores: IntArray | None = None


@dataclass(frozen=True)
class Streamed:
    """What was read of a table of shards.

    Attributes:
        target: name of the target.
        parts: one for each grouping that was asked for, in order.
        left: what the table has and a stream does not read, or in bins alone: ``scores``, ``identities``.
        rows: how many rows there are.
    """

    target: str
    parts: tuple[Part, ...]
    left: tuple[str, ...]
    rows: int


def read_streamed(
    shards: Shards,
    columns: TableColumns | None,
    target: str | None,
    groupings: Sequence[Sequence[str]],
    besides: Iterable[str] = (),
) -> Streamed:
    """Read what audits by some groupings need, in one pass.

    Args:
        shards: the table.
        columns: which columns mean what, see ``read_predictions``; their scores and identities are not read.
        target: which target, where the table has several.
        groupings: the attributes of each grouping.
        besides: columns of every grouping, because an expression or a binning asks for them.

    Raises:
        UnknownNameError: there is no such attribute or target.
        UsageError: there are several targets and none was named, or a joint one was.
        PredictionsError: a column cannot be used.
    """
    if columns is not None:
        return _foreign(shards, columns, groupings, besides)
    description = described(shards.schema)
    if description is not None:
        return _ours(shards, description, target, groupings, besides)
    names = shards.schema.columns
    targets = [name for name in names if f"{name}_pred" in names]
    if not targets:
        raise PredictionsError(
            f"{shards.name} does not say which columns are labels and predictions; name them with --y-true and --y-pred "
            f"(its columns are {', '.join(names[:12])})"
        )
    chosen = _target(target, targets)
    prefix = f"{chosen}_score["
    scored = tuple(c for c in names if c.startswith(prefix) and c.endswith("]"))
    classes = tuple(c[len(prefix) : -1] for c in scored) or None
    spelled = [[_match("attribute", name, names) for name in by] for by in groupings]
    hints = TableColumns(
        chosen,
        f"{chosen}_pred",
        y_score=scored,
        identity="identity" if "identity" in names else None,
        classes=classes,
    )
    return _foreign(shards, hints, spelled, [_match("column", name, names) for name in besides], auto=True)


def _foreign(
    shards: Shards,
    columns: TableColumns,
    groupings: Sequence[Sequence[str]],
    besides: Iterable[str],
    auto: bool = False,
) -> Streamed:
    target = columns.target or columns.y_true
    extra = tuple(besides)
    left = [what for what, named in (("scores", columns.y_score), ("identities", columns.identity)) if named]
    for name, what in ((columns.y_true, "--y-true"), (columns.y_pred, "--y-pred")):
        shards.schema.require(name, what)
    for names, what in ((extra, "--where"), *((by, "--by") for by in groupings)):
        for name in names:
            shards.schema.require(_column(name, target, columns.y_true), what)
    wanted = [
        tuple(dict.fromkeys([columns.y_true, columns.y_pred, *(_column(n, target, columns.y_true) for n in [*by, *extra])]))
        for by in groupings
    ]
    found = count_combinations(shards, wanted, [columns.y_pred])
    parts = []
    for by, one in zip(groupings, found, strict=True):
        named = tuple(name for name in by if name != target and name not in extra)
        hints = replace(columns, y_score=(), identity=None, id=None, by=() if auto else named, extra=() if auto else extra)
        parts.append(Part(predictions_of(one.cells, hints), one.times))
    return Streamed(target, tuple(parts), tuple(left), shards.rows)


def _column(name: str, target: str, y_true: str) -> str:
    return y_true if name == target else name


def _ours(
    shards: Shards,
    description: dict[str, Any],
    target: str | None,
    groupings: Sequence[Sequence[str]],
    besides: Iterable[str],
) -> Streamed:
    if description.get("weight") is not None:
        raise UsageError(f"{shards.name} has weights, which are not counted batch by batch; read all with --no-stream")
    try:
        tasks, attributes, numeric = description["tasks"], description["attributes"], description["numeric"]
        chosen = _target(target, list(tasks))
        task = tasks[chosen]
        levels = {
            name: {"column": one["y_true"], "levels": one["classes"]} for name, one in tasks.items() if name != chosen
        }
        levels |= attributes
        known = [*tasks, *attributes, *numeric]
        found_besides = [_match("column", name, known) for name in besides]
        needed, wanted = [], []
        for by in groupings:
            names = dict.fromkeys([*(_match("attribute", name, known) for name in by), *found_besides])
            needed.append(names)
            read = [levels[n]["column"] if n in levels else numeric[n] for n in names if n in levels or n in numeric]
            wanted.append(tuple(dict.fromkeys([task["y_true"], task["y_pred"], *read])))
        scores = [str(column) for column in task["y_score"]]
        left = [what for what, there in (("scores", scores), ("identities", description["identity"])) if there]
    except (KeyError, TypeError, AttributeError) as error:
        raise PredictionsError(f"{shards.name}: what it says of its own columns is damaged; write it again") from error
    for columns in [*wanted, scores]:
        for column in columns:
            shards.schema.require(column, "declared by the file")
    parts = []
    for names, one in zip(needed, count_combinations(shards, wanted, [task["y_pred"]], scores), strict=True):
        short = {
            **description,
            "tasks": {chosen: {**task, "y_score": []}},
            "attributes": {n: levels[n] for n in names if n in levels},
            "numeric": {n: numeric[n] for n in names if n in numeric and n not in levels},
            "identity": None,
        }
        parts.append(Part(predictions_of(_described_as(one, short)), one.times, one.scores))
    return Streamed(chosen, tuple(parts), tuple(left), shards.rows)


def _described_as(one: Counted, description: dict[str, Any]) -> Any:
    table = one.cells.table
    rows = text_array([str(i) for i in range(1, len(table) + 1)])
    if "row" not in table.column_names:
        table = pa.table({"row": rows, **{name: table[name] for name in table.column_names}})
    text = json.dumps(description, ensure_ascii=False).encode("utf-8")
    return replace(one.cells, table=table, metadata={DESCRIPTION: text})


def _target(name: str | None, targets: Sequence[str]) -> str:
    if name is None:
        if len(targets) != 1:
            raise UsageError(f"the predictions have {len(targets)} targets ({', '.join(targets)}); name one with --target")
        return targets[0]
    if name not in targets and "," in name:
        raise UsageError(
            f"--target {name} is made of several targets, which a stream does not count together; use --no-stream"
        )
    return _match("target", name, targets)


def _match(what: str, name: str, known: Iterable[str]) -> str:
    choices = list(known)
    folded = {choice.casefold(): choice for choice in choices}
    if name in choices:
        return name
    if name.strip().casefold() not in folded:
        raise UnknownNameError(what, name, choices)
    return folded[name.strip().casefold()]
