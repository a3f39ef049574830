"""What a checkpoint says about itself beside its weights.

That is fairaudit's own record, timm's and torchvision's training arguments, or the text header of a safetensors file.
"""

from __future__ import annotations

import argparse
import ast
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from fairaudit.config import PreprocessOverrides
from fairaudit.errors import CheckpointError
from fairaudit.models.checkpoint import RawCheckpoint

OWN_KEY = "fairaudit"
_PLAIN = (str, int, float, list, tuple, Mapping)
_EMPTY: tuple[Any, ...] = (None, "", (), [], {})


@dataclass(frozen=True)
class SelfDescription:
    """What a checkpoint says of itself; everything may be missing.

    Attributes:
        own: fairaudit's record, where fairaudit wrote the file.
        arch: architecture name, as the file spells it.
        arch_kwargs: constructor arguments.
        classes: class names in output order.
        preprocess: the parts of the preprocessing that it names.
        origin: whose record this is, for messages.
        unreadable: entries that are there and could not be understood.
    """

    own: Mapping[str, Any] = field(default_factory=dict)
    arch: str | None = None
    arch_kwargs: Mapping[str, Any] = field(default_factory=dict)
    classes: tuple[str, ...] | None = None
    preprocess: PreprocessOverrides = field(default_factory=PreprocessOverrides)
    origin: str = ""
    unreadable: tuple[str, ...] = ()


def describe(raw: RawCheckpoint) -> SelfDescription:
    """Read what a checkpoint says of itself.

    Args:
        raw: the file as it was read.

    Raises:
        CheckpointError: fairaudit's own record is not what fairaudit writes.
    """
    content = raw.content if isinstance(raw.content, Mapping) else {}
    own = raw.header.get(OWN_KEY) if raw.header else content.get(OWN_KEY)
    if isinstance(own, str):
        try:
            record = json.loads(own)
        except (json.JSONDecodeError, RecursionError):
            return SelfDescription(unreadable=(OWN_KEY,))
        return SelfDescription(own=_checked(record, raw), origin="fairaudit metadata")
    if raw.header:
        return _from_entries(raw.header, "the safetensors header")
    arguments = content.get("args")
    if isinstance(arguments, argparse.Namespace):
        arguments = vars(arguments)
    entries: dict[str, Any] = dict(arguments) if isinstance(arguments, Mapping) else {}
    entries.update({key: content[key] for key in ("arch", "class_to_idx", "classes") if key in content})
    # anything may be stored under these names, tensors too, whose truth and whose text are no plain matter
    entries = {key: value for key, value in entries.items() if isinstance(value, _PLAIN) and value not in _EMPTY}
    entries.setdefault("arch", entries.get("model"))
    return (
        _from_entries(entries, "the checkpoint's training arguments")
        if entries["arch"] or len(entries) > 1
        else SelfDescription()
    )


def _checked(record: Any, raw: RawCheckpoint) -> dict[str, Any]:
    kinds = {"architecture": str, "arch_kwargs": dict, "head": dict, "preprocess": dict, "extra": dict}
    if not isinstance(record, dict) or any(not isinstance(record.get(key, kind()), kind) for key, kind in kinds.items()):
        raise CheckpointError(f"{raw.path}: what fairaudit wrote about the network is damaged; copy the file again")
    return record


def _from_entries(entries: Mapping[str, Any], origin: str) -> SelfDescription:
    unreadable: list[str] = []

    def value(*names: str) -> Any:
        for name in names:
            if entries.get(name) not in _EMPTY:
                return entries[name]
        return None

    def parsed(*names: str) -> Any:
        given = value(*names)
        if not isinstance(given, str):
            return given
        try:
            return json.loads(given)
        except (json.JSONDecodeError, RecursionError):
            try:
                return ast.literal_eval(given)
            except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
                unreadable.append(names[0])
                return None

    arch = value("arch", "architecture")
    arch_kwargs = parsed("arch_kwargs", "model_kwargs")
    size = parsed("input_size", "img_size", "val_crop_size")
    parts: dict[str, Any] = {
        "size": _pair(size),
        "mean": parsed("mean"),
        "std": parsed("std"),
        "crop_pct": parsed("crop_pct"),
        "interpolation": _one_of(value("interpolation"), ("nearest", "bilinear", "bicubic")),
        "resize": _one_of(value("resize", "crop_mode"), ("squash", "crop")),
    }
    accepted: dict[str, Any] = {}
    for name, part in parts.items():
        if part is None:
            continue
        try:
            PreprocessOverrides.model_validate({name: part})
        except (ValidationError, RecursionError):
            unreadable.append(name)
        else:
            accepted[name] = part
    return SelfDescription(
        arch=arch if isinstance(arch, str) else None,
        arch_kwargs=dict(arch_kwargs) if isinstance(arch_kwargs, Mapping) else {},
        classes=_names(value("classes", "class_names", "label_names"), value("class_to_idx")),
        preprocess=PreprocessOverrides.model_validate(accepted),
        origin=origin,
        unreadable=tuple(unreadable),
    )


def _names(classes: Any, class_to_idx: Any) -> tuple[str, ...] | None:
    if isinstance(class_to_idx, Mapping) and all(isinstance(i, int) for i in class_to_idx.values()):
        ordered = sorted(class_to_idx.items(), key=lambda item: item[1])
        if [i for _, i in ordered] == list(range(len(ordered))):
            return tuple(str(name) for name, _ in ordered)
    if isinstance(classes, str):
        classes = [name.strip() for name in classes.split(",")]
    if isinstance(classes, (list, tuple)) and classes and all(isinstance(name, str) and name for name in classes):
        return tuple(classes)
    return None


def _pair(size: Any) -> tuple[int, int] | None:
    """``224``, ``(224, 224)`` or channels first ``(3, 224, 224)``."""
    if isinstance(size, int):
        return (size, size)
    if isinstance(size, (list, tuple)) and len(size) in (2, 3) and all(isinstance(side, int) for side in size):
        return (size[-2], size[-1])
    return None


def _one_of(text: Any, words: tuple[str, ...]) -> str | None:
    return next((word for word in words if isinstance(text, str) and text.lower().startswith(word)), None)
