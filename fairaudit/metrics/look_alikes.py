"""Names that look alike: levels that a reader, and perhaps whoever labelled, takes for one.

The same letters in another case or width, blanks and invisible marks, and letters of other alphabets that cannot be told
from Latin ones (a choice from Unicode's list of confusables, UTS #39). A group that is split in two is small twice, and
its intervals say less than the data could.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

_TWINS = str.maketrans(
    "авекмнорстухѕіјԁԛԝһӏαβεικνορτυχγω",
    "abekmhopctyxsijdqwhlabeikvoptuxyw",
)


def look_alikes(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Names that look alike, together.

    Args:
        names: levels, each once.

    Returns:
        Every set of two or more, in the order of the names.
    """
    seen: dict[str, list[str]] = {}
    for name in names:
        seen.setdefault(_looks(name), []).append(name)
    return [tuple(alike) for alike in seen.values() if len(alike) > 1]


def look_alike_notes(column: str, names: Iterable[str]) -> list[str]:
    """A sentence for each set of levels that look alike, with what tells them apart spelt out.

    Args:
        column: which column's.
        names: its levels.
    """
    return [
        f"levels of {column} look alike and are counted apart: {', '.join(ascii(name) for name in alike)}"
        for alike in look_alikes(names)
    ]


def _looks(name: str) -> str:
    text = unicodedata.normalize("NFKC", name).casefold().translate(_TWINS)
    shown = (letter for letter in text if letter.isspace() or unicodedata.category(letter) not in ("Cf", "Cc"))
    return " ".join("".join(shown).replace("_", " ").split())
