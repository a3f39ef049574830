"""``fairaudit gate``: judge rules on an audit that was made before, or on a table of predictions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from fairaudit.cli import options as o
from fairaudit.cli import parsing as p
from fairaudit.cli.flags import AuditFlags, GateFlags, TableFlags, spread
from fairaudit.cli.show import check_format, show
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


@spread
def gate(
    audit: Audit,
    *,
    gated: GateFlags,
    baseline: Baseline = None,
    table: TableFlags,
    asked: AuditFlags,
    format_: o.Format = "terminal",
) -> int:
    """Judge rules on a stored audit, by default its own, or on a table of predictions.

    fairaudit gate runs/mine --rule 'accuracy gap by race <= 0.10'

    fairaudit gate predictions.csv --y-true gender --policy policy.toml
    """
    from fairaudit.artifacts.records import read_audit
    from fairaudit.config import AuditSettings

    format_ = check_format(format_)
    policy = gated.read()
    settings = {**p.given(target=table.target), **asked.settings(policy)}
    settings.pop("rules", None)
    columns = table.columns()
    before = None if baseline is None else read_audit(baseline)
    if table.y_true is not None or audit.suffix.lower() in (".csv", ".parquet"):
        from fairaudit.workflows.gate_table import gate_table

        result = gate_table(audit, p.checked(settings, AuditSettings), policy.rules, baseline=before, **columns)
    else:
        from fairaudit.workflows.gate import gate as judge

        strictness: dict[str, Any] = {
            name: settings.pop(name) for name in ("confidence", "min_support") if name in settings
        }
        if columns or settings:
            flags = {"row_id": "id", "cluster": "no_cluster"}
            named = ", ".join(f"--{flags.get(name, name).replace('_', '-')}" for name in {**columns, **settings})
            raise UsageError(f"{audit} is an audit that was made already: {named} cannot change it; audit its predictions")
        chosen = p.checked(strictness, AuditSettings).model_dump(exclude_unset=True)
        result = judge(read_audit(audit), policy.rules, baseline=before, **chosen)
    show(result, format_, policy.on_inconclusive)
    return policy.exit_code(result)
