"""Anybody's table of predictions, given hints about which column means what."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fairaudit.artifacts.cells import Cells, sorted_levels
from fairaudit.artifacts.ranges import row_of, scores_in_range, weights_of
from fairaudit.errors import PredictionsError, suggest
from fairaudit.predictions import MISSING, Column, FloatArray, IntArray, Predictions, StrArray, Task

ROW_COLUMNS = ("row", "path", "file")
"""Columns that name the row where the user names none, if their values are unique."""

MAX_NUMERIC_LEVELS = 50
MAX_LEVELS = 500


@dataclass(frozen=True)
class TableColumns:
    """Which columns of a table mean what.

    Attributes:
        y_true: the labels; of several targets of each image their names, ``race,gender`` or ``Smiling+Young``.
        y_pred: the predicted classes, as many.
        y_score: scores in [0, 1]: columns whose names say which class they score (``p_female``), one column, which scores
            the positive class of two, or ``CLASS=column`` for every class (of two classes, one is enough).
        target: what the target is called in the audit; None is ``y_true``.
        by: columns that define groups; a number among them has its distinct values as levels.
        extra: columns to keep, whatever they hold, because ``--where`` asks for them.
        id: the column of unique row ids; None takes ``row``, ``path`` or ``file`` if unique, and else numbers the rows.
        identity: the column that says who is on the picture.
        weight: the column that says how many images of the population a row stands for.
        classes: the classes in order, matched without regard to case; None is every label and prediction, sorted.
        positive: the class that a single score column scores.
    """

    y_true: str
    y_pred: str
    y_score: tuple[str, ...] = ()
    target: str | None = None
    by: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    id: str | None = None
    identity: str | None = None
    classes: tuple[str, ...] | None = None
    positive: str | None = None
    weight: str | None = None


def read_foreign(cells: Cells, columns: TableColumns, declared: Mapping[str, tuple[str, ...]]) -> Predictions:
    """Predictions from any table.

    Beside the columns that were named, every text column of few values becomes an attribute, and every column of numbers
    a numeric column.

    Args:
        cells: the table.
        columns: which columns mean what.
        declared: column → levels that the file itself declares.

    Raises:
        PredictionsError: a column is missing, or holds what it must not; the sentence names it.
    """
    for sign in ("+", ","):
        if sign in columns.y_true and columns.y_true not in cells.columns:
            return _several(cells, columns, declared, sign)
    target = columns.target or columns.y_true
    task, used = _task(cells, columns, declared)
    rows, row_column = _rows(cells, columns.id)
    used |= {row_column} if row_column else set()
    identity = None
    if columns.identity is not None:
        used.add(columns.identity)
        identity = _column(cells, columns.identity, declared, "--identity")
    weight = None
    if columns.weight is not None:
        used.add(columns.weight)
        weight = weights_of(cells, columns.weight)
    attributes: dict[str, Column] = {}
    for name in columns.by:
        # The labels are a column of their own already; their levels are the classes.
        if name not in attributes and not (name == target == columns.y_true):
            attributes[name] = _group_column(cells, name, declared)
    numeric: dict[str, FloatArray] = {}
    for name in dict.fromkeys([*columns.extra, *cells.columns]):
        named = name in columns.extra
        if name in attributes or (name in used and not named) or name == target:
            continue
        if named:
            cells.require(name, "--where")
        elif cells.columns.count(name) > 1:
            continue
        numbers = cells.numbers(name)
        if numbers is not None and name not in declared:
            numeric[name] = numbers
        elif named or _few(cells, name):
            attributes[name] = _column(cells, name, declared, "kept")
    return Predictions(rows, {target: task}, attributes, numeric, identity, weight)


def _several(cells: Cells, columns: TableColumns, declared: Mapping[str, tuple[str, ...]], sign: str) -> Predictions:
    """Several targets of the same images, each called as its labels are."""
    true, predicted = ([name.strip() for name in names.split(sign)] for names in (columns.y_true, columns.y_pred))
    if len(true) != len(predicted) or len(set(true)) < len(true):
        raise PredictionsError(
            f"--y-true {columns.y_true} and --y-pred {columns.y_pred} do not go together: name as many columns of "
            "predictions as of labels, each label once"
        )
    if columns.y_score or (columns.classes and sign == ","):  # labels side by side have the same classes, no and yes
        raise PredictionsError(
            f"--y-score and --classes are of one target, and --y-true {columns.y_true} names {len(true)}; leave them out"
        )
    by = tuple(name for name in columns.by if name not in true)
    each = [replace(columns, y_true=t, y_pred=p, target=None, by=by) for t, p in zip(true, predicted, strict=True)]
    first, used = read_foreign(cells, each[0], declared), {*true, *predicted}
    kept = {name: column for name, column in first.attributes.items() if name not in used or name in by}
    numeric = {name: numbers for name, numbers in first.numeric.items() if name not in used or name in columns.extra}
    tasks = {name: _task(cells, one, declared)[0] for name, one in zip(true, each, strict=True)}
    return Predictions(first.rows, tasks, kept, numeric, first.identity, first.weight)


def _task(cells: Cells, columns: TableColumns, declared: Mapping[str, tuple[str, ...]]) -> tuple[Task, set[str]]:
    true_codes, true_texts = cells.coded(cells.require(columns.y_true, "--y-true"))
    pred_codes, pred_texts = cells.coded(cells.require(columns.y_pred, "--y-pred"))
    unpredicted = int((pred_codes == MISSING).sum())
    if unpredicted:
        row = row_of(pred_codes, MISSING)
        raise PredictionsError(
            f"column {columns.y_pred!r} of {cells.name} is empty in {unpredicted} rows, the first is row {row}; "
            "every image must have a prediction"
        )
    if not set(pred_texts) <= set(true_texts):
        true_texts, pred_texts = _whole(true_texts), _whole(pred_texts)
    seen = sorted_levels([*true_texts, *pred_texts])
    if columns.classes is not None:
        classes = _spelt(columns.classes, seen)
    else:
        known = declared.get(columns.y_true)
        classes = known if known and set(seen) <= set(known) else seen
    for column, codes, texts in ((columns.y_true, true_codes, true_texts), (columns.y_pred, pred_codes, pred_texts)):
        unknown = [i for i, text in enumerate(texts) if text not in classes]
        if unknown:
            text, row = texts[unknown[0]], row_of(codes, unknown[0])
            raise PredictionsError(
                f"column {column!r} of {cells.name} holds {text!r} (row {row}), which is not one of the classes"
                f"{suggest(text, classes)}"
            )
    if len(classes) < 2:
        raise PredictionsError(
            f"every label and prediction in {cells.name} is {classes[0]!r}; name the classes with --classes"
            if classes
            else f"column {columns.y_true!r} of {cells.name} is empty"
        )
    scores, scored = _scores(cells, columns, classes)
    task = Task(classes, _recoded(true_codes, true_texts, classes), _recoded(pred_codes, pred_texts, classes), scores)
    return task, {columns.y_true, columns.y_pred, *scored}


def _scores(cells: Cells, columns: TableColumns, classes: tuple[str, ...]) -> tuple[FloatArray | None, set[str]]:
    if not columns.y_score:
        return None, set()
    column_of: dict[str, str] = {}
    for item in columns.y_score:
        name, separator, column = item.partition("=")
        if item in cells.columns or not separator:
            said, meant = _class_named(item, classes), columns.positive
            if said is not None and meant is not None and [said] != [*_spelt((meant,), classes)] and len(classes) == 2:
                raise PredictionsError(
                    f"--y-score {item} says {said} by its name and --positive says {meant}; write CLASS={item}"
                )
            if said is None and (meant is None or len(columns.y_score) > 1 or len(classes) > 2):
                example = ",".join(f"{c}=COLUMN" for c in classes[:2])
                raise PredictionsError(
                    f"--y-score {item} does not say which class it scores; write {classes[-1]}={item}, or name the class "
                    "with --positive"
                    if len(classes) == 2 and len(columns.y_score) == 1
                    else f"--y-score {item} does not say which class it scores; write CLASS=COLUMN for each of the "
                    f"{len(classes)} classes ({example} …)"
                )
            name, column = said or str(meant), item
        [spelt] = _spelt((name,), classes)
        if spelt not in classes:
            raise PredictionsError(f"--y-score {item}: {name!r} is not one of the classes{suggest(name, classes)}")
        column_of[spelt] = column
    lacking = [c for c in classes if c not in column_of]
    given = {c: scores_in_range(cells, column) for c, column in column_of.items()}
    if len(classes) == 2 and len(lacking) == 1:
        [other] = given.values()
        given[lacking[0]] = 1.0 - other
    elif lacking:
        raise PredictionsError(f"--y-score has no column for the class {lacking[0]!r}; give CLASS=COLUMN for every class")
    return np.stack([given[c] for c in classes], axis=1), set(column_of.values())


def _class_named(column: str, classes: tuple[str, ...]) -> str | None:
    """The one class whose name is among the words of a column's name: Female in ``p_female``, where ``male`` is no word."""

    def words(text: str) -> list[str]:
        return re.findall(r"[^\W_]+", text.casefold())

    said = words(column)
    named = []
    for name in classes:
        wanted = words(name)
        places = [i for i in range(len(said) - len(wanted) + 1) if wanted and said[i : i + len(wanted)] == wanted]
        if any(not {"no", "non", "not"} & {*said[:i]} for i in places):
            named.append(name)
    return named[0] if len(named) == 1 else None


