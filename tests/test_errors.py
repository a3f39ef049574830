"""The error tree is the one its docstring draws, and suggestions help."""

from __future__ import annotations

import inspect
import re

import pytest

from fairaudit import errors
from fairaudit.errors import FairauditError, UnknownNameError, suggest


def _classes() -> dict[str, type[FairauditError]]:
    found = inspect.getmembers(errors, inspect.isclass)
    return {name: value for name, value in found if issubclass(value, FairauditError)}


def test_the_docstring_draws_the_tree() -> None:
    drawn: dict[str, int] = {}
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"    ([ │├└─]*)([A-Z]\w*Error)\s", line)
        if match:
            drawn[match[2]] = len(match[1]) // 4
    assert drawn == {name: len(value.__mro__) - len(FairauditError.__mro__) for name, value in _classes().items()}
    order, parents = list(drawn), {name: value.__mro__[1].__name__ for name, value in _classes().items()}
    for i, name in enumerate(order[1:], start=1):
        above = next(other for other in reversed(order[:i]) if drawn[other] == drawn[name] - 1)
        assert parents[name] == above


def test_every_deliberate_error_ends_with_2_and_says_what_it_is() -> None:
    for name, value in _classes().items():
        assert value.exit_code == 2
        assert inspect.getdoc(value), name


@pytest.mark.parametrize(
    ("name", "choices", "tail"),
    [
        ("groupdro", ["group-dro", "max-group"], "; did you mean 'group-dro'?"),
        ("max_group", ["group-dro", "max-group"], "; did you mean 'max-group'?"),
        ("Femal", ["Female", "Male"], "; did you mean 'Female' or 'Male'?"),
        ("ACCURACY", ["accuracy", "precision"], "; did you mean 'accuracy'?"),
        ("xyz", ["a", "b", "a"], "; choose from a, b"),
        ("xyz", [], "; there is none to choose from"),
        ("xyz", [f"n{i}" for i in range(15)], "; choose from " + ", ".join(f"n{i}" for i in range(12)) + " and 3 more"),
    ],
)
def test_suggestions(name: str, choices: list[str], tail: str) -> None:
    assert suggest(name, choices) == tail
    assert str(UnknownNameError("loss", name, choices)) == f"unknown loss {name!r}{tail}"
