"""An embedding from which a classifier of the sensitive attributes cannot learn them, by a reversed gradient.

Formula:
    L = margin(e; class) + Σ_a λ_a · CE(c_a(R(e)); a): c_a is a classifier of the attribute a on the embedding e, of two
    layers with a ReLU between them (512 wide), and R reverses the gradient, so that the classifiers learn to tell the
    attributes and the embedding learns to keep them from it. strength is λ: one number, or race:1,gender:0.5. The
    classifiers are thrown away in the end.

Source:
    Y. Ganin, V. Lempitsky, "Unsupervised Domain Adaptation by Backpropagation", ICML 2015, with an attribute in the place
    of the domain.

Traps:
    A classifier that has lost its way is no judge: the attribute may be as easy to tell for one that is trained afresh, so
    look at the leakage that 'fairaudit embed' reports. Large strengths are unstable.

Needs:
    As metric-learning, and for every attribute two levels among the training images, all of them known.
"""

from __future__ import annotations

from functools import partial

from fairaudit.methods._embedding import Asked, Balanced, Ready, ready, strengths_of, train_embedding
from fairaudit.methods.base import Outcome, Plan, Study
from fairaudit.metric_learning.branches import Adversary, Branch
from fairaudit.metric_learning.objectives import Loss, Miner

EMBEDS = True
_NAME = "adversarial"


def run(
    study: Study,
    *,
    strength: str = "1",
    loss: Loss = "margin",
    miner: Miner = "usual",
    dimensions: int = 128,
    per_class: int = 2,
    balanced: Balanced = "none",
    beta_lr: float = 5e-4,
) -> Outcome:
    """Train an embedding against classifiers of the attributes.

    Args:
        study: what is trained on.
        strength: λ from 0, of every attribute of the groups, or of each that is named (race:1,gender:0.5).
        loss: of the classes; see metric-learning.
        miner: of the classes; see metric-learning.
        dimensions: numbers of an embedding.
        per_class: images of a class in a row in each batch.
        balanced: groups gives every batch as many classes of each group.
        beta_lr: largest learning rate of the margin loss's β.

    Raises:
        FairauditError: see ``check``.
    """
    asked = Asked(_NAME, loss, miner, dimensions, per_class, balanced, beta_lr)
    begun = check(
        study, strength=strength, loss=loss, miner=miner, dimensions=dimensions, per_class=per_class, balanced=balanced,
        beta_lr=beta_lr,
    )  # fmt: skip
    return train_embedding(study, asked, begun, partial(_branch, dimensions, study.seed))


def check(
    plan: Plan, *, strength: str, loss: Loss, miner: Miner, dimensions: int, per_class: int, balanced: Balanced,
    beta_lr: float,
) -> Ready:  # fmt: skip
    """Lay out the batches and the attributes.

    Args:
        plan: what is trained on.
        strength: see ``run``.
        loss: see ``run``.
        miner: see ``run``.
        dimensions: see ``run``.
        per_class: see ``run``.
        balanced: see ``run``.
        beta_lr: see ``run``.

    Raises:
        FairauditError: see ``_embedding.ready`` and ``_embedding.strengths_of``.
    """
    asked = Asked(_NAME, loss, miner, dimensions, per_class, balanced, beta_lr)
    return ready(plan, asked, strengths_of(strength, plan, "strength", _NAME))


def _branch(dimensions: int, seed: int, attribute: str, levels: int, strength: float) -> Branch:
    return Adversary(attribute, levels, dimensions, strength, seed)
