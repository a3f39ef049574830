"""``fairaudit report``: print a stored audit, comparison or experiment in any format, or write it to a file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fairaudit.cli import options as o
from fairaudit.cli import parsing as p
from fairaudit.cli.show import check_format, fitted
from fairaudit.cli.streams import say, write_out
from fairaudit.errors import UsageError

if TYPE_CHECKING:
    from fairaudit.workflows.report import Record

Run = Annotated[
    Path,
    typer.Argument(
        metavar="RUN",
        help="Run folder, folder of a comparison or an experiment, or one's audit.json, embedding.json, comparison.json, "
        "mitigation.json.",
    ),
]
Option = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        metavar="KEY=VALUE",
        help="Option of the format; 'fairaudit list reports NAME' tells them. Repeatable.",
        rich_help_panel=o.OUTPUT,
    ),
]
OutFile = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        metavar="FILE",
        help="Write to a file instead of stdout; with --format csv, FILE.parquet is Parquet.",
        rich_help_panel=o.OUTPUT,
    ),
]

Images = Annotated[
    Path | None,
    typer.Option(
        "--images",
        metavar="DIR",
        help="With --gallery: folder below which row ids are paths. Default: the dataset that the run names.",
        rich_help_panel=o.OUTPUT,
    ),
]


def report(
    run: Run,
    format_: o.Format = "terminal",
    option: Option = None,
    gallery: o.Gallery = None,
    images: Images = None,
    out: OutFile = None,
    quiet: o.Quiet = False,
) -> int:
    """Print a stored audit (of embeddings too), comparison or experiment in any format, or write it to a file.

    fairaudit report runs/mine --format markdown

    fairaudit report runs/mine --format junit --out audit.xml

    fairaudit report runs/mine --format html --gallery 8 --out faces.html
    """
    from fairaudit.workflows import report as workflow

    format_ = check_format(format_)
    kind = workflow.kind_of(run)
    given = _options(kind, format_, option)
    if gallery is not None or images is not None:
        _show_faces(run, format_, given, gallery, images, out)
        if out is not None and not quiet:
            say(f"written: {out}")
        return 0
    if out is not None:
        workflow.write_report(run, format_, out, **given)
        if not quiet:
            say(f"written: {out}")
        return 0
    options = fitted(kind, format_) | given
    write_out(workflow.report(run, format_, **options), bool(options.get("color")))
    return 0


def _show_faces(
    run: Path, format_: str, given: dict[str, Any], gallery: int | None, images: Path | None, out: Path | None
) -> None:
    if gallery is None:
        raise UsageError("--images says where the faces of a gallery are: add --gallery N")
    if format_ != "html" or given:
        raise UsageError("--gallery is a part of the HTML report, and goes with no --option: add --format html")
    from fairaudit.artifacts.folder import write_whole
    from fairaudit.workflows.run_reports import stored_page

    page = stored_page(run, gallery, images)
    if out is None:
        write_out(page)
    else:
        write_whole(out, page)


def _options(kind: type[Record], name: str, texts: Iterable[str] | None) -> dict[str, Any]:
    """``KEY=VALUE`` as arguments of a format; a name that it lacks is for the workflow to refuse."""
    from fairaudit.workflows.report import options_of

    known = options_of(kind, name)
    pairs = {key.replace("-", "_"): value for key, value in p.pairs("--option", texts).items()}
    return {key: _typed(key, value, known[key].annotation) if key in known else value for key, value in pairs.items()}


def _typed(key: str, text: str, kind: Any) -> Any:
    if kind is bool:
        if text.casefold() not in ("true", "false"):
            raise UsageError(f"--option {key}={text}: write true or false")
        return text.casefold() == "true"
    if kind is int:
        if not text.isdecimal():
            raise UsageError(f"--option {key}={text}: write a whole number")
        return int(text)
    return text if kind is str else tuple(part.strip() for part in text.split(","))
