"""Logistic regression on the features of a network, as weights of a last layer."""

from __future__ import annotations

import inspect
import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from fairaudit.predictions import FloatArray, IntArray

Penalty = Literal["l1", "l2"]
_STEPS = 1000


@dataclass(frozen=True, eq=False)
class Scaling:
    """What makes every feature have mean 0 and standard deviation 1.

    Attributes:
        mean: (d,).
        deviation: (d,) population standard deviation; 1 where a feature is constant.
    """

    mean: FloatArray
    deviation: FloatArray

    @classmethod
    def of(cls, features: FloatArray) -> Scaling:
        """Measure (n, d) features."""
        deviation = features.std(axis=0)
        # A constant feature's deviation is rounding noise, which must not be blown up.
        constant = deviation <= 1e-7 * np.maximum(1.0, np.abs(features).max(axis=0, initial=0.0))
        return cls(features.mean(axis=0), np.where(constant, 1.0, deviation))

    def apply(self, features: FloatArray) -> FloatArray:
        """(n, d) standardised features."""
        return np.asarray((features - self.mean) / self.deviation)


@dataclass(frozen=True, eq=False)
class Linear:
    """A linear layer.

    Attributes:
        weight: (k, d).
        bias: (k,).
        converged: whether the solver came to an end.
    """

    weight: FloatArray
    bias: FloatArray
    converged: bool = True

    def logits(self, features: FloatArray) -> FloatArray:
        """(n, k) of (n, d) features."""
        return np.asarray(features @ self.weight.T + self.bias)

    def unscaled(self, scaling: Scaling) -> Linear:
        """The layer that gives for raw features what this one gives for standardised ones."""
        weight = self.weight / scaling.deviation
        return Linear(weight, self.bias - weight @ scaling.mean, self.converged)

    def tensors(self) -> tuple[Tensor, Tensor]:
        """Weight and bias, float64."""
        return torch.from_numpy(self.weight), torch.from_numpy(self.bias)


def fit_logistic(features: FloatArray, y_true: IntArray, k: int, c: float, penalty: Penalty, seed: int) -> Linear:
    """Logistic regression by scikit-learn: liblinear for two classes and L1, saga for more classes and L1, lbfgs for L2.

    The logit z of two classes becomes −z/2 and z/2, whose softmax is the same.

    Args:
        features: (n, d) standardised.
        y_true: (n,) class of each, every class below ``k`` at least once.
        k: number of classes.
        c: inverse of the penalty's weight.
        penalty: on the weights.
        seed: of the order in which the solver goes through the rows.
    """
    solver = "lbfgs" if penalty == "l2" else "liblinear" if k == 2 else "saga"
    # saga crawls towards its end: ten times its usual tolerance takes a quarter of the time and classifies the same.
    tolerance = 1e-3 if solver == "saga" else 1e-4
    model = LogisticRegression(C=c, solver=solver, tol=tolerance, max_iter=_STEPS, random_state=seed, **_penalty(penalty))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(features, y_true)
    for warning in caught:
        if not issubclass(warning.category, ConvergenceWarning):
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    converged = not any(issubclass(warning.category, ConvergenceWarning) for warning in caught)
    weight, bias = model.coef_.astype(np.float64), model.intercept_.astype(np.float64)
    if k == 2:
        weight, bias = np.concatenate([-weight / 2, weight / 2]), np.concatenate([-bias / 2, bias / 2])
    return Linear(weight, bias, converged)


def mean_of(layers: list[Linear]) -> Linear:
    """The layer whose weights are the mean of several."""
    weight = np.mean([layer.weight for layer in layers], axis=0)
    bias = np.mean([layer.bias for layer in layers], axis=0)
    return Linear(weight, bias, all(layer.converged for layer in layers))


def _penalty(penalty: Penalty) -> dict[str, object]:
    """How this version of scikit-learn wants to be told; it renamed the argument in 1.8."""
    argument = inspect.signature(LogisticRegression).parameters.get("penalty")
    if argument is None or argument.default == "deprecated":
        return {"l1_ratio": 1.0 if penalty == "l1" else 0.0}
    return {"penalty": penalty}
