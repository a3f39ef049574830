"""The profile of a dataset against plain loops and published counts."""

from __future__ import annotations

import json
import statistics
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.stats import binomtest

from fairaudit.data.locate import load_dataset
from fairaudit.data.manifest import Card, FolderStore, Manifest
from fairaudit.errors import DataError, UnknownNameError, UsageError
from fairaudit.reports._profile import associations, markdown, terminal
from fairaudit.workflows.profile import profile, profile_dataset
from fairaudit.workflows.profile_images import draw

RACES = ("African", "Asian", "European")
ROWS: list[tuple[str | None, str | None, float]] = [
    ("African", "Female", 20.0),
    ("African", "Female", 31.0),
    ("African", "Male", float("nan")),
    ("Asian", "Female", 25.5),
    ("Asian", None, 40.0),
    (None, "Male", 50.0),
]


@pytest.fixture
def manifest() -> Manifest:
    frame = pd.DataFrame({"row": [f"{i}.jpg" for i in range(len(ROWS))], "split": ["a", "b", "b", "b", "b", "b"]})
    frame["race"] = pd.Categorical([r for r, _, _ in ROWS], categories=list(RACES))
    frame["gender"] = pd.Categorical([g for _, g, _ in ROWS], categories=["Female", "Male"])
    frame["age"] = [a for _, _, a in ROWS]
    card = Card(obtain="", target="gender", by=(("race",), ("race", "gender")), self_identified=True)
    return Manifest(frame, FolderStore(Path("nowhere")), card, ("something was skipped",))


def test_counts_shares_and_ages_against_loops(manifest: Manifest) -> None:
    found = profile(manifest)
    assert [g.by for g in found.groupings] == [("race",), ("race", "gender")]
    for grouping in found.groupings:
        for group in grouping.groups:
            assert group.group is not None
            wanted = [group.group.get("race"), group.group.get("gender")]
            rows = [r for r in ROWS if r[0] == wanted[0] and (wanted[1] is None or r[1] == wanted[1])]
            ages = [a for _, _, a in rows if a == a]
            assert group.n == len(rows)
            assert group.share == len(rows) / len(ROWS)
            assert group.age is not None
            assert group.age.n == len(ages)
            if ages:
                assert group.age.mean == pytest.approx(statistics.mean(ages))
                assert group.age.median == pytest.approx(statistics.median(ages))
            if len(ages) > 1:
                assert group.age.sd == pytest.approx(statistics.stdev(ages)), "the divisor is n - 1"
                quartiles = statistics.quantiles(ages, n=4, method="inclusive")
                assert [group.age.q1, group.age.q3] == pytest.approx([quartiles[0], quartiles[2]])
            else:
                assert np.isnan(group.age.sd)
            assert group.target_counts == {g: sum(r[1] == g for r in rows) for g in ("Female", "Male")}
            assert group.target_missing == sum(r[1] is None for r in rows)
            for name, share in group.target.items():
                x, n = group.target_counts[name], sum(group.target_counts.values())
                assert share.support == n
                if n:
                    assert share.value == x / n
                    limits = binomtest(x, n).proportion_ci(method="wilson")
                    assert (share.ci_low, share.ci_high) == pytest.approx((limits.low, limits.high), abs=1e-6)
                else:
                    assert np.isnan([share.value, share.ci_low, share.ci_high]).all()
    assert [g.missing for g in found.groupings] == [1, 2]
    assert [len(g.groups) for g in found.groupings] == [3, 6], "absent groups are there"
    assert found.missing == {"race": 1, "gender": 1, "age": 1}
    assert found.splits == {"a": 1, "b": 5}


