"""``fairaudit mitigate``: retrain with a fairer objective, and prove what it changed."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from fairaudit.cli import mask_flags as k
from fairaudit.cli import options as o
from fairaudit.cli import parsing as p
from fairaudit.cli import training_flags as t
from fairaudit.cli.mask_flags import with_mask_flags
from fairaudit.cli.model_options import Arch, ArchKwargs, Classes, Data, Device, Limit, Resize, Size, Target, Trust
from fairaudit.cli.show import check_format, show
from fairaudit.cli.streams import say, warn
from fairaudit.errors import UnknownNameError, UsageError

if TYPE_CHECKING:
    from fairaudit.config import MitigateConfig
    from fairaudit.workflows.mitigate import Settle

    M = TypeVar("M", bound=MitigateConfig)

TRAINING = (
    "epochs", "lr", "batch_size", "accumulate", "optimizer", "schedule", "warmup", "weight_decay", "freeze", "ema",
    "label_smoothing", "precision", "device", "workers", "augment", "balance", "select", "patience", "cache",
)  # fmt: skip
"""Flags that are training settings of the same name."""


def mitigate(
    model: t.Model = None,
    config: t.Config = None,
    loss: t.Loss = None,
    method: t.Method = None,
    confounder: k.Confounder = None,
    kind: k.Kind = None,
    quantile: k.Quantile = None,
    attribution: k.Attribution = None,
    baseline: t.Baseline = None,
    seeds: t.Seeds = None,
    data: Data = None,
    root: o.Root = None,
    data_option: o.DataOption = None,
    limit: Limit = None,
    splits: t.SplitKind = None,
    split_shares: t.SplitShares = None,
    split_seed: t.SplitSeed = None,
    imbalance: t.Imbalance = None,
    test_data: t.TestData = None,
    test_root: t.TestRoot = None,
    target: Target = None,
    by: o.By = None,
    privileged: o.Privileged = None,
    positive: o.Positive = None,
    confidence: o.Confidence = None,
    bootstrap: o.Bootstrap = None,
    min_support: o.MinSupport = None,
    weights: t.Weights = None,
    arch: Arch = None,
    arch_kwargs: ArchKwargs = None,
    classes: Classes = None,
    trust_checkpoint: Trust = None,
    size: Size = None,
    resize: Resize = None,
    epochs: t.Epochs = None,
    lr: t.Lr = None,
    batch_size: t.BatchSize = None,
    accumulate: t.Accumulate = None,
    optimizer: t.Optimizer = None,
    schedule: t.Schedule = None,
    warmup: t.Warmup = None,
    weight_decay: t.WeightDecay = None,
    freeze: t.Freeze = None,
    ema: t.Ema = None,
    label_smoothing: t.LabelSmoothing = None,
    precision: t.Precision = None,
    device: Device = None,
    workers: t.Workers = None,
    augment: t.Augment = None,
    balance: t.Balance = None,
    select: t.Select = None,
    patience: t.Patience = None,
    cache: t.Cache = None,
    format_: t.Format = "terminal",
    out: t.Out = None,
    resume: t.Resume = False,
    no_report: o.NoReport = False,
    quiet: o.Quiet = False,
) -> int:
    """Retrain with a fairer objective beside a plain baseline, and say with paired tests who gained and who lost.

    fairaudit mitigate --loss max-group --data utkface --weights mobilenet_v2.pth --freeze backbone

    Without --data it trains on drawn faces. Everything is trained --seeds times; the test images select nothing.
    """
    asked = dict(locals())
    from fairaudit.config import MitigateConfig

    settings, drawn = asked_for(MitigateConfig, asked)
    return experiment(settings, out=out, resume=resume, format_=format_, page=not no_report, quiet=quiet, drawn=drawn)


def asked_for(kind: type[M], asked: Mapping[str, Any], **more: Any) -> tuple[M, bool]:
    """Settings from the flags of a command that trains, laid over its file.

    Args:
        kind: the settings.
        asked: every flag by its name in ``mitigate``.
        more: settings that other flags gave; None leaves one to the file.

    Returns:
        The settings, and whether nobody named a dataset.

    Raises:
        FairauditError: a flag or something in the file cannot be understood.
    """
    from fairaudit.config import read_values
    from fairaudit.results.mitigation import MitigationResult

    check_format(asked["format_"], MitigationResult)
    stored = {} if asked["config"] is None else read_values(asked["config"])
    flags = p.given(
        **{name: asked[name] for name in ("model", "weights", "data", "root", "limit", "splits", "split_seed", "seeds")},
        data_options=p.data_options(asked["data_option"]) or None,
        split_shares=_shares(asked["split_shares"]),
        imbalance=p.pairs("--imbalance", asked["imbalance"]) or None,
        test=p.given(data=asked["test_data"], root=asked["test_root"]) or None,
        arms=with_mask_flags(arms_of(asked["loss"], asked["method"]), asked),
        baseline=_wants_baseline(asked["baseline"]),
        network=p.given(
            arch=asked["arch"],
            arch_kwargs=p.keywords(asked["arch_kwargs"]),
            classes=p.names(asked["classes"]),
            trust_checkpoint=asked["trust_checkpoint"],
            preprocess=p.given(size=p.pixels(asked["size"]), resize=asked["resize"]),
        ),
        training=p.given(**{name: asked[name] for name in TRAINING}),
        audit=p.given(
            **{name: asked[name] for name in ("target", "positive", "confidence", "bootstrap", "min_support")},
            by=p.groupings(asked["by"]),
            privileged=p.levels(asked["privileged"]),
        ),
        **more,
    )
    values = p.layered(stored, flags)
    drawn = "data" not in values
    if "arms" not in values:
        raise UsageError(
            "name what is tried: --loss NAME or --method NAME; 'fairaudit list losses' and 'list methods' tell"
        )
    defaults = _defaults(drawn, values.get("training", {}).get("epochs"), values["arms"])
    return p.checked(flags, kind, p.layered(defaults, stored), asked["config"]), drawn


def experiment(
    settings: MitigateConfig,
    *,
    out: Path | None,
    resume: bool,
    format_: str,
    page: bool,
    quiet: bool,
    drawn: bool = False,
    settle: Settle | None = None,
) -> int:
    """Run an experiment with whoever watches, and print what it found.

    Args:
        settings: the run.
        out: its folder; None names one below ``runs/``.
        resume: go on with what is there.
        format_: a report format that can show experiments.
        page: whether to write report.html and figures beside the record.
        quiet: say nothing but errors on stderr.
        drawn: whether nobody named a dataset.
        settle: searches settings of the arms first.

    Returns:
        The exit code.
    """
    from fairaudit.cli.progress import training_progress
    from fairaudit.workflows.mitigate import mitigate as run
    from fairaudit.workflows.pages import write_page
    from fairaudit.workflows.run_folders import CONFIG, new_folder
    from fairaudit.workflows.study import Watch

    if resume and out is None:
        raise UsageError("--resume needs the experiment's folder: --out DIR")
    folder = out or new_folder(settings)
    if drawn and not quiet:
        from fairaudit.workflows.embedding_arms import trains_embeddings

        biased = "nearly all women and few men wear glasses"
        if trains_embeddings(settings):
            biased = "nine in ten have light skin"
        say(f"no --data: training on drawn faces, of whom {biased}; nobody is shown")
    try:
        with training_progress(show=not quiet) as (arm, progress):
            watch = Watch(say=(lambda _: None) if quiet else say, arm=arm, progress=progress)
            found = run(settings, folder, resume=resume, command=["fairaudit", *sys.argv[1:]], watch=watch, settle=settle)
    except KeyboardInterrupt:
        if not quiet and (folder / CONFIG).exists():
            say(f"what is finished is kept; go on with the same command and --resume --out {folder}")
        raise
    if found is None:  # one of several processes, and not the one that speaks
        return 0
    if not quiet:
        warn(found.result.notes)
    show(found.result, format_)  # first: a page that cannot be written must not cost what took hours
    if page:
        write_page(found.result, found.folder)
    if not quiet:
        say(f"written: {found.folder}")
    return 0


def arms_of(losses: Sequence[str] | None, methods: Sequence[str] | None) -> list[dict[str, Any]] | None:
    """Every loss, or every method with every loss, as the settings have them; None where neither is named.

    Args:
        losses: ``NAME`` or ``NAME:key=value,key=value``.
        methods: likewise.

    Raises:
        UsageError: an option is not KEY=VALUE.
        UnknownNameError: there is no such loss or method.
    """
    if not losses and not methods:
        return None
    objectives = [_named("--loss", "losses", text) for text in losses or ("cross-entropy",)]
    ways = [_named("--method", "methods", text) for text in methods or ()]
    arms: list[dict[str, Any]] = []
    for name, options in objectives:
        one = {"loss": name, "loss_options": options}
        arms += [{**one, "method": way, "method_options": its} for way, its in ways] if ways else [one]
    return arms


def _named(flag: str, kind: str, text: str) -> tuple[str, dict[str, str]]:
    from fairaudit import plugins

    name, _, options = text.partition(":")
    # a comma parts options where a new one begins, and values elsewhere: weights=2,1,form=bce
    return plugins.canonical(kind, name), p.pairs(flag, re.split(r",(?=[^,=]+=)", options) if options else None)


def _defaults(drawn: bool, epochs: object, arms: object) -> dict[str, Any]:
    """What ``mitigate`` itself prefers where neither a flag nor a file says anything."""
    if not drawn:
        return {"training": {"select": "worst-group"}}
    from fairaudit.workflows import experiment_defaults as d
    from fairaudit.workflows.embedding_arms import is_embedding_method

    named = [arm.get("method") for arm in arms if isinstance(arm, dict)] if isinstance(arms, list) else []
    people = any(isinstance(method, str) and is_embedding_method(method) for method in named)
    return {
        "data": "synthetic",
        "data_options": d.DRAWN_PEOPLE if people else d.DRAWN_FACES,
        "splits": "official",
        "compare_content": False,
        "training": {"select": "worst-group", **d.DRAWN_TRAINING, **({"warmup": 0} if epochs == 1 else {})},
        "audit": {"by": d.DRAWN_PEOPLE_BY if people else d.DRAWN_BY},
    }


def _shares(text: str | None) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(f"--split-shares {text!r}: write three numbers with commas between them") from error
    if len(values) != 3:
        raise UsageError(f"--split-shares {text!r}: {len(values)} were given; write three, for training, validation, test")
    return values


def _wants_baseline(text: str | None) -> bool | None:
    if text is None:
        return None
    if text not in ("erm", "none"):
        raise UnknownNameError("baseline", text, ("erm", "none"))
    return text == "erm"
