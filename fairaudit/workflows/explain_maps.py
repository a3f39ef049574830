"""Maps of attributes from files: where hair or glasses show in a picture, as ``fairaudit attribute`` finds it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fairaudit import plugins
from fairaudit.attribution.maps import top_region
from fairaudit.config import Preprocess
from fairaudit.errors import ArtifactError, UsageError
from fairaudit.predictions import FloatArray

RECORD, ARRAYS, GENERAL = "attribution.json", "maps.npz", "general"
_NESTED = ("preprocess", "calibration")


def read_maps(
    files: Mapping[str, Path], preprocess: Preprocess, data: str, rescale: bool, quantile: float
) -> tuple[dict[str, FloatArray], list[str]]:
    """Read maps of attributes, at the size of a network's input.

    Args:
        files: name → ``.npy``, ``.npz``, or the folder of an attribution.
        preprocess: how pictures are prepared for the network.
        data: the dataset; a map that says that it was made for another is refused.
        rescale: bring maps of another size to that of the network's input.
        quantile: an attribute's region is its map's top (1 − quantile).

    Returns:
        name → (h, w) map, and sentences of doubt about them.

    Raises:
        ArtifactError: a file cannot be read, or holds no map.
        UsageError: a map is of another size, or of another dataset, or has no region at this quantile.
    """
    found, doubts, data = {}, [], plugins.canonical("datasets", data)
    for name, path in files.items():
        values, record = _read(path)
        if (made_for := record.get("data", data)) != data:
            raise UsageError(f"the map {name} in {path} was made for {made_for}, not for {data}; make one for {data}")
        how = record.get("preprocess", {}).get("resize", preprocess.resize)
        if how != preprocess.resize:
            raise UsageError(
                f"the map {name} in {path} was made of pictures prepared with --resize {how}, and the network's are "
                f"prepared with {preprocess.resize}: the same place of both shows different things"
            )
        if values.shape != preprocess.size:
            if not rescale:
                (a, b), (h, w) = values.shape, preprocess.size
                raise UsageError(
                    f"the map {name} in {path} is of {a} × {b} pixels, and the network's input of {h} × {w}; "
                    "make one of that size, or say --rescale"
                )
            values = _rescaled(values, preprocess.size)
        if np.ptp(values) == 0:
            raise ArtifactError(f"the map {name} in {path} is the same everywhere: it shows no place")
        if not top_region(values, quantile).any():  # a mask, say, of more pixels than the region may have
            most = float((values == values.max()).mean())
            raise UsageError(
                f"the map {name} in {path} has its largest value in {most:.0%} of the pixels, and the region would be the "
                f"top {1 - quantile:.0%}; say --quantile {math.floor(100 * (1 - most)) / 100:g}"
            )
        error = record.get("calibration", {}).get("error")
        if record.get("doubts"):
            doubts += [str(one) for one in record["doubts"]]
        elif error is not None and error > _doubtful():
            doubts.append(f"the map {name} rests on confidence that is off by {error:.2f} on average")
        found[name] = values
    return found, doubts


def _read(path: Path) -> tuple[FloatArray, Mapping[str, Any]]:
    record: Mapping[str, Any] = {}
    try:
        if path.is_dir():
            if not (path / RECORD).is_file():
                raise ArtifactError(
                    f"{path} holds no attribution ({RECORD} is missing); name what 'fairaudit attribute fit' wrote, or a "
                    ".npy or .npz file with a map"
                )
            record = json.loads((path / RECORD).read_text(encoding="utf-8"))
            if not isinstance(record, dict) or not all(isinstance(record.get(k, {}), dict) for k in _NESTED):
                raise ValueError(f"{RECORD} is no record of an attribution")
            error, doubts = record.get("calibration", {}).get("error"), record.get("doubts", [])
            if not isinstance(error, int | float | None) or not isinstance(doubts, list):
                raise ValueError(f"{RECORD} does not say how far its map is to be believed")
            path = path / ARRAYS
        with path.open("rb") as stream:
            held = np.load(stream, allow_pickle=False)
            values = _general(held, path) if isinstance(held, np.lib.npyio.NpzFile) else held
    except OSError as error:
        raise ArtifactError(
            f"{path} cannot be read: {error.strerror or error}; name a .npy or .npz file with a map"
        ) from error
    except (ArtifactError, MemoryError):
        raise
    except Exception as error:  # numpy, zip and zlib say in many ways that a file is not theirs
        raise ArtifactError(f"{path} holds no map that can be read: name a .npy or .npz file") from error
    if values.ndim != 2 or values.dtype.kind not in "fiub" or not np.isfinite(values.astype(np.float64)).all():
        raise ArtifactError(f"{path} holds an array of shape {values.shape} and not a map, height × width finite numbers")
    return values.astype(np.float64), record


def _general(held: Any, path: Path) -> Any:
    flat = [name for name in held.files if held[name].ndim == 2]
    if GENERAL in flat:
        return held[GENERAL]
    if len(flat) != 1:
        has = f"it holds {', '.join(flat)}" if flat else "it holds none"
        raise ArtifactError(f"{path} must hold one map, or one called {GENERAL}; {has}")
    return held[flat[0]]


def _rescaled(values: FloatArray, size: tuple[int, int]) -> FloatArray:
    import torch
    from torch.nn.functional import interpolate

    scaled = interpolate(torch.from_numpy(values)[None, None], size, mode="bilinear", antialias=True)
    return np.asarray(scaled[0, 0].numpy())


def _doubtful() -> float:
    from fairaudit.attribution.calibrate import TOO_WRONG

    return TOO_WRONG
