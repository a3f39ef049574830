"""``fairaudit audit``: audit a table of predictions that any model made."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fairaudit.cli import counting as c
from fairaudit.cli import options as o
from fairaudit.cli import parsing as p
from fairaudit.cli.show import check_format, show
from fairaudit.cli.streams import say
from fairaudit.cli.verdict import read_gate

Table = Annotated[Path, typer.Argument(metavar="PREDICTIONS", help="CSV or Parquet file, or a run folder.")]
YTrue = Annotated[
    str | None, typer.Option("--y-true", metavar="COLUMN", help="The labels; A,B: jointly.", rich_help_panel=o.DATA)
]
YPred = Annotated[
    str | None,
    typer.Option(
        "--y-pred",
        metavar="COLUMN",
        help="The predicted classes. Default: that of the labels with _pred.",
        rich_help_panel=o.DATA,
    ),
]
YScore = Annotated[
    list[str] | None,
    typer.Option(
        "--y-score",
        metavar="COLUMN",
        help="The score of the positive class, or CLASS=COLUMN. Repeatable.",
        rich_help_panel=o.DATA,
    ),
]
RowId = Annotated[str | None, typer.Option("--id", metavar="COLUMN", help="What names each image.", rich_help_panel=o.DATA)]
Identity = Annotated[
    str | None, typer.Option("--identity", metavar="COLUMN", help="Who is on each image.", rich_help_panel=o.DATA)
]
Classes = Annotated[
    str | None,
    typer.Option("--classes", metavar="A,B,…", help="Every class. Default: those that occur.", rich_help_panel=o.DATA),
]
Target = Annotated[
    str | None,
    typer.Option("--target", metavar="NAME", help="Which target, in a table of several.", rich_help_panel=o.AUDIT),
]
Stream = Annotated[
    bool | None,
    typer.Option(
        "--stream/--no-stream",
        help="Count Parquet parts batch by batch, whatever their size; scores are not read. "
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


def audit(
    predictions: Table,
    y_true: YTrue = None,
    y_pred: YPred = None,
    y_score: YScore = None,
    target: Target = None,
    row_id: RowId = None,
    identity: Identity = None,
    classes: Classes = None,
    stream: Stream = None,
    by: o.By = None,
    privileged: o.Privileged = None,
    positive: o.Positive = None,
    where: o.Where = None,
    confidence: o.Confidence = None,
    bootstrap: o.Bootstrap = None,
    seed: o.Seed = None,
    min_support: o.MinSupport = None,
    bins: c.Bins = None,
    missing: c.Missing = None,
    threshold: c.Threshold = None,
    beta: c.Beta = None,
    aggregate: c.Aggregate = None,
    top_k: c.TopK = None,
    no_cluster: c.NoCluster = False,
    rule: o.Rules = None,
    policy: o.PolicyFile = None,
    on_inconclusive: o.OnInconclusive = None,
    exit_zero: o.ExitZero = False,
    format_: o.Format = "terminal",
    sweep: Sweep = None,
    out: o.Out = None,
    quiet: o.Quiet = False,
) -> int:
    """Audit a table of predictions that any model made: no model, no images, no GPU.

    The table has a column of labels, one of predicted classes, and one per attribute:

    fairaudit audit predictions.csv --y-true gender --y-pred gender_pred --by race --by race,gender
    """
    from fairaudit.config import AuditSettings
    from fairaudit.workflows.audit_table import audit_table

    format_ = check_format(format_)
    gate = read_gate(rule, policy, on_inconclusive, exit_zero)
    settings = p.checked(
        p.given(
            target=target,
            by=p.groupings(by),
            privileged=p.levels(privileged),
            positive=positive,
            where=where,
            confidence=p.first(confidence, gate.confidence),
            bootstrap=bootstrap,
            seed=seed,
            min_support=p.first(min_support, gate.min_support),
            rules=gate.rules,
            **c.counting(bins, missing, threshold, beta, aggregate, top_k, no_cluster),
        ),
        AuditSettings,
    )
    result, written = audit_table(
        predictions,
        settings,
        y_true=y_true,
        y_pred=y_pred,
        y_score=tuple(y_score or ()),
        row_id=row_id,
        identity=identity,
        classes=p.names(classes),
        out=out,
        stream=stream,
        sweep=sweep,
    )
    show(result, format_, gate.on_inconclusive)
    if written is not None and not quiet:
        say(f"written: {written}")
    return gate.exit_code(result)
