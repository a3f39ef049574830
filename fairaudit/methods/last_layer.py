"""Refit the last layer on group-balanced held-out images, with everything below it as plain training left it (DFR).

Formula:
    The network is trained with the chosen loss. Its features of the validation images, standardised, are the input of an
    L1-penalised logistic regression on as many images of every target × group cell; its weights, averaged over ``refits``
    draws of those images and with the standardisation folded in, replace the last layer's. C is the one whose fit on one
    half of the images does best in the worst cell of the other half.

Source:
    P. Kirichenko, P. Izmailov, A. G. Wilson, "Last Layer Re-Training is Sufficient for Robustness to Spurious
    Correlations", ICLR 2023 (DFR); their grid of C, 20 refits on validation and 10 on training images.

Traps:
    The balanced draws are as small as the smallest cell allows: with a handful of images there, C and the weights are noise
    whatever the average says. On validation images it learns from what epochs are selected on, so the validation accuracy
    of the result proves nothing; only the test images do. On training images (``source`` "train") features have been
    fitted to those very images, and gains are smaller. More than two classes are fitted by saga, which is slower.

Needs:
    Groups, one target, and a network that ends in a linear layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch

from fairaudit.engine.features import extract_features
from fairaudit.engine.training_data import TrainingData
from fairaudit.errors import UsageError, suggest
from fairaudit.methods._cells import as_many_of_each, cells_of, halves, occurring
from fairaudit.methods._last_layer import linear_head, write_head
from fairaudit.methods._probe import Linear, Scaling, fit_logistic, mean_of
from fairaudit.methods._requirements import need_every_class, need_groups, need_logits, need_one_target, need_positive
from fairaudit.methods.base import Outcome, Plan, Study
from fairaudit.predictions import FloatArray, IntArray

Source = Literal["validation", "train"]
_NAME = "last-layer"
LEARNS_FROM_VALIDATION = True
"""A search of settings judges the network on validation images that were kept from it."""
_REFITS = {"validation": 20, "train": 10}


@dataclass(frozen=True, eq=False)
class Sample:
    """What logistic regression sees of images.

    Attributes:
        features: (n, d).
        y_true: (n,) class of each.
        cells: (n,) int64 tensor, target × group cell of each.
    """

    features: FloatArray
    y_true: IntArray
    cells: torch.Tensor

    def take(self, positions: torch.Tensor) -> Sample:
        """Some of the images."""
        return Sample(self.features[positions.numpy()], self.y_true[positions.numpy()], self.cells[positions])


def run(
    study: Study,
    *,
    source: Source = "validation",
    refits: int = 0,
    grid: tuple[float, ...] = (1.0, 0.7, 0.3, 0.1, 0.07, 0.03, 0.01),
) -> Outcome:
    """Train, then refit the last layer.

    Args:
        study: what is trained on.
        source: images that the last layer is refitted on, "validation" or "train".
        refits: balanced draws that are averaged; 0 takes 20 on validation and 10 on training images.
        grid: values of C, the inverse of the penalty's weight, among which the worst cell chooses.

    Raises:
        FairauditError: see ``check``.
    """
    data = check(study, source=source, refits=refits, grid=grid)
    model = study.network()
    history = study.fit(model)
    k, generator = len(data.classes), torch.Generator().manual_seed(study.seed)
    images = _sample(study, model, data)
    scaling = Scaling.of(images.features)
    images = _scaled(images, scaling)
    if source == "validation":
        learn, judge = (images.take(part) for part in halves(images.cells, generator))
        # Where every cell has one image, the second half is empty and the first must judge itself.
        judge = judge if len(judge.y_true) else learn
    else:
        learn, judge = images, _scaled(_sample(study, model, study.validation), scaling)
    c = _tuned(learn, judge, k, grid, study.seed, generator)
    draws = [as_many_of_each(images.cells, generator) for _ in range(refits or _REFITS[source])]
    layer = mean_of([_fitted(images.take(draw), k, c, study.seed) for draw in draws])
    write_head(model, *layer.unscaled(scaling).tensors(), _NAME)
    notes = [
        f"refitted on {len(draws)} draws of {len(draws[0]):,} {_word(source)} images, "
        f"{len(draws[0]) // len(occurring(images.cells)):,} of each target × group cell, with C = {c:g}"
    ]
    if source == "validation":
        notes.append("it learnt from validation images, so what it scores on them proves nothing")
    if not layer.converged:
        notes.append("the solver stopped before it had converged; its weights are approximate")
    return Outcome(model, {"model": history}, tuple(notes))


def check(plan: Plan, *, source: Source, refits: int, grid: tuple[float, ...]) -> TrainingData:
    """Find the images that the last layer is refitted on.

    Args:
        plan: what is trained on.
        source: see ``run``.
        refits: see ``run``.
        grid: see ``run``.

    Raises:
        UsageError: there are no groups or several targets, the network has no linear last layer, or an option is out of
            range.
        DataError: a class has no images to refit on.
    """
    need_groups(plan, _NAME)
    need_one_target(plan, _NAME)
    need_logits(plan, _NAME)
    if source not in get_args(Source):
        raise UsageError(f"{_NAME} has no source {source!r}{suggest(source, get_args(Source))}")
    if refits < 0 or not grid:
        raise UsageError(f"{_NAME} needs at least one refit and one value in its grid")
    for c in grid:
        need_positive(c, "grid", _NAME)
    data = plan.validation if source == "validation" else plan.train
    need_every_class(data, _word(source), _NAME)
    linear_head(plan.network(), _NAME)
    return data


def _word(source: Source) -> str:
    return "validation" if source == "validation" else "training"


def _sample(study: Study, model: torch.nn.Module, data: TrainingData) -> Sample:
    features = extract_features(model, data.images, data.preprocess, study.settings)
    return Sample(features.double().numpy(), data.targets.numpy(), cells_of(data))


def _scaled(images: Sample, scaling: Scaling) -> Sample:
    return Sample(scaling.apply(images.features), images.y_true, images.cells)


def _fitted(images: Sample, k: int, c: float, seed: int) -> Linear:
    return fit_logistic(images.features, images.y_true, k, c, "l1", seed)


def _tuned(learn: Sample, judge: Sample, k: int, grid: tuple[float, ...], seed: int, generator: torch.Generator) -> float:
    """The C whose fit is best in the worst cell, then on average over cells, then the most penalised."""
    if len(grid) == 1:
        return grid[0]
    balanced = learn.take(as_many_of_each(learn.cells, generator))

    def worth(c: float) -> tuple[float, float, float]:
        right = _fitted(balanced, k, c, seed).logits(judge.features).argmax(axis=1) == judge.y_true
        of_cells = [float(right[(judge.cells == cell).numpy()].mean()) for cell in occurring(judge.cells)]
        return min(of_cells), float(np.mean(of_cells)), -c

    return max(grid, key=worth)
