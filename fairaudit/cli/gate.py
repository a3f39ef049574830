"""``fairaudit gate``: judge rules on an audit that was made before."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fairaudit.cli import options as o
from fairaudit.cli.show import check_format, show
from fairaudit.cli.verdict import read_gate

Audit = Annotated[Path, typer.Argument(metavar="AUDIT", help="audit.json, or the run folder it lies in.")]


def gate(
    audit: Audit,
    rule: o.Rules = None,
    policy: o.PolicyFile = None,
    confidence: o.Confidence = None,
    min_support: o.MinSupport = None,
    on_inconclusive: o.OnInconclusive = None,
    exit_zero: o.ExitZero = False,
    format_: o.Format = "terminal",
) -> int:
    """Judge rules on a stored audit; without rules, those it was made with.

    fairaudit gate runs/latest --rule 'accuracy gap by race <= 0.10'
    """
    from fairaudit.artifacts.records import read_audit
    from fairaudit.workflows.gate import gate as judge

    format_ = check_format(format_)
    asked = read_gate(rule, policy, on_inconclusive, exit_zero)
    result = judge(
        read_audit(audit),
        asked.rules,
        confidence=confidence or asked.confidence,
        min_support=min_support or asked.min_support,
    )
    show(result, format_)
    return asked.exit_code(result)
