"""Attribute mask: copies of pictures without an attribute's region, and a table of them that any command reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fairaudit.artifacts.folder import check_replaceable, write_run, write_whole
from fairaudit.artifacts.records import write_json
from fairaudit.attribution.fit import all_logits
from fairaudit.attribution.masks import SIGMA, Kind, MaskedImages, RegionNoise, regions_of
from fairaudit.attribution.overlay import Picture, outlined, png, sheet
from fairaudit.attribution.regions import Regions
from fairaudit.attribution.store import Attribution, open_attribution
from fairaudit.engine.accumulate import Say
from fairaudit.engine.devices import is_alone
from fairaudit.engine.mixing import Batch
from fairaudit.errors import UsageError
from fairaudit.workflows.attribute_map import SHOWN
from fairaudit.workflows.attribute_pictures import Pictures, Wanted, pictures
from fairaudit.workflows.provenance import environment

TABLE = "manifest.csv"
AT_ONCE = 64


@dataclass(frozen=True)
class Treatment:
    """What is done to pictures.

    Attributes:
        kind: where and how.
        quantile: of the map, above which pixels are treated.
        sigma: standard deviation of noise in normalised units.
        paper_faithful: clip noisy pictures to [0, 1] in normalised units, as the original code does.
    """

    kind: Kind = "general-noise"
    quantile: float = 0.7
    sigma: float = SIGMA
    paper_faithful: bool = False


@dataclass(frozen=True)
class Masked:
    """Finished copies.

    Attributes:
        folder: where they are.
        table: their manifest.
        images: how many.
        share: of a picture that was treated, on average.
        warnings: what must be known before the maps are believed.
    """

    folder: Path
    table: Path
    images: int
    share: float
    warnings: tuple[str, ...]


def mask_attribute(
    folder: Path,
    wanted: Wanted,
    treatment: Treatment,
    out: Path,
    *,
    command: Sequence[str] = (),
    say: Say = lambda _: None,
) -> Masked:
    """Write treated copies as PNG, and their table.

    Noise is drawn once for each picture and clipped to what a picture can hold; ``mitigate`` does neither.

    Args:
        folder: an attribution.
        wanted: which pictures.
        treatment: what is done to them.
        out: folder of the copies.
        command: the command line, for ``run.json``.
        say: told what is about to happen.

    Raises:
        UsageError: an option is out of range.
        FairauditError: anything else that a user can mend; see each step.
    """
    if not is_alone():
        raise UsageError("attribute mask runs in one process; start it without torchrun")
    check_replaceable(out)
    if not 0 < treatment.sigma < float("inf"):
        raise UsageError(f"--sigma must be a number above 0, not {treatment.sigma:g}")
    own = open_attribution(folder)
    general = regions_of(own.general(wanted.measure), treatment.quantile)
    shown = pictures(own, wanted)
    say(f"{treatment.kind} of {own.attribute} in {len(shown.images):,} images")
    everywhere = treatment.kind.startswith("general")
    regions = torch.from_numpy(general[None] if everywhere else _specific(own, shown, wanted, treatment))
    treated = _treated(own, shown, regions, treatment, wanted.seed)
    names = [f"images/{Path(str(row)).with_suffix('').as_posix()}.png" for row in shown.manifest.frame["row"]]
    record = {
        "attribute": own.attribute,
        "kind": treatment.kind,
        "quantile": treatment.quantile,
        "sigma": treatment.sigma if treatment.kind.endswith("noise") else None,
        "paper_faithful": treatment.paper_faithful,
        "images": len(names),
        "share": float(regions.double().mean()),
        "warnings": list(own.doubts),
    }
    write_run(
        out,
        {
            **{name: partial(_write_picture, treated, i) for i, name in enumerate(names)},
            TABLE: lambda path: write_whole(path, _table(shown, names)),
            "sheet.png": lambda path: write_whole(path, png(_sheet(shown, treated, regions))),
            "mask.json": lambda path: write_json(path, record),
            "run.json": lambda path: write_json(path, {"command": list(command), **environment()}),
        },
    )
    return Masked(out, out / TABLE, len(names), float(regions.double().mean()), own.doubts)


def _specific(own: Attribution, shown: Pictures, wanted: Wanted, treatment: Treatment) -> np.ndarray:
    known = Regions(own.net, own.preprocess, own.calibration.temperature, own.regions, ())
    parts = []
    logits = all_logits(
        own.net, shown.images, own.preprocess, wanted.training, wanted.every, approximate=wanted.approximate
    )
    for some in np.array_split(logits, -(-len(logits) // 256)):
        maps = known.pixels(known.confidences(some, wanted.measure or own.measure), wanted.every)
        parts.append(regions_of(maps, treatment.quantile))
    return np.concatenate(parts)


def _treated(own: Attribution, shown: Pictures, regions: Tensor, treatment: Treatment, seed: int) -> Tensor:
    """(n, 3, I, I) uint8 treated pictures."""
    masked = MaskedImages(shown.images, regions, own.preprocess)
    each = regions if len(regions) > 1 else regions.expand(len(shown.images), -1, -1)
    noise = RegionNoise(each, treatment.sigma, own.preprocess, treatment.paper_faithful)
    found = []
    for some in torch.split(torch.arange(len(shown.images)), AT_ONCE):
        if treatment.kind.endswith("mask"):
            found.append(masked.take(some))
            continue
        pixels = shown.images.take(some).float() / 255
        nobody = torch.zeros(len(some), dtype=torch.int64)
        noisy = noise(Batch(pixels, nobody, nobody, some), seed).inputs
        found.append((noisy.clamp(0, 1) * 255).round().to(torch.uint8))
    return torch.cat(found)


def _write_picture(treated: Tensor, i: int, path: Path) -> None:
    write_whole(path, png(treated[i].permute(1, 2, 0).contiguous().numpy()))


def _table(shown: Pictures, names: Sequence[str]) -> str:
    frame = shown.manifest.frame.drop(columns=["row"])
    frame.insert(0, "path", list(names))
    return str(frame.to_csv(index=False, lineterminator="\n"))


def _sheet(shown: Pictures, treated: Tensor, regions: Tensor) -> Picture:
    """The first pictures with their region outlined above, treated below."""
    some = torch.arange(min(SHOWN, len(treated)))
    before = shown.images.take(some).permute(0, 2, 3, 1).contiguous().numpy()
    after = treated[: len(some)].permute(0, 2, 3, 1).contiguous().numpy()
    own = regions.numpy()
    above = [outlined(face, own[i if len(own) > 1 else 0]) for i, face in enumerate(before)]
    return sheet([above, list(after)])
