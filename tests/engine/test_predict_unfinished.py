"""Prediction that is interrupted and goes on: the same bits, whatever ended it, and nothing computed twice."""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from fairaudit.artifacts import unfinished
from fairaudit.artifacts.folder import unwritable, write_whole
from fairaudit.artifacts.unfinished import Shards, Unfinished, begin, folder_beside, resume
from fairaudit.config import InferenceSettings
from fairaudit.data.images import ImageBatch, ImageBatches
from fairaudit.engine.forward import Forward
from fairaudit.engine.lost import losses_told
from fairaudit.engine.predict import Inference, _by_loader, _FailureAt, _Limit, predict
from fairaudit.errors import CheckpointError, LostProcessError, OutputError, UnreadableImagesError
from fairaudit.predictions import FloatArray
from tests.engine.test_predict import FILES, PREPROCESS, Classifier, Counting, Memory, manifest, network

OF = {"checkpoint": "of this test"}
TASKS = Classifier(network()).head.tasks
ONE = InferenceSettings(device="cpu", batch_size=4, workers=1)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unfinished, "IMAGES", 8)
    monkeypatch.setattr(unfinished, "SHARE", 1e9)


def run(
    kept: Unfinished, files: Mapping[str, bytes] = FILES, settings: InferenceSettings = ONE, seen: Counting | None = None
) -> Inference:
    return predict(Classifier(seen or network()), manifest(files, list(FILES)), settings, unfinished=kept)


