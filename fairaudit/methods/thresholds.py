"""A threshold of its own for every group, chosen on validation scores so that a rate is the same in all (post-processing).

Formula:
    The network is trained with the chosen loss. For every group the score of the positive class is compared with a
    threshold, or at random with one of two, such that on the validation images the constrained rate is equal over groups
    and the objective is the largest that this allows. For equalized odds a share of the decisions may be a draw instead.

Source:
    M. Hardt, E. Price, N. Srebro, "Equality of Opportunity in Supervised Learning", NIPS 2016, as Fairlearn's
    ThresholdOptimizer computes it (grid of 1000, no flipped decisions).

Traps:
    The attribute must be known of every image that is decided on, and people are then judged by different thresholds
    because of their group, which the law may forbid. Decisions may be drawn at random, so two people with equal scores in
    one group may be treated differently; here the draw depends on the seed and the row, and the same table gives the same
    decisions. What is equal on validation images is only nearly so on others. The checkpoint alone decides without
    thresholds. Images of unknown group are decided by the larger score.

Needs:
    Groups by other attributes than the target, each with validation images of both classes, and one target of two classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from fairlearn.postprocessing import ThresholdOptimizer
from sklearn.base import BaseEstimator

from fairaudit.engine.forward import DECIMALS
from fairaudit.errors import DataError, UsageError, suggest
from fairaudit.methods._forward import logits_of
from fairaudit.methods._requirements import need_groups, need_logits, need_one_target
from fairaudit.methods._target import attributes_of
from fairaudit.methods.base import Outcome, Plan, Study
from fairaudit.metrics.groups import cross
from fairaudit.predictions import Column, FloatArray, IntArray
from fairaudit.results import group_label

Constraint = Literal[
    "demographic_parity",
    "equalized_odds",
    "true_positive_rate_parity",
    "false_positive_rate_parity",
    "true_negative_rate_parity",
    "false_negative_rate_parity",
]
Objective = Literal["accuracy_score", "balanced_accuracy_score"]
_NAME = "thresholds"
_WORTH_SAYING = 0.0005


class Given(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A classifier in scikit-learn's sense whose scores are its input."""

    def fit(self, X: FloatArray, y: IntArray) -> Given:  # noqa: ARG002, N803 (scikit-learn's names)
        """There is nothing to learn."""
        return self

    def predict_proba(self, X: FloatArray) -> FloatArray:  # noqa: N803 (scikit-learn's name)
        """(n, 2) scores, the positive class last."""
        return np.asarray(X, dtype=np.float64)

    def __sklearn_is_fitted__(self) -> bool:
        return True


@dataclass(frozen=True, eq=False)
class GroupThresholds:
    """Decides with a threshold for each group.

    Attributes:
        by: attributes whose cells are the groups.
        positive: index of the positive class, 0 or 1.
        optimizer: Fairlearn's, fitted.
        groups: labels of the groups that it knows.
        seed: of the decisions that are drawn.
    """

    by: tuple[str, ...]
    positive: int
    optimizer: Any
    groups: tuple[str, ...]
    seed: int

    def __call__(self, scores: FloatArray, columns: Mapping[str, Column]) -> IntArray:
        """Decide.

        Args:
            scores: (n, 2) in the order of the classes.
            columns: categorical columns of the images.

        Returns:
            (n,) index of the decided class; by the larger score where the group is unknown.

        Raises:
            UsageError: an attribute is not among the columns.
        """
        labels = labels_of(columns, self.by)
        decided: IntArray = scores.argmax(axis=1).astype(np.int64)
        known = np.isin(labels, self.groups)
        if known.any():
            # All rows are handed over, so that a row's draw depends on its place and on no other row's group.
            chosen = self.optimizer.predict(
                _ordered(scores, self.positive), sensitive_features=labels, random_state=self.seed
            )
            picked = np.where(np.asarray(chosen) == 1, self.positive, 1 - self.positive).astype(np.int64)
            decided = np.where(known, picked, decided)
        return decided


def run(
    study: Study,
    *,
    constraint: Constraint = "demographic_parity",
    objective: Objective = "accuracy_score",
    positive: str = "",
) -> Outcome:
    """Train, then choose thresholds on the validation images.

    Args:
        study: what is trained on.
        constraint: what is made equal over groups: demographic_parity, equalized_odds, or one of the parities of the
            true_positive_rate, false_positive_rate, true_negative_rate and false_negative_rate.
        objective: what is made large within that, accuracy_score or balanced_accuracy_score.
        positive: the class whose rates they are; the last one unless said.

    Raises:
        FairauditError: see ``check``.
    """
    ready = check(study, constraint=constraint, objective=objective, positive=positive)
    by, index, labels = ready.by, ready.positive, ready.labels
    classes, data = study.train.classes, study.validation
    model = study.network()
    history = study.fit(model)
    scores = logits_of(model, data, study.settings).softmax(dim=1).double().numpy().round(DECIMALS)
    optimizer = ThresholdOptimizer(
        estimator=Given(), constraints=constraint, objective=objective, prefit=True, predict_method="predict_proba"
    )
    optimizer.fit(_ordered(scores, index), (data.targets.numpy() == index).astype(int), sensitive_features=labels)
    groups = tuple(sorted(set(labels.tolist())))
    notes = (
        f"{', '.join(by)} must be known of every image to decide on it, and the checkpoint alone decides "
        "without thresholds",
        "some decisions are drawn at random, the same ones each time for the same table and seed"
        if any(_drawn(optimizer, group) for group in groups)
        else "no decision is drawn at random",
        *(f"threshold of {group}: {_rule(optimizer, group, classes[index])}" for group in groups),
    )
    return Outcome(model, {"model": history}, notes, decide=GroupThresholds(by, index, optimizer, groups, study.seed))


