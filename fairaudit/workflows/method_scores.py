"""What a method's network is worth to a search of settings: its score on validation images that it has not learnt from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch

from fairaudit import plugins
from fairaudit.config import Arm
from fairaudit.methods._cells import cells_of, halves
from fairaudit.methods._forward import logits_of
from fairaudit.methods.base import Study
from fairaudit.predictions import Column


def score_of_method(arm: Arm, study: Study) -> float:
    """Carry a method out and judge what it leaves.

    A method that learns from validation images (``LEARNS_FROM_VALIDATION``) is given one half of them, of every target ×
    group cell, and judged on the other: settings that only learn them by heart must not win.

    Args:
        arm: with a method.
        study: what it is trained on.

    Returns:
        The score by the rule that selects epochs.
    """
    method = plugins.load("methods", arm.method or "")
    judged = study.validation
    if getattr(method, "LEARNS_FROM_VALIDATION", False):
        drawn = torch.Generator().manual_seed(study.seed)
        learnt, held = halves(cells_of(judged), drawn)
        if len(held):  # where every cell has one image there is nothing to hold back
            columns = _taken(study.validation_columns, learnt)
            study = replace(study, validation=judged.selected(learnt), validation_columns=columns)
            judged = judged.selected(held)
    options = plugins.check_options("methods", arm.method or "", arm.method_options)
    outcome = method.run(study, **options)
    return study.score(logits_of(outcome.model, judged, study.settings), judged).score


def _taken(columns: Mapping[str, Column], rows: torch.Tensor) -> dict[str, Column]:
    return {name: Column(column.codes[rows.numpy()], column.levels) for name, column in columns.items()}
