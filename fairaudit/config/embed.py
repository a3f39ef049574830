"""What an audit of an embedding space asks."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from fairaudit.config.audit import AuditSettings
from fairaudit.config.base import Settings

Part = Literal["verification", "geometry", "leakage", "downstream", "map"]


class EmbedSettings(Settings):
    """What an audit of an embedding space asks.

    Attributes:
        of: columns whose value, or crossed values, are the class that images are to be found by; None takes the identity.
        k: the k of each recall@k.
        pairs: pairs of each kind that are drawn in each group, at the most.
        fmr: false match rate that the one threshold is set for; None takes the lowest that the impostors can tell.
        downstream: column that downstream classifiers tell; None takes the class.
        without: parts that are left out.
        audit: groupings, reference groups, rules, how sure the answer must be. Its ``target`` is the table that rules are
            about: ``recall_at_K``, or ``genuine`` for pairs; its ``threshold`` is the score from which a pair matches.
    """

    of: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    k: Annotated[tuple[Annotated[int, Field(ge=1, le=10_000)], ...], Field(min_length=1)] = (1, 5, 10)
    pairs: Annotated[int, Field(ge=10, le=10_000_000)] = 20_000
    fmr: Annotated[float, Field(gt=0.0, lt=1.0)] | None = None
    downstream: str | None = None
    without: tuple[Part, ...] = ()
    audit: AuditSettings = Field(default_factory=AuditSettings)
