"""Attribute map: where an attribute is, in chosen pictures and on average, beside where others are."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fairaudit.artifacts.folder import check_replaceable, write_run, write_whole
from fairaudit.artifacts.records import write_json
from fairaudit.attribution.confidence import confidence, softmax
from fairaudit.attribution.fit import all_logits
from fairaudit.attribution.maps import Overlap, general_map, overlap, to_pixels, top_region
from fairaudit.attribution.overlay import Picture, heat, overlay, png, sheet
from fairaudit.attribution.store import Attribution, open_attribution
from fairaudit.engine.accumulate import Say
from fairaudit.engine.devices import finish, is_main
from fairaudit.errors import UsageError
from fairaudit.predictions import FloatArray
from fairaudit.workflows.attribute import average_of
from fairaudit.workflows.attribute_pictures import Pictures, Wanted, pictures
from fairaudit.workflows.provenance import environment

SHOWN = 8
"""Pictures that are shown with their own maps."""


@dataclass(frozen=True, eq=False)
class Mapped:
    """Maps of one attribute.

    Attributes:
        attribution: whose.
        regions: (n, p) confidences of each picture.
        general: (I, I) in [0, 1].
        specific: (n, I, I), not stretched.
    """

    attribution: Attribution
    regions: FloatArray
    general: FloatArray
    specific: FloatArray


@dataclass(frozen=True)
class Maps:
    """Finished maps.

    Attributes:
        folder: where they are.
        attribute: that they are of.
        images: pictures that were mapped.
        overlaps: other attribute → how much its map shares with this one.
        quantile: of the regions that were compared.
        warnings: what must be known before the maps are believed, a sentence each.
    """

    folder: Path
    attribute: str
    images: int
    overlaps: dict[str, Overlap]
    quantile: float
    warnings: tuple[str, ...]


def map_attribute(
    folder: Path,
    wanted: Wanted,
    out: Path,
    *,
    beside: Sequence[Path] = (),
    quantile: float = 0.7,
    command: Sequence[str] = (),
    say: Say = lambda _: None,
) -> Maps | None:
    """Map pictures, draw them, and compare with other attributes' maps of the same pictures.

    Args:
        folder: an attribution.
        wanted: which pictures.
        out: folder of the maps.
        beside: folders of other attributions, for pictures of the same size.
        quantile: of the top regions that are outlined and compared.
        command: the command line, for ``run.json``.
        say: told what is about to happen.

    Returns:
        None in all but the main one of several processes, which share the pictures.

    Raises:
        UsageError: attributions of pictures of different sizes, or a quantile out of range.
        FairauditError: anything else that a user can mend; see each step.
    """
    try:
        check_replaceable(out)
        if not 0 < quantile < 1:
            raise UsageError(f"--quantile must lie between 0 and 1 (0.7 takes the top 30 %), not {quantile:g}")
        own = open_attribution(folder)
        others = [open_attribution(other) for other in beside]
        for other in others:
            if (other.positions.image, other.preprocess.resize) != (own.positions.image, own.preprocess.resize):
                raise UsageError(
                    f"the attribution of {other.attribute} was fitted for pictures of {other.positions.image} pixels "
                    f"({other.preprocess.resize}), that of {own.attribute} for {own.positions.image} "
                    f"({own.preprocess.resize}); maps of different sizes cannot lie beside each other"
                )
        shown = pictures(own, wanted)
        looked = (
            "the whole of" if wanted.approximate else f"{len(own.positions.coarser(wanted.every)):,} patches of each of"
        )
        say(f"{own.attribute}: looking at {looked} {len(shown.images):,} images")
        found = [_mapped(one, shown, wanted) for one in (own, *others)]
        if not is_main():
            return None
    finally:
        finish()
    overlaps = {other.attribution.attribute: overlap(found[0].general, other.general, quantile) for other in found[1:]}
    average = average_of(shown.images)
    warnings = tuple(doubt for one in found for doubt in one.attribution.doubts)
    record = {
        "attribute": own.attribute,
        "measure": wanted.measure or own.measure,
        "images": len(shown.images),
        "every": wanted.every,
        "approximate": wanted.approximate,
        "quantile": quantile,
        "calibration_error": own.calibration.error,
        "overlap": {
            name: {"iou": one.iou, "iou_by_chance": one.by_chance, "correlation": one.correlation}
            for name, one in overlaps.items()
        },
        "warnings": list(warnings),
    }
    write_run(
        out,
        {
            "general.npy": partial(_write_array, found[0].general),
            "regions.npy": partial(_write_array, found[0].regions.astype(np.float32)),
            "specific.npy": partial(_write_array, found[0].specific.astype(np.float32)),
            **{f"general_{one.attribution.attribute}.npy": partial(_write_array, one.general) for one in found[1:]},
            "rows.csv": lambda path: write_whole(path, _rows(shown)),
            "average.png": lambda path: write_whole(path, png(sheet([[average]]))),
            "map.png": lambda path: write_whole(path, png(_beside(average, found, quantile))),
            "faces.png": lambda path: write_whole(path, png(_faces(shown, found[0], quantile))),
            "map.json": lambda path: write_json(path, record),
            "run.json": lambda path: write_json(path, {"command": list(command), **environment()}),
        },
    )
    return Maps(out, own.attribute, len(shown.images), overlaps, quantile, warnings)


def _mapped(one: Attribution, shown: Pictures, wanted: Wanted) -> Mapped:
    measure = wanted.measure or one.measure
    logits = all_logits(
        one.net, shown.images, one.preprocess, wanted.training, wanted.every, approximate=wanted.approximate
    )
    regions = confidence(softmax(logits, one.calibration.temperature), measure)
    coarse = one.positions.coarser(wanted.every)
    specific = np.concatenate(
        [to_pixels(some, coarse).astype(np.float32) for some in np.array_split(regions, -(-len(regions) // 256))]
    )
    return Mapped(one, regions, general_map(regions, coarse), specific)


def _beside(average: Picture, found: Sequence[Mapped], quantile: float) -> Picture:
    """A row for each attribute: the average face, the map over it, the map."""
    rows = []
    for one in found:
        region = top_region(one.general, quantile)
        rows.append([average, overlay(average, one.general, region), heat(one.general)])
    return sheet(rows)


def _faces(shown: Pictures, found: Mapped, quantile: float) -> Picture:
    """The first pictures above, their own maps below."""
    count = min(SHOWN, len(shown.images))
    faces = shown.images.take(torch.arange(count)).permute(0, 2, 3, 1).contiguous().numpy()
    maps = found.specific[:count]
    below = [overlay(face, own, top_region(own, quantile)) for face, own in zip(faces, maps, strict=True)]
    return sheet([list(faces), below])


def _rows(shown: Pictures) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["row"])
    writer.writerows([[str(row)] for row in shown.manifest.frame["row"]])
    return stream.getvalue()


def _write_array(values: Any, path: Path) -> None:
    with path.open("wb") as stream:
        np.save(stream, values, allow_pickle=False)
