"""Datasets made to do harm, or simply broken: what they hold is refused or left out, and the row is named."""

from __future__ import annotations

import os
import re
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from fairaudit.artifacts.consistency import description_is_plain
from fairaudit.artifacts.tables import DESCRIPTION
from fairaudit.data.manifest import FolderStore
from fairaudit.metrics.look_alikes import look_alikes
from tests.cli.conftest import SIZE, Cli, files_below

ROWS, BAD = 1_000_000, 777_777


def pictures(folder: Path, n: int = 8) -> list[tuple[str, str, str]]:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for k in range(n):
        Image.fromarray(rng.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)).save(folder / f"{k}.png")
    return [(f"{k}.png", ("Male", "Female")[k % 2], "ab"[k // 2 % 2]) for k in range(n)]


def labels(path: Path, rows: list[tuple[str, str, str]]) -> None:
    pd.DataFrame(rows, columns=["path", "gender", "site"]).to_csv(path, index=False)


@pytest.fixture
def images(model: Path) -> tuple[object, ...]:
    data = (
        "--data",
        "table",
        "--root",
        "faces/labels.csv",
        "--target",
        "gender",
        "--by",
        "site",
        "--classes",
        "female,male",
    )
    return ("evaluate", model, *data, "--size", SIZE, "--resize", "squash", "--min-support", 1, "-q", "--no-report")


@pytest.mark.parametrize("kind", ["fifo", "device", "link out", "link up", "circle", "folder", "socket name"])
def test_what_is_no_picture_inside_the_root_is_left_out(kind: str, images: tuple[object, ...], cli: Cli) -> None:
    """A pipe would wait for ever, a device never ends, and a link may lead to anybody's private pictures."""
    rows = pictures(Path("faces"))
    Path("secret").mkdir()
    Image.new("RGB", (SIZE, SIZE)).save("secret/secret.png")
    bad = Path("faces/bad.png")
    if kind == "fifo":
        os.mkfifo(bad)
    elif kind == "folder":
        bad.mkdir()
    elif kind != "socket name":
        where = {"device": "/dev/zero", "link out": "../secret/secret.png", "link up": "..", "circle": "bad.png"}
        bad.symlink_to(where[kind])
    labels(Path("faces/labels.csv"), [*rows, ("bad.png", "Male", "a")])
    done = cli(*images, "--out", "run", "--max-unreadable", 1, "-f", "csv")
    assert done.code == 0, done.err
    assert "bad.png" not in set(pd.read_parquet("run/predictions.parquet")["row"])
    checked = cli("data", "check", "table", "--root", "faces/labels.csv")
    assert checked.code == 0, checked.err


def test_a_store_refuses_pipes_and_links(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(PermissionError, match=r"a\.png is no regular file"):
        FolderStore(tmp_path).read("a.png")


def bomb(path: Path, side: int) -> None:
    """A PNG of a few kilobytes that claims a square of that side."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(100_000))) + chunk(b"IEND", b""))


def test_bombs_among_the_pictures(images: tuple[object, ...], cli: Cli) -> None:
    rows = pictures(Path("faces"))
    bomb(Path("faces/bomb.png"), 100_000)
    labels(Path("faces/labels.csv"), [*rows, ("bomb.png", "Male", "a")])
    began = time.perf_counter()
    done = cli(*images, "--out", "run")
    assert done.code == 2
    assert "(a decompression bomb?)" in done.err
    for command in (("data", "check", "table"), ("data", "profile", "table", "--target", "gender")):
        done = cli(*command, "--root", "faces/labels.csv")
        assert done.code == 0, done.err
    assert time.perf_counter() - began < 20


def test_a_file_name_that_is_no_unicode(cli: Cli) -> None:
    for name in ("a", "b"):
        pictures(Path("faces") / name)
    Path(os.fsdecode(b"faces/a/\xff\xfe.png")).write_bytes(Path("faces/a/0.png").read_bytes())
    done = cli("data", "check", "image-folder", "--root", "faces")
    assert done.code == 2
    assert done.err == (
        "fairaudit: 1 images in faces/a have names that are no UTF-8, the first is '\\udcff\\udcfe.png'; rename them\n"
    )


ENCODINGS = {
    "utf-8": None,
    "utf-8-sig": None,
    "utf-16": "UTF-16 text; save it as UTF-8",
    "utf-32": "",
    "latin-1": "not UTF-8 text (line 2); save it as UTF-8",
    "cp1252": "not UTF-8 text (line 2); save it as UTF-8",
    "shift_jis": "not UTF-8 text (line 4); save it as UTF-8",
}


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_encodings_and_line_ends(encoding: str, newline: str, cli: Cli) -> None:
    """Read rightly or refused in a sentence; never read wrongly."""
    cities = (
        "Zürich",
        "Tokyo",
        "Kyōto" if encoding.startswith("utf") else "日本" if encoding == "shift_jis" else "Orléans",
    )
    if encoding == "shift_jis":
        cities = ("Zurich", "Tokyo", "日本")
    rows = [f"{city},{'mw'[k % 2]},{'mw'[k % 3 % 2]}" for k in range(10) for city in cities]
    Path("t.csv").write_bytes(newline.join(["city,gender,gender_pred", *rows, ""]).encode(encoding))
    done = cli("audit", "t.csv", "--y-true", "gender", "--by", "city", "--min-support", 1, "-f", "json")
    said = ENCODINGS[encoding]
    if said is None:
        assert done.code == 0, done.err
        levels = [group["group"]["city"] for group in done.record["groupings"][0]["groups"]]
        assert sorted(levels) == sorted(cities)
    else:
        assert done.code == 2
        assert done.err.startswith("fairaudit: t.csv is ")
        # lines are counted by their feeds, of which files of an old Macintosh have none
        assert (re.sub(r"line \d", "line 1", said) if newline == "\r" else said) in done.err
    assert files_below(Path.cwd()) == ["t.csv"]


def test_line_ends_that_are_mixed(cli: Cli) -> None:
    ends = ("\n", "\r\n")
    rows = [f"{'ab'[k % 2]},{'mw'[k // 2 % 2]},{'mw'[k % 3 % 2]}{ends[k % 2]}" for k in range(40)]
    Path("t.csv").write_bytes(("site,gender,gender_pred\r\n" + "".join(rows)).encode())
    done = cli("audit", "t.csv", "--y-true", "gender", "--by", "site", "-f", "json")
    assert done.code == 0, done.err
    assert [group["n"] for group in done.record["groupings"][0]["groups"]] == [20, 20]


def test_levels_that_look_alike_are_pointed_out(cli: Cli) -> None:
    sites = ("White", "Whіte", "white ", "Black")
    rows = [(site, "mw"[k % 2], "mw"[k % 3 % 2]) for k in range(30) for site in sites]
    pd.DataFrame(rows, columns=["site", "gender", "gender_pred"]).to_csv("t.csv", index=False)
    done = cli("audit", "t.csv", "--y-true", "gender", "--by", "site")
    assert done.code == 0, done.err
    notes = " ".join(done.out.split())
    assert "levels of site look alike and are counted apart: 'White', 'Wh\\u0456te', 'white '" in notes


@pytest.mark.parametrize(
    ("names", "alike"),
    [
        (("White", "Black"), []),
        (("-1", "1"), []),
        (("20-29", "2029", "20", "29"), []),
        (("e", "é"), []),
        (("A", "Α", "А"), [("A", "Α", "А")]),  # Latin, Greek, Cyrillic
        (("East Asian", "East_Asian", "East\u00a0Asian"), [("East Asian", "East_Asian", "East\u00a0Asian")]),
        (("Male", "Ma\u200ble", "Ｍale"), [("Male", "Ma\u200ble", "Ｍale")]),
        (("пол", "вес"), []),
        (("पुरुष", "परष"), []),
    ],
)
def test_what_looks_alike(names: tuple[str, ...], alike: list[tuple[str, ...]]) -> None:
    assert look_alikes(names) == alike


DEEP = "[" * 100_000


def test_files_that_are_nested_without_end_are_refused(cli: Cli) -> None:
    """Python's own parsers of JSON and TOML give up with an error that is none of theirs."""
    rows = pa.table({"row": ["a"], "gender": ["m"], "gender_pred": ["m"], "race": ["a"]})
    pq.write_table(rows.replace_schema_metadata({DESCRIPTION: DEEP}), "t.parquet")
    Path("deep.toml").write_text(f"rules = {DEEP}")
    rows.select(["gender", "gender_pred"]).to_pandas().to_csv("t.csv", index=False)
    for words, said in (
        (("audit", "t.parquet", "--by", "race"), "t.parquet: what it says of its own columns is damaged"),
        (("audit", "t.csv", "--y-true", "gender", "--policy", "deep.toml"), "deep.toml cannot be read as TOML"),
        (("evaluate", "--config", "deep.toml"), "deep.toml cannot be read as TOML"),
        (("evaluate", "x.pt", "--data", "table", "--root", "t.csv", "--arch-kwargs", f'{{"a": {DEEP}'), "is not JSON"),
    ):
        done = cli(*words)
        assert (done.code, done.out) == (2, ""), done.err
        assert said in done.err
        assert done.err.count("\n") == 1


@pytest.mark.parametrize("task", ["abc", [], 5, None])
def test_a_description_that_is_none_is_refused(task: object) -> None:
    said = {"version": 1, "tasks": {"gender": task}, "attributes": {}, "numeric": {}, "levels": {}, "identity": None}
    assert not description_is_plain(said)


def million(path: Path, spoilt: str | bytes) -> None:
    lines = [f"{i}.jpg,{'mw'[i % 2]},{'mw'[i % 3 % 2]},0.{i % 10},{'abc'[i % 3]}" for i in range(ROWS)]
    lines[BAD] = "@@"
    text = "\n".join(["path,gender,gender_pred,score,race", *lines, ""]).encode()
    path.write_bytes(text.replace(b"@@", spoilt if isinstance(spoilt, bytes) else spoilt.encode()))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spoilt", "audited", "listed"),
    [
        ("x.jpg,m,m,0.5,a,b", "line 777779: Expected 5 columns, got 6", "Expected 5 fields in line 777779, saw 6"),
        ("x.jpg,m", "line 777779: Expected 5 columns, got 2", None),
        ("x.jpg,m,m,abc,a", "the first that is none is 'abc' (row 777778)", None),
        ("x.jpg,m,m,1.5,a", "the first in row 777778 (1.5)", None),
        ("x.jpg,m,z,0.5,a", "holds 'z' (row 777778), which is not one of the classes", None),
        ("x.jpg,m,,0.5,a", "the first is row 777778", None),
        (",m,m,0.5,a", "the first is row 777778; row ids", "1 of 1000000 rows name no image, the first is row 777778"),
        ("5.jpg,m,m,0.5,a", "holds '5.jpg' 2 times", "1 images are listed more than once, the first is '5.jpg'"),
        (b"\xff\xfe.jpg,m,m,0.5,a", "is not UTF-8 text (line 777779)", "is not UTF-8 (line 777779)"),
        (b"a\0b.jpg,m,m,0.5,a", "it holds binary data (line 777779)", r"the first is 'a\x00b.jpg'"),
        ('"x.jpg,m,m,0.5,a', "a quotation mark is opened and not closed", "EOF inside string starting at row 777778"),
        ("../../x.jpg,m,m,0.5,a", None, "1 paths leave the dataset's root, the first is '../../x.jpg'"),
    ],
)
def test_one_bad_row_in_a_million_is_found(spoilt: str | bytes, audited: str | None, listed: str | None, cli: Cli) -> None:
    million(Path("t.csv"), spoilt)
    words = ("audit", "t.csv", "--y-true", "gender", "--y-score", "m=score", "--by", "race", "--id", "path")
    for command, said in (
        ((*words, "--classes", "m,w"), audited),
        (("data", "profile", "table", "--root", "t.csv"), listed),
    ):
        if said is not None:
            began = time.perf_counter()
            done = cli(*command)
            assert (done.code, done.out) == (2, "")
            assert said in done.err
            assert time.perf_counter() - began < 60


@pytest.mark.parametrize("spoilt", ["x,m", "x,m,m,0.5,a,b", "x,m,z,0.5,a", "x,m,m,abc,a", "x,m,,0.5,a"])
def test_one_bad_row_in_forty_is_found(spoilt: str, cli: Cli) -> None:
    rows = [f"{i},{'mw'[i % 2]},{'mw'[i % 3 % 2]},0.{i % 10},{'abc'[i % 3]}" for i in range(40)]
    rows[30] = spoilt
    Path("t.csv").write_text("\n".join(["path,gender,gender_pred,score,race", *rows, ""]))
    words = ("audit", "t.csv", "--y-true", "gender", "--y-score", "m=score", "--by", "race", "--classes", "m,w")
    done = cli(*words)
    assert done.code == 2
    assert ("row 31" in done.err) or ("line 32" in done.err)
