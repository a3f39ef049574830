"""The page of an audit: what stands on its first screen and in its tables, and what a reader needs to find a way."""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest

from fairaudit.errors import UnknownNameError
from fairaudit.reports import _wording as words
from fairaudit.reports._page import Cell, Column, Face, Folded, Gallery, Section, Table, page
from fairaudit.reports._pictures import pictures
from fairaudit.reports.html import document, render
from fairaudit.results import AuditResult, RuleOutcome, RuleResult, Verdict
from tests.contracts.test_reports import HOSTILE, bare_audit, hostile_audit
from tests.reports.pages import Element, read, tables


@pytest.fixture(scope="module")
def hostile() -> str:
    return render(hostile_audit())


@pytest.fixture
def shown(audit: AuditResult) -> str:
    return render(audit, model="net.pt, resnet18", data="faces.csv")


def of(elements: list[Element], tag: str) -> list[Element]:
    return [one for one in elements if one.tag == tag]


def test_the_first_screen_names_what_fails_and_who_is_compared(shown: str) -> None:
    main = shown[shown.index("<main") : shown.index('<section id="rules"')]
    text = read(f"{main}</main>")[0].text
    assert text.startswith("✗ fail 1 of 2 rules fails: accuracy difference by race <= 0.05. Black: 0.130 [0.080, 0.180]")
    assert "Modelnet.pt, resnet18" in text
    assert "Datafaces.csv" in text
    assert "Compared by race4 groups, 1 of them absent, each against White (as named)" in text
    largest = tables(f"{main}</main>")["Largest differences from the reference group"]
    assert largest[1:] == [
        ["Black", "accuracy", "−0.130 [−0.180, −0.080] *", "400", "White"],
        ["Black", "true_positive_rate", "−0.100 [−0.170, +0.010]", "200", "White"],
    ]
    assert "Inuit: 0.033 [0.000, 0.300]: too small: support 12 is below 20" in text
    assert "By race, groups without images: Martian." in text
    assert "By race, groups with fewer than 20 images: Inuit (12)." in text


def test_nothing_is_said_of_a_model_that_nobody_named(audit: AuditResult) -> None:
    names = [one.text for one in of(read(render(audit)), "dt")]
    assert names == ["Compared by race", "Intervals"]


def test_a_pass_says_what_was_shown(audit: AuditResult) -> None:
    passing = replace(audit, rules=audit.rules[:1], verdict=Verdict.PASS)
    assert "The rule passes: no disparity above 0.30 shown by this data at 95 %." in render(passing)


def test_many_failing_rules_are_counted(audit: AuditResult) -> None:
    one = RuleOutcome("accuracy", None, 0.3, 0.2, 0.4, Verdict.FAIL)
    rules = tuple(RuleResult(f"accuracy gap by race <= 0.0{i}", Verdict.FAIL, (one,)) for i in range(1, 6))
    said = of(read(render(replace(audit, rules=rules))), "p")
    [sentence] = [p.text for p in said if p.attributes.get("class") == "sentence"]
    assert sentence == (
        "✗ fail 5 of 5 rules fail: accuracy gap by race <= 0.01; accuracy gap by race <= 0.02; accuracy gap by race <= "
        "0.03 and 2 more rules."
    )


def test_every_number_of_the_tables_is_that_of_the_record(audit: AuditResult, shown: str) -> None:
    found = tables(shown)
    [grouping] = audit.groupings
    rows = {row[0].removesuffix(" (reference)"): row for row in found["4 groups of race, worst accuracy first"]}
    for group in grouping.groups:
        row = rows[words.group_name(group.group)]
        assert row[1] == (f"{group.n:,}" if group.n else "absent")
        for metric, cell in zip(("accuracy", "true_positive_rate", "false_positive_rate"), row[2:], strict=True):
            one = group.metrics.get(metric)
            assert cell.removesuffix(" †") == ("–" if one is None else words.estimate(one))
            assert cell.endswith("†") == (one is not None and one.value == one.value and one.support < 20)
    assert rows["all images"][2] == words.estimate(audit.overall.metrics["accuracy"])
    between = {(row[0], row[1]): row[2:] for row in found["Between the groups of race"][1:]}
    assert between["accuracy", "gap"] == ["0.130 [0.080, 0.180] (1) ✓ held", ""]
    assert between["accuracy", "worst group"] == ["0.820 [0.775, 0.860] (1)", "Black"]
    assert found["Disparities with a name"][1] == ["disparate_impact", "infinite [3.000, ∞]", "Black"]
    assert found["Rules, worst first"][1:] == [
        ["✗ fail", "accuracy difference by race <= 0.05", "Black: 0.130 [0.080, 0.180]1 contrast cannot be decided"],
        ["✓ pass", "accuracy gap by race <= 0.30", "0.130 [0.080, 0.180]"],
    ]
    contrasts = found["accuracy difference by race <= 0.05"][1:]
    assert [row[0] for row in contrasts] == ["Inuit", "Black"]
    assert ["min_support", "20"] in found["What was asked"]


def test_differences_beyond_the_first_are_folded_and_still_there(audit: AuditResult) -> None:
    page = render(audit, rows=1)
    found = tables(page)
    assert len(found["Largest differences from White"]) == 1 + 1
    assert len(found["Smaller differences from White"]) == 2 + 1
    assert "2 smaller differences" in [one.text for one in of(read(page), "summary")]


