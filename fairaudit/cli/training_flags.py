"""Flags of the commands that train: ``mitigate`` and ``sweep``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fairaudit.cli import options as o

TRAINING, ARMS = "How it is trained", "What is tried"

Model = Annotated[
    Path | None,
    typer.Argument(metavar="[MODEL]", help="Classifier to train on, head and all. Default: --weights, or from scratch.",
                   show_default=False),
]  # fmt: skip
Config = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="TOML file with any of these settings; flags win."),
]
Loss = Annotated[
    list[str] | None,
    typer.Option("--loss", metavar="NAME[:K=V,…]", rich_help_panel=ARMS,
                 help="Objective; 'fairaudit list losses' tells them. Repeatable: each is an arm."),
]  # fmt: skip
Method = Annotated[
    list[str] | None,
    typer.Option("--method", metavar="NAME[:K=V,…]", rich_help_panel=ARMS,
                 help="More than a loss; 'fairaudit list methods'. Repeatable: each with each loss is an arm."),
]  # fmt: skip
Baseline = Annotated[
    str | None,
    typer.Option("--baseline", metavar="WHAT", rich_help_panel=ARMS,
                 help="erm trains plain cross-entropy beside the arms, none does not. Default: erm."),
]  # fmt: skip
Seeds = Annotated[
    int | None,
    typer.Option("--seeds", metavar="N", help="How often everything is trained. Default: 5.", rich_help_panel=ARMS),
]
Weights = Annotated[
    str | None,
    typer.Option("--weights", metavar="FILE", rich_help_panel=o.MODEL,
                 help="Backbone to start from, under a new head; 'pretrained' lets the library download its own."),
]  # fmt: skip
SplitKind = Annotated[
    str | None,
    typer.Option("--splits", metavar="WHAT", rich_help_panel=o.DATA,
                 help="official keeps the dataset's own; shares (default) splits by --split-shares; classes does so and "
                      "keeps each class in one split, for embeddings."),
]  # fmt: skip
Imbalance = Annotated[
    list[str] | None,
    typer.Option("--imbalance", metavar="A[:LEVEL]=SHARE", rich_help_panel=o.DATA,
                 help="Leave training people out until the first or that level has this share of them. Repeatable."),
]  # fmt: skip
SplitShares = Annotated[
    str | None,
    typer.Option("--split-shares", metavar="A,B,C", rich_help_panel=o.DATA,
                 help="Of training, validation and test images. Default: 0.78,0.11,0.11."),
]  # fmt: skip
SplitSeed = Annotated[
    int | None,
    typer.Option("--split-seed", metavar="N", rich_help_panel=o.DATA,
                 help="Of the split, which all seeds share. Default: 0."),
]  # fmt: skip
TestData = Annotated[
    str | None,
    typer.Option("--test-data", metavar="NAME", help="Another dataset to test on.", rich_help_panel=o.DATA),
]
TestRoot = Annotated[Path | None, typer.Option("--test-root", metavar="DIR", help="Its folder.", rich_help_panel=o.DATA)]
Epochs = Annotated[int | None, typer.Option("--epochs", metavar="N", help="Default: 10.", rich_help_panel=TRAINING)]
Lr = Annotated[
    float | None,
    typer.Option("--lr", metavar="RATE", help="Largest learning rate. Default: 0.001.", rich_help_panel=TRAINING),
]
BatchSize = Annotated[int | None, typer.Option("--batch-size", metavar="N", help="Default: 64.", rich_help_panel=TRAINING)]
Accumulate = Annotated[
    int | None,
    typer.Option(
        "--accumulate", metavar="N", help="Compute each batch in N parts, to save memory.", rich_help_panel=TRAINING
    ),
]
Optimizer = Annotated[
    str | None, typer.Option("--optimizer", metavar="NAME", help="One of timm's. Default: adamw.", rich_help_panel=TRAINING)
]
Schedule = Annotated[
    str | None, typer.Option("--schedule", metavar="NAME", help="cosine (default), step, none.", rich_help_panel=TRAINING)
]
Warmup = Annotated[
    int | None, typer.Option("--warmup", metavar="N", help="Epochs of rising learning rate. Default: 0.",
                             rich_help_panel=TRAINING)
]  # fmt: skip
WeightDecay = Annotated[
    float | None, typer.Option("--weight-decay", metavar="X", help="Default: 0.01.", rich_help_panel=TRAINING)
]
Freeze = Annotated[
    str | None,
    typer.Option("--freeze", metavar="WHAT", rich_help_panel=TRAINING,
                 help="none, backbone (features are computed once), or names of layers with commas."),
]  # fmt: skip
Ema = Annotated[
    float | None,
    typer.Option("--ema", metavar="DECAY", help="Keep a running average of the weights.", rich_help_panel=TRAINING),
]
LabelSmoothing = Annotated[
    float | None, typer.Option("--label-smoothing", metavar="X", help="Default: 0.", rich_help_panel=TRAINING)
]
Precision = Annotated[
    str | None, typer.Option("--precision", metavar="NAME", help="fp32 (default), bf16, fp16.", rich_help_panel=TRAINING)
]
Workers = Annotated[
    int | None,
    typer.Option("--workers", metavar="N", help="Threads that decode. Default: by cores.", rich_help_panel=TRAINING),
]
Augment = Annotated[
    list[str] | None,
    typer.Option("--augment", metavar="NAME", help="classic, s1, mixup, cutmix, randaugment. Repeatable.",
                 rich_help_panel=TRAINING),
]  # fmt: skip
Balance = Annotated[
    str | None,
    typer.Option("--balance", metavar="WHAT", help="groups fills every batch evenly. Default: none.",
                 rich_help_panel=TRAINING),
]  # fmt: skip
Select = Annotated[
    str | None,
    typer.Option("--select", metavar="RULE", rich_help_panel=TRAINING,
                 help="Epoch that is kept, on validation images: worst-group, average, gap, last. Default: worst-group."),
]  # fmt: skip
Patience = Annotated[
    int | None,
    typer.Option("--patience", metavar="N", help="Stop after N epochs without a better score.", rich_help_panel=TRAINING),
]
Cache = Annotated[
    str | None,
    typer.Option("--cache", metavar="WHERE", help="Decoded images: memory (default), disk, none.",
                 rich_help_panel=TRAINING),
]  # fmt: skip
Out = Annotated[
    Path | None, typer.Option("--out", "-o", metavar="DIR", help="Folder of the experiment.", rich_help_panel=o.OUTPUT)
]
Resume = Annotated[
    bool, typer.Option("--resume", metavar="", help="Go on with what is in --out.", rich_help_panel=o.OUTPUT)
]
Format = Annotated[
    str,
    typer.Option(
        "--format",
        "-f",
        metavar="NAME",
        rich_help_panel=o.OUTPUT,
        help="What is printed on stdout: terminal, json, markdown, csv, html.",
    ),
]