def _rows(cells: Cells, named: str | None) -> tuple[StrArray, str | None]:
    if named is not None:
        rows = cells.texts(cells.require(named, "--id"))
        if None in rows:
            raise PredictionsError(
                f"column {named!r} of {cells.name} is empty in {rows.count(None)} rows, the first is row "
                f"{rows.index(None) + 1}; row ids must be complete"
            )
        if len(set(rows)) < len(rows):
            twice, times = Counter(rows).most_common(1)[0]
            raise PredictionsError(
                f"column {named!r} of {cells.name} holds {twice!r} {times} times; row ids must be unique"
            )
        return np.array(rows, dtype=object), named
    for column in ROW_COLUMNS:
        if cells.columns.count(column) == 1:
            rows = cells.texts(column)
            if None not in rows and len(set(rows)) == len(rows):
                return np.array(rows, dtype=object), column
    return np.array([str(i) for i in range(1, len(cells) + 1)], dtype=object), None


def _group_column(cells: Cells, name: str, declared: Mapping[str, tuple[str, ...]]) -> Column:
    column = _column(cells, name, declared, "--by")
    limit = MAX_LEVELS if cells.numbers(name) is None else MAX_NUMERIC_LEVELS
    if len(column.levels) > limit:
        raise PredictionsError(
            f"column {name!r} of {cells.name} has {len(column.levels)} different values, too many to be groups; "
            "bin it into a few levels first"
        )
    return column


