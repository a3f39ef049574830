"""Time of what an audit measures on scores, and of replicates: ``python -m tests.benchmarks.audit_scores [--rounds N]``.

A million generated rows in 14 groups. AUROC of every group by histograms of 10,753 bins (what a stream of parts keeps) and
exactly (what a table in memory gets: sorted with labels packed behind the scores), each against scikit-learn called group
by group; the largest difference of the histograms is printed beside the most that they admit to. Calibration error in 100
bins with its limits against masks over groups and bins. A thousand replicates of all rates and statistics of counts, at
14 groups, from 100,000 and from 100 million rows, against 50 ms. Processor seconds; contenders take turns and every round
has data of its own. Exit code 1 where a target is missed.

Tried for the histograms, on a 2.8 GHz Xeon, beside scikit-learn: 1,024 bins of equal width are 40 times as fast and wrong
by 4e-4 where networks are sure; 65,536 of them 12 times, because counting leaves the caches, and 2e-6; looking bins of odds
up in a table of 2^20 steps 20 times, 2^17 steps 27 times and wrong by 4e-3 where half of the scores are 0 or 1 to five
digits. The bits of floats, 2^8 bins to an octave of the odds, were 25 to 29 times as fast (beside a busy neighbour; 24 when
first measured). In rounds of the same run: bounding odds as whole numbers, adding the label before numbers are widened, and
finding empty bins by a take: 27 -> 31 (32.5, when quiet). Not taken, because of small groups, whose areas must not be
off by more than 1e-4 either: 2^7 bins to an octave, 37, 1.5e-4 off in groups of 360; 2^6 bins, 42.
No gain: counting block by block in place of all at once (``add.at``), blocks of half or a quarter of the rows, 32 bits for
groups. The exact way was a stable sort of positions before, half as fast.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import sklearn.metrics as sk
from scipy.special import expit

from fairaudit.metrics.calibration import BINS, equal_width, error_law
from fairaudit.metrics.counts import cells
from fairaudit.metrics.groups import members
from fairaudit.metrics.inequality import draw
from fairaudit.metrics.ranking import area_and_variance, ties
from fairaudit.metrics.rates import RATES, rate_values
from fairaudit.metrics.score_bins import area_error, binned, rank_histograms
from fairaudit.metrics.statistics import STATISTICS, statistic_values
from fairaudit.predictions import BoolArray, FloatArray, IntArray
from tests.benchmarks.rows import Row, markdown

N, GROUPS, REPLICATES, LIMIT = 1_000_000, 14, 1000, 0.05
BY_BINS, EXACT, SKLEARN = "AUROC by histograms", "AUROC, exact", "AUROC, scikit-learn by group"
ECE, MASKS = "calibration error", "calibration error, masks"
FEW, MANY = "replicates, 100,000 rows", "replicates, 100 million rows"


@dataclass(frozen=True, eq=False)
class Data:
    """One round's scores.

    Attributes:
        score: (n,) of the positive class, as sure as networks are and rounded as they are stored.
        positive: (n,) labels.
        ids: (n,) groups.
    """

    score: FloatArray
    positive: BoolArray
    ids: IntArray

    @classmethod
    def drawn(cls, seed: int, n: int = N) -> Data:
        """Scores that tell groups apart less and less well."""
        rng = np.random.default_rng(seed)
        ids, positive = rng.integers(0, GROUPS, n), rng.random(n) < 0.5
        score = expit(3 * (positive - 0.5) + rng.normal(0, 2.2 + 0.15 * ids)).round(6)
        return cls(score, positive, ids)

    def by_bins(self) -> list[tuple[float, float]]:
        """Area of every group, and the most by which it is off."""
        found = map(binned, rank_histograms(self.score, self.positive, self.ids, GROUPS))
        return [(area_and_variance(t)[0], area_error(t)) for t in found]

    def exact(self) -> list[float]:
        """Area of every group."""
        slices = members(self.ids, GROUPS)
        return [area_and_variance(ties(self.score[rows], self.positive[rows]))[0] for rows in slices]

    def sklearn(self) -> list[float]:
        """Area of every group, the usual way."""
        each = [self.ids == g for g in range(GROUPS)]
        return [float(sk.roc_auc_score(self.positive[rows], self.score[rows])) for rows in each]

    def ece(self) -> FloatArray:
        """Calibration error of every group, and its limits."""
        law = error_law(self.score, self.positive, self.ids, GROUPS, equal_width(self.score))
        return np.stack([law.value, *law.limits(1.96)])

    def masks(self) -> list[float]:
        """Calibration error of every group, bin by bin."""
        found = []
        edges = np.linspace(0, 1, BINS + 1)
        edges[-1] = 2
        for g in range(GROUPS):
            s, y = self.score[self.ids == g], self.positive[self.ids == g]
            inside = [(s >= low) & (s < high) for low, high in itertools.pairwise(edges)]
            found.append(float(sum(abs((s[rows] - y[rows]).sum()) for rows in inside) / len(s)))
        return found

    @cached_property
    def counts(self) -> IntArray:
        """(g, 4) by label and decision."""
        cell = self.ids * 4 + self.positive * 2 + (self.score >= 0.5)
        return np.bincount(cell, minlength=GROUPS * 4).reshape(GROUPS, 4)


def replicates(data: Data, times: int, seed: int) -> FloatArray:
    """(metrics, replicates, g) every rate and statistic of drawn counts.

    Args:
        data: whose counts.
        times: by which they are multiplied first, or divided where negative.
        seed: of the draws.
    """
    counts = (data.counts * times if times > 0 else data.counts // -times).astype(np.float64)
    drawn = draw(counts, REPLICATES, seed).reshape(REPLICATES, GROUPS, 2, 2)
    one = cells(drawn).of_class(1)
    rates = [rate_values(rate, one) for rate in RATES.values()]
    return np.stack([*rates, *(statistic_values(statistic, drawn) for statistic in STATISTICS.values())])


def measured(rounds: int) -> tuple[dict[str, list[float]], float, float]:
    """Processor seconds of each contender in each round; the largest error of the histograms, and what they admit to."""
    runs: dict[str, Callable[[Data, int], object]] = {
        BY_BINS: lambda data, _: data.by_bins(),
        EXACT: lambda data, _: data.exact(),
        SKLEARN: lambda data, _: data.sklearn(),
        ECE: lambda data, _: data.ece(),
        MASKS: lambda data, _: data.masks(),
        FEW: partial(_replicates, -10),
        MANY: partial(_replicates, 100),
    }
    times: dict[str, list[float]] = {name: [] for name in runs}
    off, admitted = 0.0, 0.0
    for round_ in range(rounds + 1):
        data = Data.drawn(round_)
        data.counts  # noqa: B018 - counted before any clock runs
        for name, run in runs.items():
            started = time.process_time()
            run(data, round_)
            if round_:  # one round more warms caches up
                times[name].append(time.process_time() - started)
        found = np.array(data.by_bins())
        off = max(off, float(np.abs(found[:, 0] - data.exact()).max()))
        admitted = max(admitted, float(found[:, 1].max()))
    return times, off, admitted


def _replicates(times: int, data: Data, seed: int) -> FloatArray:
    return replicates(data, times, seed)


def rows_of(times: Mapping[str, list[float]], off: float) -> list[Row]:
    """Ratios and their targets.

    Args:
        times: of ``measured``.
        off: the largest error of the histograms.
    """
    pairs = [
        ("AUROC of 14 groups by histograms, 1e6 rows", BY_BINS, SKLEARN, "scikit-learn, group by group", 30.0),
        ("AUROC of 14 groups, exact", EXACT, SKLEARN, "scikit-learn, group by group", 1.0),
        ("ECE of 14 groups, 100 bins, with limits", ECE, MASKS, "masks over groups and bins", 10.0),
    ]
    found = [
        Row.of(what, against, [slow / fast for slow, fast in zip(times[b], times[a], strict=True)], target)
        for what, a, b, against, target in pairs
    ]
    near = 1e-4 / max(off, 1e-12)
    found.insert(1, Row("the same, error", "1e-4", near, near, near, 1))
    for name in (FEW, MANY):
        what = f"1,000 {name}: all rates and statistics of 14 groups"
        found.append(Row.of(what, "50 ms", [LIMIT / taken for taken in times[name]], 1))
    return found


def main() -> int:
    """Print the table; 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    times, off, admitted = measured(parser.parse_args().rounds)
    for name, taken in times.items():
        print(f"{name:<32}{1000 * float(np.median(taken)):>9.1f} ms")
    print(f"histograms are off by {off:.1e} at the most, and admit to {admitted:.1e}\n")
    rows = rows_of(times, off)
    print(markdown(rows))
    return 1 if any(row.missed for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
