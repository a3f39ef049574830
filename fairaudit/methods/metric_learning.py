"""A network whose outputs are embeddings, trained on pairs or triplets; what embeddings are compared with.

Formula:
    The last layer gives d numbers, brought to length 1. margin: [d_ap − β + .2]₊ + [β − d_an + .2]₊ with a learnt β of each
    class, on negatives drawn by distance; or triplet, contrastive, multi-similarity, arcface. Each batch has per_class
    images of as many classes as it holds.

Source:
    C.-Y. Wu, R. Manmatha, A. J. Smola, P. Krähenbühl, "Sampling Matters in Deep Embedding Learning", ICCV 2017; settings of
    K. Roth et al., "Revisiting Training Strategies and Generalization Performance in Deep Metric Learning", ICML 2020
    (there Adam with a learning rate of 1e-5, batches of 112, 150 epochs on a ResNet-50 with ImageNet weights).

Traps:
    Test images are found among test images: recall@1 falls as they grow in number, so compare runs on the same ones. With
    the target identity nobody is in two splits; another target has its classes in all of them, which is an easier question.
    Small batches hold few hard negatives.

Needs:
    One target with two classes of two images, and a network that ends in a linear layer. Groups only for balanced=groups.
"""

from __future__ import annotations

from fairaudit.methods._embedding import Asked, Balanced, Ready, ready, train_embedding
from fairaudit.methods.base import Outcome, Plan, Study
from fairaudit.metric_learning.objectives import Loss, Miner

EMBEDS = True
_NAME = "metric-learning"


def run(
    study: Study,
    *,
    loss: Loss = "margin",
    miner: Miner = "usual",
    dimensions: int = 128,
    per_class: int = 2,
    balanced: Balanced = "none",
    beta_lr: float = 5e-4,
) -> Outcome:
    """Train an embedding.

    Args:
        study: what is trained on.
        loss: margin, triplet, contrastive, multi-similarity or arcface.
        miner: distance-weighted, semi-hard, multi-similarity or none; usual is the loss's own.
        dimensions: numbers of an embedding.
        per_class: images of a class in a row in each batch.
        balanced: groups gives every batch as many classes of each group.
        beta_lr: largest learning rate of the margin loss's β.

    Raises:
        FairauditError: see ``check``.
    """
    asked = Asked(_NAME, loss, miner, dimensions, per_class, balanced, beta_lr)
    begun = check(
        study, loss=loss, miner=miner, dimensions=dimensions, per_class=per_class, balanced=balanced, beta_lr=beta_lr
    )
    return train_embedding(study, asked, begun)


def check(
    plan: Plan, *, loss: Loss, miner: Miner, dimensions: int, per_class: int, balanced: Balanced, beta_lr: float
) -> Ready:
    """Lay out the batches.

    Args:
        plan: what is trained on.
        loss: see ``run``.
        miner: see ``run``.
        dimensions: see ``run``.
        per_class: see ``run``.
        balanced: see ``run``.
        beta_lr: see ``run``.

    Raises:
        FairauditError: see ``_embedding.ready``.
    """
    return ready(plan, Asked(_NAME, loss, miner, dimensions, per_class, balanced, beta_lr), {})
