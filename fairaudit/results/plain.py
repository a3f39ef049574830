"""Values in JSON's types: what every record is written with."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from typing import Any

DIGITS = 10
"""How many digits of a number a record keeps: more would differ between processors, fewer would lose counts."""


def plain(value: Any) -> Any:
    """A value in JSON's types: numbers of numpy and of Python alike, rounded, None where nan or infinite."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        number = float(f"{float(value):.{DIGITS}g}")
        return number + 0.0 if math.isfinite(number) else None
    if isinstance(value, Iterable):
        return [plain(item) for item in value]
    return str(value)
