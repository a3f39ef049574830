"""Groups of flags that commands share, declared once: a table's columns, a network, the audit, the gate."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, get_type_hints

from fairaudit.cli import counting as c
from fairaudit.cli import model_options as m
from fairaudit.cli import options as o
from fairaudit.cli import parsing as p
from fairaudit.cli.verdict import Gate, read_gate


def spread(command: Callable[..., int]) -> Callable[..., int]:
    """A command whose parameters that are groups of flags are declared to Typer flag by flag.

    Args:
        command: its keyword-only parameters may be dataclasses, whose fields are annotated as Typer's parameters are.
    """
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, Any] = {name: hint for name, hint in hints.items() if is_dataclass(hint)}
    parameters: list[inspect.Parameter] = []
    for name, own in inspect.signature(command).parameters.items():
        if name not in groups:
            parameters.append(own.replace(annotation=hints[name], kind=inspect.Parameter.POSITIONAL_OR_KEYWORD))
            continue
        annotations = get_type_hints(groups[name], include_extras=True)
        parameters += [
            inspect.Parameter(
                f.name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=f.default, annotation=annotations[f.name]
            )
            for f in fields(groups[name])
        ]

    @functools.wraps(command)
    def run(**words: Any) -> int:
        given = {name: group(**{f.name: words.pop(f.name) for f in fields(group)}) for name, group in groups.items()}
        return command(**words, **given)

    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    return run


@dataclass(frozen=True)
class TableFlags:
    """Which columns of a table mean what."""

    y_true: o.YTrue = None
    y_pred: o.YPred = None
    y_score: o.YScore = None
    target: o.Target = None
    row_id: o.RowId = None
    identity: o.Identity = None
    weight: o.Weight = None
    classes: o.Classes = None

    def columns(self) -> dict[str, Any]:
        """What the user set, as ``audit_table`` names it; the target is a setting of the audit."""
        return p.given(
            y_true=self.y_true,
            y_pred=self.y_pred,
            y_score=tuple(self.y_score) if self.y_score else None,
            row_id=self.row_id,
            identity=self.identity,
            weight=self.weight,
            classes=p.names(self.classes),
        )


@dataclass(frozen=True)
class HeadFlags:
    """What the outputs of a network mean."""

    classes: m.Classes = None
    head: m.Head = None
    merge: m.Merge = None
    merge_by: m.MergeBy = None

    def settings(self) -> dict[str, Any]:
        """What the user set, as ``NetworkSettings`` names it.

        Raises:
            UsageError: a merge cannot be understood.
        """
        return p.given(classes=p.names(self.classes), head=self.head, merge=p.merges(self.merge), merge_by=self.merge_by)


@dataclass(frozen=True)
class NetworkFlags:
    """Which network a checkpoint holds, and how images are prepared for it."""

    arch: m.Arch = None
    arch_kwargs: m.ArchKwargs = None
    trust_checkpoint: m.Trust = None
    size: m.Size = None
    resize: m.Resize = None
    crop_pct: m.CropPct = None
    interpolation: m.Interpolation = None
    mean: m.Mean = None
    std: m.Std = None

    def settings(self) -> dict[str, Any]:
        """What the user set, as ``NetworkSettings`` names it.

        Raises:
            UsageError: a flag cannot be understood.
        """
        from fairaudit.config import Preprocess

        preprocess = p.given(
            size=p.pixels(self.size),
            resize=self.resize,
            crop_pct=self.crop_pct,
            interpolation=self.interpolation,
            mean=p.channels("--mean", self.mean),
            std=p.channels("--std", self.std),
        )
        p.checked(preprocess, Preprocess)
        return p.given(
            arch=self.arch,
            arch_kwargs=p.keywords(self.arch_kwargs),
            trust_checkpoint=self.trust_checkpoint,
            preprocess=preprocess,
        )


@dataclass(frozen=True)
class InferenceFlags:
    """How a network is run on images; the precision is a flag of its own, because explanations have none."""

    device: m.Device = None
    batch_size: m.BatchSize = None
    workers: m.Workers = None
    max_unreadable: m.MaxUnreadable = None
    exact_resize: m.ExactResize = None

    def settings(self) -> dict[str, Any]:
        """What the user set, as ``InferenceSettings`` names it."""
        return p.given(
            device=self.device,
            batch_size=self.batch_size,
            workers=self.workers,
            max_unreadable=self.max_unreadable,
            exact_resize=self.exact_resize,
        )


@dataclass(frozen=True)
class AuditFlags:
    """What is audited, and how it is counted and listed."""

    by: o.By = None
    privileged: o.Privileged = None
    positive: o.Positive = None
    where: o.Where = None
    given: o.Given = None
    confidence: o.Confidence = None
    bootstrap: o.Bootstrap = None
    seed: o.Seed = None
    min_support: o.MinSupport = None
    bins: c.Bins = None
    missing: c.Missing = None
    threshold: c.Threshold = None
    beta: c.Beta = None
    aggregate: c.Aggregate = None
    top_k: c.TopK = None
    no_cluster: c.NoCluster = False
    label_noise: c.LabelNoise = None
    shrink: c.Shrink = False

    def settings(self, gate: Gate) -> dict[str, Any]:
        """What the user set, as ``AuditSettings`` names it.

        Args:
            gate: whose policy may say how sure the answer must be, where no flag does.

        Raises:
            UsageError: a flag cannot be understood.
            ConfigError: an error matrix cannot be read.
        """
        by = p.groupings(self.by)
        return p.given(
            by=by,
            privileged=p.levels(self.privileged),
            positive=self.positive,
            where=self.where,
            given=p.groupings(self.given),
            confidence=p.first(self.confidence, gate.confidence),
            bootstrap=self.bootstrap,
            seed=self.seed,
            min_support=p.first(self.min_support, gate.min_support),
            rules=gate.rules or None,
            **c.counting(self.bins, self.missing, self.threshold, self.beta, self.aggregate, self.top_k, self.no_cluster),
            **c.asked_besides(self.label_noise, self.shrink, by or []),
        )


@dataclass(frozen=True)
class GateFlags:
    """What is judged, and how strictly."""

    rule: o.Rules = None
    policy: o.PolicyFile = None
    on_inconclusive: o.OnInconclusive = None
    exit_zero: o.ExitZero = False

    def read(self, stored: str | None = None) -> Gate:
        """Rules, and how strictly they are taken.

        Args:
            stored: what a configuration file makes of an inconclusive verdict.

        Raises:
            ConfigError: the policy cannot be used.
            UsageError: ``--on-inconclusive`` is not one of error, fail, pass.
        """
        return read_gate(self.rule, self.policy, p.first(self.on_inconclusive, stored), self.exit_zero)
