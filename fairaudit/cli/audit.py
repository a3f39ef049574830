"""``fairaudit audit``: audit a table of predictions that any model made."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fairaudit.cli import options as o
from fairaudit.cli import parsing as p
from fairaudit.cli.flags import AuditFlags, GateFlags, TableFlags, spread
from fairaudit.cli.show import check_format, show
from fairaudit.cli.streams import say

Table = Annotated[Path, typer.Argument(metavar="PREDICTIONS", help="CSV or Parquet file, or a run folder.")]
Stream = Annotated[
    bool | None,
    typer.Option(
        "--stream/--no-stream",
        help="Count Parquet parts batch by batch, whatever their size; of scores AUROC alone is kept. "
        "Default: folders of more than 5 million rows.",
        rich_help_panel=o.DATA,
    ),
]
Sweep = Annotated[
    Path | None,
    typer.Option(
        "--sweep",
        metavar="FILE",
        help="Write every rate of every group at every threshold of the score, as .csv or .parquet.",
        rich_help_panel=o.OUTPUT,
    ),
]


@spread
def audit(
    predictions: Table,
    *,
    table: TableFlags,
    stream: Stream = None,
    asked: AuditFlags,
    gated: GateFlags,
    format_: o.Format = "terminal",
    sweep: Sweep = None,
    out: o.Out = None,
    no_report: o.NoReport = False,
    quiet: o.Quiet = False,
) -> int:
    """Audit a table of predictions that any model made: no model, no images, no GPU.

    The table has a column of labels, one of predicted classes, and one per attribute:

    fairaudit audit predictions.csv --y-true gender --y-pred gender_pred --by race --by race,gender
    """
    from fairaudit.config import AuditSettings
    from fairaudit.workflows.audit_table import audit_table

    format_ = check_format(format_)
    gate = gated.read()
    settings = p.checked({**p.given(target=table.target), **asked.settings(gate)}, AuditSettings)
    result, written = audit_table(
        predictions, settings, **table.columns(), out=out, stream=stream, sweep=sweep, report=not no_report
    )
    show(result, format_, gate.on_inconclusive)
    if written is not None and not quiet:
        say(f"written: {written}")
    return gate.exit_code(result)
