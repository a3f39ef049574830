"""An attribution in a folder: the region classifier, the general map, how far to trust both, and what they were made of.

``attribution.json`` holds settings, dataset and calibration, ``regions.safetensors`` the weights, ``maps.npz`` the
arrays. The folder is written whole or not at all.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch

from fairaudit.artifacts.folder import unwritable
from fairaudit.artifacts.records import write_json
from fairaudit.attribution.calibrate import TOO_WRONG, Calibration
from fairaudit.attribution.confidence import MEASURES
from fairaudit.attribution.maps import general_map
from fairaudit.attribution.patches import Positions
from fairaudit.attribution.region_net import RegionNet
from fairaudit.config import Measure, Preprocess, Stem
from fairaudit.errors import ArtifactError, UsageError
from fairaudit.predictions import FloatArray

RECORD, WEIGHTS, MAPS = "attribution.json", "regions.safetensors", "maps.npz"
_FORMAT = 1


@dataclass(frozen=True, eq=False)
class Attribution:
    """Everything that says where an attribute is.

    Attributes:
        attribute: the column.
        levels: of it, in the order of the classifier's outputs.
        net: the region classifier, in evaluation mode.
        preprocess: how pictures are prepared for it.
        measure: of confidence that its maps show unless another is asked for.
        calibration: whether its confidence can be believed.
        regions: measure → (p,) mean confidence at every position over the pictures of the sample.
        average: (I, I, 3) uint8, the mean of those pictures.
        data: name of the dataset.
        labels_sha256: of the dataset's table of labels.
        seen: digests of the pixels of pictures of that dataset.
        record: settings and figures as they are written, for people.
    """

    attribute: str
    levels: tuple[str, ...]
    net: RegionNet
    preprocess: Preprocess
    measure: Measure
    calibration: Calibration
    regions: Mapping[str, FloatArray]
    average: np.ndarray
    data: str
    labels_sha256: str
    seen: frozenset[str]
    record: Mapping[str, Any]

    @property
    def positions(self) -> Positions:
        """Where its patches lie."""
        return self.net.positions

    def general(self, measure: Measure | None = None) -> FloatArray:
        """The general map.

        Args:
            measure: of confidence; None is the attribution's own.

        Returns:
            (I, I) in [0, 1].
        """
        return general_map(self.regions[measure or self.measure], self.positions)

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why its maps may mislead, a sentence each."""
        found = []
        if self.calibration.doubtful:
            found.append(
                f"the maps of {self.attribute} rest on confidence that is off by {self.calibration.error:.3f} on average "
                f"(expected calibration error; doubtful above {TOO_WRONG:.2f}): compare regions, do not read values; "
                "--temperature corrects some of it"
            )
        return tuple(found)

    def require(self, preprocess: Preprocess, levels: Mapping[str, tuple[str, ...]]) -> None:
        """Refuse pictures of another size, or labels of another dataset.

        Args:
            preprocess: how the pictures are prepared.
            levels: categorical column → its levels.

        Raises:
            UsageError: the attribution was fitted for others.
        """
        own = self.positions.image
        if tuple(preprocess.size) != (own, own) or preprocess.resize != self.preprocess.resize:
            height, width = preprocess.size
            raise UsageError(
                f"the attribution of {self.attribute} was fitted for pictures of {own}x{own} pixels "
                f"({self.preprocess.resize}), not of {height}x{width} ({preprocess.resize}); fit another, or give "
                f"--size {own} --resize {self.preprocess.resize}"
            )
        if self.attribute not in levels:
            raise UsageError(
                f"the attribution was fitted for {self.attribute} of {self.data}, and there is no such column here"
            )
        if set(levels[self.attribute]) != set(self.levels):
            raise UsageError(
                f"the attribution was fitted for {self.attribute} of {self.data} with the levels {', '.join(self.levels)}; "
                f"here they are {', '.join(levels[self.attribute])}"
            )

    def require_pictures(self, found: list[str], data: str = "") -> None:
        """Refuse pictures of another dataset, none of which it was fitted with or validated on.

        Args:
            found: digests of some of them, see ``fit.digests``.
            data: name of their dataset, where it is known.

        Raises:
            UsageError: none is known, and they are not of a dataset of its own's name.
        """
        if data != self.data and not self.seen & set(found):
            raise UsageError(
                f"the attribution of {self.attribute} was fitted for another dataset ({self.data}): none of "
                f"{len(found)} images is among its own; fit one for these images"
            )

    def contents(self) -> dict[str, Callable[[Path], None]]:
        """What ``artifacts.folder.write_run`` writes: name of each file → what writes it."""
        arrays: dict[str, Any] = {
            **{f"regions_{name}": values for name, values in self.regions.items()},
            "general": self.general(),
            "average": self.average,
            "seen": np.array(sorted(self.seen)),
            "bin_count": self.calibration.count,
            "bin_mean": self.calibration.mean,
            "bin_right": self.calibration.right,
        }

        def write_arrays(path: Path) -> None:
            with path.open("wb") as stream:
                np.savez_compressed(stream, **arrays)

        def write_weights(path: Path) -> None:
            tensors = {key: value.detach().cpu().contiguous() for key, value in self.net.state_dict().items()}
            try:
                path.write_bytes(safetensors.torch.save(tensors))
            except OSError as error:
                raise unwritable(path, error) from error

        return {WEIGHTS: write_weights, MAPS: write_arrays, RECORD: lambda path: write_json(path, self._written())}

    def _written(self) -> dict[str, Any]:
        c, p = self.calibration, self.positions
        return {
            "format": _FORMAT,
            "attribute": self.attribute,
            "levels": list(self.levels),
            "measure": self.measure,
            "positions": {"image": p.image, "patch": p.patch, "per_side": p.per_side, "stride": p.stride},
            "order": "row by row: position i starts at row i // per_side, column i % per_side, times the stride",
            "stem": self.net.stem,
            "width": self.net.width,
            "preprocess": self.preprocess.model_dump(mode="json"),
            "data": self.data,
            "labels_sha256": self.labels_sha256,
            "calibration": {
                "error": c.error, "uncorrected": c.uncorrected, "temperature": c.temperature, "bins": len(c.count),
                "accuracy": c.accuracy, "images": c.images, "patches": c.patches,
            },
            **self.record,
        }  # fmt: skip


