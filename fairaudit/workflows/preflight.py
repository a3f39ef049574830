"""The preflight: what the run is about to do and what it assumes, said before the model runs."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

import numpy as np

from fairaudit.config import AuditSettings, Preprocess
from fairaudit.data.manifest import Manifest
from fairaudit.metrics.groups import binned
from fairaudit.models.classifier import Classifier

WIDTH = 80


def preflight(
    classifier: Classifier, manifest: Manifest, audit: AuditSettings, *, available: int, device: str, precision: str
) -> list[str]:
    """Lines for a terminal of 80 columns.

    Args:
        classifier: network, head and preprocessing as they were found.
        manifest: the images that are audited.
        audit: target, groupings and reference groups, completed from the card.
        available: images before a limit took its sample.
        device: where the network will run.
        precision: fp32, bf16 or fp16.
    """
    rows = [
        ("model", f"{classifier.architecture} ({classifier.found_by}); all {classifier.keys_matched} keys matched"),
        ("outputs", classifier.head.description),
        ("pixels", pixels(classifier.preprocess)),
        ("device", f"{device}, {precision}"),
        ("images", _images(manifest, available, audit.seed)),
        ("target", str(audit.target)),
        ("groups", "; ".join(_grouping(by, manifest, audit) for by in audit.by) or "those of the rules"),
    ]
    lines = [line for name, text in rows for line in _wrapped(f"{name:<8}", text)]
    for sentence in classifier.assumptions:
        lines += _wrapped("assumed ", sentence.replace(": assumed", ""))
    return lines


def pixels(p: Preprocess) -> str:
    """Preprocessing in words."""
    how = "squash" if p.resize == "squash" else f"crop {p.crop_pct:.3g}"

    def numbers(values: Iterable[float]) -> str:
        return ", ".join(f"{v:.3f}" for v in values)

    return f"{p.size[0]}×{p.size[1]} {how}, {p.interpolation}, mean {numbers(p.mean)}, std {numbers(p.std)} ({p.source})"


def _images(manifest: Manifest, available: int, seed: int) -> str:
    n = len(manifest)
    counts = manifest.frame["split"].value_counts().sort_index()
    splits = ", ".join(f"{k:,} {split}" for split, k in counts.items())
    splits = f"split {counts.index[0]}" if len(counts) == 1 and counts.index[0] != "all" else splits
    said = f"{n:,}" if list(counts.index) == ["all"] else f"{n:,} ({splits})"
    return said if n == available else f"{said}, a stratified sample of {available:,} (seed {seed})"


def _grouping(by: tuple[str, ...], manifest: Manifest, audit: AuditSettings) -> str:
    named = {k: v for levels in audit.privileged if set(levels) <= set(by) for k, v in levels.items()}
    card = {k: v for k, v in manifest.card.privileged.items() if k in by}
    reference = named or card
    cells = 1
    for name in by:
        cells *= len(_levels(name, manifest, audit))
    text = " ".join(reference[name] for name in by if name in reference)
    against = text if set(reference) == set(by) else f"the largest {text or 'group'}"
    return f"{' × '.join(by)} ({cells}, against {against})"


def _levels(name: str, manifest: Manifest, audit: AuditSettings) -> tuple[str, ...]:
    if name not in audit.bins:
        return manifest.levels(name)
    return binned(manifest.frame[name].to_numpy(dtype=np.float64), audit.bins[name]).levels


def _wrapped(head: str, text: str) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=head,
        subsequent_indent=" " * len(head),
        break_long_words=False,
        break_on_hyphens=False,
    )
