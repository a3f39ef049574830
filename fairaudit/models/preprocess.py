"""How images must be prepared for a network.

Its own record says so, else its library's configuration, else ImageNet's values; what the user sets goes before all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import timm
import torchvision.models
from pydantic import ValidationError
from timm.data import resolve_data_config

from fairaudit.config import Preprocess, PreprocessOverrides
from fairaudit.errors import CheckpointError
from fairaudit.models.metadata import SelfDescription
from fairaudit.models.own import SIZES


def choose_preprocess(
    architecture: str, arch_kwargs: Mapping[str, Any], described: SelfDescription, overrides: PreprocessOverrides
) -> Preprocess:
    """Settle every part of the preprocessing, and say in ``source`` where each came from.

    Args:
        architecture: ``timm/NAME``, ``torchvision/NAME``, or anything else for a network of neither library.
        arch_kwargs: constructor arguments; ``img_size`` sets the size.
        described: what the checkpoint says of itself.
        overrides: what the user set.

    Raises:
        CheckpointError: fairaudit's own record in the file is damaged.
    """
    own = described.own.get("preprocess")
    if own is not None:
        try:
            chosen = Preprocess.model_validate({**own, "source": "fairaudit metadata"})
        except (ValidationError, TypeError) as error:
            raise CheckpointError(
                "the checkpoint's fairaudit metadata has no readable preprocessing; save it again"
            ) from error
    else:
        chosen = _overridden(_of_library(architecture, arch_kwargs), described.preprocess, described.origin)
    return _overridden(chosen, overrides, "flags")


def _overridden(base: Preprocess, overrides: PreprocessOverrides, origin: str) -> Preprocess:
    parts = overrides.model_dump(exclude_none=True)
    if not parts:
        return base
    source = f"{base.source}; {', '.join(parts)} from {origin}"
    try:
        return Preprocess.model_validate({**base.model_dump(), **parts, "source": source})
    except ValidationError as error:
        problem = error.errors()[0]
        field = ".".join(map(str, problem["loc"]))
        raise CheckpointError(
            f"preprocessing from {origin}: {field}: {problem['msg'].removeprefix('Value error, ')}"
        ) from error


def _of_library(architecture: str, arch_kwargs: Mapping[str, Any]) -> Preprocess:
    library, _, bare = architecture.partition("/")
    known = {"timm": _of_timm, "torchvision": _of_torchvision, "fairaudit": _of_fairaudit}
    found = known.get(library, lambda _: None)(bare)
    chosen = found or Preprocess()
    size = arch_kwargs.get("img_size")
    if isinstance(size, int):
        size = (size, size)
    if isinstance(size, (tuple, list)) and len(size) == 2:
        source = f"{chosen.source}; size from img_size"
        chosen = Preprocess.model_validate({**chosen.model_dump(), "size": tuple(size), "source": source})
    return chosen


def _of_timm(bare: str) -> Preprocess | None:
    config = timm.get_pretrained_cfg(bare)
    if config is None:
        return None
    data = resolve_data_config(pretrained_cfg=config.to_dict())
    interpolation = data["interpolation"]
    return Preprocess(
        size=data["input_size"][-2:],
        resize="squash" if data["crop_mode"] == "squash" else "crop",
        crop_pct=min(float(data["crop_pct"]), 1.0),
        interpolation=interpolation if interpolation in ("nearest", "bilinear", "bicubic") else "bicubic",
        mean=_rgb(data["mean"]),
        std=_rgb(data["std"]),
        source=f"timm's config of {bare}",
    )


def _of_torchvision(bare: str) -> Preprocess | None:
    weights = torchvision.models.get_model_weights(bare).DEFAULT
    preset = weights.transforms()
    size, shorter = _side(preset.crop_size), _side(preset.resize_size)
    return Preprocess(
        size=(size, size),
        resize="crop",
        crop_pct=min(size / shorter, 1.0),
        interpolation=preset.interpolation.value,
        mean=_rgb(preset.mean),
        std=_rgb(preset.std),
        source=f"torchvision's transforms of {weights}",
    )


def _of_fairaudit(bare: str) -> Preprocess | None:
    if bare not in SIZES:
        return None
    return Preprocess(size=SIZES[bare], resize="squash", source=f"what fairaudit/{bare} was made for")


def _side(size: Any) -> int:
    return int(size[0] if isinstance(size, (list, tuple)) else size)


def _rgb(values: Any) -> tuple[float, float, float]:
    red, green, blue = (float(v) for v in values)
    return red, green, blue
