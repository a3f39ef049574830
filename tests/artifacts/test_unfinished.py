"""Shards of an interrupted run: when they are written, what is read back, and what is refused or ignored."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairaudit.artifacts import unfinished
from fairaudit.artifacts.folder import write_whole
from fairaudit.artifacts.unfinished import Shards, begin, discard, images_kept, resume
from fairaudit.errors import ConfigError, OutputError

OF = {"checkpoint": "ab" * 32, "precision": "fp32", "head": {"tasks": ["gender"]}, "pixels": ["11", "", "33"]}
TASKS = {"gender": ("a", "b"), "race": ("c", "d", "e")}
ROWS = [f"faces/{i}.jpg" for i in range(40)]


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(unfinished, "time", clock)
    monkeypatch.setattr(unfinished, "IMAGES", 8)
    return clock


def scores(rows: Sequence[str]) -> dict[str, Any]:
    numbers = np.array([float(row[6:-4]) for row in rows])[:, None]
    return {"gender": numbers / 100 + [0, 0.5], "race": numbers / 100 + [0, 0.1, 0.2]}


def write(out: Path, rows: Sequence[str], process: int = 0, of: Mapping[str, Any] = OF, first: int = 0) -> None:
    with Shards(unfinished.Unfinished(unfinished.folder_beside(out), of, first=first), process) as shards:
        for i in range(0, len(rows), 2):
            shards.add(rows[i : i + 2], scores(rows[i : i + 2]))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_shard_is_written_by_number_or_by_time_and_the_rest_at_the_end(clock: Clock, tmp_path: Path) -> None:
    out = tmp_path / "run"
    folder = tmp_path / "run.unfinished"
    with Shards(begin(out, OF), 3) as shards:
        shards.add(ROWS[:6], scores(ROWS[:6]))
        assert not folder.exists()
        shards.add(ROWS[6:8], scores(ROWS[6:8]))
        assert names(folder) == ["of.json", "part-3-0.npz"]
        shards.add(ROWS[8:9], scores(ROWS[8:9]))
        clock.now += 31
        shards.add(ROWS[9:10], scores(ROWS[9:10]))
        assert names(folder) == ["of.json", "part-3-0.npz", "part-3-1.npz"]
        shards.add(ROWS[10:11], scores(ROWS[10:11]))
    assert names(folder) == ["of.json", "part-3-0.npz", "part-3-1.npz", "part-3-2.npz"]
    assert json.loads((folder / "of.json").read_text())["of"] == OF
    found = resume(out, OF, ROWS, TASKS)
    assert found.kept.rows == tuple(ROWS[:11])
    for task, values in scores(ROWS[:11]).items():
        assert found.kept.scores[task].tobytes() == values.tobytes()
    assert found.first == 3
    assert found.notes == ("11 of 40 images were predicted before the interruption",)
    assert images_kept(found, ROWS, TASKS) == 11
    discard(found)
    assert not folder.exists()


@pytest.mark.usefixtures("clock")
def test_a_short_run_leaves_nothing(tmp_path: Path) -> None:
    write(tmp_path / "run", ROWS[:7])
    assert list(tmp_path.iterdir()) == []
    found = resume(tmp_path / "run", OF, ROWS, TASKS)
    assert (found.kept.rows, images_kept(found, ROWS, TASKS)) == ((), 0)
    assert found.notes == (f"nothing of {tmp_path / 'run'} is unfinished, so every image is predicted",)


def test_where_writing_is_slow_it_is_seldom(clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:

    def slowly(path: Path, content: bytes | str) -> None:
        clock.now += 1
        write_whole(path, content)

    monkeypatch.setattr(unfinished, "write_whole", slowly)
    rows = [f"faces/{i}.jpg" for i in range(4000)]
    with Shards(begin(tmp_path / "run", OF), 0) as shards:
        for row in rows:
            clock.now += 0.5
            shards.add([row], scores([row]))
    written = len(names(tmp_path / "run.unfinished")) - 1
    assert written > 1
    assert written / clock.now < 0.006, "not a hundredth of the time, though every shard takes a second"
    assert len(resume(tmp_path / "run", OF, rows, TASKS).kept.rows) == len(rows)


@pytest.mark.usefixtures("clock")
def test_shards_of_several_processes_and_runs_are_one_table(tmp_path: Path) -> None:
    out = tmp_path / "run"
    write(out, ROWS[0:16:2], 0)
    write(out, ROWS[1:16:2], 1)
    write(out, [*ROWS[16:30], ROWS[0], ROWS[1]], 0, first=1)
    kept = resume(out, OF, ROWS, TASKS).kept
    assert sorted(kept.rows) == sorted(ROWS[:30]), "a row that was predicted twice is there once"
    assert kept.scores["race"].tolist() == scores(kept.rows)["race"].tolist()


@pytest.mark.usefixtures("clock")
def test_damaged_shards_are_ignored_and_said(tmp_path: Path) -> None:
    out = tmp_path / "run"
    folder = tmp_path / "run.unfinished"
    write(out, ROWS)
    assert len(names(folder)) == 6
    whole = (folder / "part-0-0.npz").read_bytes()
    (folder / "part-0-0.npz").write_bytes(whole[: len(whole) // 2])
    (folder / "part-0-1.npz").write_bytes(b"")
    flipped = bytearray((folder / "part-0-2.npz").read_bytes())
    flipped[300] ^= 1
    (folder / "part-0-2.npz").write_bytes(flipped)
    (folder / "part-0-9.npz").mkdir()
    np.savez(folder / "part-1-0.npz", rows=np.array(["faces/40.jpg"]), scores_0=np.zeros((1, 2)), scores_1=np.zeros((1, 3)))
    np.savez(folder / "part-1-1.npz", rows=np.array(["faces/0.jpg"]), scores_0=np.zeros((1, 3)), scores_1=np.zeros((1, 3)))
    np.savez(folder / "part-1-2.npz", rows=np.array(["faces/0.jpg"]), scores_0=np.full((1, 2), np.nan))
    found = resume(out, OF, ROWS, TASKS)
    assert found.kept.rows == tuple(ROWS[24:])
    damaged = ("0-0", "0-1", "0-2", "0-9", "1-0", "1-1", "1-2")
    assert found.notes[:-1] == tuple(
        f"{folder}/part-{one}.npz is damaged and ignored: its images are predicted again" for one in damaged
    )
    assert found.first == 10


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"checkpoint": "cd" * 32}, "checkpoint"),
        ({"precision": "bf16"}, "precision (fp32, now bf16)"),
        ({"precision": "bf16", "checkpoint": ""}, "checkpoint, precision (fp32, now bf16)"),
        ({"pixels": ["11", "22", "34"]}, "pixels"),
        ({"pixels": ["11", "22"]}, "pixels"),
        ({"new": 1}, "new (None, now 1)"),
    ],
)
def test_what_is_of_another_run_is_refused_and_stays(changed: dict[str, Any], said: str, tmp_path: Path) -> None:
    write(tmp_path / "run", ROWS)
    before = names(tmp_path / "run.unfinished")
    with pytest.raises(ConfigError) as caught:
        resume(tmp_path / "run", {**OF, **changed}, ROWS, TASKS)
    assert str(caught.value) == (
        f"{tmp_path}/run.unfinished is of a run with other settings or files: {said}; repeat that run to go on with it, "
        "or leave --resume out to begin anew"
    )
    assert names(tmp_path / "run.unfinished") == before


@pytest.mark.usefixtures("clock")
def test_a_picture_that_could_not_be_read_may_be_mended(tmp_path: Path) -> None:
    write(tmp_path / "run", ROWS)
    assert len(resume(tmp_path / "run", {**OF, "pixels": ["11", "22", "33"]}, ROWS, TASKS).kept.rows) == 40


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format": 1}', b'{"format": 1, "of": 3}', b"\xff"])
def test_without_a_record_of_what_they_are_shards_are_not_used(content: bytes, tmp_path: Path) -> None:
    write(tmp_path / "run", ROWS)
    (tmp_path / "run.unfinished" / "of.json").write_bytes(content)
    found = resume(tmp_path / "run", OF, ROWS, TASKS)
    assert found.kept.rows == ()
    assert "of.json is damaged" in found.notes[0]
    assert not (tmp_path / "run.unfinished").exists()


@pytest.mark.usefixtures("clock")
def test_what_is_left_is_replaced_and_what_is_not_ours_is_not(tmp_path: Path) -> None:
    out = tmp_path / "run"
    write(out, ROWS)
    folder = tmp_path / "run.unfinished"
    (folder / ".part-0-5.npz.abc.part").write_bytes(b"killed while it was written")
    begin(out, OF)
    assert not folder.exists()
    write(out, ROWS)
    (folder / "notes.txt").write_text("mine")
    for go_on in (False, True):
        with pytest.raises(OutputError) as caught:
            resume(out, OF, ROWS, TASKS) if go_on else begin(out, OF)
        assert str(caught.value) == (
            f"{folder} holds notes.txt, which no interrupted run left there; move it away, or choose another --out"
        )
    assert len(names(folder)) == 7
    other = tmp_path / "other"
    (tmp_path / "other.unfinished").write_text("a file")
    with pytest.raises(OutputError, match="a part of the path is a file"):
        begin(other, OF)
