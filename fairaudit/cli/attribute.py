"""``fairaudit attribute``: where in the pictures an attribute is, without asking the model that is audited."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import typer

from fairaudit.cli import attribute_flags as a
from fairaudit.cli import model_options as m
from fairaudit.cli import options as o
from fairaudit.cli import parsing as p
from fairaudit.cli import training_flags as t
from fairaudit.cli.streams import say, warn, write_out
from fairaudit.errors import UnknownNameError, UsageError

if TYPE_CHECKING:
    from fairaudit.workflows.attribute_pictures import Wanted

attribute = typer.Typer(
    help="Where in the pictures an attribute is, without asking the model that is audited.", no_args_is_help=True
)

MEASURES = ("top", "margin", "entropy")
KINDS = ("general-mask", "general-noise", "specific-mask", "specific-noise")
TRAINING = ("epochs", "lr", "batch_size", "precision", "device", "workers", "balance", "cache")
"""Flags that are training settings of the same name."""


@attribute.callback()
def _attribute() -> None:
    pass


@attribute.command("fit")
def fit(
    out: a.Out,
    attribute: a.Attribute = None,
    config: t.Config = None,
    data: m.Data = None,
    root: o.Root = None,
    split: m.Split = None,
    data_option: o.DataOption = None,
    limit: m.Limit = None,
    splits: t.SplitKind = None,
    validation_share: a.ValidationShare = None,
    size: a.Side = None,
    resize: m.Resize = None,
    patch: a.Patch = None,
    per_side: a.PerSide = None,
    stem: a.Stem = None,
    width: a.Width = None,
    measure: a.Measure = None,
    sample: a.Sample = None,
    temperature: a.Temperature = None,
    epochs: t.Epochs = None,
    lr: t.Lr = None,
    batch_size: t.BatchSize = None,
    balance: t.Balance = None,
    precision: t.Precision = None,
    device: m.Device = None,
    workers: m.Workers = None,
    cache: t.Cache = None,
    seed: a.Seed = None,
    resume: t.Resume = False,
    format_: a.Format = "terminal",
    quiet: o.Quiet = False,
) -> int:
    """Train a region classifier of an attribute, and say how far its confidence can be believed.

    fairaudit attribute fit Smiling --data celeba --out attributions/smiling

    Without --data it looks at drawn faces. What is not said is as in the paper: 90 epochs of 256, one patch per picture.
    """
    asked = dict(locals())
    _check_format(format_)
    from fairaudit.config import AttributeConfig, read_values

    stored = {} if config is None else read_values(config)
    settings = ("attribute", "data", "root", "split", "limit", "splits", "validation_share", "size", "resize", "patch",
                "per_side", "stem", "width", "measure", "sample", "temperature")  # fmt: skip
    flags = p.given(
        **{name: asked[name] for name in settings},
        data_options=p.data_options(data_option) or None,
        training=p.given(**{name: asked[name] for name in TRAINING}, seed=seed),
    )
    if "attribute" not in {**stored, **flags}:
        raise UsageError("name the attribute that is looked for: fairaudit attribute fit ATTRIBUTE")
    chosen = p.checked(flags, AttributeConfig, stored, config)
    from fairaudit.cli.progress import training_progress
    from fairaudit.workflows.attribute import fit as run

    with training_progress(show=not quiet) as (arm, progress):

        def begin(sentence: str) -> None:  # what is refused is refused before anything is said
            if not quiet:
                say(sentence)
            if not begun:
                begun.append(True)
                arm(1, 1, chosen.attribute, chosen.training.seed)

        begun: list[bool] = []
        found = run(
            chosen, out, resume=resume, command=["fairaudit", *sys.argv[1:]],
            say=begin, progress=progress,
        )  # fmt: skip
    if found is None:  # one of several processes, and not the one that speaks
        return 0
    warn(found.warnings)
    c = found.attribution.calibration
    if format_ == "json":
        write_out((out / "attribution.json").read_text(encoding="utf-8"))
    else:
        write_out(
            f"{found.attribution.attribute}: right on {100 * c.accuracy:.1f} % of {c.patches:,} patches of {c.images:,} "
            f"validation images\nexpected calibration error {c.error:.3f}"
            + (f" ({c.uncorrected:.3f} before the temperature of {c.temperature:.2f})" if c.temperature != 1 else "")
        )
    if not quiet:
        say(f"written: {out}")
    return 0


@attribute.command("map")
def map_(
    folder: a.Folder,
    out: a.Out,
    data: m.Data = None,
    root: o.Root = None,
    split: m.Split = None,
    data_option: o.DataOption = None,
    limit: m.Limit = 64,
    seed: a.Seed = None,
    measure: a.Measure = None,
    every: a.Every = 1,
    approximate: a.Approximate = False,
    beside: a.Beside = None,
    quantile: a.Quantile = 0.7,
    precision: t.Precision = None,
    device: m.Device = None,
    workers: m.Workers = None,
    format_: a.Format = "terminal",
    quiet: o.Quiet = False,
) -> int:
    """Map pictures: arrays, overlays, the average face, and how much two attributes' places overlap.

    fairaudit attribute map attributions/smiling --beside attributions/blond --out maps
    """
    asked = dict(locals())
    _check_format(format_)
    wanted = _wanted(asked)
    from fairaudit.workflows.attribute_map import map_attribute

    command = ["fairaudit", *sys.argv[1:]]
    found = map_attribute(
        folder, wanted, out, beside=beside or (), quantile=quantile, command=command, say=_silent if quiet else say
    )
    if found is None:  # one of several processes, and not the one that speaks
        return 0
    warn(found.warnings)
    if format_ == "json":
        write_out((out / "map.json").read_text(encoding="utf-8"))
    else:
        lines = [f"{found.attribute}: mapped in {found.images:,} images"]
        for name, shared in found.overlaps.items():
            lines.append(
                f"the top {100 * (1 - quantile):.0f} % of {found.attribute} and of {name} share {shared.iou:.2f} of their "
                f"pixels ({shared.by_chance:.2f} by chance); their maps correlate by {shared.correlation:+.2f}"
            )
        write_out("\n".join(lines))
    if not quiet:
        say(f"written: {out}")
    return 0


@attribute.command("mask")
def mask(
    folder: a.Folder,
    out: a.Out,
    data: m.Data = None,
    root: o.Root = None,
    split: m.Split = None,
    data_option: o.DataOption = None,
    limit: m.Limit = None,
    seed: a.Seed = None,
    kind: a.Kind = "general-noise",
    quantile: a.Quantile = 0.7,
    sigma: a.Sigma = 0.5,
    paper_faithful: a.Faithful = False,
    measure: a.Measure = None,
    every: a.Every = 1,
    approximate: a.Approximate = False,
    precision: t.Precision = None,
    device: m.Device = None,
    workers: m.Workers = None,
    format_: a.Format = "terminal",
    quiet: o.Quiet = False,
) -> int:
    """Write copies of pictures without an attribute's region, and a table of them that --data table reads.

    fairaudit attribute mask attributions/blond --kind general-noise --quantile 0.7 --out masked

    To train with it, mitigate --method attribution-mask does the same on the fly, with noise that is new each time.
    """
    asked = dict(locals())
    _check_format(format_)
    if kind not in KINDS:
        raise UnknownNameError("kind of mask", kind, KINDS)
    wanted = _wanted(asked)
    from fairaudit.workflows.attribute_mask import Treatment, mask_attribute

    treatment = Treatment(kind, quantile, sigma, paper_faithful)  # type: ignore[arg-type]  # it is one of KINDS
    command = ["fairaudit", *sys.argv[1:]]
    found = mask_attribute(folder, wanted, treatment, out, command=command, say=_silent if quiet else say)
    warn(found.warnings)
    if format_ == "json":
        write_out((out / "mask.json").read_text(encoding="utf-8"))
    else:
        write_out(f"{kind} in {100 * found.share:.0f} % of the pixels of {found.images:,} images")
    if not quiet:
        say(f"written: {out}", f"use it with --data table --root {found.table}")
    return 0


def _wanted(asked: dict[str, Any]) -> Wanted:
    """Which pictures, from the flags of ``map`` and ``mask``."""
    from fairaudit.config import TrainingSettings
    from fairaudit.workflows.attribute_pictures import Wanted

    if asked["measure"] not in (None, *MEASURES):
        raise UnknownNameError("measure of confidence", asked["measure"], MEASURES)
    options = p.data_options(asked["data_option"])
    p.check_data_options(options)
    if asked["limit"] is not None and asked["limit"] < 1:
        raise UsageError(f"--limit must be at least 1, not {asked['limit']}")
    training = p.checked(p.given(**{name: asked[name] for name in ("precision", "device", "workers")}), TrainingSettings)
    return Wanted(
        data=asked["data"], root=asked["root"], split=asked["split"], data_options=options, limit=asked["limit"],
        seed=asked["seed"] or 0, measure=asked["measure"], every=asked["every"], approximate=asked["approximate"],
        training=training,
    )  # fmt: skip


def _check_format(name: str) -> None:
    if name not in ("terminal", "json"):
        raise UsageError(f"--format {name!r}: an attribution is printed as terminal or json")


def _silent(sentence: str) -> None:
    """Say nothing."""
