"""``fairaudit evaluate``: the main job, from a checkpoint and a face dataset to a verdict."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from fairaudit.cli import counting as c
from fairaudit.cli import options as o
from fairaudit.cli import parsing as p
from fairaudit.cli.show import check_format, show
from fairaudit.cli.streams import say, warn
from fairaudit.cli.verdict import ON_INCONCLUSIVE, read_gate
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
Data = Annotated[
    str | None,
    typer.Option("--data", metavar="NAME", help="Dataset; see 'fairaudit list datasets'.", rich_help_panel=o.DATA),
]
Split = Annotated[
    str | None,
    typer.Option("--split", metavar="NAME", help="Default: the card's; 'all' takes every image.", rich_help_panel=o.DATA),
]
Limit = Annotated[
    int | None,
    typer.Option("--limit", metavar="N", help="A seeded stratified sample of this many images.", rich_help_panel=o.DATA),
]
Balanced = Annotated[
    bool | None,
    typer.Option("--balanced", metavar="", help="fairface: only service_test rows.", rich_help_panel=o.DATA),
]
Strict = Annotated[
    bool | None,
    typer.Option("--strict", metavar="", help="utkface: a malformed name is an error.", rich_help_panel=o.DATA),
]
PathColumn = Annotated[
    str | None,
    typer.Option("--path-column", metavar="NAME", help="table: the column of image paths.", rich_help_panel=o.DATA),
]
Target = Annotated[
    str | None,
    typer.Option("--target", metavar="NAME", help="What the model predicts. Default: the card's.", rich_help_panel=o.AUDIT),
]
Classes = Annotated[
    str | None,
    typer.Option(
        "--classes",
        metavar="A,B,…",
        help="Class names in the order of the model's outputs.",
        rich_help_panel=o.MODEL,
    ),
]
Head = Annotated[
    str | None,
    typer.Option(
        "--head",
        metavar="HEAD",
        help="What the outputs mean: softmax, sigmoid, multilabel, fairface-18, or slices race:0-6,gender:7-8.",
        rich_help_panel=o.MODEL,
    ),
]
Merge = Annotated[
    list[str] | None,
    typer.Option(
        "--merge",
        metavar="CLASS=OUT,…",
        help="Outputs, by name or index, that count as one class. Repeatable.",
        rich_help_panel=o.MODEL,
    ),
]
MergeBy = Annotated[
    str | None,
    typer.Option(
        "--merge-by", metavar="HOW", help="max or sum of the merged outputs. Default: max.", rich_help_panel=o.MODEL
    ),
]
Arch = Annotated[
    str | None,
    typer.Option(
        "--arch",
        metavar="NAME",
        help="timm/NAME or torchvision/NAME. Default: recognised from the weights.",
        rich_help_panel=o.MODEL,
    ),
]
ArchKwargs = Annotated[
    list[str] | None,
    typer.Option(
        "--arch-kwargs",
        metavar="KEY=VALUE",
        help="For the network's constructor; or a JSON object. Repeatable.",
        rich_help_panel=o.MODEL,
    ),
]
Trust = Annotated[
    bool | None,
    typer.Option(
        "--trust-checkpoint",
        metavar="",
        help="Load a file that can run code. Only where you trust whoever made it.",
        rich_help_panel=o.MODEL,
    ),
]
Size = Annotated[
    str | None,
    typer.Option("--size", metavar="H[xW]", help="Input size in pixels: 224 or 224x192.", rich_help_panel=o.MODEL),
]
Resize = Annotated[
    str | None,
    typer.Option(
        "--resize", metavar="HOW", help="squash (both sides) or crop (shorter side, centre).", rich_help_panel=o.MODEL
    ),
]
CropPct = Annotated[
    float | None,
    typer.Option("--crop-pct", metavar="SHARE", help="Share that a centre crop keeps.", rich_help_panel=o.MODEL),
]
Interpolation = Annotated[
    str | None,
    typer.Option("--interpolation", metavar="HOW", help="nearest, bilinear or bicubic.", rich_help_panel=o.MODEL),
]
Mean = Annotated[
    str | None,
    typer.Option("--mean", metavar="R,G,B", help="Of pixels in 0 to 1: 0.485,0.456,0.406.", rich_help_panel=o.MODEL),
]
Std = Annotated[
    str | None,
    typer.Option("--std", metavar="R,G,B", help="Of pixels in 0 to 1: 0.229,0.224,0.225.", rich_help_panel=o.MODEL),
]
Device = Annotated[
    str | None,
    typer.Option("--device", metavar="NAME", help="auto, cpu, cuda, cuda:1, mps. Default: auto.", rich_help_panel=o.RUN),
]
PrecisionOption = Annotated[
    str | None,
    typer.Option("--precision", metavar="NAME", help="fp32, bf16, fp16. Default: fp32.", rich_help_panel=o.RUN),
]
BatchSize = Annotated[
    int | None,
    typer.Option("--batch-size", metavar="N", help="Default: by device; halved out of memory.", rich_help_panel=o.RUN),
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers", metavar="N", help="Threads (CPU) or processes (GPU). Default: by cores.", rich_help_panel=o.RUN
    ),
]
ExactResize = Annotated[
    bool | None,
    typer.Option(
        "--exact-resize", help="Decode and resize with Pillow: slower, equal to it to the bit.", rich_help_panel=o.RUN
    ),
]
MaxUnreadable = Annotated[
    int | None,
    typer.Option(
        "--max-unreadable", metavar="N", help="Unreadable images to put up with. Default: 0.", rich_help_panel=o.RUN
    ),
]


def evaluate(
    model: Model = None,
    config: Config = None,
    data: Data = None,
    root: o.Root = None,
    split: Split = None,
    limit: Limit = None,
    balanced: Balanced = None,
    strict: Strict = None,
    path_column: PathColumn = None,
    data_option: o.DataOption = None,
    target: Target = None,
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
    classes: Classes = None,
    head: Head = None,
    merge: Merge = None,
    merge_by: MergeBy = None,
    arch: Arch = None,
    arch_kwargs: ArchKwargs = None,
    trust_checkpoint: Trust = None,
    size: Size = None,
    resize: Resize = None,
    crop_pct: CropPct = None,
    interpolation: Interpolation = None,
    mean: Mean = None,
    std: Std = None,
    device: Device = None,
    precision: PrecisionOption = None,
    batch_size: BatchSize = None,
    workers: Workers = None,
    max_unreadable: MaxUnreadable = None,
    exact_resize: ExactResize = None,
    rule: o.Rules = None,
    policy: o.PolicyFile = None,
    on_inconclusive: o.OnInconclusive = None,
    exit_zero: o.ExitZero = False,
    format_: o.Format = "terminal",
    out: o.Out = None,
    quiet: o.Quiet = False,
) -> int:
    """Run a checkpoint over a labelled face dataset and audit what it predicts.

    fairaudit evaluate model.pt --data fairface --rule 'accuracy gap by race <= 0.10'
    """
    from fairaudit.config import EvaluateConfig, Preprocess, read_values

    format_ = check_format(format_)
    stored = {} if config is None else read_values(config)
    gate = read_gate(rule, policy, p.first(on_inconclusive, _strictness(stored, config)), exit_zero)
    preprocess = p.given(
        size=p.pixels(size),
        resize=resize,
        crop_pct=crop_pct,
        interpolation=interpolation,
        mean=p.channels("--mean", mean),
        std=p.channels("--std", std),
    )
    p.checked(preprocess, Preprocess)
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
        network=p.given(
            arch=arch,
            arch_kwargs=p.keywords(arch_kwargs),
            trust_checkpoint=trust_checkpoint,
            classes=p.names(classes),
            head=head,
            merge=p.merges(merge),
            merge_by=merge_by,
            preprocess=preprocess,
        ),
        inference=p.given(
            device=device,
            precision=precision,
            batch_size=batch_size,
            workers=workers,
            max_unreadable=max_unreadable,
            exact_resize=exact_resize,
        ),
        audit=p.given(
            target=target,
            by=p.groupings(by),
            privileged=p.levels(privileged),
            positive=positive,
            where=where,
            confidence=p.first(confidence, gate.confidence),
            bootstrap=bootstrap,
            seed=seed,
            min_support=p.first(min_support, gate.min_support),
            rules=gate.rules or None,
            **c.counting(bins, missing, threshold, beta, aggregate, top_k, no_cluster),
        ),
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
        found = run(settings, out=out, command=["fairaudit", *sys.argv[1:]], announce=announce, progress=progress)
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
