"""The profile of a dataset against plain loops and published counts."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from fairaudit.data.locate import load_dataset
from fairaudit.data.manifest import Card, FolderStore, Manifest
from fairaudit.errors import DataError, UnknownNameError, UsageError
from fairaudit.workflows.profile import Profile, profile, profile_dataset, profile_table

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
    return Manifest(frame, FolderStore(Path()), card, ("something was skipped",))


def _print(found: Profile) -> str:
    console = Console(width=80, color_system=None)
    with console.capture() as capture:
        console.print(profile_table(found))
    return capture.get()


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
            if len(ages) > 1:
                assert group.age.sd == pytest.approx(statistics.stdev(ages)), "the divisor is n - 1"
            else:
                assert np.isnan(group.age.sd)
            assert group.target == {g: sum(r[1] == g for r in rows) for g in ("Female", "Male")}
            assert group.target_missing == sum(r[1] is None for r in rows)
    assert [g.missing for g in found.groupings] == [1, 2]
    assert [len(g.groups) for g in found.groupings] == [3, 6], "absent groups are there"
    assert found.missing == {"race": 1, "gender": 1, "age": 1}
    assert found.splits == {"a": 1, "b": 5}
    african = found.groupings[0].groups[0]
    assert african.target_share("Female") == pytest.approx(2 / 3)


def test_the_record_is_json_without_nan(manifest: Manifest) -> None:
    record = profile(manifest).to_record()
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    european = record["groupings"][0]["groups"][2]
    assert european == {
        "group": {"race": "European"},
        "n": 0,
        "share": 0.0,
        "age": {"n": 0, "mean": None, "sd": None},
        "target": {"Female": {"n": 0, "share": None}, "Male": {"n": 0, "share": None}},
        "target_missing": 0,
    }
    assert record["self_identified"] is True
    assert record["notes"] == ["something was skipped"]
    assert record["overall"]["group"] is None


def test_groupings_can_be_named_and_default_to_every_column(manifest: Manifest) -> None:
    assert [g.by for g in profile(manifest, [("Gender",)]).groupings] == [("gender",)]
    plain = Manifest(manifest.frame.drop(columns="age"), manifest.store, Card(obtain=""))
    found = profile(plain)
    assert [g.by for g in found.groupings] == [("race",), ("gender",)]
    assert found.target is None
    assert found.overall.age is None
    assert _print(found).split()[:4] == ["group", "images", "share", "all"]
    with pytest.raises(UnknownNameError, match="unknown column 'rase'; did you mean 'race'"):
        profile(manifest, [("rase",)])


def test_the_table(manifest: Manifest) -> None:
    lines = [line.rstrip() for line in _print(profile(manifest)).splitlines()]
    assert lines == [
        "group             images    share     age ± SD  gender Male",
        "all images             6  100.0 %  33.3 ± 11.9       40.0 %",
        "",
        "by split",
        "a                      1   16.7 %",
        "b                      5   83.3 %",
        "",
        "by race",
        "African                3   50.0 %   25.5 ± 7.8       33.3 %",
        "Asian                  2   33.3 %  32.8 ± 10.3        0.0 %",
        "European               0    0.0 %            –            –",
        "(not known)            1   16.7 %",
        "",
        "by race × gender",
        "African Female         2   33.3 %   25.5 ± 7.8",
        "African Male           1   16.7 %            –",
        "Asian Female           1   16.7 %         25.5",
        "Asian Male             0    0.0 %            –",
        "European Female        0    0.0 %            –",
        "European Male          0    0.0 %            –",
        "(not known)            2   33.3 %",
    ]


def test_a_table_is_told_what_is_audited(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("path,site,ok\n" + "".join(f"{i}.jpg,{i},{i % 2}\n" for i in range(30)))
    found, notes = profile_dataset("table", tmp_path, by=[("site",), ("site", "ok")], target="ok")
    assert [len(g.groups) for g in found.groupings] == [30, 60], "without being told, 30 numbers are measurements"
    assert found.overall.target == {"0": 15, "1": 15}
    assert notes == found.notes == ()
    with pytest.raises(DataError, match="lacks the column 'sight'"):
        profile_dataset("table", tmp_path, by=[("sight",)])
    with pytest.raises(UsageError, match="utkface has no option 'balanced'"):
        profile_dataset("utkface", tmp_path, options={"balanced": "true"})


def test_names_are_not_markup() -> None:
    frame = pd.DataFrame({"row": ["1"], "split": "all", "x[red]": pd.Categorical(["[bold]a[/b]"])})
    text = _print(profile(Manifest(frame, FolderStore(Path()), Card(obtain=""))))
    assert "by x[red]" in text
    assert "[bold]a[/b]" in text


def test_yes_and_no_carry_their_attribute() -> None:
    frame = pd.DataFrame({"row": ["1", "2"], "split": "all"})
    frame["Young"] = pd.Categorical(["no", "yes"])
    frame["Male"] = pd.Categorical(["Female", "Male"])
    found = profile(Manifest(frame, FolderStore(Path()), Card(obtain="")), [("Male", "Young")])
    assert "Female Young: no" in _print(found)


@pytest.mark.real
def test_fairfaces_balanced_cells(shared: Path) -> None:
    found = profile(load_dataset("fairface", shared / "data" / "fairface", balanced=True))
    cells = {tuple(g.group.values()): g.n for g in found.groupings[1].groups if g.group is not None}
    assert cells["Latino_Hispanic", "Female"] == 383
    assert cells["Southeast Asian", "Male"] == 357
    assert sum(cells.values()) == found.overall.n == 5_162


@pytest.mark.real
@pytest.mark.parametrize(("name", "n"), [("utkface", 6_000), ("celeba", 7_000), ("lfw", 2_015), ("mr2", 12)])
def test_real_datasets_fit_in_80_columns(shared: Path, name: str, n: int) -> None:
    found = profile(load_dataset(name, shared / "data" / name))
    assert found.overall.n == n
    assert max(map(len, _print(found).splitlines())) <= 80
