"""PARADE (reconstruction): an embedding decorrelated from another one that learns the sensitive attributes beside it.

Formula:
    L = margin(e; class) + Σ_a [share · margin(e_a; a) − ρ_a · mean((n(R(e)) ⊙ n(g_a(R(e_a))))²)]: e and e_a are linear
    heads of d numbers on the same features, n brings to length 1, R reverses the gradient, g_a is two layers with a ReLU
    between them (512 wide). decorrelation is ρ: one number, or race:500,gender:150. What learns an attribute is thrown
    away in the end; with ρ = 0 there is none, and the training is that of metric-learning, to the bit.

Source:
    N. Dullerud, K. Roth, K. Hamidieh, N. Papernot, M. Ghassemi, "Is Fairness Only Metric Deep? Evaluating and Addressing
    Subgroup Gaps in Deep Metric Learning", ICLR 2022, whose code is not public and whose ρ and share were not to be had.
    The formula is that of an ancestor by one of the authors: T. Milbich, K. Roth et al., "DiVA: Diverse Visual Feature
    Aggregation for Deep Metric Learning", ECCV 2020 (ρ = 1500, share .3). Hence reconstruction: it may differ from theirs.

Traps:
    ρ is multiplied by a mean over numbers that sum to 1 when squared, so what it does shrinks with the square of d. What is
    not correlated with the attribute's embedding through g can still tell the attribute, and what learns the attribute on
    the same features makes them tell it better: look at the leakage that 'fairaudit embed' reports. On drawn people it
    rose, and the gap shrank because the better groups lost. Batches with as many classes of each group narrowed it more.

Needs:
    As metric-learning, and for every attribute two levels among the training images, all of them known.
"""

from __future__ import annotations

from functools import partial

from fairaudit.methods._embedding import Asked, Balanced, Ready, ready, strengths_of, train_embedding
from fairaudit.methods._requirements import need_positive
from fairaudit.methods.base import Outcome, Plan, Study
from fairaudit.metric_learning.branches import Branch, Decorrelated
from fairaudit.metric_learning.objectives import Loss, Miner

EMBEDS = True
_NAME = "parade"


def run(
    study: Study,
    *,
    decorrelation: str = "150",
    share: float = 0.3,
    loss: Loss = "margin",
    miner: Miner = "usual",
    dimensions: int = 128,
    per_class: int = 2,
    balanced: Balanced = "none",
    beta_lr: float = 5e-4,
) -> Outcome:
    """Train an embedding beside those of the attributes.

    Args:
        study: what is trained on.
        decorrelation: ρ from 0, of every attribute of the groups, or of each that is named (race:500,gender:150).
        share: what the attributes' own objectives count beside the classes', above 0.
        loss: of the classes; see metric-learning.
        miner: of the classes; see metric-learning.
        dimensions: numbers of an embedding.
        per_class: images of a class in a row in each batch.
        balanced: groups gives every batch as many classes of each group.
        beta_lr: largest learning rate of the margin losses' β.

    Raises:
        FairauditError: see ``check``.
    """
    asked = Asked(_NAME, loss, miner, dimensions, per_class, balanced, beta_lr)
    begun = check(
        study, decorrelation=decorrelation, share=share, loss=loss, miner=miner, dimensions=dimensions, per_class=per_class,
        balanced=balanced, beta_lr=beta_lr,
    )  # fmt: skip
    return train_embedding(study, asked, begun, partial(_branch, dimensions, share, study.seed))


def check(
    plan: Plan, *, decorrelation: str, share: float, loss: Loss, miner: Miner, dimensions: int, per_class: int,
    balanced: Balanced, beta_lr: float,
) -> Ready:  # fmt: skip
    """Lay out the batches and the attributes.

    Args:
        plan: what is trained on.
        decorrelation: see ``run``.
        share: see ``run``.
        loss: see ``run``.
        miner: see ``run``.
        dimensions: see ``run``.
        per_class: see ``run``.
        balanced: see ``run``.
        beta_lr: see ``run``.

    Raises:
        FairauditError: see ``_embedding.ready`` and ``_embedding.strengths_of``; a share that is not above 0.
    """
    need_positive(share, "share", _NAME)
    asked = Asked(_NAME, loss, miner, dimensions, per_class, balanced, beta_lr)
    return ready(plan, asked, strengths_of(decorrelation, plan, "decorrelation", _NAME))


def _branch(dimensions: int, share: float, seed: int, attribute: str, levels: int, strength: float) -> Branch:
    return Decorrelated(attribute, levels, dimensions, strength, share, seed)
