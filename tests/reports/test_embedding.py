"""What is said of an embedding space: its numbers, what is undefined, names that try to be markup, many groups."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from fairaudit.reports._embedding import lead, terminal
from fairaudit.reports._figures.embedding import MOST, distances, flat, recalls, trade_off
from fairaudit.reports._html_embedding import embedding_page, embedding_pictures
from fairaudit.results import Estimate
from fairaudit.results.embedding_record import embedding_from_record, embedding_json, embedding_record
from tests.reports.embedded import NAN, bare, group, result
from tests.reports.pages import tables


def test_the_terminal_says_every_table_and_rates_below_a_thousandth() -> None:
    text = terminal(result(group("A", 0.9, n=60), group("B", 0.6, fmr=0.0004)), width=160)
    assert text.startswith("Embeddings of 80 images by identity: 16 classes, 512 numbers each\n")
    assert "0.00040 [0.00020, 0.00080]" in text
    for heading in (
        "against every image",
        "against images of the own group",
        "Verification",
        "Geometry",
        "By race within levels of age",
        "Leakage",
        "Downstream",
    ):
        assert heading in text
    assert "75 %" in text, "three quarters of the original gap stay"
    assert "0.250 [0.100, 0.400]" in text, "the balanced gap"
    assert "a note" in text


def test_the_two_senses_of_an_unfair_space_name_their_groups() -> None:
    said = lead(result(group("A", 0.9, n=60), group("B", 0.6, crowding=0.3)))
    assert said == [
        "by race: recall@1 gap 0.300 [0.100, 0.500]",
        "by race: different classes lie closest in B; crowding gap 0.200 [0.100, 0.300] in cosine distance",
        "by race: recall@1 of the largest group, A, less the mean of the others: +0.300 [+0.100, +0.500]",
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


def test_a_value_outside_its_limits_is_drawn() -> None:
    outside = Estimate(0.9, 0.95, 0.97, 40)
    one = replace(group("A", 0.9), full={"recall_at_1": outside, "recall_at_5": replace(outside, ci_low=0.1, ci_high=0.2)})
    found = result(one, group("B", 0.6))
    assert "<svg" in recalls(found, found.groupings[0]).svg()


def test_more_groups_than_colours_are_in_the_tables_and_the_largest_are_drawn() -> None:
    found = result(*(group(f"g{i}", 0.5, n=100 - i) for i in range(MOST + 3)))
    picture = recalls(found, found.groupings[0])
    assert f"The {MOST} largest of {MOST + 3} groups." in picture.caption
    assert "g0" in picture.svg()
    assert f"g{MOST + 1}" not in picture.svg()
    assert f"g{MOST + 1}" in terminal(found)


def test_what_was_left_out_or_is_undefined_has_no_figure_and_no_number() -> None:
    found = bare()
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


def test_a_record_comes_back_as_it_was() -> None:
    kept = result(group("A", 0.9), group("B", 0.6))
    again = embedding_from_record(json.loads(embedding_json(kept)))
    assert embedding_json(again) == embedding_json(kept)
    assert again.groupings[0].groups[1].verified == kept.groupings[0].groups[1].verified
    assert again.groupings[0].within == kept.groupings[0].within
    assert again.trained == kept.trained
    assert [one.of for one in again.places] == [one.of for one in kept.places]
    read = embedding_from_record(embedding_record(bare()))
    assert embedding_json(read) == embedding_json(bare())
    assert read.groupings[0].groups[0].full["recall_at_1"].reason == "undefined"
