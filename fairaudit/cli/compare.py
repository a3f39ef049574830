"""``fairaudit compare``: what changed between two models, for whom, and whether the data show it; or show it again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fairaudit.cli import counting as c
from fairaudit.cli import options as o
from fairaudit.cli import parsing as p
from fairaudit.cli.flags import TableFlags, spread
from fairaudit.cli.show import check_format, show
from fairaudit.cli.streams import say
from fairaudit.errors import UsageError

if TYPE_CHECKING:
    from fairaudit.artifacts.foreign import TableColumns
    from fairaudit.config import AuditSettings

Tables = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="BEFORE AFTER [AFTER2 …]",
        help="CSV or Parquet files, or run folders; or one comparison.json to show again.",
        show_default=False,
    ),
]
Before = Annotated[
    list[Path] | None,
    typer.Option("--before", metavar="FILE", help="A run of the first model, one per seed. Repeatable.",
                 rich_help_panel=o.DATA),
]  # fmt: skip
After = Annotated[
    list[Path] | None,
    typer.Option("--after", metavar="FILE", help="A run of the second model, in the same order. Repeatable.",
                 rich_help_panel=o.DATA),
]  # fmt: skip
Unpaired = Annotated[
    bool,
    typer.Option("--unpaired", metavar="", help="Compare as different images, even where row ids agree.",
                 rich_help_panel=o.AUDIT),
]  # fmt: skip
Metrics = Annotated[
    list[str] | None,
    typer.Option("--metric", metavar="METRIC", help="Metric to show. Repeatable. Default: accuracy; csv and json have all.",
                 rich_help_panel=o.OUTPUT),
]  # fmt: skip
Format = Annotated[
    str,
    typer.Option("--format", "-f", metavar="NAME", rich_help_panel=o.OUTPUT,
                 help="What is printed on stdout: terminal, json, markdown, csv, html, junit."),
]  # fmt: skip
Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", metavar="DIR", rich_help_panel=o.OUTPUT,
                 help="Folder for comparison.json, report.html and figures; FILE.json for the record alone."),
]  # fmt: skip


@spread
def compare(
    tables: Tables = None,
    *,
    before: Before = None,
    after: After = None,
    table: TableFlags,
    by: o.By = None,
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
    unpaired: Unpaired = False,
    metric: Metrics = None,
    format_: Format = "terminal",
    out: Out = None,
    no_report: o.NoReport = False,
    quiet: o.Quiet = False,
) -> int:
    """Compare models: who got worse, who gained, and what the data do not show.

    Images are paired by row id; several seeds of each side are named with --before and --after:

    fairaudit compare old.csv new.csv --y-true gender --by race,gender

    fairaudit compare --before a1 --before a2 --after b1 --after b2 --by race

    What --out wrote is shown again, also by other metrics:

    fairaudit compare comparison.json --metric f1
    """
    from fairaudit.config import AuditSettings
    from fairaudit.workflows.compare import compare_files

    format_ = _format(format_, metric)
    asked = p.given(
        target=table.target,
        by=p.groupings(by),
        positive=positive,
        where=where,
        confidence=confidence,
        bootstrap=bootstrap,
        seed=seed,
        min_support=min_support,
        **c.counting(bins, missing, threshold, beta, aggregate, top_k, no_cluster),
    )
    if tables and len(tables) == 1 and not before and not after and _is_comparison(tables[0]):
        if asked or table.columns() or unpaired or out is not None:
            raise UsageError("a stored comparison is shown as it is: only --metric and --format apply to it")
        from fairaudit.artifacts.comparisons import read_comparison

        show(read_comparison(tables[0]), format_, metrics=tuple(metric) if metric else None)
        return 0
    first, second, seeds = _sides(tables, before, after)
    settings = p.checked(asked, AuditSettings)
    columns = _columns(table, settings)
    result, written = compare_files(
        first, second, settings, columns, seeds=seeds, unpaired=unpaired, out=out, page=not no_report
    )
    show(result, format_, metrics=tuple(metric) if metric else None)
    if written is not None and not quiet:
        say(f"written: {written}")
    return 0


def _format(name: str, metrics: list[str] | None) -> str:
    """The format's one spelling; one that has every metric anyway is not told which."""
    from fairaudit.comparison import ComparisonResult
    from fairaudit.workflows.report import options_of

    name = check_format(name, ComparisonResult)
    if metrics and "metrics" not in options_of(ComparisonResult, name):
        raise UsageError(f"--metric: the format {name} has every metric; leave the flag out")
    return name


def _columns(table: TableFlags, settings: AuditSettings) -> TableColumns | None:
    """Which columns of every table mean what; None where the tables declare them."""
    from fairaudit.artifacts.foreign import TableColumns
    from fairaudit.metrics.subset import parse_subset

    named = table.columns()
    if table.weight is not None:
        raise UsageError("comparisons are not weighted yet; leave out --weight")
    if table.y_true is None:
        if named:
            raise UsageError(
                "--y-pred, --y-score, --id, --identity and --classes describe a table: name its labels with --y-true"
            )
        return None
    labels = table.y_true.split(",")
    wanted = dict.fromkeys(name for names in settings.by for name in names)
    return TableColumns(
        y_true=table.y_true,
        y_pred=table.y_pred or ",".join(f"{name.strip()}_pred" for name in labels),
        y_score=named.get("y_score", ()),
        target=settings.target,
        by=tuple(name for name in wanted if name not in (table.y_true, *labels) and name not in settings.bins),
        extra=tuple(sorted({*settings.bins, *(parse_subset(settings.where).names if settings.where else ())})),
        id=table.row_id,
        identity=table.identity,
        classes=p.names(table.classes),
        positive=settings.positive,
    )


def _is_comparison(path: Path) -> bool:
    """Whether a path is a stored comparison and not a table: by its name, or by what the folder holds."""
    return path.suffix == ".json" or (path / "comparison.json").is_file()


def _sides(
    tables: list[Path] | None, before: list[Path] | None, after: list[Path] | None
) -> tuple[list[Path], list[Path], bool]:
    if before or after:
        if tables:
            raise UsageError("name the tables either as BEFORE AFTER or, one per seed, with --before and --after; not both")
        if not before or not after:
            raise UsageError("--before and --after belong together: one run of each side per seed")
        return before, after, True
    if tables is None or len(tables) < 2:
        raise UsageError("a comparison needs two tables: fairaudit compare BEFORE AFTER")
    return tables[:1], tables[1:], False
