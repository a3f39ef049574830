"""``fairaudit embed``: audit the embedding space of a network, or of a file of embeddings."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from fairaudit.cli import counting as c
from fairaudit.cli import model_options as m
from fairaudit.cli import options as o
from fairaudit.cli import parsing as p
from fairaudit.cli.flags import GateFlags, InferenceFlags, NetworkFlags, spread
from fairaudit.cli.streams import say, stdout_colour, stdout_width, warn, write_out
from fairaudit.errors import UsageError

Source = Annotated[
    list[Path], typer.Argument(metavar="MODEL|EMBEDDINGS.npz…", help="A checkpoint, or files of embeddings of one model.")
]
Of = Annotated[
    str | None,
    typer.Option(
        "--class",
        metavar="A[,B]",
        help="What images are to be found by; a comma crosses columns. Default: the identity.",
        rich_help_panel=o.AUDIT,
    ),
]
K = Annotated[
    str | None, typer.Option("--k", metavar="N,N,…", help="Of recall@k. Default: 1,5,10.", rich_help_panel=o.AUDIT)
]
Pairs = Annotated[
    int | None,
    typer.Option(
        "--pairs",
        metavar="N",
        help="Pairs of each kind in each group, at the most. Default: 20000.",
        rich_help_panel=o.AUDIT,
    ),
]
Fmr = Annotated[
    float | None,
    typer.Option(
        "--fmr",
        metavar="RATE",
        help="False match rate that the one threshold is set for. Default: the lowest power of ten that pairs can tell.",
        rich_help_panel=o.AUDIT,
    ),
]
Threshold = Annotated[
    float | None,
    typer.Option(
        "--threshold",
        metavar="P",
        help="Score from which a pair matches, (1 + cosine) ÷ 2, instead of --fmr.",
        rich_help_panel=o.AUDIT,
    ),
]
Downstream = Annotated[
    str | None,
    typer.Option(
        "--downstream",
        metavar="COLUMN",
        help="What classifiers on frozen embeddings tell. Default: the class.",
        rich_help_panel=o.AUDIT,
    ),
]
Without = Annotated[
    str | None,
    typer.Option(
        "--without",
        metavar="A,B,…",
        help="Leave out: verification, geometry, leakage, downstream, map.",
        rich_help_panel=o.AUDIT,
    ),
]
Target = Annotated[
    str | None,
    typer.Option(
        "--target",
        metavar="NAME",
        help="What rules are about: recall_at_1 … (accuracy is recall@k), or genuine for pairs (false_positive_rate is the "
        "FMR). Default: the first k.",
        rich_help_panel=o.GATE,
    ),
]
Layer = Annotated[
    str | None,
    typer.Option(
        "--layer",
        metavar="NAME",
        help="Module whose output is taken. Default: the pooled features.",
        rich_help_panel=o.MODEL,
    ),
]
Format = Annotated[str, typer.Option("--format", "-f", metavar="NAME", help="terminal or json.", rich_help_panel=o.OUTPUT)]
_FORMATS = ("terminal", "json")


@spread
def embed(
    source: Source,
    *,
    data: m.Data = None,
    root: o.Root = None,
    split: m.Split = None,
    limit: m.Limit = None,
    path_column: m.PathColumn = None,
    data_option: o.DataOption = None,
    of: Of = None,
    by: o.By = None,
    given: o.Given = None,
    privileged: o.Privileged = None,
    where: o.Where = None,
    bins: c.Bins = None,
    k: K = None,
    pairs: Pairs = None,
    fmr: Fmr = None,
    threshold: Threshold = None,
    downstream: Downstream = None,
    without: Without = None,
    confidence: o.Confidence = None,
    bootstrap: o.Bootstrap = None,
    seed: o.Seed = None,
    min_support: o.MinSupport = None,
    no_cluster: c.NoCluster = False,
    target: Target = None,
    gated: GateFlags,
    layer: Layer = None,
    network: NetworkFlags,
    precision: m.PrecisionOption = None,
    running: InferenceFlags,
    format_: Format = "terminal",
    out: o.Out = None,
    no_report: o.NoReport = False,
    quiet: o.Quiet = False,
) -> int:
    """Audit the embedding space of a network by groups: retrieval, verification, geometry, leakage, what stays downstream.

    fairaudit embed model.pt --data lfw --by gender --rule 'accuracy gap by gender <= 0.05'

    Retrieval and verification become tables of predictions in the run folder, which gate, compare, audit and report read.
    """
    from fairaudit.config import EmbedSettings, EvaluateConfig
    from fairaudit.workflows.embed import check_settings, embed_files, embed_model

    if format_ not in _FORMATS:
        raise UsageError(
            f"--format {format_!r}: choose from {', '.join(_FORMATS)}; 'fairaudit report' shows a run folder in others"
        )
    if fmr is not None and threshold is not None:
        raise UsageError("--fmr sets the threshold that --threshold gives: say one of them")
    archived = check_settings(source, data)
    gate = gated.read()
    audit = p.given(
        target=target,
        by=p.groupings(by),
        given=p.groupings(given),
        bins=c.edges(bins),
        privileged=p.levels(privileged),
        where=where,
        confidence=p.first(confidence, gate.confidence),
        bootstrap=bootstrap,
        seed=seed,
        min_support=p.first(min_support, gate.min_support),
        threshold=threshold,
        cluster=False if no_cluster else None,
        rules=gate.rules or None,
    )
    asked = p.checked(
        p.given(
            of=p.names(of),
            k=_numbers(k),
            pairs=pairs,
            fmr=fmr,
            downstream=downstream,
            without=p.names(without),
            audit=audit,
        ),
        EmbedSettings,
    )
    command = ["fairaudit", *sys.argv[1:]]

    def announce(line: str) -> None:
        if not quiet:
            say(line)

    if archived:
        found = embed_files(source, asked, out=out, command=command, announce=announce, report=not no_report)
    else:
        options = {**p.data_options(data_option), **p.given(path_column=path_column)}
        p.check_data_options(options)
        config = p.checked(
            p.given(
                model=source[0],
                data=data,
                root=root,
                split=split,
                limit=limit,
                data_options=options,
                network=network.settings(),
                inference={**p.given(precision=precision), **running.settings()},
            ),
            EvaluateConfig,
        )
        from fairaudit.cli.progress import image_progress

        with image_progress(show=not quiet) as progress:
            made = embed_model(
                config, asked, layer=layer or "", out=out, command=command, announce=announce, progress=progress,
                report=not no_report,
            )  # fmt: skip
        if made is None:  # one of several processes, and not the one that speaks
            return 0
        found = made
    if not quiet:
        warn(found.warnings)
    from fairaudit.workflows.embed_shown import shown

    write_out(shown(found.result, found.gated, format_, stdout_width(), stdout_colour()))
    if found.folder is not None and not quiet:
        say(f"written: {found.folder}")
    return gate.exit_code(found.gated)


def _numbers(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    try:
        return tuple(dict.fromkeys(int(part) for part in text.split(",")))
    except ValueError as error:
        raise UsageError(f"--k {text!r}: write whole numbers with commas between them, 1,5,10") from error
