"""Subsets: a small expression language over columns, ``gender == "Female" and age >= 18``.

Python's own grammar, restricted to comparisons, ``in``, ``and``, ``or``, ``not``, names, strings and numbers; nothing is
ever evaluated as code. Level names match without regard to case. A missing value satisfies no comparison.
"""

from __future__ import annotations

import ast
import math
import operator
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fairaudit.errors import UnknownNameError, UsageError
from fairaudit.predictions import MISSING, BoolArray, Column, FloatArray

_ORDER: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}


@dataclass(frozen=True)
class Subset:
    """An expression that has been read.

    Attributes:
        text: as the user wrote it.
        names: the columns that it mentions.
    """

    text: str
    names: frozenset[str]
    _tree: ast.expr
    _spelling: Mapping[str, str]

    def rows(self, columns: Mapping[str, Column], numeric: Mapping[str, FloatArray]) -> BoolArray:
        """Which rows satisfy the expression.

        Args:
            columns: name → categorical column, n rows each.
            numeric: name → (n,) numbers.

        Raises:
            UnknownNameError: a column or level does not exist.
            UsageError: a comparison makes no sense, such as ordering levels.
        """
        evaluation = _Evaluation(self, columns, numeric)
        try:
            return evaluation.of(self._tree)
        except RecursionError as error:
            raise evaluation.refuse("it is nested too deeply") from error


def parse_subset(text: str) -> Subset:
    """Read an expression; names that are no identifiers stand in backticks.

    Raises:
        UsageError: it cannot be read.
    """
    spelling: dict[str, str] = {}

    def plain(match: re.Match[str]) -> str:
        name = f"_quoted_{len(spelling)}"
        spelling[name] = match[1]
        return name

    try:
        tree = ast.parse(re.sub(r"`([^`]+)`", plain, text.strip()), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise UsageError(
            f"--where {text!r} cannot be read; write for example 'gender == \"Female\" and age >= 18'"
        ) from error
    names = frozenset(spelling.get(n.id, n.id) for n in ast.walk(tree) if isinstance(n, ast.Name))
    return Subset(text, names, tree, spelling)


@dataclass(frozen=True)
class _Evaluation:
    subset: Subset
    columns: Mapping[str, Column]
    numeric: Mapping[str, FloatArray]

    def of(self, node: ast.expr) -> BoolArray:
        match node:
            case ast.BoolOp(op=ast.And()):
                return _all([self.of(v) for v in node.values])
            case ast.BoolOp():
                return ~_all([~self.of(v) for v in node.values])
            case ast.UnaryOp(op=ast.Not()):
                return ~self.of(node.operand)
            case ast.Compare():
                sides = [node.left, *node.comparators]
                return _all([self.compare(a, op, b) for a, op, b in zip(sides, node.ops, sides[1:], strict=False)])
        raise self.refuse(f"{ast.unparse(node)!r} is no comparison")

    def compare(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> BoolArray:
        if isinstance(op, ast.In | ast.NotIn):
            if not isinstance(right, ast.List | ast.Tuple | ast.Set):
                raise self.refuse('after \'in\' write a list such as ["Black", "White"]')
            hits = [self.compare(left, ast.Eq(), item) for item in right.elts]
            known = ~self.missing(left)
            any_hit = ~_all([~hit for hit in hits]) if hits else np.zeros_like(known)
            return any_hit if isinstance(op, ast.In) else ~any_hit & known
        if type(op) not in _ORDER:
            raise self.refuse(f"the operator in {ast.unparse(left)!r} … is not one of == != < <= > >= in")
        if not isinstance(left, ast.Name):
            flipped = {ast.Lt: ast.Gt, ast.LtE: ast.GtE, ast.Gt: ast.Lt, ast.GtE: ast.LtE}
            if not isinstance(right, ast.Name):
                raise self.refuse("each comparison needs a column")
            return self.compare(right, flipped.get(type(op), type(op))(), left)
        return self.column_against_value(self.name(left), op, right)

    def column_against_value(self, name: str, op: ast.cmpop, right: ast.expr) -> BoolArray:
        try:
            value = ast.literal_eval(right)
        except (ValueError, TypeError, SyntaxError) as error:
            raise self.refuse(f"{ast.unparse(right)!r} is neither a text in quotes nor a number") from error
        if name in self.numeric:
            if not isinstance(value, int | float):
                raise self.refuse(f"{name} is numeric and cannot be compared with {value!r}")
            numbers = self.numeric[name]
            if isinstance(value, int) and abs(value) > sys.float_info.max:
                value = math.inf if value > 0 else -math.inf
            return np.asarray(_ORDER[type(op)](numbers, value) & ~np.isnan(numbers))
        column = self.columns[name]
        if not isinstance(op, ast.Eq | ast.NotEq):
            raise self.refuse(f"{name} has levels, not numbers, and can only be compared with == or !=")
        text = str(value)
        folded = {level.casefold(): i for i, level in enumerate(column.levels)}
        if text not in column.levels and text.casefold() not in folded:
            raise UnknownNameError(f"level of {name!r} in --where:", text, column.levels)
        code = column.levels.index(text) if text in column.levels else folded[text.casefold()]
        equal = column.codes == code
        return np.asarray(equal if isinstance(op, ast.Eq) else ~equal & (column.codes != MISSING))

    def missing(self, node: ast.expr) -> BoolArray:
        if not isinstance(node, ast.Name):
            raise self.refuse("before 'in' write a column")
        name = self.name(node)
        if name in self.numeric:
            return np.isnan(self.numeric[name])
        return np.asarray(self.columns[name].codes == MISSING)

    def name(self, node: ast.Name) -> str:
        written = self.subset._spelling.get(node.id, node.id)
        known = [*self.columns, *self.numeric]
        folded = {k.casefold(): k for k in known}
        if written not in known and written.casefold() not in folded:
            raise UnknownNameError("column in --where:", written, known)
        return written if written in known else folded[written.casefold()]

    def refuse(self, why: str) -> UsageError:
        return UsageError(f"--where {self.subset.text!r}: {why}")


def _all(conditions: list[BoolArray]) -> BoolArray:
    return np.asarray(np.logical_and.reduce(conditions), dtype=np.bool_)
