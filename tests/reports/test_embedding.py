"""What is said of an embedding space: its numbers, what is undefined, names that try to be markup, many groups."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from fairaudit.reports._embedding import lead, terminal
from fairaudit.reports._figures.embedding import MOST, distances, flat, recalls, trade_off
from fairaudit.reports._html_embedding import embedding_page, embedding_pictures
from fairaudit.results import Estimate
from fairaudit.results.embedding import (
    EmbeddedGroup,
    EmbeddedGrouping,
    EmbeddingResult,
    Leak,
    Place,
    Trained,
    Verified,
    embedding_json,
)
from tests.reports.pages import tables

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
    grouping = EmbeddedGrouping(("race",), groups, {"recall_at_1": gap, "fmr": gap}, 0.2, 0.3, 40)
    trained = tuple(
        Trained(
            "kNN", ("race",), training, 50, 20, {"A": Estimate(0.9, 0.8, 0.95, 10), "B": Estimate(0.6, 0.5, 0.7, 10)}, found
        )
        for training, found in (("original", Estimate(0.4, 0.2, 0.6, 10)), ("rebalanced", Estimate(0.3, 0.1, 0.5, 10)))
    )
    settings = {
        "class": "identity", "k": [1, 5], "confidence": 0.95, "threshold": 0.8, "fmr": 0.001, "threshold_is": "set for fmr",
        "pairs_within": ["race"], "genuine": 60, "impostors": 1000,
    }  # fmt: skip
    leak = Leak("race", "linear", 2, Estimate(0.8, 0.7, 0.9, 80), 0.75, 0.6)
    drawn = tuple(Place(i / 12, 0.5, i % 2, f"person {i // 3}") for i in range(places))
    return EmbeddingResult(settings, 80, 512, 16, (grouping,), (leak,), "identity", trained, drawn, ("a note",))


def test_the_terminal_says_every_table_and_rates_below_a_thousandth() -> None:
    text = terminal(result(group("A", 0.9, n=60), group("B", 0.6, fmr=0.0004)), width=160)
    assert text.startswith("Embeddings of 80 images by identity: 16 classes, 512 numbers each\n")
    assert "0.00040 [0.00020, 0.00080]" in text
    for heading in (
        "against every image",
        "against images of the own group",
        "Verification",
        "Geometry",
        "Leakage",
        "Downstream",
    ):
        assert heading in text
    assert "75 %" in text, "three quarters of the original gap stay"
    assert "a note" in text


def test_the_two_senses_of_an_unfair_space_name_their_groups() -> None:
    said = lead(result(group("A", 0.9, n=60), group("B", 0.6, crowding=0.3)))
    assert said == [
        "by race: recall@1 gap 0.300 [0.100, 0.500]",
        "by race: different classes lie closest in B, by 0.200 less cosine distance than where they lie farthest apart",
        "by race: recall@1 of the largest group, A, less the mean of the others: +0.300",
    ]


def test_the_page_has_every_number_and_figure_and_loads_nothing() -> None:
    found = result(group("A", 0.9, n=60), group("B", 0.6))
    drawn = embedding_pictures(found)
    assert [one.name for one in drawn] == ["recall-race", "pairs-race", "det-race", "map"]
    page = embedding_page(found, drawn, "m.pt, timm/x, layer fc, lfw")
    assert page.count("<svg ") == 4
    assert 'src="http' not in page
    shown = tables(page)
    assert any(row[0].startswith("B") and "0.600" in row[3] for row in shown["Retrieval by race, against every image"])
    assert "m.pt, timm/x, layer fc, lfw" in page
    assert drawn[0].alt == "B has the lowest recall@1: 0.600 [0.500, 0.700]."


def test_names_are_text_whatever_they_try_to_be() -> None:
    found = result(group("<script>alert(1)</script>", 0.9), group("B$_x$\x1b[31m", 0.6))
    page = embedding_page(found, embedding_pictures(found))
    assert "<script>alert" not in page
    assert "\x1b" not in page + terminal(found)


def test_more_groups_than_colours_are_in_the_tables_and_the_largest_are_drawn() -> None:
    found = result(*(group(f"g{i}", 0.5, n=100 - i) for i in range(MOST + 3)))
    picture = recalls(found, found.groupings[0])
    assert f"The {MOST} largest of {MOST + 3} groups." in picture.caption
    assert "g0" in picture.svg()
    assert f"g{MOST + 1}" not in picture.svg()
    assert f"g{MOST + 1}" in terminal(found)


def test_what_was_left_out_or_is_undefined_has_no_figure_and_no_number() -> None:
    bare = EmbeddedGroup({"race": "A"}, 5, 5, {"recall_at_1": UNKNOWN, "recall_at_5": UNKNOWN}, {}, {}, {}, None)
    bare = replace(bare, own=bare.full)
    found = replace(result(bare, bare, places=0), leaks=(), trained=())
    unknown = replace(found.groupings[0], gaps={}, crowding_gap=NAN, majority_advantage=NAN)
    found = replace(found, groupings=(unknown,))
    assert distances(found, found.groupings[0]) is None
    assert trade_off(found.groupings[0]) is None
    assert flat(found) is None
    assert "Verification" not in terminal(found)
    assert recalls(found, found.groupings[0]).alt == "No group has anything to find."
    assert "undefined" in embedding_page(found, embedding_pictures(found))
    lone = replace(group("A", 0.9), verified=replace(group("A", 0.9).verified, genuine=0, eer=NAN, threshold=NAN))  # type: ignore[type-var]
    half = result(lone)
    assert trade_off(half.groupings[0]) is None
    assert distances(half, half.groupings[0]) is not None


def test_the_record_is_strict_json_in_which_nothing_undefined_is_a_number() -> None:
    record = json.loads(embedding_json(result(group("A", 0.9), group("B", 0.6))), parse_constant=pytest.fail)
    assert record["schema_version"] == 1
    first = record["groupings"][0]["groups"][0]
    assert first["clusters"] == {"nmi": 0.8, "f1": None}
    assert first["full"]["recall_at_1"] == {"value": 0.9, "ci_low": 0.8, "ci_high": 1.0, "support": 40}
    assert len(record["places"]) == 12
