"""The check of a dataset on folders whose faults are known, and on real faces."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageEnhance

from fairaudit.data.faces import render, sample_face
from fairaudit.data.locate import load_dataset
from fairaudit.data.manifest import Card, FolderStore, Manifest
from fairaudit.errors import DataError, UnknownNameError, UsageError
from fairaudit.reports._data_check import markdown, terminal
from fairaudit.results.data_check import KINDS, DataCheck
from fairaudit.workflows.check_data import check, check_dataset, gate


def _face(seed: int) -> Image.Image:
    return render(sample_face(np.random.default_rng([11, seed])), 64)


def _names(found: DataCheck, kind: str, about: str = "") -> list[list[str]]:
    return [[file.name for file in files] for one in found.of(kind) if one.about == about for files in one.sets]


@pytest.fixture
def utkface(tmp_path: Path) -> Path:
    """UTKFace in small, with the faults of the published set: copies whose labels differ, and malformed names."""
    root = tmp_path / "utkface"
    root.mkdir()
    for k, name in enumerate(("20_0_0_1", "30_1_2_2", "41_1_3_3", "7_0_1_4", "52_1_4_5")):
        _face(k).save(root / f"{name}.jpg", quality=92)
    for copy, of in (("20_1_0_6", "20_0_0_1"), ("21_0_0_7", "20_0_0_1"), ("30_1_2_8", "30_1_2_2")):
        (root / f"{copy}.jpg").write_bytes((root / f"{of}.jpg").read_bytes())
    ImageEnhance.Brightness(_face(2)).enhance(1.1).save(root / "44_1_3_9.jpg", quality=60)
    for name in ("39_1_20170116174525125.jpg", "61_1_20170109142408075.jpg", "24_0_1_ 20170116220224657.jpg"):
        _face(20).save(root / name)
    return root


def test_what_the_published_utkface_has_is_found(utkface: Path) -> None:
    found = check_dataset("utkface", utkface)
    assert found.n == 9
    assert _names(found, "duplicates") == [
        ["20_0_0_1.jpg", "20_1_0_6.jpg", "21_0_0_7.jpg"],
        ["30_1_2_2.jpg", "30_1_2_8.jpg"],
    ]
    assert found.of("duplicates")[0].said == "2 sets, 5 images"
    assert {one.about: one.said for one in found.of("conflicts")} == {
        "gender": "1 set, 3 images",
        "age": "1 set, 3 images",
    }, "21 and 20 years are one age group; the second set's labels agree"
    (ages,) = (one for one in found.of("conflicts") if one.about == "age")
    assert [(file.name, file.said) for file in ages.sets[0]] == [
        ("20_0_0_1.jpg", "20"), ("20_1_0_6.jpg", "20"), ("21_0_0_7.jpg", "21"),
    ]  # fmt: skip
    assert _names(found, "near") == [["41_1_3_3.jpg", "44_1_3_9.jpg"]], "copies to the byte are not named again"
    assert _names(found, "near-conflicts", "age") == _names(found, "near")
    assert _names(found, "malformed") == [
        ["24_0_1_ 20170116220224657.jpg"], ["39_1_20170116174525125.jpg"], ["61_1_20170109142408075.jpg"],
    ]  # fmt: skip
    assert not found.of("extra"), "what was skipped is not named twice"
    assert not found.of("leaks")
    assert len(found.notes) == 1


def test_the_terminal_names_the_first_files_and_the_record_all(utkface: Path) -> None:
    found = check_dataset("utkface", utkface)
    lines = terminal(found).splitlines()
    assert lines[0] == "Check of utkface: 9 labelled images"
    assert "  byte-identical images           2 sets, 5 images" in lines
    assert "  unreadable images               none" in lines
    at = lines.index("Identical, labels differ, by gender")
    assert [line.split() for line in lines[at + 1 : at + 5]] == [
        ["file", "set", "gender"],
        ["20_0_0_1.jpg", "1", "male"],
        ["20_1_0_6.jpg", "1", "female"],
        ["21_0_0_7.jpg", "1", "male"],
    ]
    assert max(map(len, lines)) <= 80
    record = found.to_record()
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert record["checked"] == list(KINDS)
    assert [one["kind"] for one in record["findings"]] == sorted(
        (one["kind"] for one in record["findings"]), key=list(KINDS).index
    )
    assert "| 20_0_0_1.jpg | 1 | male |" in markdown(found)


def test_a_clean_folder_has_nothing_to_say(tmp_path: Path) -> None:
    for k, name in enumerate(("20_0_0_1", "30_1_0_2", "41_0_1_3", "7_1_1_4")):
        _face(k).save(tmp_path / f"{name}.jpg")
    frame = load_dataset("utkface", tmp_path).frame
    for name in ("race", "gender"):
        frame[name] = frame[name].cat.remove_unused_categories()
    found = check(Manifest(frame, FolderStore(tmp_path), Card(obtain="", target="gender", by=(("race",),))))
    assert found.findings == ()
    assert gate(found, list(KINDS)) == ([], [])
    assert terminal(found).count("none") == len(KINDS)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A table of splits and people: copies and one person on both sides, and files with every fault."""
    root = tmp_path / "table"
    root.mkdir()
    for k in range(4):
        _face(k).save(root / f"{k}.jpg", quality=92)
    (root / "copy.jpg").write_bytes((root / "0.jpg").read_bytes())
    _face(1).save(root / "again.jpg", quality=50)
    (root / "cut.jpg").write_bytes((root / "2.jpg").read_bytes()[:900])
    (root / "empty.jpg").write_bytes(b"")
    _face(9).resize((20, 64)).save(root / "tiny.png")
    for name, colour in (("black.png", (0, 0, 0)), ("grey.png", (99, 99, 99))):
        Image.new("RGB", (64, 64), colour).save(root / name)
    _face(10).save(root / "unlabelled.png")
    rows = [
        *(f"{k}.jpg,p{k},train,a" for k in range(4)),
        "copy.jpg,p7,test,a", "again.jpg,p2,test,b", "cut.jpg,p8,test,a", "empty.jpg,p9,test,a", "tiny.png,p10,test,a",
        "black.png,p11,test,a", "grey.png,p12,test,a", "gone.jpg,p13,test,a",
    ]  # fmt: skip
    (root / "labels.csv").write_text("path,identity,split,group\n" + "\n".join(rows) + "\n")
    return root