def test_the_record_is_json_without_nan(manifest: Manifest) -> None:
    record = profile(manifest, name="six").to_record()
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    european = record["groupings"][0]["groups"][2]
    nothing = {"n": 0, "share": None, "ci_low": None, "ci_high": None}
    assert european == {
        "group": {"race": "European"},
        "n": 0,
        "share": 0.0,
        "age": {"n": 0, "mean": None, "sd": None, "median": None, "q1": None, "q3": None},
        "target": {"Female": nothing, "Male": nothing},
        "target_missing": 0,
        "pictures": None,
    }
    assert (record["schema_version"], record["dataset"], record["confidence"]) == (1, "six", 0.95)
    assert record["self_identified"] is True
    assert record["notes"] == [
        "something was skipped",
        "no image was found where the labels say: none of 6 tried; sizes are not given",
    ]
    assert record["overall"]["group"] is None
    assert [one["columns"] for one in record["associations"]] == [["gender", "race"]], "the target is named first"


def test_groupings_can_be_named_and_default_to_every_column(manifest: Manifest) -> None:
    assert [g.by for g in profile(manifest, [("Gender",)]).groupings] == [("gender",)]
    plain = Manifest(manifest.frame.drop(columns="age"), manifest.store, Card(obtain=""))
    found = profile(plain)
    assert [g.by for g in found.groupings] == [("race",), ("gender",)]
    assert found.target is None
    assert found.overall.age is None
    assert "What goes with" not in terminal(found)
    with pytest.raises(UnknownNameError, match="unknown column 'rase'; did you mean 'race'"):
        profile(manifest, [("rase",)])


def test_the_table(manifest: Manifest) -> None:
    assert terminal(profile(manifest, name="six")).splitlines() == [
        "Profile of six: 6 images",
        "the labels are how people identify themselves",
        "without a label: race 1, gender 1, age 1",
        "",
        "By split",
        "  split       images   share",
        "  a                1  16.7 %",
        "  b                5  83.3 %",
        "",
        "By race",
        "  group        images    share         age          gender Male",
        "  African           3   50.0 %  26 (23–28)   33.3 % [6.1, 79.2]",
        "  Asian             2   33.3 %  33 (29–36)    0.0 % [0.0, 79.3]",
        "  European          0    0.0 %           –                    –",
        "  (not known)       1   16.7 %",
        "  all images        6  100.0 %  31 (26–40)  40.0 % [11.8, 76.9]",
        "  age: median (quartiles) in years",
        "  gender: share [95 % interval]",
        "",
        "By race × gender",
        "  group            images    share         age",
        "  African Female        2   33.3 %  26 (23–28)",
        "  African Male          1   16.7 %           –",
        "  Asian Female          1   16.7 %  26 (26–26)",
        "  Asian Male            0    0.0 %           –",
        "  European Female       0    0.0 %           –",
        "  European Male         0    0.0 %           –",
        "  (not known)           2   33.3 %",
        "  all images            6  100.0 %  31 (26–40)",
        "",
        "What goes with gender, and could stand in for it (a shortcut)",
        "  column         V  its level  gender  images  × expected",
        "  race        0.00  –          –            –           –",
        *(f"  {line}" for line in SCALE),
    ]


SCALE = (
    "V: Cramér's, corrected for bias; 0 independent, 1 one decides the other. The",
    "levels are those that meet most often beyond what independent columns would",
    "show, '× expected' how many times as often",
)


def _tied(n: int = 400) -> Manifest:
    """Hair is tied to gender as S2's blond hair is to women; forty columns are noise."""
    rng = np.random.default_rng(3)
    woman = rng.random(n) < 0.5
    blond = rng.random(n) < np.where(woman, 0.6, 0.05)
    frame = pd.DataFrame({"row": [f"{i}.jpg" for i in range(n)], "split": "all"})
    for k in range(38):
        frame[f"noise_{k:02d}"] = pd.Categorical(np.where(rng.random(n) < 0.4, "yes", "no"))
    frame["Male"] = pd.Categorical(np.where(woman, "Female", "Male"))
    frame["Blond"] = pd.Categorical(np.where(blond, "yes", "no"))
    card = Card(obtain="", target="Blond", by=(("noise_00",),))
    return Manifest(frame, FolderStore(Path("nowhere")), card)


