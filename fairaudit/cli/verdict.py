"""From flags to the rules that are judged, and from a verdict to the exit code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fairaudit.cli.streams import warn
from fairaudit.errors import UsageError

if TYPE_CHECKING:
    from fairaudit.results import AuditResult

ON_INCONCLUSIVE = ("error", "fail", "pass")


@dataclass(frozen=True)
class Gate:
    """What was asked of the gate.

    Attributes:
        rules: from the policy and the flags.
        confidence: the policy's, None without one.
        min_support: the policy's, None without one.
        on_inconclusive: error, fail or pass.
        exit_zero: exit 0 whatever the verdict.
    """

    rules: tuple[str, ...]
    confidence: float | None
    min_support: int | None
    on_inconclusive: str
    exit_zero: bool

    def exit_code(self, result: AuditResult) -> int:
        """Exit code of a verdict: 0 pass or no rules, 1 fail, 3 inconclusive unless told otherwise."""
        from fairaudit.results import EXIT_CODES, Verdict

        if self.exit_zero:
            return 0
        if result.verdict is Verdict.INCONCLUSIVE and self.on_inconclusive != "error":
            if self.on_inconclusive == "fail":
                return EXIT_CODES[Verdict.FAIL]
            open_rules = [r.rule for r in result.rules if r.verdict is Verdict.INCONCLUSIVE and r.severity == "error"]
            how_many = (
                "1 rule is inconclusive and was"
                if len(open_rules) == 1
                else f"{len(open_rules)} rules are inconclusive and were"
            )
            warn([f"{how_many} let pass: {'; '.join(open_rules)}"])
            return 0
        return EXIT_CODES[result.verdict]


def read_gate(rules: Sequence[str] | None, policy: Path | None, on_inconclusive: str | None, exit_zero: bool) -> Gate:
    """Collect rules and how strictly they are taken; flags win over the policy file.

    Raises:
        ConfigError: the policy cannot be used.
        UsageError: ``--on-inconclusive`` is not one of error, fail, pass.
    """
    texts, confidence, min_support, strictness = tuple(rules or ()), None, None, "error"
    if policy is not None:
        from fairaudit.config import Policy, read_toml

        read = read_toml(policy, Policy)
        texts, confidence, min_support, strictness = (
            read.requirements + texts,
            read.confidence,
            read.min_support,
            read.on_inconclusive,
        )
    strictness = on_inconclusive or strictness
    if strictness not in ON_INCONCLUSIVE:
        raise UsageError(f"--on-inconclusive {strictness!r}: choose from {', '.join(ON_INCONCLUSIVE)}")
    return Gate(texts, confidence, min_support, strictness, exit_zero)