def open_attribution(folder: Path) -> Attribution:
    """Read an attribution.

    Args:
        folder: what ``attribute fit`` wrote.

    Raises:
        ArtifactError: there is none, or it is damaged or of another version.
    """
    path = folder / RECORD
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except PermissionError as error:
        raise ArtifactError(f"{path} cannot be read: {error.strerror or error}") from error
    except OSError as error:
        raise ArtifactError(
            f"{folder} holds no attribution ({RECORD} is missing); 'fairaudit attribute fit' makes one"
        ) from error
    except ValueError as error:
        raise ArtifactError(f"{path} is not JSON: {error}") from error
    if not isinstance(record, dict) or record.get("format") != _FORMAT:
        raise ArtifactError(f"{path} is not of the format that this fairaudit reads ({_FORMAT}); fit the attribution again")
    try:
        return _assembled(folder, record)
    except MemoryError:
        raise
    except PermissionError as error:
        raise ArtifactError(f"the attribution in {folder} cannot be read: {error.strerror or error}") from error
    except Exception as error:  # zip, zlib, NumPy and safetensors fail in many ways, all of which mean the same here
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ArtifactError(f"the attribution in {folder} is damaged: {reason}; fit it again") from error


def _assembled(folder: Path, record: Mapping[str, Any]) -> Attribution:
    where, c = record["positions"], record["calibration"]
    stem: Stem = record["stem"]
    positions = Positions(where["image"], where["patch"], where["per_side"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of layers without a weight, which no file fits
        net = RegionNet(positions, len(record["levels"]), stem, record["width"])
    net.load_state_dict(safetensors.torch.load_file(folder / WEIGHTS), strict=True)
    with np.load(folder / MAPS, allow_pickle=False) as arrays:
        held = {name: arrays[name] for name in arrays.files}
    known = {"format", "attribute", "levels", "measure", "positions", "order", "stem", "width", "preprocess", "data",
             "labels_sha256", "calibration"}  # fmt: skip
    found = Attribution(
        record["attribute"],
        tuple(record["levels"]),
        net.eval(),
        Preprocess.model_validate(record["preprocess"]),
        record["measure"],
        Calibration(
            c["error"], c["accuracy"], c["images"], c["patches"], c["temperature"], c["uncorrected"],
            held["bin_count"], held["bin_mean"], held["bin_right"],
        ),
        {name: held[f"regions_{name}"] for name in MEASURES},
        held["average"],
        record["data"],
        record["labels_sha256"],
        frozenset(str(one) for one in held["seen"]),
        {key: value for key, value in record.items() if key not in known},
    )  # fmt: skip
    _check(found)
    return found


def _check(found: Attribution) -> None:
    """Refuse what fits into its place and is no attribution all the same.

    Raises:
        ValueError: it is not; the sentence says what.
    """
    image, c, levels = found.positions.image, found.calibration, found.levels
    texts = (found.attribute, found.data, found.labels_sha256, *levels)
    bins = (c.count, c.mean, c.right)
    wrong = {
        "a name is no text": not all(isinstance(text, str) for text in texts),
        "there are no two levels": len(set(levels)) != len(levels) or len(levels) < 2,
        f"there is no measure {found.measure!r}": found.measure not in MEASURES,
        "pictures have two sizes": tuple(found.preprocess.size) != (image, image),
        "weights are no numbers": not all(bool(one.isfinite().all()) for one in found.net.state_dict().values()),
        "maps are no numbers": not all(_finite(one, (len(found.positions),)) for one in found.regions.values()),
        "the average is no picture": found.average.shape != (image, image, 3) or found.average.dtype != np.uint8,
        "the calibration is none": not all(one.ndim == 1 and len(one) == len(c.count) for one in bins)
        or not all(one.dtype.kind in "if" for one in bins)
        or not all(isinstance(one, int) and one >= 0 for one in (c.images, c.patches))
        or not (0 <= c.error <= 1 and 0 <= c.uncorrected <= 1 and 0 <= c.accuracy <= 1 and 0 < c.temperature < np.inf),
    }
    if said := next((what for what, is_so in wrong.items() if is_so), ""):
        raise ValueError(said)


def _finite(values: np.ndarray, shape: tuple[int, ...]) -> bool:
    return values.shape == shape and values.dtype.kind == "f" and bool(np.isfinite(values).all())