def test_what_could_be_a_shortcut_stands_first_among_780_pairs() -> None:
    found = profile(_tied(), images=0)
    assert len(found.associations) == 780
    first = found.associations[0]
    assert (first.columns, first.cell) == (("Blond", "Male"), ("yes", "Female"))
    assert first.v > 0.5
    assert all("Blond" in one.columns for one in found.associations[:39])
    mine, others = associations(found)
    assert mine.rows[0][:4] == ["Male", f"{first.v:.2f}", "Female", "yes"]
    assert float(mine.rows[0][5]) == pytest.approx(first.together / first.expected, abs=0.05)
    assert len(mine.rows) in (10, 11), "ten, and the grouping's attribute wherever it stands"
    assert any(row[0] == "noise_00" for row in mine.rows)
    assert len(others.rows) == 10
    assert others.title == "Other pairs of columns, the strongest 10 of 741"


def test_a_table_is_told_what_is_audited(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("path,site,ok\n" + "".join(f"{i}.jpg,{i},{i % 2}\n" for i in range(30)))
    found = profile_dataset("table", tmp_path, by=[("site",), ("site", "ok")], target="ok", images=0)
    assert [len(g.groups) for g in found.groupings] == [30, 60], "without being told, 30 numbers are measurements"
    assert found.overall.target_counts == {"0": 15, "1": 15}
    assert found.notes == ()
    with pytest.raises(DataError, match="lacks the column 'sight'"):
        profile_dataset("table", tmp_path, by=[("sight",)])
    with pytest.raises(UsageError, match="utkface has no option 'balanced'"):
        profile_dataset("utkface", tmp_path, options={"balanced": "true"})


def test_names_are_not_markup() -> None:
    frame = pd.DataFrame({"row": ["1", "2"], "split": "all"})
    frame["x[red]"] = pd.Categorical(["[bold]a[/b]", "\x1b[31m\u202eb|c"])
    frame["y"] = pd.Categorical(["<b>", "d"])
    found = profile(Manifest(frame, FolderStore(Path("nowhere")), Card(obtain="", note="*see* [x](http://y)")))
    text, marked = terminal(found), markdown(found)
    assert "By x[red]" in text
    assert "[bold]a[/b]" in text
    assert "\x1b" not in text + marked
    assert "\u202e" not in text + marked
    assert "  b|c " in text
    assert "| b&#124;c |" in marked
    assert "<b>" not in marked
    assert "[x](" not in marked


def test_yes_and_no_carry_their_attribute() -> None:
    frame = pd.DataFrame({"row": ["1", "2"], "split": "all"})
    frame["Young"] = pd.Categorical(["no", "yes"])
    frame["Male"] = pd.Categorical(["Female", "Male"])
    found = profile(Manifest(frame, FolderStore(Path("nowhere")), Card(obtain="")), [("Male", "Young")])
    assert "Female Young: no" in terminal(found)


def test_as_many_rows_of_each_cell_as_there_are() -> None:
    cells = np.repeat([0, 1, 2, 3], [500, 60, 7, 1])
    rows, weights = draw(cells, 100)
    taken = np.bincount(cells[rows])
    assert taken.sum() == 100
    assert taken[2:].tolist() == [7, 1], "small cells are taken whole"
    assert abs(int(taken[0]) - int(taken[1])) <= 1
    assert len(set(rows.tolist())) == 100
    for cell, size in enumerate((500, 60, 7, 1)):
        assert weights[cells[rows] == cell].sum() == pytest.approx(size), "the sample stands for every image"
    everything, ones = draw(cells, 5000)
    assert everything.tolist() == list(range(568))
    assert (ones == 1).all()
    assert np.array_equal(draw(cells, 100)[0], rows), "drawn by a fixed seed"


@pytest.fixture
def pictures(tmp_path: Path) -> Manifest:
    """Ninety dark pictures of 40 × 50 and ten bright ones of 20 × 20, one of which is no picture."""
    frame = pd.DataFrame({"row": [f"{i:03d}.png" for i in range(100)], "split": "all"})
    frame["race"] = pd.Categorical(["a"] * 90 + ["b"] * 10)
    for i in range(100):
        picture = Image.new("L", (40, 50), 50 + i % 3) if i < 90 else Image.new("L", (20, 20 + i % 2), 200)
        picture.save(tmp_path / f"{i:03d}.png")
    (tmp_path / "099.png").write_bytes(b"broken")
    return Manifest(frame, FolderStore(tmp_path), Card(obtain="", by=(("race",),)))


def test_sizes_and_brightness_from_a_sample(pictures: Manifest) -> None:
    found = profile(pictures, images=40)
    assert found.pictures is not None
    assert (found.pictures.drawn, found.pictures.read, found.pictures.by) == (40, 39, ("race",))
    dark, bright = (group.pictures for group in found.groupings[0].groups)
    assert dark is not None
    assert bright is not None
    assert (dark.n, bright.n) == (30, 9), "all ten of the small group were drawn, one cannot be read"
    assert [*dark.width, *dark.height] == [40, 40, 40, 50, 50, 50]
    assert list(bright.height) == [20, 20, 21]
    assert dark.brightness == pytest.approx(51, abs=0.5)
    assert bright.brightness == 200
    overall = found.overall.pictures
    assert overall is not None
    # thirty stand for ninety, nine for nine of the ten: all images are darker than the sample
    assert overall.brightness == pytest.approx((90 * dark.brightness + 9 * 200) / 99)
    assert list(overall.width) == [40, 20, 40]
    assert found.notes == ("1 of the 40 pictures that were looked at cannot be read; 'fairaudit data check' names them",)
    text = terminal(found)
    assert "  b                   9  20 × 20 (20 × 20 to 20 × 21)     200 ± 0" in text.splitlines()
    assert profile(pictures, images=0).pictures is None
    assert "brightness" not in terminal(profile(pictures, images=0))


def test_a_label_without_its_image_is_counted_and_the_rest_is_looked_at(pictures: Manifest) -> None:
    extra = pd.DataFrame({"row": ["gone.png"], "split": "all", "race": pd.Categorical(["a"], categories=["a", "b"])})
    frame = pd.concat([pictures.frame, extra], ignore_index=True)
    frame["race"] = pd.Categorical(frame["race"], categories=["a", "b"])
    found = profile(replace(pictures, frame=frame), images=101)
    assert found.pictures is not None
    assert (found.pictures.drawn, found.pictures.read) == (101, 99)


@pytest.mark.real
def test_fairfaces_balanced_cells(shared: Path) -> None:
    found = profile(load_dataset("fairface", shared / "data" / "fairface", balanced=True))
    cells = {tuple(g.group.values()): g.n for g in found.groupings[1].groups if g.group is not None}
    assert cells["Latino_Hispanic", "Female"] == 383
    assert cells["Southeast Asian", "Male"] == 357
    assert sum(cells.values()) == found.overall.n == 5_162
    assert found.pictures is None, "there are labels only"


@pytest.mark.real
@pytest.mark.parametrize(("name", "n"), [("utkface", 6_000), ("celeba", 7_000), ("lfw", 2_015), ("mr2", 12)])
def test_real_datasets_fit_in_80_columns(shared: Path, name: str, n: int) -> None:
    found = profile(load_dataset(name, shared / "data" / name))
    assert found.overall.n == n
    assert found.pictures is not None
    assert max(map(len, terminal(found).splitlines())) <= 80


@pytest.mark.real
def test_blond_and_woman_stand_out_on_celeba(shared: Path) -> None:
    found = profile(load_dataset("celeba", shared / "data" / "celeba"), target="Blond_Hair", images=0)
    first = found.associations[0]
    assert (first.columns, first.cell) == (("Blond_Hair", "Male"), ("yes", "Female"))
    assert first.v == pytest.approx(0.304, abs=0.001)
    assert first.together == 956
