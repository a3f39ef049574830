"""The subset language: what it selects, what it refuses, and that nothing is ever run."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairaudit.errors import FairauditError, UnknownNameError, UsageError
from fairaudit.metrics.subset import parse_subset
from fairaudit.predictions import Column

GENDER = ["Female", "Male", None, "Female", "Male"]
HAIR = ["blond", "dark", "dark", None, "Dark"]
AGE = [3.0, 20.0, 40.0, float("nan"), 70.0]
COLUMNS = {"gender": Column.of(GENDER), "hair color": Column.of(HAIR)}
NUMERIC = {"age": np.array(AGE)}


def _rows(text: str) -> list[int]:
    return [int(i) for i in np.flatnonzero(parse_subset(text).rows(COLUMNS, NUMERIC))]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ('gender == "Female"', [0, 3]),
        ("gender == 'fEMALE'", [0, 3]),
        ("Gender == 'Female'", [0, 3]),
        ("'Female' == gender", [0, 3]),
        ("gender != 'Female'", [1, 4]),
        ("age >= 20", [1, 2, 4]),
        ("20 <= age", [1, 2, 4]),
        ("20 < age < 70", [2]),
        ("age == 3 or age == 70.0", [0, 4]),
        ("age != 3", [1, 2, 4]),
        ("age > -1", [0, 1, 2, 4]),
        ("age < 1" + "0" * 400, [0, 1, 2, 4]),
        ("age > -1" + "0" * 400, [0, 1, 2, 4]),
        ("age in [3, 40]", [0, 2]),
        ("age not in (3, 40)", [1, 4]),
        ("gender in ['female', 'MALE']", [0, 1, 3, 4]),
        ("gender not in {'Male'}", [0, 3]),
        ("gender in []", []),
        ("gender not in []", [0, 1, 3, 4]),
        ("gender == 'Male' and age < 30", [1]),
        ("gender == 'Female' or age > 30", [0, 2, 3, 4]),
        ("not gender == 'Female'", [1, 2, 4]),
        ("(gender == 'Male') and not (age > 30 or age < 10)", [1]),
        ("`hair color` == 'blond'", [0]),
        ("`hair color` == 'dark'", [1, 2]),
        ("`hair color` == 'Dark'", [4]),
        ("  gender == 'Male'  ", [1, 4]),
    ],
)
def test_what_is_selected(text: str, rows: list[int]) -> None:
    assert _rows(text) == rows


def test_the_columns_it_mentions() -> None:
    assert parse_subset("`hair color` == 'dark' and (age > 3 or Gender in ['Male'])").names == {
        "hair color",
        "age",
        "Gender",
    }


_values = {"gender": ["Female", "Male"], "hair": ["dark", "blond"]}
_tests = st.sampled_from(
    [f"{name} {op} {v!r}" for name in _values for op in ("==", "!=") for v in _values[name]]
    + [f"age {op} {n}" for op in ("<", "<=", ">", ">=", "==", "!=") for n in (3, 20)]
)
_expressions = st.recursive(
    _tests,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        inner.map(lambda t: f"(not {t})"),
    ),
    max_leaves=6,
)


@given(_expressions)
def test_it_selects_what_python_would(text: str) -> None:
    rows = list(itertools.product(_values["gender"], _values["hair"], [3, 7, 20]))
    gender, hair, age = zip(*rows, strict=True)
    columns = {"gender": Column.of(gender), "hair": Column.of(hair)}
    found = parse_subset(text).rows(columns, {"age": np.array(age, dtype=float)})
    expected = [eval(text, {"__builtins__": {}}, {"gender": g, "hair": h, "age": a}) for g, h, a in rows]
    assert found.tolist() == expected


EXAMPLE = "write for example 'gender == \"Female\" and age >= 18'"


@pytest.mark.parametrize(
    "text", ["", "gender =", "gender == 'a", "age\n> 3", "\0", "(" * 500, "-" * 4000 + "1 < age", "``"]
)
def test_what_cannot_be_read(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_subset(text)
    assert str(caught.value) == f"--where {text!r} cannot be read; {EXAMPLE}"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("__import__('os').system('x')", "\"__import__('os').system('x')\" is no comparison"),
        ("gender.__class__", "'gender.__class__' is no comparison"),
        ("gender.__class__ == 'a'", "each comparison needs a column"),
        ("gender == gender.__class__", "'gender.__class__' is neither a text in quotes nor a number"),
        ("age > __import__('os').getpid()", "\"__import__('os').getpid()\" is neither a text in quotes nor a number"),
        ("lambda: 1", "'lambda: 1' is no comparison"),
        ("[x for x in age]", "'[x for x in age]' is no comparison"),
        ("gender", "'gender' is no comparison"),
        ("True", "'True' is no comparison"),
        ("1 < 2", "each comparison needs a column"),
        ("age * 2 > 3", "each comparison needs a column"),
        ("gender == age", "'age' is neither a text in quotes nor a number"),
        ("age == {[1]}", "'{[1]}' is neither a text in quotes nor a number"),
        ("age > 'x'", "age is numeric and cannot be compared with 'x'"),
        ("age > None", "age is numeric and cannot be compared with None"),
        ("gender > 'Female'", "gender has levels, not numbers, and can only be compared with == or !="),
        ("gender is 'Female'", "the operator in 'gender' … is not one of == != < <= > >= in"),
        ("gender in 'Female'", 'after \'in\' write a list such as ["Black", "White"]'),
        ("'a' in []", "before 'in' write a column"),
        ("not " * 1500 + "age > 3", "it is nested too deeply"),
        ("age > " + "-" * 900 + "1", "it is nested too deeply"),
    ],
)
def test_what_makes_no_sense_is_refused_and_never_run(text: str, why: str) -> None:
    with pytest.raises(UsageError) as caught:
        _rows(text)
    assert str(caught.value) == f"--where {text!r}: {why}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gendr == 'Female'", "unknown column in --where: 'gendr'; did you mean 'gender'?"),
        ("gender == 'Femal'", "unknown level of 'gender' in --where: 'Femal'; did you mean 'Female' or 'Male'?"),
        ("`eye color` == 1", "unknown column in --where: 'eye color'; did you mean 'hair color'?"),
        ("gender in ['Male', 'Other']", "unknown level of 'gender' in --where: 'Other'; choose from Female, Male"),
    ],
)
def test_names_that_do_not_exist(text: str, message: str) -> None:
    with pytest.raises(UnknownNameError) as caught:
        _rows(text)
    assert str(caught.value) == message


@given(st.text(alphabet="agender()[]{}'\"`=<>!&|~+-*/%.,:; 0123456789\\notrilm\n", max_size=40))
@pytest.mark.filterwarnings("ignore::SyntaxWarning", "ignore::DeprecationWarning")
def test_any_text_selects_or_is_refused(text: str) -> None:
    said = "--where"
    try:
        rows = len(parse_subset(text).rows(COLUMNS, NUMERIC))
    except FairauditError as error:
        rows, said = 5, str(error)
    assert rows == 5
    assert "--where" in said
