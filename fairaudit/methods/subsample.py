"""As many training images of every target × group cell, all others thrown away once, before training (SUBG).

Formula:
    m = the images of the smallest cell that has any; of every cell m images are drawn once, without repeating one.

Source:
    B. Y. Idrissi, M. Arjovsky, M. Pezeshki, D. Lopez-Paz, "Simple data balancing achieves competitive
    worst-group-accuracy", CLeaR 2022 (SUBG).

Traps:
    What is thrown away teaches nothing: with one tiny cell almost all images go, and overall accuracy pays. An epoch is
    shorter by as much, so the same number of epochs is a smaller budget; train for more. Cells without any image cannot be
    balanced and are left out of the balance, which a note says. Which images stay depends on the seed.

Needs:
    Groups.
"""

from __future__ import annotations

import torch

from fairaudit.methods._cells import as_many_of_each, cells_of, occurring
from fairaudit.methods._requirements import need_classes, need_groups, need_logits
from fairaudit.methods._target import declared_cells
from fairaudit.methods.base import Outcome, Plan, Study

_NAME = "subsample"


def run(study: Study) -> Outcome:
    """Cut every cell to the smallest and train.

    Args:
        study: what is trained on.

    Raises:
        FairauditError: see ``check``.
    """
    check(study)
    cells = cells_of(study.train)
    kept = as_many_of_each(cells, torch.Generator().manual_seed(study.seed))
    model = study.network()
    history = study.fit(model, study.train.selected(kept))
    present, declared = len(occurring(cells)), declared_cells(study)
    notes = [f"keeps {len(kept):,} of {len(cells):,} training images, {len(kept) // present:,} of each target × group cell"]
    if present < declared:
        notes.append(f"{declared - present} of {declared} target × group cells have no training image")
    return Outcome(model, {"model": history}, tuple(notes))


def check(plan: Plan) -> None:
    """Refuse what has no target × group cells.

    Args:
        plan: what is trained on.

    Raises:
        UsageError: there are no groups, labels that do not exclude each other, or the loss wants embeddings.
    """
    need_groups(plan, _NAME)
    need_classes(plan, _NAME)
    need_logits(plan, _NAME)
