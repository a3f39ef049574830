"""Batches with as many images of every group, so that a rare group teaches as often as a common one.

Formula:
    Each batch takes its images from the groups in turn; those of a rare group come again before those of a common one have
    all been seen. An epoch has as many batches as without.

Source:
    B. Y. Idrissi, M. Arjovsky, M. Pezeshki, D. Lopez-Paz, "Simple data balancing achieves competitive
    worst-group-accuracy", CLeaR 2022 (there RWG with sampling).

Traps:
    Images of rare groups are seen many times and are learnt by heart: use few epochs, or select the epoch by the worst
    group. The paper's groups are cells of target and attribute; where a shortcut is the trouble, name both in the grouping
    (``--by Smiling,Male``), because balancing the attribute alone leaves the two as entangled as they were. With the loss
    reweight the rarity is counted twice.

Needs:
    Groups, each with training images.
"""

from __future__ import annotations

from fairaudit.methods._requirements import need_groups, need_logits
from fairaudit.methods.base import Outcome, Plan, Study

_NAME = "resample"


def run(study: Study) -> Outcome:
    """Train on balanced batches.

    Args:
        study: what is trained on.

    Raises:
        FairauditError: see ``check``.
    """
    check(study)
    model = study.network()
    history = study.fit(model, settings=study.settings.model_copy(update={"balance": "groups"}))
    return Outcome(model, {"model": history})


def check(plan: Plan) -> None:
    """Refuse groups that cannot take turns.

    Args:
        plan: what is trained on.

    Raises:
        UsageError: there are no groups, or the loss wants embeddings.
        DataError: a group has no training images.
    """
    need_groups(plan, _NAME)
    need_logits(plan, _NAME)
    plan.train.counted.require_images(f"the method {_NAME}")
