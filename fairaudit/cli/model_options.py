"""Flags that say which images a network sees, how it is read, and how it is run."""

from __future__ import annotations

from typing import Annotated

import typer

from fairaudit.cli import options as o

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
    typer.Option(
        "--target",
        metavar="NAME",
        help="What the model predicts. Default: the card's. A+B: labels side by side; all: every one of two classes.",
        rich_help_panel=o.AUDIT,
    ),
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
        help="timm/NAME, torchvision/NAME or fairaudit/gender-cnn. Default: recognised from the weights.",
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
        "--exact-resize",
        metavar="",
        help="Decode and resize with Pillow: slower, equal to it to the bit.",
        rich_help_panel=o.RUN,
    ),
]
ScaledDecoding = Annotated[
    bool | None,
    typer.Option(
        "--scaled-decoding",
        metavar="",
        help="Decode large JPEGs at a fraction of their sides: faster, other pixels.",
        rich_help_panel=o.RUN,
    ),
]
Compile = Annotated[
    bool | None,
    typer.Option(
        "--compile",
        metavar="",
        help="Compile the network first: pays beyond some 9,000 images.",
        rich_help_panel=o.RUN,
    ),
]
MaxUnreadable = Annotated[
    int | None,
    typer.Option(
        "--max-unreadable", metavar="N", help="Unreadable images to put up with. Default: 0.", rich_help_panel=o.RUN
    ),
]
