"""Cross-entropy in which every group weighs the same, whatever its share of the training images (RWG).

Formula:
    L = (1/b) · Σ_i w_{g(i)} · CE_i with w_g = G · (1/n_g) / Σ_h (1/n_h), where n_g is the number of training images of
    group g and G counts the groups that have any. The weights average 1 over those groups; a group without training
    images weighs 0 and changes nothing for the others.

Source:
    B. Y. Idrissi, M. Arjovsky, M. Pezeshki, D. Lopez-Paz, "Simple data balancing achieves competitive
    worst-group-accuracy", CLeaR 2022 (there RWG). The idea is importance weighting, older than the name.

Traps:
    It lasts only as long as the network has not fitted every training image: use few epochs, or select the epoch by the
    worst group. Averaged over *images* the weights are below 1 when groups are unequal (0.36 for 90 % and 10 %), so the
    same learning rate takes smaller steps than under plain cross-entropy. Rare groups have large weights and make
    batches noisy; balanced sampling has the same expectation with less noise, and both together count the rarity twice.
"""

from __future__ import annotations

from torch import Tensor

from fairaudit.losses._group_means import batch_mean
from fairaudit.losses.base import CROSS_ENTROPY, Criterion, GroupLoss, TrainingGroups


class ReweightedLoss(GroupLoss):
    """The mean of the per-sample loss times its group's weight.

    Attributes:
        group_weights: (g,) weight of each group, a buffer.
    """

    group_weights: Tensor

    def __init__(self, group_weights: Tensor, criterion: Criterion) -> None:
        super().__init__(len(group_weights), criterion)
        self.register_buffer("group_weights", group_weights)

    def forward(self, logits: Tensor, targets: Tensor, groups: Tensor) -> Tensor:
        """The weighted mean loss; see ``GroupLoss.forward``."""
        losses = self.criterion(logits, targets)
        return batch_mean(losses * self.group_weights.to(losses.dtype)[groups])


def build(groups: TrainingGroups, criterion: Criterion = CROSS_ENTROPY) -> GroupLoss:
    """Build the loss.

    Args:
        groups: the training set's groups.
        criterion: loss of each sample.
    """
    counts = groups.group_counts.double()
    present = counts > 0
    inverse = present / counts.clamp(min=1)
    return ReweightedLoss((inverse / inverse.sum() * present.sum()).float(), criterion)