def test_leaks_and_broken_files(table: Path) -> None:
    found = check_dataset("table", table, by=[("group",)])
    assert (found.n, found.read, found.splits) == (12, 11, {"test": 8, "train": 4})
    assert _names(found, "leaks", "images") == [["0.jpg", "copy.jpg"]]
    assert _names(found, "leaks", "people") == [["2.jpg", "again.jpg"]]
    assert _names(found, "near") == _names(found, "near-leaks", "images") == [["1.jpg", "again.jpg"]]
    assert _names(found, "conflicts", "identity") == [["0.jpg", "copy.jpg"]], "one picture of two people"
    reasons = {files[0].name: files[0].said for one in found.of("unreadable") for files in one.sets}
    assert sorted(reasons) == ["cut.jpg", "empty.jpg"]
    assert "truncated" in reasons["cut.jpg"]
    assert _names(found, "tiny") == [["tiny.png"]]
    assert found.of("tiny")[0].sets[0][0].said == "20 × 64"
    assert _names(found, "blank") == [["black.png"], ["grey.png"]], "and they are not near-identical"
    assert _names(found, "missing") == [["gone.jpg"]]
    assert found.of("missing")[0].said == "1 of 12"
    assert _names(found, "extra") == [["unlabelled.png"]]
    (unequal,) = found.of("imbalance")
    assert (unequal.about, unequal.said) == ("group", "11 to 1")
    assert [(size.cell, size.n) for size in unequal.sizes] == [({"group": "a"}, 11), ({"group": "b"}, 1)]
    assert gate(found, ["malformed", "leaks", "tiny"]) == (["leaks", "tiny"], [])


def test_labels_alone_are_checked_as_far_as_they_go(table: Path) -> None:
    for path in table.iterdir():
        if path.suffix != ".csv":
            path.unlink()
    found = check_dataset("table", table)
    assert found.read == 0
    assert len(_names(found, "missing")) == 12
    assert _names(found, "leaks", "people") == [["2.jpg", "again.jpg"]], "people need no pictures"
    assert gate(found, ["duplicates", "leaks", "extra"]) == (["leaks"], ["duplicates"])
    text = terminal(found)
    assert "no image was found where the labels say: only labels and names were checked" in text
    assert "  byte-identical images           not checked" in text.splitlines()
    assert "and 7 files more: --format json names every file" in text


