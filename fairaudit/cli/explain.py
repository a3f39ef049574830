"""``fairaudit explain``: what a model looked at, for whom it looked elsewhere, and whose errors vanish without it."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fairaudit.cli import model_options as m
from fairaudit.cli import options as o
from fairaudit.cli import parsing as p
from fairaudit.cli.flags import HeadFlags, InferenceFlags, NetworkFlags, spread
from fairaudit.cli.streams import say, stdout_colour, stdout_width, warn, write_out
from fairaudit.errors import UnknownNameError, UsageError

if TYPE_CHECKING:
    from fairaudit.config import EvaluateConfig

FORMATS = ("terminal", "json")
HOW, WHICH = "How it is explained", "What is explained"
_SAME = ("model", "data", "root", "split", "data_options", "limit", "network")
"""Settings that a run's predictions depend on."""

Model = Annotated[
    Path | None,
    typer.Argument(metavar="MODEL", help="Checkpoint, or the run folder of an evaluation. Not needed with --config."),
]
Config = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="TOML file as of evaluate, with a table \\[explain]; flags win."),
]
Method = Annotated[
    str | None,
    typer.Option(
        "--method", metavar="NAME", help="lime, integrated-gradients, grad-cam, occlusion. Default: lime.",
        rich_help_panel=HOW,
    ),
]  # fmt: skip
Rows = Annotated[
    list[str] | None, typer.Option("--rows", metavar="ID", help="Explain this image. Repeatable.", rich_help_panel=WHICH)
]
Worst = Annotated[
    int | None,
    typer.Option("--worst", metavar="N", help="Of every group, the surest mistakes. Default: 2.", rich_help_panel=WHICH),
]
Right = Annotated[
    int | None,
    typer.Option("--right", metavar="N", help="Of every group, the surest right ones. Default: 1.", rich_help_panel=WHICH),
]
PerGroup = Annotated[
    int | None,
    typer.Option(
        "--per-group", metavar="N", help="Images drawn of every group for mean maps. Default: none.", rich_help_panel=WHICH
    ),
]
Classes = Annotated[
    list[str] | None,
    typer.Option(
        "--class", metavar="NAME", help="Explain this class. Repeatable. Default: the predicted one.", rich_help_panel=WHICH
    ),
]
Maps = Annotated[
    list[str] | None,
    typer.Option(
        "--map", metavar="NAME=FILE", help="Where an attribute shows: .npy, .npz or a folder of 'attribute'. Repeatable.",
        rich_help_panel=WHICH,
    ),
]  # fmt: skip
Quantile = Annotated[
    float | None,
    typer.Option("--quantile", metavar="Q", help="A map's region is its top 1 − Q. Default: 0.7.", rich_help_panel=WHICH),
]
Rescale = Annotated[
    bool | None, typer.Option("--rescale", metavar="", help="Accept maps of another size.", rich_help_panel=WHICH)
]
Probe = Annotated[
    bool | None,
    typer.Option("--probe", metavar="", help="Predict every image again without each map's region.", rich_help_panel=WHICH),
]
Segments = Annotated[
    int | None,
    typer.Option(
        "--segments", metavar="N", help="Regions; occlusion's windows are half as large. Default: 50.", rich_help_panel=HOW
    ),
]
Superpixels = Annotated[
    str | None,
    typer.Option("--superpixels", metavar="NAME", help="slic, quickshift, grid. Default: slic.", rich_help_panel=HOW),
]
Samples = Annotated[
    int | None, typer.Option("--samples", metavar="N", help="lime: perturbed images. Default: 500.", rich_help_panel=HOW)
]
Repeats = Annotated[
    int | None, typer.Option("--repeats", metavar="N", help="lime: seeds that must agree. Default: 3.", rich_help_panel=HOW)
]
Steps = Annotated[
    int | None,
    typer.Option("--steps", metavar="N", help="integrated-gradients: steps. Default: 32.", rich_help_panel=HOW),
]
RandomOrders = Annotated[
    int | None,
    typer.Option(
        "--random-orders", metavar="N", help="Orders of regions to beat; 0 tests nothing. Default: 19.", rich_help_panel=HOW
    ),
]
Regions = Annotated[
    int | None, typer.Option("--regions", metavar="N", help="Listed for and against. Default: 4.", rich_help_panel=HOW)
]
Baseline = Annotated[
    str | None,
    typer.Option(
        "--baseline", metavar="NAME", help="What replaces pixels: grey or blur. Default: grey.", rich_help_panel=HOW
    ),
]
Format = Annotated[str, typer.Option("--format", "-f", metavar="NAME", help="terminal or json.", rich_help_panel=o.OUTPUT)]


