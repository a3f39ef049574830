"""``data profile`` and ``data check``: who is in the data, and what is wrong with them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fairaudit.data.faces import render, sample_face
from tests.cli.conftest import Cli, files_below


def _drawn(folder: Path) -> Path:
    """Three faces under UTKFace's names, one of them twice with another gender."""
    folder.mkdir()
    for k, name in enumerate(("20_0_0_1", "30_1_2_2", "41_1_3_3")):
        render(sample_face(np.random.default_rng([12, k])), 64).save(folder / f"{name}.jpg")
    (folder / "20_1_0_4.jpg").write_bytes((folder / "20_0_0_1.jpg").read_bytes())
    return folder


def test_profile_of_drawn_faces(cli: Cli) -> None:
    drawn = ("synthetic", "--data-option", "n=200", "--data-option", "shares=tone=dark:0.1")
    words = ("data", "profile", *drawn, "--by", "tone,gender", "--split", "train", "--images", "24")
    shown = cli(*words)
    assert (shown.code, shown.err) == (0, "")
    lines = shown.out.splitlines()
    assert lines[0] == "Profile of synthetic: 120 images, split train"
    assert all(len(line) <= 80 and line == line.rstrip() for line in lines)
    record = cli(*words, "--format", "json").record
    assert record["n"] == 120
    groups = record["groupings"][0]["groups"]
    assert record["groupings"][0]["by"] == ["tone", "gender"]
    assert sum(g["n"] for g in groups) == 120
    assert sum(g["n"] for g in groups if g["group"]["tone"] == "dark") == 12
    assert record["pictures"] == {"drawn": 24, "read": 24, "by": ["tone", "gender"], "seed": 0}
    for g in groups:
        assert f"{g['age']['median']:.0f} ({g['age']['q1']:.0f}–{g['age']['q3']:.0f})" in shown.out
        assert g["pictures"]["n"] == 4
        assert g["pictures"]["width"] == {"median": 96, "smallest": 96, "largest": 96}
        assert f"{g['pictures']['brightness']['mean']:.0f} ±" in shown.out
    assert all(one["v"] is None or 0 <= one["v"] <= 1 for one in record["associations"])


@pytest.mark.training
def test_a_folder_gets_every_format_and_a_file_the_one_of_its_suffix(cli: Cli) -> None:
    words = ("data", "profile", "synthetic", "--data-option", "n=60", "--images", "6")
    done = cli(*words, "--out", "found")
    assert (done.code, done.out) == (0, "")
    assert done.err == "written: found/profile.json\nwritten: found/profile.md\nwritten: found/profile.html\n"
    assert json.loads(Path("found/profile.json").read_text())["dataset"] == "synthetic"
    page = Path("found/profile.html").read_text()
    assert page.casefold().startswith("<!doctype html>")
    assert page.count("<svg") >= 3
    assert not re.search(r'(?:src|href)="(?:https?:)?//', page), "nothing is loaded"
    assert cli(*words, "--out", "a.md", "--quiet").err == ""
    assert Path("a.md").read_text() == Path("found/profile.md").read_text() == cli(*words, "-f", "markdown").out
    assert cli(*words, "-f", "html").out == page
    refused = cli(*words, "--out", "a.pdf")
    refused.refused(
        "--out a.pdf: a profile is written as .json, .md, .markdown, .html, .htm, .txt, or say --format; "
        "a folder gets all of them"
    )
    cli(*words, "--format", "csv").refused(
        "--format 'csv': a profile has no such format; choose from terminal, json, markdown, html"
    )
    cli(*words, "--images", "-1").refused("--images -1: write a whole number, 0 for none")
    assert files_below(Path()) == ["a.md", "found", *(f"found/profile.{end}" for end in ("html", "json", "md"))]


def test_hostile_names_are_harmless_on_the_page(cli: Cli, tmp_path: Path) -> None:
    rows = ["0.png,<script>alert(1)</script>,a", "1.png,\x1b[31m\u202etxet,b", "2.png,{{7*7}},b", "3.png,</svg><b>,a"]
    (tmp_path / "labels.csv").write_text("path,name,x\n" + "\n".join(rows) + "\n")
    page = cli("data", "profile", "table", "--root", tmp_path, "--by", "name", "--target", "x", "-f", "html").out
    assert "<script>alert" not in page
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert "</svg><b>" not in page
    assert "{{7*7}}" in page, "a template in a name is text"


