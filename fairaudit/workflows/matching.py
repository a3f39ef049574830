"""Names as people write them, in any case, meet names as the data has them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fairaudit.errors import UnknownNameError


def match(what: str, name: str, known: Iterable[str]) -> str:
    """The known name that is meant.

    Args:
        what: what it is a name of, for the error.
        name: as the user wrote it.
        known: all names.

    Raises:
        UnknownNameError: there is none.
    """
    choices = list(known)
    folded = {c.casefold(): c for c in choices}
    if name in choices:
        return name
    if name.strip().casefold() not in folded:
        raise UnknownNameError(what, name, choices)
    return folded[name.strip().casefold()]


def index_of(what: str, name: str, known: Sequence[str]) -> int:
    """Where the known name that is meant stands, see ``match``."""
    return list(known).index(match(what, name, known))
