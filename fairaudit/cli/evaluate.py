"""``fairaudit evaluate``: the main job, from a checkpoint and a face dataset to a verdict."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from fairaudit.cli import options as o
from fairaudit.cli.show import check_format, show
from fairaudit.cli.streams import say, warn
from fairaudit.cli.verdict import read_gate

Model = Annotated[
    Path | None,
    typer.Argument(metavar="MODEL", help="Checkpoint: .pt .pth .bin .ckpt .safetensors. Not needed with --config."),
]
Config = Annotated[
    Path | None,
    typer.Option("--config", help="TOML file with any of these settings (a run folder's config.toml); flags win."),
]
Data = Annotated[str | None, typer.Option("--data", help="Dataset; see 'fairaudit list datasets'.", rich_help_panel=o.DATA)]
Split = Annotated[
    str | None, typer.Option("--split", help="Default: the card's; 'all' takes every image.", rich_help_panel=o.DATA)
]
Limit = Annotated[
    int | None, typer.Option("--limit", help="A seeded stratified sample of this many images.", rich_help_panel=o.DATA)
]
Balanced = Annotated[
    bool | None, typer.Option("--balanced", help="fairface: only service_test rows.", rich_help_panel=o.DATA)
]
Strict = Annotated[
    bool | None, typer.Option("--strict", help="utkface: a malformed name is an error.", rich_help_panel=o.DATA)
]
PathColumn = Annotated[
    str | None, typer.Option("--path-column", help="table: the column of image paths.", rich_help_panel=o.DATA)
]
Target = Annotated[
    str | None, typer.Option("--target", help="What the model predicts. Default: the card's.", rich_help_panel=o.AUDIT)
]
Classes = Annotated[
    str | None,
    typer.Option("--classes", help="Class names in the order of the model's outputs.", rich_help_panel=o.MODEL),
]
Head = Annotated[
    str | None,
    typer.Option(
        "--head",
        help="What the outputs mean: softmax, sigmoid, multilabel, fairface-18, or slices race:0-6,gender:7-8.",
        rich_help_panel=o.MODEL,
    ),
]
Merge = Annotated[
    list[str] | None,
    typer.Option("--merge", help="CLASS=OUTPUT,OUTPUT by name or index. Repeatable.", rich_help_panel=o.MODEL),
]
MergeBy = Annotated[
    str | None, typer.Option("--merge-by", help="max or sum of the merged outputs. [default: max]", rich_help_panel=o.MODEL)
]
Arch = Annotated[
    str | None,
    typer.Option("--arch", help="timm/NAME or torchvision/NAME. Default: recognised.", rich_help_panel=o.MODEL),
]
ArchKwargs = Annotated[
    list[str] | None,
    typer.Option("--arch-kwargs", help="KEY=VALUE or JSON for the network's constructor.", rich_help_panel=o.MODEL),
]
Trust = Annotated[
    bool | None,
    typer.Option("--trust-checkpoint", help="Load files that can run code. Only your own.", rich_help_panel=o.MODEL),
]
Size = Annotated[str | None, typer.Option("--size", help="Input size in pixels: 224 or 224x192.", rich_help_panel=o.MODEL)]
Resize = Annotated[
    str | None,
    typer.Option("--resize", help="squash (both sides) or crop (shorter side, centre).", rich_help_panel=o.MODEL),
]
CropPct = Annotated[
    float | None, typer.Option("--crop-pct", help="Share that a centre crop keeps.", rich_help_panel=o.MODEL)
]
Interpolation = Annotated[
    str | None, typer.Option("--interpolation", help="nearest, bilinear or bicubic.", rich_help_panel=o.MODEL)
]
Mean = Annotated[str | None, typer.Option("--mean", help="Of RGB in [0, 1]: 0.485,0.456,0.406.", rich_help_panel=o.MODEL)]
Std = Annotated[str | None, typer.Option("--std", help="Of RGB in [0, 1]: 0.229,0.224,0.225.", rich_help_panel=o.MODEL)]
Device = Annotated[str | None, typer.Option("--device", help="auto, cpu, cuda, cuda:1, mps.", rich_help_panel=o.RUN)]
PrecisionOption = Annotated[
    str | None, typer.Option("--precision", help="fp32, bf16, fp16. [default: fp32]", rich_help_panel=o.RUN)
]
BatchSize = Annotated[
    int | None, typer.Option("--batch-size", help="Default: by device; halved out of memory.", rich_help_panel=o.RUN)
]
Workers = Annotated[int | None, typer.Option("--workers", help="Threads (CPU) or processes (GPU).", rich_help_panel=o.RUN)]
MaxUnreadable = Annotated[
    int | None,
    typer.Option("--max-unreadable", help="Unreadable images to put up with. [default: 0]", rich_help_panel=o.RUN),
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
    from fairaudit.config import EvaluateConfig, read_values, validated

    format_ = check_format(format_)
    stored = {} if config is None else read_values(config)
    gate = read_gate(rule, policy, on_inconclusive or stored.get("on_inconclusive"), exit_zero)
    pixels = o.numbers("--size", size, 2)
    flags = o.given(
        model=model,
        data=data,
        root=root,
        split=split,
        limit=limit,
        data_options={
            **o.pairs("--data-option", data_option),
            **o.given(balanced=balanced, strict=strict, path_column=path_column),
        },
        network=o.given(
            arch=arch,
            arch_kwargs=o.keywords(arch_kwargs),
            trust_checkpoint=trust_checkpoint,
            classes=o.names(classes),
            head=head,
            merge=o.merges(merge),
            merge_by=merge_by,
            preprocess=o.given(
                size=None if pixels is None else tuple(int(p) for p in pixels),
                resize=resize,
                crop_pct=crop_pct,
                interpolation=interpolation,
                mean=o.numbers("--mean", mean, 3),
                std=o.numbers("--std", std, 3),
            ),
        ),
        inference=o.given(
            device=device,
            precision=precision,
            batch_size=batch_size,
            workers=workers,
            max_unreadable=max_unreadable,
        ),
        audit=o.given(
            target=target,
            by=o.groupings(by),
            privileged=o.levels(privileged),
            positive=positive,
            where=where,
            confidence=confidence or gate.confidence,
            bootstrap=bootstrap,
            seed=seed,
            min_support=min_support or gate.min_support,
            rules=gate.rules or None,
        ),
        on_inconclusive=gate.on_inconclusive,
    )
    settings = validated(o.layered(stored, flags), EvaluateConfig, "the flags" if config is None else str(config))

    from fairaudit.cli.progress import image_progress
    from fairaudit.workflows.evaluate import evaluate as run

    def announce(lines: Any) -> None:
        if not quiet:
            say(*lines)

    with image_progress(show=not quiet) as progress:
        found = run(settings, out=out, command=["fairaudit", *sys.argv[1:]], announce=announce, progress=progress)
    if found is None:  # one of several processes, and not the one that speaks
        return 0
    if not quiet:
        warn(found.warnings)
    show(found.result, format_)
    if not quiet:
        say(f"written: {found.folder}")
    return gate.exit_code(found.result)
