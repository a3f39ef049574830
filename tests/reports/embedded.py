"""Audits of embeddings that every report must cope with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from fairaudit.results import Estimate
from fairaudit.results.embedding import (
    EmbeddedGroup,
    EmbeddedGrouping,
    EmbeddedLevel,
    EmbeddingResult,
    Leak,
    Place,
    Trained,
    Verified,
)

NAN = math.nan
UNKNOWN = Estimate(NAN, NAN, NAN, 0, "undefined")
GEOMETRY = dict.fromkeys(("alignment", "uniformity", "intra", "inter", "ratio", "crowding", "density", "spectrum"), 0.25)


def group(name: str, recall: float, n: int = 40, fmr: float = 0.002, crowding: float = 0.5) -> EmbeddedGroup:
    rate = Estimate(recall, recall - 0.1, min(recall + 0.1, 1.0), n)
    rates = {"recall_at_1": rate, "recall_at_5": rate, "map_at_r": rate}
    pairs = Verified(
        30, 500, Estimate(fmr, fmr / 2, fmr * 2, 500), rate, 0.12, 0.77, (0,) * 40 + (3,) * 10, (10,) * 50,
        ((0.5, 0.5, 0.01), (0.7, 0.1, 0.1), (0.9, 0.0, 1.0)),
    )  # fmt: skip
    return EmbeddedGroup(
        {"race": name}, n, 8, rates, rates, GEOMETRY | {"crowding": crowding}, {"nmi": 0.8, "f1": NAN}, pairs
    )


def result(*groups: EmbeddedGroup, places: int = 12) -> EmbeddingResult:
    gap = Estimate(0.3, 0.1, 0.5, 40)
    levels = (EmbeddedLevel({"age": "young"}, 30, {"recall_at_1": gap, "fmr": gap}), EmbeddedLevel({"age": "old"}, 9, {}))
    grouping = EmbeddedGrouping(
        ("race",), groups, {"recall_at_1": gap, "fmr": gap}, Estimate(0.2, 0.1, 0.3, 8), gap, 40, 8, levels
    )
    told = {"A": Estimate(0.9, 0.8, 0.95, 10), "B": Estimate(0.6, 0.5, 0.7, 10)}
    balanced = Estimate(0.25, 0.1, 0.4, 5)
    trained = tuple(
        Trained("kNN", ("race",), training, 50, 20, told, found, balanced)
        for training, found in (("original", Estimate(0.4, 0.2, 0.6, 10)), ("rebalanced", Estimate(0.3, 0.1, 0.5, 10)))
    )
    settings = {
        "class": "identity", "k": [1, 5], "confidence": 0.95, "threshold": 0.8, "fmr": 0.001, "threshold_is": "set for fmr",
        "pairs_within": ["race"], "given": ["age"], "by": [["race"]], "genuine": 60, "impostors": 1000,
    }  # fmt: skip
    leak = Leak("race", "linear", 2, Estimate(0.8, 0.7, 0.9, 80), 0.75, 0.6)
    drawn = tuple(Place(i / 12, 0.5, i % 2, f"person {i // 3}") for i in range(places))
    return EmbeddingResult(settings, 80, 512, 16, (grouping,), (leak,), "identity", trained, drawn, ("a note",))


def plain() -> EmbeddingResult:
    """Two groups with everything."""
    return result(group("A", 0.9, n=60), group("B", 0.6))


def hostile(names: Sequence[str]) -> EmbeddingResult:
    """A group, a class and a note by every name that a dataset could hold against us."""
    kept = result(*(group(name, 0.5, n=100 - i) for i, name in enumerate(names)))
    places = tuple(replace(one, of=names[i % len(names)]) for i, one in enumerate(kept.places))
    settings = {**kept.settings, "class": names[0], "pairs_within": list(names)}
    leaks = tuple(replace(kept.leaks[0], attribute=name) for name in names)
    return replace(kept, settings=settings, places=places, leaks=leaks, target=names[0], notes=tuple(names))


def bare() -> EmbeddingResult:
    """One group of which nothing is known."""
    alone = EmbeddedGroup({"race": "A"}, 5, 5, {"recall_at_1": UNKNOWN, "recall_at_5": UNKNOWN}, {}, {}, {}, None)
    alone = replace(alone, own=alone.full)
    found = replace(result(alone, places=0), leaks=(), trained=(), target="", notes=())
    unknown = replace(found.groupings[0], gaps={}, crowding_gap=UNKNOWN, majority_advantage=UNKNOWN, within=())
    return replace(found, groupings=(unknown,))
