"""Grey out or blur by noise, while training, the part of the pictures where another attribute shows.

Formula:
    A region classifier says how sure it is of the confounder in every patch of a picture; the pixels above the
    ``quantile`` of that map (.7 takes the top 30 %) are its region. ``general`` kinds use the mean map of many pictures,
    ``specific`` ones each picture's own. A mask makes the region grey, noise adds N(0, σ²) to it, in normalised units and
    drawn anew each time. Validation and test images: the general kinds are treated alike there (noise by one fixed draw),
    specific noise uses the region of the mean map, a specific mask leaves them clean. What is done at evaluation is a
    part of the saved network.

Source:
    S. De Coninck, W.-C. Wang, S. Leroux, P. Simoens, "Mitigating Bias Using Model-Agnostic Data Attribution", CVPR
    Workshops 2024; σ = 0.5. Their code clips noisy pictures to [0, 1] after normalisation, which ``paper_faithful`` does
    too.

Traps:
    It knows no groups and takes information away: where target and confounder show in the same place, hiding one hides the
    other (``attribute map --beside`` says how much). Confidence is high where the attribute can be told, but also where
    everything looks alike; look at the maps, and at the calibration, before using them. The README's table shows no
    narrower gap between genders; masks made the confounder lean decisions less. Published quantiles were chosen
    for each row of a table; choose on validation images. Without ``attribution`` a region classifier is fitted first, on
    coarse patches and few epochs, from the training images alone; seeds and arms of a run share it.

Needs:
    The confounder's labels on the training images, or an attribution that was fitted with images of this dataset.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fairaudit.attribution.masks import (
    AT_EVALUATION,
    SIGMA,
    Kind,
    MaskedImages,
    RegionNoise,
    fixed_noise,
    regions_of,
)
from fairaudit.attribution.patches import usual_positions
from fairaudit.attribution.regions import Regions, fitted_here, kept_confidences, stored_regions
from fairaudit.attribution.store import Attribution, open_attribution
from fairaudit.config import Measure
from fairaudit.engine.mixing import Mixer
from fairaudit.engine.training_data import TrainingData
from fairaudit.errors import UnknownNameError, UsageError
from fairaudit.methods._requirements import need_logits, need_positive
from fairaudit.methods.base import Outcome, Plan, Study
from fairaudit.models.treated import Treated
from fairaudit.predictions import BoolArray

_NAME = "attribution-mask"
_LOOKED_AT = 512
"""Training images that are compared with those of an attribution; of one that saw a hundredth, some would be known."""


def run(
    study: Study,
    *,
    confounder: str = "",
    kind: Kind = "general-noise",
    quantile: float = 0.7,
    sigma: float = SIGMA,
    attribution: Path | None = None,
    measure: Measure = "top",
    every: int = 1,
    fit_epochs: int = 30,
    paper_faithful: bool = False,
) -> Outcome:
    """Find the confounder's region and train with it treated.

    Args:
        study: what is trained on.
        confounder: the attribute whose place is treated; that of ``attribution`` where there is one.
        kind: general-mask, general-noise, specific-mask or specific-noise.
        quantile: of the map, above which pixels are treated; 0.7 treats the top 30 %.
        sigma: standard deviation of the noise in normalised units.
        attribution: folder that ``attribute fit`` wrote; without it a coarse region classifier is fitted first.
        measure: of confidence: top, margin or entropy.
        every: for specific maps, look at every n-th position of each side, which is n² times faster.
        fit_epochs: of the region classifier where one is fitted first.
        paper_faithful: clip noisy pictures as the original code does.

    Raises:
        FairauditError: see ``check``; also an attribution that was fitted for another dataset.
    """
    options = {"confounder": confounder, "kind": kind, "quantile": quantile, "sigma": sigma, "attribution": attribution,
               "measure": measure, "every": every, "fit_epochs": fit_epochs, "paper_faithful": paper_faithful}  # fmt: skip
    stored = check(study, **options)  # type: ignore[arg-type]
    data = study.train
    if stored is not None:
        found = stored_regions(stored, data.images, _LOOKED_AT)
    else:
        column = study.columns[confounder]
        found = fitted_here(data, column.codes, column.levels, confounder, fit_epochs, study.settings)
    noisy, clip = kind.endswith("noise"), paper_faithful
    model, treatment = study.network(), None
    mixer: Mixer | None = None
    if kind.startswith("general"):
        region = regions_of(found.general(measure), quantile)
        shares = [float(region.mean())]
        model = treatment = Treated(model, _size(data))
        treatment.keep.copy_(_buffer(~region if not noisy else np.ones_like(region)))
        if noisy:
            treatment.reach.copy_(sigma * _buffer(region))
    else:
        maps = kept_confidences(found, data.images, study.settings, measure, every)
        own = _specific(found, maps, quantile, every)
        shares = own.flatten(1).double().mean(dim=1).tolist()
        if noisy:
            region = regions_of(found.pixels(maps.mean(axis=0), every), quantile)
            model = treatment = Treated(model, _size(data))
            mixer = RegionNoise(own, sigma, data.preprocess, clip)
        else:
            data = _masked(data, own)
    if treatment is not None and noisy:
        treatment.noise.copy_(fixed_noise(region, sigma, study.seed))
        if clip:
            treatment.low.fill_(0.0)
            treatment.high.fill_(1.0)
    history = study.fit(model, data, mixer=mixer)
    return Outcome(model, {"model": history}, (*found.notes, _told(kind, quantile, shares)))


def check(
    plan: Plan,
    *,
    confounder: str,
    kind: Kind,
    quantile: float,
    sigma: float,
    attribution: Path | None,
    measure: Measure,  # noqa: ARG001 (a check takes every option)
    every: int,
    fit_epochs: int,
    paper_faithful: bool,  # noqa: ARG001
) -> Attribution | None:
    """Find what says where the confounder is.

    Args:
        plan: what is trained on.
        confounder: see ``run``.
        kind: see ``run``.
        quantile: see ``run``.
        sigma: see ``run``.
        attribution: see ``run``.
        measure: see ``run``.
        every: see ``run``.
        fit_epochs: see ``run``.
        paper_faithful: see ``run``.

    Returns:
        The attribution, or None where it has to be fitted.

    Raises:
        UsageError: an option is out of range, there is no such attribute or it has one level only, images are no squares or
            of another size than the attribution's, or they are mixed.
        ArtifactError: the attribution cannot be read.
    """
    need_logits(plan, _NAME)
    need_positive(sigma, "sigma", _NAME)
    if not 0 < quantile < 1:
        raise UsageError(f"quantile of {_NAME} must lie between 0 and 1 (0.7 treats the top 30 %), not {quantile:g}")
    if fit_epochs < 1:
        raise UsageError(f"fit_epochs of {_NAME} must be at least 1, not {fit_epochs}")
    mixing = [name for name in plan.settings.augment if name in ("mixup", "cutmix")]
    if kind == "specific-noise" and mixing:
        raise UsageError(f"specific-noise of {_NAME} needs whole images, and {mixing[0]} mixes them; leave it out")
    height, width = plan.train.preprocess.size
    if height != width:
        raise UsageError(f"{_NAME} needs square images, not {height}x{width}; give --size {max(height, width)}")
    if attribution is not None:
        stored = open_attribution(attribution)
        if confounder and confounder.casefold() != stored.attribute.casefold():
            raise UsageError(f"{attribution} holds the attribution of {stored.attribute}, not of {confounder}")
        stored.require(plan.train.preprocess, {name: column.levels for name, column in plan.columns.items()})
        stored.positions.coarser(every)
        return stored
    if not confounder:
        raise UsageError(f"{_NAME} must know which attribute to hide; name it with confounder=NAME or attribution=DIR")
    if confounder not in plan.columns:
        raise UnknownNameError(f"confounder of {_NAME}", confounder, plan.columns)
    column = plan.columns[confounder]
    held = [level for code, level in enumerate(column.levels) if (column.codes == code).any()]
    if len(held) < 2:
        only = f"is {held[0]!r} on every training image" if held else "is known of no training image"
        raise UsageError(f"{confounder} {only}, so it cannot be attributed; a region classifier needs two levels")
    usual_positions(height).coarser(every)
    return None


def _size(data: TrainingData) -> tuple[int, int]:
    height, width = data.preprocess.size
    return height, width


def _buffer(region: BoolArray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(region)).float()[None]


def _specific(found: Regions, maps: np.ndarray, quantile: float, every: int) -> Tensor:
    """(n, I, I) bool region of each picture, some at a time because maps of pixels are large."""
    parts = [regions_of(found.pixels(some, every), quantile) for some in np.array_split(maps, max(1, len(maps) // 256))]
    return torch.from_numpy(np.concatenate(parts))


def _masked(data: TrainingData, own: Tensor) -> TrainingData:
    return replace(data, images=MaskedImages(data.images, own, data.preprocess))


def _told(kind: Kind, quantile: float, shares: list[float]) -> str:
    return (
        f"{kind} above the {quantile:g} quantile of the map, {100 * float(np.mean(shares)):.0f} % of the pixels; "
        f"{AT_EVALUATION[kind]}"
    )
