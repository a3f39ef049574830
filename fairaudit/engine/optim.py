"""timm's optimizers and learning-rate schedules, and its running average of the weights, as the settings ask for them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, cast

import torch
from timm.optim import create_optimizer_v2, list_optimizers, param_groups_weight_decay
from timm.scheduler import create_scheduler_v2
from timm.scheduler.scheduler import Scheduler
from timm.utils import ModelEmaV3
from torch import Tensor, nn

from fairaudit.config import TrainingSettings
from fairaudit.errors import TrainingError, UnknownNameError, UsageError


def make_optimizer(model: nn.Module, settings: TrainingSettings, steps: int) -> tuple[torch.optim.Optimizer, Scheduler]:
    """The optimizer of what is not frozen, and its schedule, which is told each step's number.

    Args:
        model: what is trained. It may have ``learning_rates()``: parameters with a largest rate of their own, and that.
        settings: how.
        steps: per epoch.

    Raises:
        UnknownNameError: there is no such optimizer.
        UsageError: timm cannot make it here.
        TrainingError: every layer is frozen.
    """
    if settings.optimizer not in list_optimizers():
        raise UnknownNameError("optimizer", settings.optimizer, list_optimizers())
    if not any(p.requires_grad for p in model.parameters()):
        raise TrainingError("every layer of the network is frozen, so there is nothing to train")
    try:
        optimizer = create_optimizer_v2(
            model,
            settings.optimizer,
            lr=settings.lr,
            weight_decay=settings.weight_decay,
            **({"param_group_fn": partial(_with_own_rates, settings=settings)} if hasattr(model, "learning_rates") else {}),
        )
    except Exception as error:  # some need other packages or a GPU, and each says so in its own way
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise UsageError(
            f"the optimizer {settings.optimizer!r} cannot be used here: {reason}; choose another, such as adamw or sgd"
        ) from error
    if getattr(optimizer, "is_second_order", False):
        raise UsageError(
            f"the optimizer {settings.optimizer!r} needs second derivatives, which are not computed; choose another, "
            "such as adamw or sgd"
        )
    # A step schedule whose first step lies beyond the end stays where the warmup ends.
    decay = settings.epochs + 1 if settings.schedule == "none" else max(1, round(settings.epochs * settings.step_share))
    scheduler, _ = create_scheduler_v2(
        optimizer,
        sched="cosine" if settings.schedule == "cosine" else "step",
        num_epochs=settings.epochs,
        decay_epochs=decay,
        decay_rate=0.1,
        warmup_epochs=settings.warmup,
        warmup_lr=settings.lr / 100,
        step_on_epochs=False,
        updates_per_epoch=steps,
    )
    return optimizer, scheduler


def _with_own_rates(model: nn.Module, settings: TrainingSettings) -> list[dict[str, Any]]:
    """Timm's groups, and one for each learning rate that a network wants for some of its parameters."""
    rates: Mapping[Tensor, float] = cast(Any, model).learning_rates()
    groups: list[dict[str, Any]] = []
    for group in param_groups_weight_decay(model, settings.weight_decay):
        by_rate: dict[float, list[Tensor]] = {}
        for parameter in group["params"]:
            by_rate.setdefault(rates.get(parameter, settings.lr), []).append(parameter)
        groups += [
            # schedules, which every optimizer here has, give each group the same rate times its scale
            {**group, "params": own, **({} if rate == settings.lr else {"lr_scale": rate / settings.lr})}
            for rate, own in by_rate.items()
        ]
    return groups


def make_average(model: nn.Module, decay: float | None) -> ModelEmaV3 | None:
    """The running average of a network's weights and batch statistics, which starts at what they are.

    Args:
        model: what is trained.
        decay: of the average, reached as 1 − (1 + step)^(−2/3) rises to it; None averages nothing.
    """
    return None if decay is None else ModelEmaV3(model, decay=decay, use_warmup=True)