def interrupted_at(index: int, out: Path, error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """Predict until a batch raises, when those before it have been taken."""
    read, add = ImageBatches.__getitem__, Shards.add
    taken: list[int] = []

    def failing(batches: ImageBatches, asked: int) -> ImageBatch:
        while asked == index and len(taken) < index:
            time.sleep(0.01)
        if asked == index:
            raise error
        return read(batches, asked)

    def counting(own: Shards, rows: Sequence[str], scores: Mapping[str, FloatArray]) -> None:
        add(own, rows, scores)
        taken.append(len(rows))

    kept = begin(out, OF)
    with monkeypatch.context() as patch:
        patch.setattr(ImageBatches, "__getitem__", failing)
        patch.setattr(Shards, "add", counting)
        with pytest.raises(type(error)):
            run(kept)


def shards(out: Path) -> list[str]:
    return sorted(path.name for path in folder_beside(out).glob("part-*"))


@pytest.mark.parametrize("error", [KeyboardInterrupt(), MemoryError(), SystemExit(1)], ids=lambda e: type(e).__name__)
def test_what_goes_on_gives_the_same_bits(error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run(begin(tmp_path / "whole", OF))
    interrupted_at(5, tmp_path / "run", error, monkeypatch)
    assert shards(tmp_path / "run") == ["part-0-0.npz", "part-0-1.npz", "part-0-2.npz"], "also what was less than a shard"
    kept = resume(tmp_path / "run", OF, list(FILES), TASKS)
    assert set(kept.kept.rows) == set(tuple(FILES)[:20])
    told: list[tuple[int, int]] = []
    counted = Counting()
    again = predict(Classifier(counted), manifest(), ONE, lambda *now: told.append(now), kept)
    assert again.scores["gender"].tobytes() == whole.scores["gender"].tobytes()
    assert list(again.rows) == list(whole.rows)
    assert (counted.calls, again.kept, whole.kept) == (5, 20, 0)
    assert (told[0], told[-1]) == ((24, 37), (37, 37))
    assert again.images_per_second == pytest.approx(17 / again.seconds)
    assert shards(tmp_path / "run")[-1] == "part-0-5.npz", "an interruption of what goes on loses little too"


def test_with_batches_of_another_size_only_what_lacks_is_computed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted_at(5, tmp_path / "run", KeyboardInterrupt(), monkeypatch)
    rows: list[str] = []
    read = ImageBatches.__getitem__

    def noting(batches: ImageBatches, index: int) -> ImageBatch:
        rows.extend(batches.rows_of(index))
        return read(batches, index)

    monkeypatch.setattr(ImageBatches, "__getitem__", noting)
    found = run(resume(tmp_path / "run", OF, list(FILES), TASKS), settings=ONE.model_copy(update={"batch_size": 16}))
    assert rows == list(FILES)[20:]
    assert list(found.rows) == list(FILES)
    expected = run(begin(tmp_path / "whole", OF)).scores["gender"]
    np.testing.assert_allclose(found.scores["gender"], expected, atol=2e-6)


def test_nothing_is_left_to_compute(tmp_path: Path) -> None:
    whole = run(begin(tmp_path / "run", OF))
    counted = Counting()
    again = run(resume(tmp_path / "run", OF, list(FILES), TASKS), seen=counted)
    assert counted.calls == 0
    assert again.scores["gender"].tobytes() == whole.scores["gender"].tobytes()


def test_too_many_unreadable_images_cost_nothing_but_the_mending(tmp_path: Path) -> None:
    broken = {**FILES, "faces/03.jpg": b"", "faces/30.jpg": b""}
    with pytest.raises(UnreadableImagesError, match=r"^2 of 37 images cannot be read"):
        run(begin(tmp_path / "run", OF), broken, ONE.model_copy(update={"max_unreadable": 1}))
    with pytest.raises(UnreadableImagesError, match=r"^2 of 37 images cannot be read"):
        run(resume(tmp_path / "run", OF, list(FILES), TASKS), broken)
    mended = run(resume(tmp_path / "run", OF, list(FILES), TASKS))
    assert list(mended.rows) == list(FILES)
    np.testing.assert_allclose(mended.scores["gender"], run(begin(tmp_path / "w", OF)).scores["gender"], atol=2e-6)


def test_a_full_disk_ends_the_run_and_the_shards_before_it_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:

    def filling(path: Path, content: bytes | str) -> None:
        if path.name > "part-0-1.npz":
            raise unwritable(path, OSError(errno.ENOSPC, "No space left on device"))
        write_whole(path, content)

    counted = Counting()
    with monkeypatch.context() as patch:
        patch.setattr(unfinished, "write_whole", filling)
        with pytest.raises(OutputError, match=r"part-0-2\.npz could not be written: the disk is full"):
            run(begin(tmp_path / "run", OF), seen=counted)
    assert counted.calls < 10, "not found out at the end"
    found = run(resume(tmp_path / "run", OF, list(FILES), TASKS))
    assert found.kept == 16
    assert found.scores["gender"].tobytes() == run(begin(tmp_path / "whole", OF)).scores["gender"].tobytes()


class Deadly(Memory):
    """Kills the process that reads one of its images."""

    def read(self, row: str) -> bytes:
        if row == "faces/20.jpg":
            os.kill(os.getpid(), signal.SIGKILL)
        return super().read(row)


def test_a_killed_loader_process_is_one_sentence() -> None:
    batches = ImageBatches(Deadly(FILES), list(FILES), PREPROCESS, 8)
    forward = Forward(Classifier(network()), torch.device("cpu"), "fp32", 8)
    with pytest.raises(LostProcessError) as caught, losses_told():
        list(_by_loader(batches, range(5), forward, _Limit(0, 0), 1))
    assert str(caught.value) == (
        "a process that decodes images was killed, perhaps because memory ran out; use fewer --workers"
    )


def test_a_killed_loader_process_is_told_wherever_torch_hears_of_it() -> None:
    heard = RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. ")
    told = _FailureAt(3, CheckpointError("the network does not take these images"))
    told.__cause__ = heard  # the main thread was in the network, whose failures are told so
    for error in (heard, told, ConnectionResetError(104, "Connection reset by peer")):
        with pytest.raises(LostProcessError), losses_told():
            raise error
    with pytest.raises(RuntimeError, match="another"), losses_told():
        raise RuntimeError("another, caught in DataLoader worker process 0")


def test_a_lost_process_keeps_what_was_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted_at(5, tmp_path / "run", LostProcessError("a process that decodes images was killed"), monkeypatch)
    assert len(resume(tmp_path / "run", OF, list(FILES), TASKS).kept.rows) == 20


def test_shards_with_rows_of_another_run_are_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted_at(5, tmp_path / "run", KeyboardInterrupt(), monkeypatch)
    few = list(FILES)[10:]
    kept = resume(tmp_path / "run", OF, few, TASKS)
    assert kept.kept.rows == tuple(few[6:10]), "of three shards one lies wholly within"
