"""What an ordinary user may not read or write: one sentence, the right code, and nothing left behind."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Cli, Finished, fairaudit
from tests.hostile.ordinary import forbidden, ordinary_user
from tests.hostile.seeds import make_seeds

pytestmark = [pytest.mark.filterwarnings("default"), pytest.mark.training]

_TABLE = ("--y-true", "gender", "--by", "race", "--min-support", "2", "-q", "--no-report")
_LABELS = ("--root", "labels.csv", "--data-option", "images=faces")
_EVALUATE = ("evaluate", "model.pt", "--data", "table", *_LABELS, "--target", "gender", "--by", "race", "--size", "32",
             "--batch-size", "4", "--min-support", "1", "--device", "cpu", "--no-report", "-q", "--out", "new")  # fmt: skip
_RULE = ("--rule", "accuracy gap by race <= 0.4")
_UNWRITTEN = "could not be written: permission denied; write elsewhere or change its permissions"
_NONE = "images cannot be read, and --max-unreadable allows 0"
_UNREAD = "cannot be read: Permission denied"


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("permissions") / "seeds"
    make_seeds(folder)
    return folder


@pytest.fixture
def user(cli: Cli, seeds: Path) -> Cli:
    """The command line of somebody whom permissions concern, beside undamaged files; skipped where nobody is."""
    assert cli is fairaudit
    here = Path.cwd()
    shutil.copytree(seeds, here, dirs_exist_ok=True)
    (here / "locked").mkdir()
    shutil.copytree("faces", "nested/some")
    shutil.copytree("faces", "nested/other")
    probe = here / "probe"
    probe.write_text("")
    with ordinary_user() as is_so, forbidden(probe, 0o000):
        if not is_so or os.access(probe, os.R_OK, effective_ids=os.access in os.supports_effective_ids):
            pytest.skip("permissions of files concern nobody here")
    probe.unlink()

    def run(*words: object) -> Finished:
        with ordinary_user():
            return fairaudit(*words)

    return run


@pytest.mark.parametrize(
    ("path", "mode", "words", "said"),
    [
        ("locked", 0o555, ("audit", "predictions.csv", *_TABLE, "--out", "locked/a"), f"locked/a {_UNWRITTEN}"),
        ("locked", 0o000, ("audit", "predictions.csv", *_TABLE, "--out", "locked/a"), f"locked/a {_UNWRITTEN}"),
        ("run", 0o555, ("audit", "predictions.csv", *_TABLE, "--out", "run"), f"run {_UNWRITTEN}"),
        ("locked", 0o555, ("report", "run", "-f", "markdown", "--out", "locked/a.md"), f"locked/a.md {_UNWRITTEN}"),
        ("locked", 0o555, ("data", "check", "table", *_LABELS, "--out", "locked/a.md"), f"locked/a.md {_UNWRITTEN}"),
        ("locked", 0o555, (*_EVALUATE[:-1], "locked/a"), f"locked/a {_UNWRITTEN}"),
        ("run", 0o000, ("gate", "run", *_RULE), f"run/audit.json {_UNREAD}"),
        ("run/audit.json", 0o000, ("report", "run"), f"run/audit.json {_UNREAD}"),
        ("predictions.csv", 0o000, ("audit", "predictions.csv", *_TABLE), f"predictions.csv {_UNREAD}"),
        ("parts/part-1.parquet", 0o000, ("audit", "parts", *_TABLE, "--stream"), f"parts/part-1.parquet {_UNREAD}"),
        ("policy.toml", 0o000, ("gate", "run", "--policy", "policy.toml"), f"policy.toml {_UNREAD}"),
        ("config.toml", 0o000, ("evaluate", "--config", "config.toml"), f"config.toml {_UNREAD}"),
        ("model.pt", 0o000, _EVALUATE, f"model.pt {_UNREAD}"),
        ("labels.csv", 0o000, ("data", "profile", "table", *_LABELS), f"labels.csv {_UNREAD}"),
        ("embeddings.npz", 0o000, ("embed", "embeddings.npz", "--by", "place"), f"embeddings.npz {_UNREAD}"),
        ("faces/3.png", 0o000, _EVALUATE, f"1 of 6 {_NONE}: 3.png (Permission denied)"),
        ("faces", 0o000, _EVALUATE, f"6 of 6 {_NONE}: 0.png (Permission denied)"),
        (
            "nested/some", 0o000, ("data", "profile", "image-folder", "--root", "nested"),
            f"the folder nested/some {_UNREAD}",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value[:2]) if isinstance(value, tuple) else oct(value),
)  # fmt: skip
def test_what_may_not_be_read_or_written_is_refused(
    path: str, mode: int, words: tuple[str, ...], said: str, user: Cli
) -> None:
    before = sorted(Path().rglob("*"))
    with forbidden(Path(path), mode):
        done = user(*words)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert done.err.startswith(f"fairaudit: {said}")
    assert sorted(Path().rglob("*")) == before


@pytest.mark.parametrize(("path", "unreadable"), [("faces/3.png", 1), ("faces", 6)])
def test_pictures_that_may_not_be_read_are_unreadable_and_not_missing(path: str, unreadable: int, user: Cli) -> None:
    with forbidden(Path(path), 0o000):
        done = user("data", "check", "table", *_LABELS, "-f", "json", "--fail-on", "missing")
    kinds = {one["kind"]: one["sets"] for one in json.loads(done.out)["findings"]}
    assert [files[0]["said"] for files in kinds["unreadable"]] == ["Permission denied"] * unreadable
    assert "missing" not in kinds
    assert done.code == 0


def test_an_unreadable_picture_that_is_allowed_is_left_out(user: Cli) -> None:
    with forbidden(Path("faces/3.png"), 0o000):
        done = user(*_EVALUATE, "--max-unreadable", "1")
    assert done.code == 0
    assert json.loads(Path("new/audit.json").read_text())["overall"]["n"] == 5