@dataclass(frozen=True, eq=False)
class Ready:
    """What thresholds are chosen by.

    Attributes:
        by: attributes whose cells are the groups.
        positive: index of the positive class.
        labels: (m,) group of each validation image.
    """

    by: tuple[str, ...]
    positive: int
    labels: np.ndarray


def check(plan: Plan, *, constraint: Constraint, objective: Objective, positive: str) -> Ready:
    """Find the groups and the positive class.

    Args:
        plan: what is trained on.
        constraint: see ``run``.
        objective: see ``run``.
        positive: see ``run``.

    Raises:
        UsageError: there are no groups but the target's, the target has not two classes, or an option is unknown.
        DataError: a group has no validation image of one of the classes.
    """
    need_groups(plan, _NAME)
    need_one_target(plan, _NAME)
    need_logits(plan, _NAME)
    for option, value, known in (
        ("constraint", constraint, get_args(Constraint)),
        ("objective", objective, get_args(Objective)),
    ):
        if value not in known:
            raise UsageError(f"{_NAME} has no {option} {value!r}{suggest(value, known)}")
    classes = plan.train.classes
    if len(classes) != 2:
        raise UsageError(f"the method {_NAME} needs a target of two classes, and this one has {len(classes)}")
    index = _positive(positive, classes)
    by = attributes_of(plan, _NAME).by
    labels = labels_of(plan.validation_columns, by)
    _need_both_classes(plan, labels)
    return Ready(by, index, labels)


def labels_of(columns: Mapping[str, Column], by: tuple[str, ...]) -> np.ndarray:
    """(n,) name of each image's group, empty where it is unknown; by name, because levels may be in another order."""
    crossed = cross(columns, by)
    names = np.array([*(group_label(crossed.as_mapping(i)) for i in range(len(crossed))), ""], dtype=object)
    return np.asarray(names[crossed.ids], dtype=str)


def _ordered(scores: FloatArray, positive: int) -> FloatArray:
    """(n, 2) scores, the positive class last."""
    return scores if positive == 1 else scores[:, ::-1]


def _positive(name: str, classes: tuple[str, ...]) -> int:
    if not name:
        return 1
    folded = [one.casefold() for one in classes]
    if name.casefold() not in folded:
        raise UsageError(f"{_NAME} has no class {name!r} to be positive{suggest(name, classes)}")
    return folded.index(name.casefold())


def _need_both_classes(plan: Plan, labels: np.ndarray) -> None:
    targets = plan.validation.targets.numpy()
    for group in sorted(set(labels.tolist())):
        for i, name in enumerate(plan.train.classes):
            if not ((labels == group) & (targets == i)).any():
                raise DataError(
                    f"the group {group!r} has no validation image of the class {name!r}, and {_NAME} needs some of both "
                    "in every group; group by other attributes, or give validation more images"
                )


def _drawn(optimizer: Any, group: str) -> bool:
    """Whether chance takes part in what is decided of a group."""
    found = optimizer.interpolated_thresholder_.interpolation_dict[group]
    return bool(getattr(found, "p_ignore", 0) > 0 or 0 < found.p0 < 1)


def _rule(optimizer: Any, group: str, positive: str) -> str:
    """What is done with one group's scores, in words."""
    found = optimizer.interpolated_thresholder_.interpolation_dict[group]
    parts = [
        f"{positive} {_compared(operation)}" + (f" (in {100 * share:.1f} % of decisions)" if share < 1 else "")
        for share, operation in ((found.p0, found.operation0), (found.p1, found.operation1))
        if share > 0
    ]
    text = ", ".join(dict.fromkeys(parts))
    ignored = getattr(found, "p_ignore", 0)
    if ignored >= _WORTH_SAYING:
        chance = f"{positive} with chance {found.prediction_constant:.3f}, whatever the score"
        text += f"; but {100 * ignored:.1f} % of decisions are {chance}"
    return text


def _compared(operation: Any) -> str:
    limit = float(operation.threshold)
    if np.isinf(limit):
        always = (limit < 0) == (operation.operator == ">")
        return "always" if always else "never"
    return f"where its score is {'above' if operation.operator == '>' else 'below'} {limit:.4f}"
