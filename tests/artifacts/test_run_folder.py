from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from fairaudit.artifacts.folder import check_replaceable, unwritable, write_run, write_whole
from fairaudit.errors import DataError, OutputError


def text(content: str) -> Callable[[Path], None]:
    return lambda path: write_whole(path, content)


def raising(error: BaseException) -> Callable[..., None]:
    def fail(*args: object, **kwargs: object) -> None:
        raise error

    return fail


def test_a_run_is_written_whole_and_replaced_whole(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "run"
    write_run(out, {"audit.json": text("1"), "figures/a.svg": text("old")})
    assert (out / "figures" / "a.svg").read_text() == "old"
    write_run(out, {"audit.json": text("2")})
    assert sorted(p.name for p in out.iterdir()) == ["audit.json"]
    assert (out / "audit.json").read_text() == "2"
    assert [p.name for p in out.parent.iterdir()] == ["run"]  # nothing temporary is left


def test_permissions_are_those_of_a_plain_file_and_folder(tmp_path: Path) -> None:
    mask = os.umask(0o022)
    try:
        write_run(tmp_path / "run", {"audit.json": text("1")})
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "run").stat().st_mode) == 0o755
    assert stat.S_IMODE((tmp_path / "run" / "audit.json").stat().st_mode) == 0o644


def test_an_empty_folder_may_be_filled(tmp_path: Path) -> None:
    write_run(tmp_path / "run", {"run.json": text("{}")})
    (tmp_path / "empty").mkdir()
    write_run(tmp_path / "empty", {"run.json": text("{}")})
    assert (tmp_path / "empty" / "run.json").exists()


def test_somebody_elses_folder_is_not_deleted(tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt", "c.txt", "thesis.tex"):
        (tmp_path / name).write_text("years of work")
    with pytest.raises(
        OutputError,
        match=r"is not a run folder \(it holds a\.txt, b\.txt, c\.txt and 1 more\), and a run replaces its folder whole; "
        r"choose another folder for --out, or empty this one$",
    ):
        write_run(tmp_path, {"audit.json": text("1")})
    assert len(list(tmp_path.iterdir())) == 4


def test_the_working_folder_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "audit.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutputError, match=r"\. holds the working folder, which a run would replace whole"):
        check_replaceable(Path())


def test_out_may_not_be_a_file_or_lie_below_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    with pytest.raises(OutputError, match=r"file is a file, but a run is a folder; choose another name for --out"):
        write_run(tmp_path / "file", {"audit.json": text("1")})
    with pytest.raises(OutputError, match="run could not be written: a part of the path is a file, not a folder"):
        write_run(tmp_path / "file" / "run", {"audit.json": text("1")})
    with pytest.raises(OutputError, match="a part of the path is a file"):
        check_replaceable(tmp_path / "file" / "run")  # before the work, not after it
    with pytest.raises(OutputError, match="is a folder, but a file must be written there"):
        write_whole(tmp_path, "x")
    assert (tmp_path / "file").read_text() == "kept"


def test_a_folder_that_may_not_be_written_is_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(OutputError, match="run could not be written: permission denied; write elsewhere or change its"):
        check_replaceable(tmp_path / "new" / "run")


FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("failing", ["writer", "write_whole", "rename"])
def test_a_full_disk_leaves_the_old_run_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    out = tmp_path / "run"
    write_run(out, {"audit.json": text("old")})
    contents: dict[str, Callable[[Path], None]] = {"audit.json": text("new"), "predictions.parquet": text("new")}
    if failing == "writer":
        contents["predictions.parquet"] = raising(FULL)
    elif failing == "write_whole":
        monkeypatch.setattr(os, "fdopen", raising(FULL))
    else:
        real = Path.rename

        def rename(self: Path, target: Path) -> Path:
            if self.name.endswith(".part"):
                raise FULL
            return real(self, target)

        monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(OutputError) as caught:
        write_run(out, contents)
    assert str(caught.value) == f"{out} could not be written: the disk is full; free some space or write elsewhere"
    assert (out / "audit.json").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


def test_a_full_disk_leaves_the_old_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "audit.json"
    write_whole(path, "old")
    monkeypatch.setattr(os, "fdopen", raising(FULL))
    with pytest.raises(OutputError, match=r"audit\.json could not be written: the disk is full"):
        write_whole(path, b"new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["audit.json"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), DataError("a label is unknown"), RuntimeError("a fault")])
def test_whatever_stops_a_run_passes_through_and_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    with pytest.raises(type(error)):
        write_run(tmp_path / "run", {"audit.json": text("1"), "run.json": raising(error)})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (errno.EROFS, "p could not be written: the disk is read-only; write elsewhere"),
        (errno.EACCES, "p could not be written: permission denied; write elsewhere or change its permissions"),
        (errno.EDQUOT, "p could not be written: the disk is full; free some space or write elsewhere"),
        (errno.EIO, "p could not be written: Input/output error"),
    ],
)
def test_what_the_system_says_becomes_one_sentence(code: int, said: str) -> None:
    assert str(unwritable(Path("p"), OSError(code, os.strerror(code)))) == said


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_device_is_written_to_as_it_is() -> None:
    write_whole(Path(os.devnull), "x")
    assert not Path(os.devnull).is_file()
    with pytest.raises(OutputError, match="/dev/full could not be written: the disk is full"):
        write_whole(Path("/dev/full"), "x")


def test_a_link_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write_run(tmp_path / "link", {"run.json": text("{}")})
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "run.json").exists()
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    with pytest.raises(OutputError, match="is a link that leads nowhere"):
        check_replaceable(tmp_path / "nowhere")
