"""What rules came to: their verdicts, the contrasts behind them, and what a verdict exits with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """Answer to a rule, to one of its contrasts, or to the whole policy."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    NONE = "none"


EXIT_CODES: Mapping[Verdict, int] = {
    Verdict.PASS: 0,
    Verdict.NONE: 0,
    Verdict.FAIL: 1,
    Verdict.INCONCLUSIVE: 3,
}


@dataclass(frozen=True)
class RuleOutcome:
    """One contrast of a rule.

    Attributes:
        metric: the metric judged, with its class.
        group: the group judged; None where all groups make the number.
        value: what was estimated (nan where undefined).
        ci_low: lower limit that the verdict used.
        ci_high: upper limit that the verdict used.
        verdict: of this contrast.
        reason: why it cannot be judged, or what would decide it; None otherwise.
        given: column → level, where only the images of that level were judged; None where all were.
    """

    metric: str
    group: Mapping[str, str] | None
    value: float
    ci_low: float
    ci_high: float
    verdict: Verdict
    reason: str | None = None
    given: Mapping[str, str] | None = None


@dataclass(frozen=True)
class RuleResult:
    """A rule, its verdict and every contrast behind it.

    Attributes:
        rule: its text, which says all there is to it.
        verdict: of all its contrasts.
        outcomes: the contrasts.
        severity: ``error``, or ``warning`` where it does not change the verdict of the audit.
        decided_on: ``interval``, or ``point`` where the estimate was taken for the truth.
    """

    rule: str
    verdict: Verdict
    outcomes: tuple[RuleOutcome, ...]
    severity: str = "error"
    decided_on: str = "interval"
