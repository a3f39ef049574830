"""Whether a region classifier's confidence is the chance that it is right, over all patches of pictures that it never saw.

Formula:
    ECE = Σ_i b_i · |p_i − c_i| over 100 bins of equal width: a bin's share of the patches, of how many the classifier is
    right, and the mean of its top softmax. Temperature scaling divides the logits by the T > 0 with the smallest mean
    −ln score of the true class.

Source:
    S. De Coninck et al., CVPR Workshops 2024; C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, "On Calibration of Modern Neural
    Networks", ICML 2017.

Traps:
    With two classes a temperature keeps the order of patches by confidence, so it changes the values of a map more than the
    places of its top region. Patches of one picture are no independent
    trials: the error is of these pictures.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar

from fairaudit.attribution.confidence import softmax
from fairaudit.metrics.calibration import BINS, equal_width, error_law, reliability
from fairaudit.predictions import FloatArray, IntArray

TOO_WRONG = 0.10
"""An error from which maps are doubted: a region at .8 then stands for .7 to .9, as far apart as many regions are."""
_COLDEST, _HOTTEST = 0.05, 20.0


@dataclass(frozen=True, eq=False)
class Calibration:
    """How well confidence and accuracy agree.

    Attributes:
        error: the expected calibration error, after division by the temperature.
        accuracy: share of the patches that are classified rightly.
        images: pictures whose patches were looked at.
        patches: how many patches.
        temperature: 1 where none was fitted.
        uncorrected: the error without the temperature.
        count: (bins,) patches in each bin.
        mean: (bins,) mean top softmax of each, nan where empty.
        right: (bins,) share classified rightly, nan where empty.
    """

    error: float
    accuracy: float
    images: int
    patches: int
    temperature: float
    uncorrected: float
    count: IntArray
    mean: FloatArray
    right: FloatArray

    @property
    def doubtful(self) -> bool:
        """Whether maps rest on a classifier whose confidence should not be believed."""
        return self.error > TOO_WRONG


def calibration(logits: FloatArray, y_true: IntArray, *, temperature: bool = False) -> Calibration:
    """Measure it.

    Args:
        logits: (m, p, k) of all patches of m pictures.
        y_true: (m,) level of each picture.
        temperature: fit one; it is fitted on every other picture and judged on the rest, which needs two pictures.
    """
    plain = _measured(logits, y_true, 1.0)
    if not temperature or len(y_true) < 2:
        return _assembled(plain, 1.0, plain[0], len(y_true))
    fitted = best_temperature(logits[::2], y_true[::2])
    rest = logits[1::2], y_true[1::2]
    return _assembled(_measured(*rest, fitted), fitted, _measured(*rest, 1.0)[0], len(rest[1]))


def best_temperature(logits: FloatArray, y_true: IntArray) -> float:
    """The temperature with the smallest mean −ln score of the true level.

    Args:
        logits: (m, p, k).
        y_true: (m,).
    """
    own = np.asarray(logits, dtype=np.float64)
    true = np.take_along_axis(own, np.broadcast_to(y_true[:, None, None], (*own.shape[:2], 1)), axis=2)[..., 0]

    def surprise(log_temperature: float) -> float:
        scaled = own / np.exp(log_temperature)
        most = scaled.max(axis=2)
        return float((most + np.log(np.exp(scaled - most[..., None]).sum(axis=2)) - true / np.exp(log_temperature)).mean())

    found = minimize_scalar(surprise, bounds=(np.log(_COLDEST), np.log(_HOTTEST)), method="bounded")
    return float(np.exp(found.x))


_Measured = tuple[float, float, IntArray, FloatArray, FloatArray]


def _measured(logits: FloatArray, y_true: IntArray, temperature: float) -> _Measured:
    scores = softmax(logits, temperature).reshape(-1, logits.shape[2])
    top = np.minimum(scores.max(axis=1), 1.0)
    right = scores.argmax(axis=1) == np.repeat(y_true, logits.shape[1])
    everywhere = np.zeros(len(top), dtype=np.int64)
    error = float(error_law(top, right, everywhere, 1, equal_width(top), BINS).value[0])
    return error, float(right.mean()), *reliability(top, right, BINS)


def _assembled(found: _Measured, temperature: float, uncorrected: float, images: int) -> Calibration:
    error, accuracy, count, mean, right = found
    return Calibration(error, accuracy, images, int(count.sum()), temperature, uncorrected, count, mean, right)
