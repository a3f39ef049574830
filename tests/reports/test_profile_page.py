"""Figures and the page of a profile: what they say, and what they do where there is little or very much to show."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fairaudit.data.manifest import Card, FolderStore, Manifest
from fairaudit.reports._figures.association import heat_map, ranking
from fairaudit.reports._figures.cells import cells
from fairaudit.reports._html_profile import render_profile
from fairaudit.reports._profile import markdown, terminal
from fairaudit.results.profile import Profile
from fairaudit.workflows.profile import profile


def _profile(columns: dict[str, Sequence[str]], target: str | None = None, by: tuple[tuple[str, ...], ...] = ()) -> Profile:
    n = len(next(iter(columns.values()), []))
    frame = pd.DataFrame({"row": [f"{i}.jpg" for i in range(n)], "split": "all"})
    for name, values in columns.items():
        frame[name] = pd.Categorical(list(values))
    card = Card(obtain="", target=target, by=by)
    return profile(Manifest(frame, FolderStore(Path("nowhere")), card), name="few", images=0)


def _countries(n: int) -> Profile:
    """Country k has k + 1 images, every other one of them labelled yes."""
    names = [f"country {k:02d}" for k in range(n) for _ in range(k + 1)]
    return _profile({"country": names, "ok": ["yes" if i % 2 else "no" for i in range(len(names))]}, "ok", (("country",),))


def test_many_levels_of_one_column_are_drawn_by_size() -> None:
    found = _countries(70)
    shown = cells(found, found.groupings[0])
    assert shown.caption == "Largest first. 10 more are in the table."
    assert shown.alt == "Bars of images by country: country 69 has most, 70, and country 10 least, 11."
    text = shown.svg()
    assert text.index(">country 69<") < text.index(">country 40<")
    assert ">70 (2.8 %)<" in text
    assert ">country 05<" not in text
    page = render_profile(found)
    assert "country 05" in page, "the table has all"
    assert re.search(r'data-key="2485(\.0)?">2,485<', page), "sorted as numbers"


def test_few_levels_keep_their_order_and_show_the_targets_classes() -> None:
    found = _countries(3)
    shown = cells(found, found.groupings[0])
    text = shown.svg()
    assert shown.caption == ""
    assert text.index(">country 00<") < text.index(">country 02<")
    assert ">yes<" in text
    assert ">no<" in text


def test_the_ranking_and_the_map_name_the_strongest_pair() -> None:
    rng = np.random.default_rng(0)
    woman = rng.random(300) < 0.5
    columns = {f"noise {k}": np.where(rng.random(300) < 0.5, "a", "b").tolist() for k in range(20)}
    columns["gender"] = np.where(woman, "woman", "man").tolist()
    columns["hair"] = np.where(woman & (rng.random(300) < 0.8), "blond", "dark").tolist()
    found = _profile(columns, "hair", (("gender",),))
    ranked, mapped = ranking(found), heat_map(found)
    assert ranked is not None
    assert mapped is not None
    v = found.associations[0].v
    assert ranked.alt == f"gender goes with hair most, Cramér's V {v:.2f}."
    assert mapped.alt == f"gender and hair go together most, Cramér's V {v:.2f}."
    assert f"{v:.2f}  woman with blond, " in ranked.svg()
    text = mapped.svg()
    assert text.count(f">{v:.2f}<") == 2, "the target's row and the grouping's, of 22 columns fourteen"
    assert ranked.svg() == ranked.svg()


@pytest.mark.parametrize(
    ("columns", "target"),
    [
        ({}, None),
        ({"a": ["x", "y", "x"]}, None),
        ({"a": ["x", "x", "x"]}, "a"),
        ({"a": ["x", "y", "x"], "b": ["p", "p", "p"]}, "a"),
        ({"a": ["x", "y", "z"], "b": ["p", "q", "r"]}, "b"),
    ],
)
def test_little_to_show_is_no_fault(columns: dict[str, Sequence[str]], target: str | None) -> None:
    found = _profile(columns, target)
    for text in (terminal(found), markdown(found), re.sub(r"(?s)<script.*?</script>", "", render_profile(found))):
        assert "nan" not in text.replace('data-key="nan"', "")
        assert "None" not in text
    assert heat_map(found) is None


def test_the_terminal_says_how_many_classes_it_leaves_out() -> None:
    found = _profile({"race": list("abcdefg") * 5, "x": ["p", "q"] * 17 + ["p"]}, "race", (("x",),))
    text = terminal(found)
    assert "race: share [95 % interval], the first 2 of 7 classes (--format json has all)" in " ".join(text.split())
    assert "race g" not in text
    assert "race g" in markdown(found)
