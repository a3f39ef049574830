"""What wrong group labels could do to what an audit found: frozen records, a block of ``audit.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Range:
    """How far one disparity could move if group labels are wrong as often as was assumed.

    Attributes:
        metric: as in ``Disparity``.
        kind: gap or difference.
        group: the group compared with the privileged one; None of a gap.
        value: as it was counted.
        corrected: what it were, if errors do not depend on what the model did; nan where labels leave a group empty.
        low: the least that it could be, whatever errors depend on.
        high: the most.
    """

    metric: str
    kind: str
    group: Mapping[str, str] | None
    value: float
    corrected: float
    low: float
    high: float


@dataclass(frozen=True)
class LabelNoise:
    """What wrong group labels could do to a grouping; no verdict includes it.

    Attributes:
        errors: attribute → share of its labels that are wrong, or true level → recorded level → share.
        ranges: of every metric that is a mean over images of something from 0 to 1, the gap and every difference.
    """

    errors: Mapping[str, float | Mapping[str, Mapping[str, float]]]
    ranges: tuple[Range, ...]
