"""The preflight: what the run is about to do and what it assumes, said before the model runs."""

from __future__ import annotations

from collections.abc import Iterable

from fairaudit.config import AuditSettings, InferenceSettings, Preprocess
from fairaudit.data.manifest import Manifest
from fairaudit.models.classifier import Classifier


def preflight(
    classifier: Classifier, manifest: Manifest, target: str, audit: AuditSettings, inference: InferenceSettings
) -> list[str]:
    """Lines for a terminal of 80 columns.

    Args:
        classifier: network, head and preprocessing as they were found.
        manifest: the images.
        target: what is audited.
        audit: groupings and reference groups.
        inference: device and precision as asked for.
    """
    splits = ", ".join(f"{n} {s}" for s, n in manifest.frame["split"].value_counts().sort_index().items())
    rows = [
        ("model", f"{classifier.architecture} ({classifier.found_by}); {classifier.keys_matched} keys matched"),
        ("outputs", classifier.head.description),
        ("pixels", pixels(classifier.preprocess)),
        ("device", f"{inference.device}, {inference.precision}"),
        ("images", f"{len(manifest)} ({splits})"),
        ("target", target),
        ("groups", "; ".join(_grouping(by, manifest, audit) for by in audit.by) or "those of the rules"),
    ]
    lines = [line for name, text in rows for line in _wrapped(f"{name:<8}", text)]
    for sentence in classifier.assumptions:
        lines += _wrapped("assumed ", sentence)
    return lines


def pixels(p: Preprocess) -> str:
    """Preprocessing in words."""
    how = "squash" if p.resize == "squash" else f"crop {p.crop_pct:g}"

    def numbers(values: Iterable[float]) -> str:
        return ", ".join(f"{v:.3f}" for v in values)

    return f"{p.size[0]}×{p.size[1]} {how}, {p.interpolation}, mean {numbers(p.mean)}, std {numbers(p.std)} ({p.source})"


def _grouping(by: tuple[str, ...], manifest: Manifest, audit: AuditSettings) -> str:
    named = {k: v for levels in audit.privileged if set(levels) <= set(by) for k, v in levels.items()}
    card = {k: v for k, v in manifest.card.privileged.items() if k in by}
    reference = named or card
    if not reference:
        return f"{' × '.join(by)} (against the largest group)"
    text = " ".join(reference.values())
    return f"{' × '.join(by)} (against {text if set(reference) == set(by) else 'the largest ' + text})"


def _wrapped(head: str, text: str) -> list[str]:
    import textwrap

    found = textwrap.wrap(text, 80 - len(head), break_long_words=False, break_on_hyphens=False) or [""]
    return [(head if i == 0 else " " * len(head)) + line for i, line in enumerate(found)]
