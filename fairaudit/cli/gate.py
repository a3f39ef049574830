"""``fairaudit gate``: judge rules on an audit that was made before, or on a table of predictions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fairaudit.cli import options as o
from fairaudit.cli import parsing as p
from fairaudit.cli.audit import Classes, Identity, RowId, Target, YPred, YScore, YTrue
from fairaudit.cli.show import check_format, show
from fairaudit.cli.verdict import read_gate
from fairaudit.errors import UsageError

Audit = Annotated[
    Path,
    typer.Argument(
        metavar="AUDIT", help="audit.json, or the run folder it lies in; or a table of predictions, with --y-true."
    ),
]
Baseline = Annotated[
    Path | None,
    typer.Option(
        "--baseline",
        metavar="AUDIT",
        help="The audit that rules with worse_by compare with: 'accuracy gap by race worse_by <= 0.02'.",
        rich_help_panel=o.GATE,
    ),
]


def gate(
    audit: Audit,
    rule: o.Rules = None,
    policy: o.PolicyFile = None,
    baseline: Baseline = None,
    y_true: YTrue = None,
    y_pred: YPred = None,
    y_score: YScore = None,
    target: Target = None,
    row_id: RowId = None,
    identity: Identity = None,
    classes: Classes = None,
    by: o.By = None,
    privileged: o.Privileged = None,
    positive: o.Positive = None,
    where: o.Where = None,
    confidence: o.Confidence = None,
    min_support: o.MinSupport = None,
    on_inconclusive: o.OnInconclusive = None,
    exit_zero: o.ExitZero = False,
    format_: o.Format = "terminal",
) -> int:
    """Judge rules on a stored audit, by default its own, or on a table of predictions.

    fairaudit gate runs/mine --rule 'accuracy gap by race <= 0.10'

    fairaudit gate predictions.csv --y-true gender --policy policy.toml
    """
    from fairaudit.artifacts.records import read_audit
    from fairaudit.config import AuditSettings

    format_ = check_format(format_)
    asked = read_gate(rule, policy, on_inconclusive, exit_zero)
    strictness = p.given(
        confidence=p.first(confidence, asked.confidence), min_support=p.first(min_support, asked.min_support)
    )
    table = p.given(
        y_true=y_true, y_pred=y_pred, y_score=tuple(y_score or ()) or None, row_id=row_id, identity=identity,
        classes=p.names(classes),
    )  # fmt: skip
    audited = p.given(target=target, by=p.groupings(by), privileged=p.levels(privileged), positive=positive, where=where)
    before = None if baseline is None else read_audit(baseline)
    if y_true is not None or audit.suffix.lower() in (".csv", ".parquet"):
        from fairaudit.workflows.gate_table import gate_table

        settings = p.checked({**audited, **strictness}, AuditSettings)
        result = gate_table(audit, settings, asked.rules, baseline=before, **table)
    else:
        from fairaudit.workflows.gate import gate as judge

        if table or audited:
            named = ", ".join(f"--{name.replace('row_', '').replace('_', '-')}" for name in {**table, **audited})
            raise UsageError(f"{audit} is an audit that was made already: {named} cannot change it; audit its predictions")
        chosen = p.checked(strictness, AuditSettings).model_dump(exclude_unset=True)
        result = judge(read_audit(audit), asked.rules, baseline=before, **chosen)
    show(result, format_, asked.on_inconclusive)
    return asked.exit_code(result)
