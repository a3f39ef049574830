"""Arm checks: what a loss, a method or a training would refuse is said of all arms before the first is trained."""

from __future__ import annotations

from pathlib import Path

from fairaudit import plugins
from fairaudit.config import Arm
from fairaudit.engine.image_sources import StoredImages, UnreadImages
from fairaudit.engine.rehearsal import check_trainable
from fairaudit.errors import UsageError
from fairaudit.methods.base import Plan
from fairaudit.workflows.experiment import Experiment, training_data
from fairaudit.workflows.run_folders import run_folder
from fairaudit.workflows.study import make_plan


def check_arms(experiment: Experiment) -> None:
    """Refuse arms that cannot be trained. No training image is read.

    Args:
        experiment: with its arms.

    Raises:
        FairauditError: what the loss, the method, the optimizer or the network of an arm says.
    """
    learnt, held = experiment.splits.train, experiment.splits.validation
    train = training_data(experiment, learnt, UnreadImages(len(learnt)))
    rows = tuple(str(row) for row in held.frame["row"])
    validation = training_data(experiment, held, StoredImages(held.store, rows, experiment.preprocess))
    for arm in experiment.config.trained:
        plan = make_plan(experiment, train, validation, arm, 0)
        wants = plan.loss(train.counted).wants
        if wants == "embeddings" and arm.method is None:
            raise UsageError(f"the loss {arm.loss} trains no last layer; add --method contrastive, which fits one to it")
        if plan.settings.balance == "groups":
            train.counted.require_images("balanced sampling")
        check_trainable(plan.network(), experiment.preprocess, plan.settings, wants)
        if arm.method is not None:
            check_method(arm.method, arm, plan)
    _check_folders(experiment.config.trained)


def check_method(method: str, arm: Arm, plan: Plan) -> None:
    """Ask a method whether it can do what it is asked; one of another package may have nothing to say.

    Args:
        method: the arm's.
        arm: with its options.
        plan: what it would be given.

    Raises:
        FairauditError: it cannot.
    """
    options = plugins.check_options("methods", method, arm.method_options)
    check = getattr(plugins.load("methods", method), "check", None)
    if check is not None:
        usual = {key: option.default for key, option in plugins.options("methods", method).items()}
        check(plan, **{**usual, **options})


def _check_folders(arms: tuple[Arm, ...]) -> None:
    folders = [run_folder(Path(), arm, 0) for arm in arms]
    doubled = next((arm.name for arm in arms if folders.count(run_folder(Path(), arm, 0)) > 1), None)
    if doubled is not None:
        raise UsageError(f"the arm {doubled!r} would share its folder with another; give one of them a label")
