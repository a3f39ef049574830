"""Plain empirical risk minimisation: the mean cross-entropy, blind to groups.

Formula:
    L = (1/b) · Σ_i CE_i over the whole batch. Class indices and soft targets (MixUp, CutMix) are both understood; label
    smoothing is an option of the criterion.

Source:
    V. Vapnik, "Principles of Risk Minimization for Learning Theory", NIPS 1991.

Traps:
    It is the baseline that every mitigation must be compared with, on the same images, epochs and seeds. A group that is
    rare, or that contradicts a shortcut the other groups offer, weighs next to nothing in a mean.
"""

from __future__ import annotations

from torch import Tensor

from fairaudit.losses._group_means import batch_mean
from fairaudit.losses.base import CROSS_ENTROPY, Criterion, GroupLoss, TrainingGroups


class MeanLoss(GroupLoss):
    """The mean of the per-sample loss over the global batch."""

    uses_groups = False

    def forward(self, logits: Tensor, targets: Tensor, groups: Tensor) -> Tensor:  # noqa: ARG002 (blind to groups)
        """The mean loss; see ``GroupLoss.forward``."""
        return batch_mean(self.criterion(logits, targets))


def build(groups: TrainingGroups, criterion: Criterion = CROSS_ENTROPY) -> GroupLoss:
    """Build the loss.

    Args:
        groups: the training set's groups.
        criterion: loss of each sample.
    """
    return MeanLoss(groups.n_groups, criterion)
