"""Mix images of one class across groups, and images of one group across classes (LISA).

Formula:
    For each batch, with probability ``same_label``, every image is mixed with a random one of the batch that has the same
    label and another group; otherwise with one of the same group and another label. λ ~ Beta(α, α) once for a batch;
    MixUp averages pixels and targets with λ and 1 − λ, CutMix pastes a box of area 1 − λ. An image without such a partner
    stays as it is.

Source:
    H. Yao, Y. Wang, S. Li, L. Zhang, W. Liang, J. Zou, C. Finn, "Improving Out-of-Distribution Robustness via Selective
    Augmentation", ICML 2022: p = 0.5, α = 2, CutMix for CelebA, MixUp for Waterbirds. Partners are drawn here from the
    batch, and their repository's own way of drawing them was not compared.

Traps:
    Partners must be in the batch: where label and group nearly coincide there are few, so use ``balance`` and large
    batches. A mixed image counts as one of the group of which it has more, so that losses over groups see some of the
    others. It mixes in the place of mixup and cutmix, which cannot be asked for besides.

Needs:
    Groups by other attributes than the target, at least two of them with images, and one target.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from fairaudit.engine.mixing import Batch
from fairaudit.errors import UsageError, suggest
from fairaudit.methods._requirements import need_groups, need_logits, need_one_target, need_positive
from fairaudit.methods._target import Attributes, attributes_of
from fairaudit.methods.base import Outcome, Plan, Study

Mix = Literal["mixup", "cutmix"]
_NAME = "lisa"


@dataclass(frozen=True)
class SelectiveMixer:
    """Mixes each image with one that shares either its label or its group.

    Attributes:
        mix: ``mixup`` or ``cutmix``.
        alpha: of the Beta distribution of λ.
        same_label: probability that a batch is mixed across groups.
        of_group: cell of the attributes of each group, without the target where groups name it.
    """

    mix: Mix
    alpha: float
    same_label: float
    of_group: tuple[int, ...]

    def __call__(self, batch: Batch, seed: int) -> Batch:
        """Mix; see ``Mixer``."""
        rng = np.random.default_rng(seed)
        across_groups = bool(rng.random() < self.same_label)
        share = float(rng.beta(self.alpha, self.alpha))
        cells = torch.tensor(self.of_group, device=batch.groups.device)[batch.groups]
        partners = partners_of(batch.targets.argmax(dim=1), cells, across_groups, rng)
        if self.mix == "mixup":
            inputs = share * batch.inputs + (1 - share) * batch.inputs[partners]
        else:
            rows, columns, share = _box(batch.inputs.shape[2], batch.inputs.shape[3], share, rng)
            inputs = batch.inputs.clone()
            inputs[:, :, rows, columns] = batch.inputs[partners][:, :, rows, columns]
        return replace(
            batch,
            inputs=inputs,
            targets=share * batch.targets + (1 - share) * batch.targets[partners],
            groups=batch.groups if share >= 0.5 else batch.groups[partners],
        )


def partners_of(labels: Tensor, groups: Tensor, across_groups: bool, rng: np.random.Generator) -> Tensor:
    """Draw a partner for each image of a batch; an image that has none is its own.

    Args:
        labels: (b,) int64.
        groups: (b,) int64.
        across_groups: whether partners have the same label and another group, or the same group and another label.
        rng: source of randomness.

    Returns:
        (b,) int64 positions in the batch.
    """
    same_label, same_group = labels[:, None] == labels, groups[:, None] == groups
    fits = same_label & ~same_group if across_groups else same_group & ~same_label
    # Uniform in (0, 1], so that whoever fits is above whoever does not.
    draws = torch.from_numpy(1 - rng.random(tuple(fits.shape))).to(labels.device)
    itself = torch.arange(len(labels), device=labels.device)
    return torch.where(fits.any(dim=1), (draws * fits).argmax(dim=1), itself)


def _box(height: int, width: int, share: float, rng: np.random.Generator) -> tuple[slice, slice, float]:
    """A box of about 1 − λ of the area, cut off at the border, and the λ that this makes."""
    side = (1 - share) ** 0.5
    spans = []
    for length in (height, width):
        centre, half = int(rng.integers(length)), round(length * side) // 2
        spans.append(slice(max(0, centre - half), min(length, centre + half)))
    rows, columns = spans
    inside = (rows.stop - rows.start) * (columns.stop - columns.start)
    return rows, columns, 1 - inside / (height * width)


def run(study: Study, *, mix: Mix = "mixup", alpha: float = 2.0, same_label: float = 0.5) -> Outcome:
    """Train on selectively mixed images.

    Args:
        study: what is trained on.
        mix: "mixup" or "cutmix".
        alpha: α of the Beta distribution from which the share of an image is drawn.
        same_label: probability that a batch is mixed across groups within labels, and not across labels within groups.

    Raises:
        FairauditError: see ``check``.
    """
    attributes = check(study, mix=mix, alpha=alpha, same_label=same_label)
    mixer = SelectiveMixer(mix, alpha, same_label, attributes.of_group)
    model = study.network()
    return Outcome(model, {"model": study.fit(model, mixer=mixer)})


def check(plan: Plan, *, mix: Mix, alpha: float, same_label: float) -> Attributes:
    """Find the groups that are mixed.

    Args:
        plan: what is trained on.
        mix: see ``run``.
        alpha: see ``run``.
        same_label: see ``run``.

    Raises:
        UsageError: there are no groups but the target's, or several targets, images are mixed already, or an option is out
            of range.
        DataError: fewer than two groups have training images.
    """
    need_groups(plan, _NAME)
    need_one_target(plan, _NAME)
    need_logits(plan, _NAME)
    need_positive(alpha, "alpha", _NAME)
    if mix not in get_args(Mix):
        raise UsageError(f"{_NAME} has no mix {mix!r}{suggest(mix, get_args(Mix))}")
    if not 0 <= same_label <= 1:
        raise UsageError(f"same_label of {_NAME} must be from 0 to 1, not {same_label:g}")
    doubled = [name for name in plan.settings.augment if name in ("mixup", "cutmix")]
    if doubled:
        raise UsageError(f"the method {_NAME} mixes images itself; leave the augmentation {doubled[0]} out")
    attributes = attributes_of(plan, _NAME)
    cells = torch.tensor(attributes.of_group)[plan.train.groups]
    grouped = replace(plan.train, groups=cells, group_labels=attributes.labels)
    grouped.counted.require_two_groups(f"the method {_NAME}")
    return attributes
