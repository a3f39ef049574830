"""What a training asks of its data and settings before it begins."""

from __future__ import annotations

from fairaudit.config import TrainingSettings
from fairaudit.engine.training_data import ImageSource, TrainingData
from fairaudit.errors import DataError, UsageError
from fairaudit.losses.base import GroupLoss


def check_training(
    data: TrainingData, loss: GroupLoss, settings: TrainingSettings, validation: ImageSource | None, *, judged: bool
) -> None:
    """Refuse what cannot be trained.

    Args:
        data: what is learnt from.
        loss: what is minimised.
        settings: how.
        validation: images that epochs are judged on.
        judged: whether somebody judges them.

    Raises:
        FairauditError: the data have nothing to tell apart, or a setting needs validation images that are not there.
        ValueError: there are images that nobody judges, or a judge without images.
    """
    data.require_contrast()
    if settings.balance == "groups":
        data.counted.require_images("balanced sampling")
    if (validation is not None) != judged:
        raise ValueError("validation images and a score belong together")
    if settings.select != "last" and not judged:
        raise UsageError(f"selecting an epoch by {settings.select} needs validation images; give some or select the last")
    if settings.patience is not None and not judged:
        raise UsageError("stopping early needs validation images; give some, or leave --patience out")
    if loss.wants == "embeddings" and (settings.select != "last" or settings.patience is not None):
        raise UsageError("a loss of embeddings has no validation accuracy to select by; select the last epoch")
    if validation is not None and len(validation) == 0:
        raise DataError("there are no validation images")