def test_cells_are_sorted_by_what_they_mean_and_not_by_their_text(shown: str) -> None:
    cells = {one.text: one.attributes.get("data-key") for one in read(shown) if one.tag == "td"}
    assert cells["−0.130 [−0.180, −0.080] *"] == "-0.13"
    assert cells["undefined (0 positives)"] == "nan"


@pytest.mark.parametrize("result", [hostile_audit(), bare_audit()], ids=["hostile", "bare"])
def test_a_reader_finds_a_way(result: AuditResult) -> None:
    elements = read(render(result))
    tags = Counter(one.tag for one in elements)
    assert all(tags[tag] == 1 for tag in ("html", "head", "body", "header", "nav", "main", "footer", "h1"))
    levels = [int(one.tag[1]) for one in elements if re.fullmatch(r"h[1-6]", one.tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels)), "no level is skipped"
    ids = [one.attributes["id"] for one in elements if "id" in one.attributes]
    assert len(ids) == len(set(ids))
    targets = [one.attributes["href"] for one in of(elements, "a")]
    assert targets[0] == "#main"
    assert {target[1:] for target in targets} <= set(ids)
    for one in elements:
        for name in ("aria-labelledby", "aria-describedby"):
            assert set(one.attributes.get(name, "").split()) <= set(ids)
    scrolled = [one for one in elements if one.attributes.get("class") == "scroll"]
    assert len(scrolled) == tags["table"] + tags["figure"]
    for one in scrolled:
        assert one.attributes["tabindex"] == "0"
        assert one.attributes["role"] in ("group", "region")
        assert one.attributes["aria-label"]
    assert all(one.attributes.get("scope") in ("col", "row") for one in of(elements, "th"))
    assert all(one.text for one in of(elements, "th") if one.attributes["scope"] == "col")
    assert elements[0].attributes["lang"] == "en"


def test_names_of_a_dataset_bring_no_markup_along(hostile: str) -> None:
    elements = read(hostile)
    assert len(of(elements, "script")) == 1
    assert not {name for one in elements for name in one.attributes if name.startswith("on")}
    assert not [one for one in elements if one.tag in ("iframe", "object", "embed", "base", "form", "link")]
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]", hostile)
    assert "Audit of <script>alert(1)</script>" in [one.text for one in of(elements, "h1")]
    assert HOSTILE[6] in hostile, "a template in a name is text"
    inside = [one for one in elements if "svg" in one.inside and one.tag not in ("svg", "g", "path", "text", "use", "defs",
              "clippath", "rect", "title", "desc", "tspan", "pattern", "style")]  # fmt: skip
    assert inside == []


def test_it_loads_nothing_and_runs_only_its_own_script(hostile: str) -> None:
    [policy] = [one.attributes["content"] for one in read(hostile) if "http-equiv" in one.attributes]
    assert policy.startswith("default-src 'none';")
    [script] = re.findall(r"<script>(.*?)</script>", hostile, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    addresses = set(re.findall(r"(?:https?:)?//[\w./-]+", hostile.replace(script, "")))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}, "names of languages, never fetched"
    assert not re.search(r"url\((?!#)|@import|src=\"(?!data:)", hostile)


def test_the_same_record_is_the_same_page(hostile: str) -> None:
    assert render(hostile_audit()) == hostile


def test_metrics_that_were_asked_for_are_shown_and_others_refused(audit: AuditResult) -> None:
    found = tables(render(audit, metrics=("true_positive_rate",)))
    assert found["4 groups of race, worst true_positive_rate first"][0] == ["group", "images", "true_positive_rate"]
    with pytest.raises(UnknownNameError, match=r"unknown metric 'cuteness'"):
        render(audit, metrics=("cuteness",))


def test_sections_of_others_stand_before_the_details(audit: AuditResult) -> None:
    faces = Gallery("Worst mistakes", [Face("data:image/png;base64,AAAA", 'a "<b>".png: called Male')])
    text = document(audit, pictures(audit, most=0), besides=[Section("faces", "Faces", [faces])])
    elements = read(text)
    [image] = of(elements, "img")
    assert image.attributes["alt"] == 'a "<b>".png: called Male'
    assert [one.text for one in of(elements, "h2")] == ["Rules", "By race", "Faces", "Details"]


def test_groupings_whose_names_share_an_anchor_have_their_own(audit: AuditResult) -> None:
    [grouping] = audit.groupings
    several = tuple(replace(grouping, by=(name,)) for name in ("人种", "性別", "details"))
    elements = read(render(replace(audit, groupings=several)))
    ids = [one.attributes["id"] for one in elements if one.tag == "section" and one.attributes["id"].startswith("by")]
    assert ids == ["by", "by-2", "by-details"]
    assert len({one.attributes["id"] for one in of(elements, "figure")}) == len(of(elements, "figure"))


def test_a_table_keeps_its_sum_last_and_its_texts_plain() -> None:
    table = Table(
        "Things & <b>",
        ["name", Column("n", number=True)],
        [[Cell("two\nlines"), Cell("1", value=1.0)], ["<i>", "–"], ["all", "2"]],
        notes=["said once"],
        last_apart=True,
    )
    text = page("T", [], [Section("s", "S", [Folded("more", [table])])])
    assert tables(text)["Things & <b>"] == [["name", "n"], ["twolines", "1"], ["<i>", "–"], ["all", "2"]]
    assert '<tfoot><tr>\n<th scope="row">all</th>' in text
    assert '<th scope="row">two<br>lines</th>' in text
    assert '<td class="number" data-key="1">1</td>' in text
