"""What a release must meet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from fairaudit.config.base import Confidence, Settings

OnInconclusive = Literal["error", "fail", "pass"]
Severity = Literal["error", "warning"]
DecideOn = Literal["interval", "point"]


class PolicyRule(Settings):
    """One rule of a policy; a string stands for a table with nothing but ``rule``.

    Attributes:
        rule: ``METRIC[CLASS] KIND by A[,B] OP NUMBER``.
        severity: a warning is shown and never changes the exit code.
        decide_on: overrides the policy's.
        min_support: overrides the smallest denominator for this rule.
    """

    rule: str
    severity: Severity = "error"
    decide_on: DecideOn | None = None
    min_support: Annotated[int, Field(ge=1)] | None = None


class Policy(Settings):
    """A policy file: what a release must meet.

    Attributes:
        name: what the policy is called in reports.
        rules: every one must hold.
        decide_on: ``interval``, or ``point`` to take estimates for the truth, which reports then say.
        confidence: overrides the audit's confidence.
        min_support: overrides the audit's smallest denominator.
        expected: attribute → levels of which there must be images; an absent one is inconclusive.
        audited: attributes that must be audited.
        on_inconclusive: what an inconclusive verdict ends with: exit code 3 (error), 1 (fail) or 0 with a warning (pass).
    """

    name: str = "policy"
    rules: Annotated[tuple[PolicyRule, ...], Field(min_length=1)] = ()
    decide_on: DecideOn = "interval"
    confidence: Confidence | None = None
    min_support: Annotated[int, Field(ge=1)] | None = None
    expected: Mapping[str, Annotated[tuple[str, ...], Field(min_length=1)]] = Field(default_factory=dict)
    audited: tuple[str, ...] = ()
    on_inconclusive: OnInconclusive = "error"

    @field_validator("rules", mode="before")
    @classmethod
    def _plain_rules(cls, rules: Any) -> Any:
        if not isinstance(rules, (list, tuple)):
            return rules
        return tuple({"rule": rule} if isinstance(rule, str) else rule for rule in rules)

    @model_validator(mode="after")
    def _asks_something(self) -> Policy:
        if not (self.rules or self.expected or self.audited):
            raise ValueError("the policy asks nothing; give it rules")
        return self

    @property
    def requirements(self) -> tuple[str, ...]:
        """Every requirement as one text that says all there is to it, as ``--rule`` takes it."""
        texts = []
        for one in self.rules:
            decide_on = one.decide_on or self.decide_on
            options = [
                *([one.severity] if one.severity != "error" else []),
                *([decide_on] if decide_on != "interval" else []),
                *([f"min_support {one.min_support}"] if one.min_support is not None else []),
            ]
            texts.append(f"{one.rule} ({', '.join(options)})" if options else one.rule)
        texts += [f"expected {attribute}: {' | '.join(levels)}" for attribute, levels in self.expected.items()]
        return (*texts, *(f"audited {attribute}" for attribute in self.audited))
