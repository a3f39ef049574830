"""Pages of comparisons and experiments: what the first screen says, and what the tables below hold."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape

from fairaudit.comparison import Trend
from fairaudit.reports.html import render_comparison, render_mitigation
from tests.reports.records import change, comparison, experiment, sweep


def plain(html: str) -> str:
    return " ".join(
        unescape(re.sub(r"<[^>]+>", " ", re.sub(r"<(style|script|svg)\b.*?</\1>", "", html, flags=re.S))).split()
    )


def lead(html: str) -> str:
    found = re.search(r'<div class="lead">.*?</div>\s*</div>', html, re.S)
    assert found is not None
    return plain(found[0])


def test_a_comparison_says_first_who_got_worse_and_whether_the_gap_narrowed() -> None:
    html = render_comparison(comparison())
    first = lead(html)
    assert first.startswith("✗ worse old.csv → new.csv: accuracy is worse for Black Female; better for Black Male")
    assert "worse: Black Female 0.930 → 0.830 (change −0.100 [−0.130, −0.070], p < 0.0001)" in first
    assert "the gap narrowed: 0.120 → 0.060" in first
    assert "the spread widened: 0.050 → 0.090" in first
    assert "nothing can be said of the other 1 group" in first
    assert 'class="finding fail"' in html
    said = plain(html)
    for text in ("Black Male 300 0.840 [0.810, 0.870] 0.930 [0.900, 0.960] +0.090 [+0.060, +0.120] ✓ better < 0.0001 39 7",
                 "Martian Female 0 undefined (0 positives)", "1 change shown in other metrics", "two images were left out",
                 "gained and lost: images that only the second, or only the first model gets right.",
                 "min support 20"):  # fmt: skip
        assert text in said, text


def test_where_nothing_is_shown_the_page_says_so_and_is_not_green() -> None:
    pair = comparison().pairs[0]
    groups = tuple(change((name, "x"), 0.5, 0.51, Trend.UNDECIDED) for name in "AB")
    quiet = replace(pair, groupings=(replace(pair.groupings[0], changes=groups),))
    html = render_comparison(replace(comparison(), pairs=(quiet,)))
    assert 'class="finding open"' in html
    assert "of no group is a change in accuracy shown" in lead(html)
    assert "nothing can be said of any group: no change is shown, and none is ruled out" in lead(html)


def test_several_models_have_a_finding_and_a_section_each() -> None:
    pair = comparison().pairs[0]
    html = render_comparison(replace(comparison(), pairs=(pair, replace(pair, after="third.csv"))))
    assert html.count('class="finding fail"') == 2
    assert '<h2 id="pair-2-h">old.csv → third.csv</h2>' in html
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    assert html.count("<svg") == 2


def test_a_mitigation_says_which_arms_are_shown_what_and_who_lost() -> None:
    html = render_mitigation(experiment())
    first = lead(html)
    assert first.startswith("✓ better Better than erm in some number: max-group.")
    assert "max-group is better: accuracy gap by race × gender −0.060" in first
    assert "no change is shown for reweight, and none is ruled out" in first
    assert "max-group costs Black Female most: accuracy 0.930 → 0.830 (p < .001 after Holm)" in first
    said = plain(html)
    for text in ("1,200 test images, mean ± SD of 2 seeds.", "max-group ◆ 0.890 ±0.014", "[−0.080, −0.040]",
                 "0.060 ±0.014 −0.060 p=.010 ✓ better", "reweight: it ran", "White Male 500", "max-group/1"):  # fmt: skip
        assert text.replace("/1", "/seed-1") in said, text
    assert html.count("<svg") == 2
    one = lead(render_mitigation(experiment(seeds=1)))
    assert "one seed: whether training again would show the same is not known" in one


def test_a_large_sweep_is_summed_up() -> None:
    first = lead(render_mitigation(sweep()))
    assert first.startswith("? not shown Against erm, no arm is shown to be better or worse.")
    assert "◆ group-dro(step_size=0.01)(lr=0.0001): accuracy 0.800 ±0.014, gap 0.050 ±0.014" in first
    assert "of no group is a loss against the baseline shown" in first
    assert len(first) < 900