def _column(cells: Cells, name: str, declared: Mapping[str, tuple[str, ...]], what: str) -> Column:
    codes, texts = cells.coded(cells.require(name, what))
    known = declared.get(name)
    levels = known if known and set(texts) <= set(known) else sorted_levels(texts)
    return Column(_recoded(codes, texts, levels), levels)


def _few(cells: Cells, name: str) -> bool:
    try:
        return 0 < len(cells.coded(name)[1]) <= MAX_NUMERIC_LEVELS
    except PredictionsError:  # bytes, lists: a column that nobody asked for is left alone
        return False


def _recoded(codes: IntArray, texts: Sequence[str], levels: tuple[str, ...]) -> IntArray:
    index = {level: i for i, level in enumerate(levels)}
    return np.array([*(index[text] for text in texts), MISSING], dtype=np.int64)[codes]


def _whole(texts: list[str]) -> list[str]:
    """Labels without a fraction of zero: programs that meet a missing integer write all of them as 1.0."""
    return [re.sub(r"^(-?\d+)\.0+$", r"\1", text) for text in texts]


def _spelt(names: tuple[str, ...], seen: Sequence[str]) -> tuple[str, ...]:
    """The data's spelling of names given in any case; a name that the data does not have stays as it is."""
    folded = {text.casefold(): text for text in seen}
    return tuple(name if name in seen else folded.get(name.strip().casefold(), name) for name in names)