def test_groups_that_are_absent_and_groups_that_are_tiny() -> None:
    frame = pd.DataFrame({"row": [f"{i}.jpg" for i in range(60)], "split": "all"})
    frame["race"] = pd.Categorical(["a"] * 55 + ["b"] * 5, categories=["a", "b", "c"])
    frame["Young"] = pd.Categorical((["yes"] * 5 + ["no"] * 5) * 6)
    card = Card(obtain="", target="Young", by=(("race",), ("race", "Young")))
    found = check(Manifest(frame, FolderStore(Path("nowhere")), card))
    assert {one.about: one.said for one in found.of("imbalance")} == {
        "race": "11 to 1, 1 of 3 absent",
        "race × Young": "3 of 6 absent",
    }
    assert "  a Young: yes        30" in terminal(found).splitlines()


def test_hostile_names_are_cleaned_and_stay_below_the_root(tmp_path: Path) -> None:
    names = ["\x1b[31mred.jpg", "[bold]b.jpg", "r\u202egpj.exe.jpg", "<img src=x>.jpg", "a|b`c.jpg"]
    for name in names:
        _face(1).save(tmp_path / name.replace("/", "_"), format="JPEG")
    frame = pd.DataFrame({"row": names, "split": "all", "x": pd.Categorical(["v"] * 5)})
    found = check(Manifest(frame, FolderStore(tmp_path), Card(obtain="")))
    assert _names(found, "duplicates") == [names]
    text, marked = terminal(found, color=False), markdown(found)
    for shown in (text, marked):
        assert "\x1b" not in shown
        assert "\u202e" not in shown
    assert "red.jpg" in text
    assert "[bold]b.jpg" in text
    assert "<img" not in marked
    assert "a&#124;b&#96;c.jpg" in marked
    (tmp_path / "labels.csv").write_text("path,x\n../outside.jpg,v\n")
    with pytest.raises(DataError, match="paths leave the dataset's root"):
        check_dataset("table", tmp_path)


def test_a_link_out_of_the_root_is_not_followed(tmp_path: Path) -> None:
    secret, root = tmp_path / "secret.jpg", tmp_path / "root"
    root.mkdir()
    _face(1).save(secret)
    (root / "1_0_0_1.jpg").symlink_to(secret)
    found = check_dataset("utkface", root)
    assert [files[0].said for files in found.of("unreadable")[0].sets] == ["1_0_0_1.jpg leads out of the dataset's root"]


def test_a_name_that_no_file_can_have_is_missing(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text(f"path,x\n{'y' * 3000}.jpg,v\n")
    assert check_dataset("table", tmp_path).of("missing")[0].said == "1 of 1"


def test_refusals(utkface: Path) -> None:
    with pytest.raises(UsageError, match="--distance 11: write 0 to 10, how many of 64 bits may differ"):
        check_dataset("utkface", utkface, distance=11)
    with pytest.raises(UnknownNameError, match="unknown column 'rase'; did you mean 'race'"):
        check_dataset("utkface", utkface, by=[("rase",)])
    with pytest.raises(UnknownNameError, match="unknown kind of finding 'duplicate'; did you mean 'duplicates'"):
        gate(check_dataset("utkface", utkface), ["duplicate"])


def test_drawn_faces_are_checked_without_a_folder() -> None:
    found = check_dataset("synthetic", None, options={"n": "40", "size": "32"})
    assert (found.n, found.read) == (40, 40)
    assert not found.of("duplicates")
    assert not found.of("leaks")
    assert not found.of("extra")


@pytest.mark.real
def test_utkface_has_no_copies_but_some_that_were_saved_again(shared: Path) -> None:
    began = time.perf_counter()
    found = check_dataset("utkface", shared / "data" / "utkface")
    assert time.perf_counter() - began < 60
    assert found.read == 6_000
    for kind in ("duplicates", "conflicts", "unreadable", "missing", "malformed", "extra", "tiny", "imbalance"):
        assert not found.of(kind)
    # 62 sets were looked at one by one: every one is one photograph
    assert 55 <= len(_names(found, "near")) <= 70


@pytest.mark.real
@pytest.mark.parametrize(("name", "near"), [("celeba", 3), ("lfw", 2), ("mr2", 0)])
def test_few_near_identical_faces_elsewhere(shared: Path, name: str, near: int) -> None:
    found = check_dataset(name, shared / "data" / name)
    assert len(_names(found, "near")) == near
    assert max(map(len, terminal(found).splitlines())) <= 80


@pytest.mark.real
def test_fairfaces_labels_without_its_images(shared: Path) -> None:
    found = check_dataset("fairface", shared / "data" / "fairface")
    assert (found.n, found.read) == (97_698, 0)
    assert found.of("missing")[0].said == "97,698 of 97,698"
