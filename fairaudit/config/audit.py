"""What is compared with what, and how sure the answer must be."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, field_validator

from fairaudit.config.base import Confidence, Settings
from fairaudit.config.label_noise import Matrix, checked_errors
from fairaudit.errors import FairauditError

MissingLevels = Literal["exclude", "group"]
Aggregate = Literal["micro", "weighted", "worst"]


class AuditSettings(Settings):
    """What is compared with what, and how sure the answer must be.

    Attributes:
        target: the target that is audited; None when there is only one.
        by: groupings, each one or more attributes that are crossed.
        privileged: one mapping attribute → level per reference group named.
        positive: the class that the plain metric names mean.
        confidence: of every interval.
        bootstrap: replicates where no closed-form interval exists.
        seed: of the bootstrap.
        min_support: groups whose denominator is smaller are shown and marked, left out of gaps, and cannot pass a rule.
        where: expression that restricts the audit to a subset.
        given: columns within whose levels every grouping is audited as well, each one or more that are crossed.
        label_noise: how often labels of groups are wrong: a rate for every attribute, or attribute → rate or error matrix
            (true level → recorded level → share); None asks nothing.
        shrink: list shares of every group drawn towards their mean, as far as its few images allow.
        bins: numeric attribute → rising edges that make levels of it, each edge the start of one.
        missing: images whose attribute is not known are left out of its groupings, and counted (``exclude``), or make a
            level of their own (``group``).
        threshold: of two classes, call the positive one where its score reaches this; None keeps the decisions as they are.
        beta: F-scores to list besides F1 and F2.
        aggregate: what to list over classes besides their mean.
        top_k: the k of each top-k accuracy to list; none lists 3 and 5 where there are more classes.
        cluster: where people are known, let intervals take into account that a person's images are right or wrong together.
        rules: rules to judge, each ``METRIC[CLASS] KIND by A[,B] OP NUMBER``.
    """

    target: str | None = None
    by: tuple[tuple[str, ...], ...] = ()
    privileged: tuple[Mapping[str, str], ...] = ()
    positive: str | None = None
    confidence: Confidence = 0.95
    bootstrap: Annotated[int, Field(ge=100, le=1_000_000)] = 1000
    seed: Annotated[int, Field(ge=0)] = 0
    min_support: Annotated[int, Field(ge=1)] = 20
    where: str | None = None
    given: tuple[Annotated[tuple[str, ...], Field(min_length=1)], ...] = ()
    label_noise: float | Mapping[str, float | Matrix] | None = None
    shrink: bool = False
    bins: Mapping[str, Annotated[tuple[float, ...], Field(min_length=1)]] = Field(default_factory=dict)
    missing: MissingLevels = "exclude"
    threshold: Annotated[float, Field(ge=0.0, le=1.0)] | None = None
    beta: tuple[Annotated[float, Field(gt=0.0, lt=1000.0)], ...] = ()
    aggregate: tuple[Aggregate, ...] = ()
    top_k: tuple[Annotated[int, Field(ge=1)], ...] = ()
    cluster: bool = True
    rules: tuple[str, ...] = ()

    @field_validator("by")
    @classmethod
    def _named(cls, by: tuple[tuple[str, ...], ...]) -> tuple[tuple[str, ...], ...]:
        if not all(by):
            raise ValueError("a grouping names at least one attribute")
        return by

    @field_validator("bins")
    @classmethod
    def _rising(cls, bins: Mapping[str, tuple[float, ...]]) -> Mapping[str, tuple[float, ...]]:
        for name, edges in bins.items():
            if not all(a < b for a, b in pairwise(edges)) or not all(map(math.isfinite, edges)):
                raise ValueError(f"the edges of {name} must be finite and rise")
        return bins

    @field_validator("label_noise")
    @classmethod
    def _usable(cls, noise: float | Mapping[str, float | Matrix] | None) -> float | Mapping[str, float | Matrix] | None:
        try:
            for name, errors in noise.items() if isinstance(noise, Mapping) else [("every attribute", noise)]:
                checked_errors(0.0 if errors is None else errors, name)
        except FairauditError as error:
            raise ValueError(str(error)) from error
        return noise

    @field_validator("beta")
    @classmethod
    def _three_decimals(cls, beta: tuple[float, ...]) -> tuple[float, ...]:
        if any(round(b, 3) != b for b in beta):
            raise ValueError("an F-score's beta has three decimals at the most")
        return beta
