"""``fairaudit evaluate``: the main job, from a checkpoint and a face dataset to a verdict."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from fairaudit.cli import model_options as m
from fairaudit.cli import options as o
from fairaudit.cli import parsing as p
from fairaudit.cli.flags import AuditFlags, GateFlags, HeadFlags, InferenceFlags, NetworkFlags, spread
from fairaudit.cli.show import check_format, show
from fairaudit.cli.streams import insist, say, warn
from fairaudit.cli.verdict import ON_INCONCLUSIVE
from fairaudit.errors import ConfigError, UsageError, suggest

Model = Annotated[
    Path | None,
    typer.Argument(metavar="MODEL", help="Checkpoint: .pt .pth .bin .ckpt .safetensors. Not needed with --config."),
]
Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="TOML file with any of these settings (a run folder's config.toml); flags win.",
    ),
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume",
        metavar="",
        help="Go on with what an interrupted run to the same --out has predicted.",
        rich_help_panel=o.OUTPUT,
    ),
]


@spread
def evaluate(
    model: Model = None,
    config: Config = None,
    *,
    data: m.Data = None,
    root: o.Root = None,
    split: m.Split = None,
    limit: m.Limit = None,
    balanced: m.Balanced = None,
    strict: m.Strict = None,
    path_column: m.PathColumn = None,
    data_option: o.DataOption = None,
    target: m.Target = None,
    asked: AuditFlags,
    means: HeadFlags,
    network: NetworkFlags,
    precision: m.PrecisionOption = None,
    running: InferenceFlags,
    scaled_decoding: m.ScaledDecoding = None,
    compile_: m.Compile = None,
    gated: GateFlags,
    format_: o.Format = "terminal",
    out: o.Out = None,
    resume: Resume = False,
    no_report: o.NoReport = False,
    gallery: o.Gallery = None,
    quiet: o.Quiet = False,
) -> int:
    """Run a checkpoint over a labelled face dataset and audit what it predicts.

    fairaudit evaluate model.pt --data fairface --rule 'accuracy gap by race <= 0.10'
    """
    from fairaudit.config import EvaluateConfig, read_values

    if gallery is not None and no_report:
        raise UsageError("--gallery is a part of report.html, which --no-report leaves out")
    if resume and out is None:
        raise UsageError("--resume needs the run folder of the interrupted run: --out DIR")
    format_ = check_format(format_)
    stored = {} if config is None else read_values(config)
    gate = gated.read(_strictness(stored, config))
    flags = p.given(
        model=model,
        data=data,
        root=root,
        split=split,
        limit=limit,
        data_options={
            **p.data_options(data_option),
            **p.given(balanced=balanced, strict=strict, path_column=path_column),
        },
        network={**means.settings(), **network.settings()},
        inference={
            **p.given(precision=precision, scaled_decoding=scaled_decoding, compile=compile_),
            **running.settings(),
        },
        audit={**p.given(target=target), **asked.settings(gate)},
        on_inconclusive=gate.on_inconclusive,
    )
    _check_named(p.layered(stored, flags))
    settings = p.checked(flags, EvaluateConfig, stored, config)
    p.check_data_options(settings.data_options)

    from fairaudit.cli.progress import image_progress
    from fairaudit.workflows.evaluate import evaluate as run

    def announce(lines: Sequence[str]) -> None:
        if not quiet:
            say(*lines)

    with image_progress(show=not quiet) as progress:
        found = run(
            settings,
            out=out,
            command=["fairaudit", *sys.argv[1:]],
            announce=announce,
            progress=progress,
            report=not no_report,
            gallery=gallery,
            resume=resume,
            interrupted=insist,
        )
    if found is None:  # one of several processes, and not the one that speaks
        return 0
    if not quiet:
        warn(found.warnings)
    show(found.result, format_, gate.on_inconclusive)
    if not quiet:
        say(f"written: {found.folder}")
    return gate.exit_code(found.result)


def _strictness(stored: Mapping[str, Any], config: Path | None) -> str | None:
    told = stored.get("on_inconclusive")
    if told not in (None, *ON_INCONCLUSIVE):
        raise ConfigError(f"{config}: on_inconclusive {told!r}: choose from {', '.join(ON_INCONCLUSIVE)}")
    return told


def _check_named(values: Mapping[str, Any]) -> None:
    """The two things that nobody can guess."""
    if "model" not in values:
        raise UsageError("name a checkpoint: fairaudit evaluate MODEL --data NAME, or --config FILE that names one")
    if "data" not in values:
        from fairaudit import plugins

        raise UsageError(f"name a dataset with --data{suggest('', plugins.names('datasets'))}")
