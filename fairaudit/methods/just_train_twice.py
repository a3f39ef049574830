"""Train shortly, then train again with the images that the first network got wrong repeated (JTT); knows no groups.

Formula:
    E = the training images that plain cross-entropy misclassifies after T epochs at a constant learning rate. A second
    network, from the same start, learns from all images with those in E repeated λ times.

Source:
    E. Z. Liu, B. Haghgoo, A. S. Chen, A. Raghunathan, P. W. Koh, S. Sagawa, P. Liang, C. Finn, "Just Train Twice", ICML
    2021; T = 1 and λ = 50 for CelebA, T = 60 and λ = 100 for Waterbirds.

Traps:
    All depends on T and λ, which the paper tunes by the worst group on validation images with known groups: the first
    training must have learnt the shortcut and not yet the exceptions. E also holds every mislabelled image, which is then
    repeated too. An epoch of the second training is longer by (λ − 1)·|E| images; unless ``same_budget`` is off, there are
    fewer of them, so that it sees about as many images as the baseline does. The first training comes on top.

Needs:
    Nothing but classes that exclude each other; groups serve only to select.
"""

from __future__ import annotations

import torch

from fairaudit.errors import UsageError
from fairaudit.losses import cross_entropy
from fairaudit.methods._forward import logits_of, wrong
from fairaudit.methods._requirements import need_classes, need_logits
from fairaudit.methods.base import Outcome, Plan, Study

_NAME = "just-train-twice"


def run(study: Study, *, first_epochs: int = 1, upweight: int = 50, same_budget: bool = True) -> Outcome:
    """Train twice.

    Args:
        study: what is trained on.
        first_epochs: T, epochs of the first training.
        upweight: λ, how often an image that was misclassified is shown for once that another is.
        same_budget: shorten the second training, so that it sees about as many images as one on all images once would.

    Raises:
        FairauditError: see ``check``.
    """
    check(study, first_epochs=first_epochs, upweight=upweight, same_budget=same_budget)
    settings, data = study.settings, study.train
    short = {"epochs": first_epochs, "warmup": 0, "schedule": "none", "select": "last", "patience": None}
    first = study.network()
    plain = cross_entropy.build(data.counted, study.loss(data.counted).criterion)
    histories = {"first": study.fit(first, loss=plain, settings=settings.model_copy(update=short), name="first")}
    mistaken = wrong(logits_of(first, data, settings), data)
    repeats = torch.where(mistaken, upweight, 1)
    shown = data.selected(torch.repeat_interleave(torch.arange(len(data)), repeats))
    epochs = max(1, round(settings.epochs * len(data) / len(shown))) if same_budget else settings.epochs
    longer = settings.model_copy(update={"epochs": epochs, "warmup": min(settings.warmup, epochs - 1)})
    model = study.network()
    histories["model"] = study.fit(model, shown, settings=longer)
    note = (
        f"{int(mistaken.sum()):,} of {len(data):,} training images were wrong after {first_epochs} "
        f"{'epoch' if first_epochs == 1 else 'epochs'} and count {upweight} times in the second training, "
        f"{epochs} {'epoch' if epochs == 1 else 'epochs'} of {len(shown):,} images"
    )
    return Outcome(model, histories, (note,))


def check(plan: Plan, *, first_epochs: int, upweight: int, same_budget: bool) -> None:  # noqa: ARG001 (both are possible)
    """Refuse what cannot be trained twice.

    Args:
        plan: what is trained on.
        first_epochs: see ``run``.
        upweight: see ``run``.
        same_budget: see ``run``.

    Raises:
        UsageError: an option is out of range, labels do not exclude each other, or the loss wants embeddings.
    """
    need_classes(plan, _NAME)
    need_logits(plan, _NAME)
    for option, value in (("first_epochs", first_epochs), ("upweight", upweight)):
        if value < 1:
            raise UsageError(f"{option} of {_NAME} must be at least 1, not {value}")
