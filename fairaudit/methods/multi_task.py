"""Several targets at once: one trunk, one head for each target, trained together.

Formula:
    L = Σ_t w_t · L_t / Σ_t w_t for each image, L_t the cross-entropy of target t's own outputs; the chosen loss aggregates
    it over images and groups. With ``form`` "bce", L_t is the binary cross-entropy of the softmax probabilities against
    one-hot targets, averaged over the head's outputs.

Source:
    M. Oehri, G. Vetterli, S. Jarvers, "Exploring Fairness in the Classification of Faces", KTH 2023: race and gender, equal
    weights, "bce".

Traps:
    Targets of unlike difficulty pull the trunk unequally, and equal weights do not make them equal. An image counts as
    right in what selects the epoch only where every target is. The joint cells (race × gender) are many: each needs test
    images. That a network predicts a sensitive attribute beside the target may be unwanted in itself.

Needs:
    Two or more targets, ``--target race,gender``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, get_args

from fairaudit.errors import UsageError, suggest
from fairaudit.losses.base import GroupLoss, MultiTaskCrossEntropy
from fairaudit.methods._requirements import need_logits
from fairaudit.methods.base import Outcome, Plan, Study

Form = Literal["softmax", "bce"]


def run(study: Study, *, weights: tuple[float, ...] = (), form: Form = "softmax") -> Outcome:
    """Train one network for all targets.

    Args:
        study: what is trained on.
        weights: w_t, one for each target in their order; none weighs all the same.
        form: "softmax" or "bce", see above.

    Raises:
        FairauditError: see ``check``.
    """
    loss = check(study, weights=weights, form=form)
    model = study.network()
    return Outcome(model, {"model": study.fit(model, loss=loss)})


def check(plan: Plan, *, weights: tuple[float, ...], form: Form) -> GroupLoss:
    """Build the loss that weighs the targets.

    Args:
        plan: what is trained on.
        weights: see ``run``.
        form: see ``run``.

    Raises:
        UsageError: there is only one target, or an option is out of range.
    """
    tasks = plan.train.tasks
    if tasks is None:
        raise UsageError("the method multi-task needs several targets; name them with --target, for example race,gender")
    if form not in get_args(Form):
        raise UsageError(f"multi-task has no form {form!r}{suggest(form, get_args(Form))}")
    need_logits(plan, "multi-task")
    loss = plan.loss(plan.train.counted)
    if not isinstance(loss.criterion, MultiTaskCrossEntropy):
        raise UsageError("the method multi-task weighs targets, and the loss that was chosen does not know them apart")
    if weights and len(weights) != len(tasks):
        names = ", ".join(name for name, _ in tasks)
        raise UsageError(f"weights of multi-task must be {len(tasks)} numbers, one for each of {names}, not {len(weights)}")
    loss.criterion = replace(loss.criterion, weights=weights or None, form=form)
    return loss
