"""Who is drawn how often: shares of groups and spurious correlations, parsed, checked and dealt out evenly.

Shares are dealt, not tossed: after any number of figures, every count is within one or two of what the shares demand, and
the k-th figure's lot does not depend on how many follow.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product

import numpy as np

from fairaudit.data.face_spec import GENDERS, TONES, Face
from fairaudit.errors import DataError, suggest

GROUPS: dict[str, tuple[str, ...]] = {"gender": GENDERS, "tone": TONES}
COLUMNS: dict[str, tuple[str, ...]] = {**GROUPS, **dict.fromkeys(Face.ATTRIBUTES, ("no", "yes"))}
_BLOCK = 20


@dataclass(frozen=True)
class Wanted:
    """What the options ask for.

    Attributes:
        gender: level → share; ``tone`` likewise.
        attributes: yes/no attribute → its share of ``yes`` for each (gender, tone); attributes that nothing was said about
            are absent and follow from the figure.
    """

    gender: Mapping[str, float]
    tone: Mapping[str, float]
    attributes: Mapping[str, Mapping[tuple[str, str], float]]


def parse(shares: str = "", spurious: str = "") -> Wanted:
    """Read both options.

    Args:
        shares: ``COLUMN=LEVEL:SHARE[,LEVEL:SHARE…]``, several separated by ``;``. Levels that are not named divide what is
            left evenly. Example: ``tone=dark:0.05,light:0.9; Eyeglasses=yes:0.3``.
        spurious: ``ATTRIBUTE~COLUMN=LEVEL:SHARE``, several separated by ``;``: the yes/no attribute is yes in this share of
            the figures of that gender or tone, and in 1 − share of the others. Example: ``Blond_Hair~gender=woman:0.95``.

    Raises:
        DataError: not this grammar, an unknown name, a share outside [0, 1], shares that do not add up to 1, something
            said twice, or attributes that exclude each other.
    """
    said: dict[str, dict[str, float]] = {}
    for text in _clauses(shares):
        name, equals, rest = text.partition("=")
        pairs = [pair.partition(":") for pair in rest.split(",")]
        if not equals or not all(colon for _, colon, _ in pairs):
            raise DataError(
                f"shares: {text!r} is not of the form COLUMN=LEVEL:SHARE,LEVEL:SHARE, as in tone=dark:0.1,light:0.9"
            )
        column = _match("shares", "column", name, COLUMNS)
        if column in said:
            raise DataError(f"shares: {column} is given twice; name all its levels in one clause")
        said[column] = _filled(column, [(level, _share("shares", text, number)) for level, _, number in pairs])
    cells = list(product(GENDERS, TONES))
    attributes = {a: dict.fromkeys(cells, said[a]["yes"]) for a in Face.ATTRIBUTES if a in said}
    for text in _clauses(spurious):
        left, tilde, right = text.partition("~")
        name, equals, rest = right.partition("=")
        level, colon, number = rest.partition(":")
        if not (tilde and equals and colon):
            raise DataError(
                f"spurious: {text!r} is not of the form ATTRIBUTE~COLUMN=LEVEL:SHARE, as in Blond_Hair~gender=woman:0.95"
            )
        attribute = _match("spurious", "yes/no attribute", left, Face.ATTRIBUTES)
        column = _match("spurious", "column to correlate with", name, GROUPS)
        level = _match("spurious", f"level of {column}", level, GROUPS[column])
        if attribute in attributes:
            raise DataError(f"spurious: the share of {attribute} is already given; say it once, in shares or in spurious")
        share, at = _share("spurious", text, number), list(GROUPS).index(column)
        attributes[attribute] = {cell: share if cell[at] == level else 1 - share for cell in cells}
    for other in ("Blond_Hair", "Long_Hair"):
        if "Bald" in attributes and other in attributes:
            raise DataError(f"shares of Bald and {other} cannot both be given: no figure can be bald and have hair")
    even = {column: dict.fromkeys(levels, 1 / len(levels)) for column, levels in GROUPS.items()}
    return Wanted(said.get("gender", even["gender"]), said.get("tone", even["tone"]), attributes)


@dataclass
class Dealer:
    """Deals lots to one split's figures, in order.

    Attributes:
        wanted: the shares.
        seed: numbers that make this split's lots its own.
    """

    wanted: Wanted
    seed: tuple[int, ...]
    _dealt: dict[tuple[str, str], int] = field(default_factory=dict)
    _lots: dict[tuple[str, tuple[str, str]], int] = field(default_factory=dict)

    def next_cell(self) -> tuple[str, str]:
        """Gender and tone of the next figure: the cell that lags furthest behind its share."""
        count = 1 + sum(self._dealt.values())
        lag = {
            (g, t): p * q * count - self._dealt.get((g, t), 0)
            for (g, p), (t, q) in product(self.wanted.gender.items(), self.wanted.tone.items())
        }
        cell = max(lag, key=lambda c: round(lag[c], 9))
        self._dealt[cell] = self._dealt.get(cell, 0) + 1
        return cell

    def next_value(self, attribute: str, cell: tuple[str, str]) -> bool | None:
        """The attribute's value for the next picture in a cell; None where nothing was asked for."""
        shares = self.wanted.attributes.get(attribute)
        if shares is None:
            return None
        turn = self._lots.get((attribute, cell), 0)
        self._lots[attribute, cell] = turn + 1
        block, place = divmod(turn, _BLOCK)
        # Cumulative rounding: every block gets its whole number of yeses and no rest is ever lost.
        yes = _cumulative(shares[cell], block + 1) - _cumulative(shares[cell], block)
        where = (GENDERS.index(cell[0]), TONES.index(cell[1]), Face.ATTRIBUTES.index(attribute), block)
        order = np.random.default_rng([*self.seed, *where]).permutation(_BLOCK)
        return bool(order[place] < yes)


def _cumulative(share: float, blocks: int) -> int:
    return math.floor(share * _BLOCK * blocks + 0.5)


def _clauses(text: str) -> list[str]:
    return [clause.strip() for clause in text.split(";") if clause.strip()]


def _match(option: str, what: str, name: str, choices: Mapping[str, object] | tuple[str, ...]) -> str:
    folded = {choice.casefold(): choice for choice in choices}
    if name.strip().casefold() not in folded:
        raise DataError(f"{option}: unknown {what} {name.strip()!r}{suggest(name.strip(), choices)}")
    return folded[name.strip().casefold()]


def _share(option: str, clause: str, number: str) -> float:
    try:
        share = float(number)
    except ValueError:
        share = math.nan
    if not 0 <= share <= 1:
        raise DataError(f"{option}: {number.strip()!r} in {clause!r} is not a share between 0 and 1")
    return share


def _filled(column: str, pairs: list[tuple[str, float]]) -> dict[str, float]:
    levels = COLUMNS[column]
    given: dict[str, float] = {}
    for name, share in pairs:
        level = _match("shares", f"level of {column}", name, levels)
        if level in given:
            raise DataError(f"shares: {column}={level} is given twice")
        given[level] = share
    total, open_levels = sum(given.values()), [level for level in levels if level not in given]
    if total > 1 + 1e-9 or (not open_levels and total < 1 - 1e-9):
        raise DataError(f"shares: those of {column} add up to {total:g}, not 1")
    rest = max(1 - total, 0.0) / max(len(open_levels), 1)
    return {level: given.get(level, rest) for level in levels}