@spread
def explain(
    model: Model = None,
    config: Config = None,
    *,
    data: m.Data = None,
    root: o.Root = None,
    split: m.Split = None,
    limit: m.Limit = None,
    data_option: o.DataOption = None,
    target: m.Target = None,
    by: o.By = None,
    privileged: o.Privileged = None,
    where: o.Where = None,
    rows: Rows = None,
    worst: Worst = None,
    right: Right = None,
    per_group: PerGroup = None,
    class_: Classes = None,
    map_: Maps = None,
    quantile: Quantile = None,
    rescale: Rescale = None,
    probe: Probe = None,
    method: Method = None,
    superpixels: Superpixels = None,
    segments: Segments = None,
    samples: Samples = None,
    repeats: Repeats = None,
    steps: Steps = None,
    random_orders: RandomOrders = None,
    regions: Regions = None,
    baseline: Baseline = None,
    seed: o.Seed = None,
    means: HeadFlags,
    network: NetworkFlags,
    running: InferenceFlags,
    format_: Format = "terminal",
    out: o.Out = None,
    quiet: o.Quiet = False,
) -> int:
    """See what a model looked at: regions for and against, group by group, and how far to believe it.

    fairaudit explain runs/example --worst 4 --by race,gender

    With maps of an attribute, attention that lies there is a number, and --probe says whose errors vanish without it:

    fairaudit explain model.pt --data celeba --map hair=maps/Blond_Hair.npy --per-group 50 --probe
    """
    from fairaudit.config import EvaluateConfig, read_values

    if format_ not in FORMATS:
        raise UnknownNameError("format of explanations", format_, FORMATS)
    run = model if model is not None and model.is_dir() else None
    if run is not None:
        if config is not None:
            raise UsageError(f"{run} is a run folder, which has a configuration; leave --config out")
        if not (run / "config.toml").is_file():
            raise UsageError(f"{run} is not the run folder of an evaluation: it holds no config.toml; name a checkpoint")
        config, model = run / "config.toml", None
    stored = {} if config is None else read_values(config)
    asked = p.given(
        method=method,
        rows=tuple(rows) if rows else None,
        worst=worst,
        right=right,
        per_group=per_group,
        maps=p.pairs("--map", map_) or None,
        quantile=quantile,
        rescale=rescale,
        probe=probe,
        superpixels=superpixels,
        segments=segments,
        samples=samples,
        repeats=repeats,
        steps=steps,
        random_orders=random_orders,
        regions=regions,
        baseline=baseline,
    )
    if class_:
        asked["classes"] = tuple(class_)
    flags = p.given(
        model=model,
        data=data,
        root=root,
        split=split,
        limit=limit,
        data_options=p.data_options(data_option),
        network={**means.settings(), **network.settings()},
        inference=running.settings(),
        audit=p.given(target=target, by=p.groupings(by), privileged=p.levels(privileged), where=where, seed=seed),
        explain=asked,
    )
    values = p.layered(stored, flags)
    for key, name in (("model", "MODEL"), ("data", "--data")):
        if key not in values:
            raise UsageError(f"name {name}: fairaudit explain MODEL --data NAME, or a run folder, or --config FILE")
    settings = p.checked(flags, EvaluateConfig, stored, config)
    p.check_data_options(settings.data_options)
    return _run(settings, _predicted(run, stored, settings), out, format_, quiet)


def _predicted(run: Path | None, stored: Mapping[str, Any], settings: EvaluateConfig) -> Path | None:
    """The run whose predictions hold: none where a flag changes the model or the images."""
    if run is None:
        return None
    from fairaudit.config import EvaluateConfig, validated

    before = validated(stored, EvaluateConfig, str(run))
    same = all(getattr(before, name) == getattr(settings, name) for name in _SAME)
    audits = [(one.audit.target, one.audit.where, one.audit.seed if one.limit else 0) for one in (before, settings)]
    return run if same and audits[0] == audits[1] else None


def _run(settings: EvaluateConfig, run: Path | None, out: Path | None, format_: str, quiet: bool) -> int:
    from fairaudit.cli.progress import image_progress
    from fairaudit.reports._explanation import render_explanation
    from fairaudit.results.explanation import explanation_json
    from fairaudit.workflows.explain import explain as work

    def announce(lines: Sequence[str]) -> None:
        if not quiet:
            say(*lines)

    with image_progress(show=not quiet) as progress:
        found = work(settings, run=run, out=out, command=["fairaudit", *sys.argv[1:]], announce=announce, progress=progress)
    if not quiet and format_ == "json":  # the tables say them as well
        warn(found.warnings)
    if format_ == "json":
        write_out(explanation_json(found.result))
    else:
        write_out(render_explanation(found.result, width=stdout_width(), color=stdout_colour()))
    if not quiet:
        say(f"written: {found.folder}")
    return 0