def test_findings_end_with_0_unless_asked_to_gate(cli: Cli, tmp_path: Path) -> None:
    words = ("data", "check", "utkface", "--root", _drawn(tmp_path / "faces"))
    done = cli(*words)
    assert (done.code, done.err) == (0, "")
    assert "  identical, labels differ        gender: 1 set, 2 images" in done.out.splitlines()
    failed = cli(*words, "--fail-on", "leaks,conflicts")
    assert (failed.code, failed.out) == (1, done.out)
    assert failed.err == "fairaudit: found what --fail-on names: conflicts\n"
    assert cli(*words, "--fail-on", "unreadable,missing").code == 0
    record = cli(*words, "--format", "json").record
    (same,) = (one for one in record["findings"] if one["kind"] == "duplicates")
    assert same["sets"] == [[{"file": "20_0_0_1.jpg", "said": ""}, {"file": "20_1_0_4.jpg", "said": ""}]]


def test_what_could_not_be_looked_for_does_not_pass(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("path,x\ngone.jpg,v\n")
    done = cli("data", "check", "table", "--root", tmp_path, "--fail-on", "duplicates")
    assert (done.code, done.err) == (3, "fairaudit: could not look for duplicates, because no image was found\n")


def test_a_check_that_cannot_run_is_refused(cli: Cli, tmp_path: Path) -> None:
    words = ("data", "check", "utkface", "--root", _drawn(tmp_path / "faces"))
    cli(*words, "--fail-on", "duplicate").refused("unknown kind of finding 'duplicate'; did you mean 'duplicates'?")
    cli(*words, "--distance", "99").refused("--distance 99: write 0 to 10, how many of 64 bits may differ")
    cli(*words, "--format", "html").refused(
        "--format 'html': a check has no such format; choose from terminal, json, markdown"
    )
    assert cli("data", "check", "utkface", "--root", tmp_path / "nowhere").code == 2
    assert files_below(Path()) == []


def test_help_says_what_findings_end_with(cli: Cli) -> None:
    text = " ".join(cli("data", "check", "--help").out.replace("│", " ").split())
    assert "The exit code is 0 whatever is found, unless --fail-on says what must not be" in text
    from fairaudit.results.data_check import KINDS

    assert all(kind in text for kind in KINDS)


def test_a_check_is_written_as_files(cli: Cli, tmp_path: Path) -> None:
    words = ("data", "check", "utkface", "--root", _drawn(tmp_path / "faces"))
    assert cli(*words, "--out", "found").err == "written: found/check.json\nwritten: found/check.md\n"
    assert Path("found/check.md").read_text() == cli(*words, "-f", "markdown").out
    (tmp_path / "faces" / "9_0_0_9.jpg").write_bytes(b"")
    Image.new("L", (64, 64)).save(tmp_path / "faces" / "odd.png")
    later = cli(*words, "--format", "json")
    kinds = {one["kind"] for one in later.record["findings"]}
    assert {"unreadable", "malformed"} <= kinds
    assert later.err.startswith("warning: 1 file is skipped because the name is not")


@pytest.mark.real
def test_profile_of_real_faces(shared: Path, cli: Cli) -> None:
    words = ("data", "profile", "utkface", "--root", shared / "data" / "utkface")
    record = cli(*words, "--by", "race,gender", "-f", "json", "--images", "50").record
    assert record["n"] == 6000
    groups = record["groupings"][0]["groups"]
    assert [g["n"] for g in groups] == [600] * 10, "as published"
    names = [path.name for path in (shared / "data" / "utkface").iterdir()]
    for g in groups:
        race = ("White", "Black", "Asian", "Indian", "Others").index(g["group"]["race"])
        gender = ("male", "female").index(g["group"]["gender"])
        ages = [int(name.split("_")[0]) for name in names if name.split("_")[1:3] == [str(gender), str(race)]]
        assert g["age"]["mean"] == pytest.approx(sum(ages) / len(ages))
    people = cli("data", "profile", "lfw", "--root", shared / "data" / "lfw", "--images", "0")
    assert people.out.splitlines()[1] == "600 people; intervals take images as independent"
