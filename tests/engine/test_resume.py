"""An interrupted training ends bit for bit where an uninterrupted one does, and never leaves half a file."""

from __future__ import annotations

import csv
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, multiprocessing

from fairaudit.engine.history import Progress, Validation
from fairaudit.engine.state import STATE
from fairaudit.losses import cross_entropy, group_dro, max_group, val_attention
from fairaudit.losses.base import GroupLoss
from tests.engine.interruptions import DATA, Halt, go, halting
from tests.engine.small import accuracies, network, same_bits, told, weights

RECIPES: list[tuple[Callable[..., GroupLoss], dict[str, Any]]] = [
    (cross_entropy.build, {}),
    (cross_entropy.build, {"augment": ["classic", "mixup"], "ema": 0.9, "balance": "groups", "select": "worst-group"}),
    (max_group.build, {"augment": ["s1", "cutmix"], "accumulate": 3, "optimizer": "sgd", "schedule": "step"}),
    (group_dro.build, {"augment": ["randaugment"], "precision": "bf16", "warmup": 1, "optimizer": "lamb"}),
    (val_attention.build, {"freeze": "0,1", "mix_share": 0.5, "augment": ["mixup", "cutmix"], "ema": 0.99}),
    (cross_entropy.build, {"freeze": "backbone", "select": "worst-group"}),
]


@pytest.mark.parametrize(("loss", "changes"), RECIPES)
def test_interrupted_and_resumed_it_ends_with_the_same_bits(
    tmp_path: Path, loss: Callable[..., GroupLoss], changes: dict[str, Any]
) -> None:
    whole, history = go(None, loss=loss, **changes)
    begun = network()
    with pytest.raises(Halt):
        go(tmp_path, loss=loss, model=begun, progress=halting(3, 4), **changes)
    assert not any(module.training for module in begun.modules())
    assert all(parameter.requires_grad for parameter in begun.parameters())
    heard: list[Progress] = []
    # Starting weights of a resumed training do not matter, but for those that it never changes.
    model = network() if "freeze" in changes else network(7)
    torch.rand(3)
    resumed, again = go(tmp_path, loss=loss, model=model, progress=heard.append, **changes)
    assert (heard[0].epoch, heard[0].batch) == (3, 1)
    assert heard[0].finished == again.epochs[1], "epochs that were finished are not run again, and are reported"
    assert same_bits(whole, resumed)
    assert told(history) == told(again)


@pytest.mark.parametrize(("epoch", "batch"), [(1, 1), (1, 99), (2, 6), (4, 99)])
def test_wherever_it_is_interrupted(tmp_path: Path, epoch: int, batch: int) -> None:
    whole, history = go(None)
    with pytest.raises(Halt):
        go(tmp_path, progress=halting(epoch, batch))
    finished = epoch if batch == 99 else epoch - 1
    assert (tmp_path / STATE).exists() == (finished > 0)
    heard: list[Progress] = []
    resumed, again = go(tmp_path, progress=heard.append)
    assert [p.epoch for p in heard if p.batch == 1] == list(range(finished + 1, 5))
    assert same_bits(whole, resumed)
    assert told(history) == told(again)


def test_a_failing_score_costs_its_own_epoch_only(tmp_path: Path) -> None:
    whole, history = go(None)
    good = accuracies(DATA)

    def failing(epoch: int, logits: Tensor) -> Validation:
        if epoch == 3:
            raise Halt
        return good(epoch, logits)

    with pytest.raises(Halt):
        go(tmp_path, score=failing)
    resumed, again = go(tmp_path)
    assert same_bits(whole, resumed)
    assert told(history) == told(again)


def test_one_epoch_at_a_time(tmp_path: Path) -> None:
    whole, history = go(None, ema=0.9)
    for epoch in (1, 2, 3):
        with pytest.raises(Halt):
            go(tmp_path, progress=halting(epoch, 99), ema=0.9)
    resumed, again = go(tmp_path, ema=0.9)
    assert same_bits(whole, resumed)
    assert told(history) == told(again)


def test_a_finished_training_is_not_run_again(tmp_path: Path) -> None:
    first, history = go(tmp_path, select="worst-group")
    heard: list[Progress] = []
    second, again = go(tmp_path, model=network(3), select="worst-group", progress=heard.append)
    assert heard == []
    assert again == history
    assert same_bits(first, second)


@pytest.mark.parametrize("where", ["while it is written", "before it takes its place"])
def test_a_write_that_is_cut_short_leaves_the_epoch_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    whole, history = go(None)
    save, move, calls = torch.save, Path.replace, []

    def half_written(value: Any, file: Any) -> None:
        calls.append(1)
        if len(calls) == 3:
            file.write(b"half")
            raise Halt
        save(value, file)

    def not_moved(self: Path, target: Path) -> Path:
        calls.extend([1] * (target.name == STATE))
        if len(calls) == 3:
            raise Halt
        return move(self, target)

    if where == "while it is written":
        monkeypatch.setattr(torch, "save", half_written)
    else:
        monkeypatch.setattr(Path, "replace", not_moved)
    with pytest.raises(Halt):
        go(tmp_path)
    monkeypatch.undo()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["history.csv", STATE]
    heard: list[Progress] = []
    resumed, again = go(tmp_path, progress=heard.append)
    assert heard[0].epoch == 3
    assert same_bits(whole, resumed)
    assert told(history) == told(again)


def test_a_full_disk_is_one_sentence_and_loses_no_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save, calls = torch.save, []

    def full(value: Any, file: Any) -> None:
        calls.append(1)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        save(value, file)

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(Exception, match=r"training\.pt could not be written: the disk is full; free some space"):
        go(tmp_path)
    monkeypatch.undo()
    heard: list[Progress] = []
    go(tmp_path, progress=heard.append)
    assert heard[0].epoch == 2


def _killed(folder: str) -> None:
    torch.set_num_threads(1)
    go(Path(folder), epochs=400, augment=["classic"], ema=0.9, progress=lambda _: time.sleep(0.002))


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_a_killed_process_loses_no_epoch(tmp_path: Path, how: signal.Signals) -> None:
    """Killed again and again, at whatever moment, it only ever leaves whole files."""
    context = multiprocessing.get_context("spawn")
    reached = 0
    for _ in range(2):
        process = context.Process(target=_killed, args=(str(tmp_path),))
        process.start()
        deadline = time.monotonic() + 120
        while _epochs(tmp_path) <= reached + 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert process.pid is not None
        os.kill(process.pid, how)
        process.join(60)
        assert process.exitcode not in (None, 0)
        now = _epochs(tmp_path)
        state = torch.load(tmp_path / STATE, weights_only=True)
        assert len(state["epochs"]) in (now, now + 1), "the table may be one epoch behind, never ahead"
        assert len(state["epochs"]) > reached
        reached = len(state["epochs"])
    heard: list[Progress] = []
    with pytest.raises(Halt):
        go(tmp_path, epochs=400, augment=["classic"], ema=0.9, progress=_both(heard.append, halting(reached + 1, 99)))
    assert heard[0].epoch == reached + 1
    assert not list(tmp_path.glob(f".{STATE}*")), "what a killed process left is cleared away"
    stopped = network()
    with pytest.raises(Halt):
        go(tmp_path / "whole", model=stopped, epochs=400, augment=["classic"], ema=0.9, progress=halting(reached + 1, 99))
    first, second = (torch.load(folder / STATE, weights_only=True)["average"] for folder in (tmp_path, tmp_path / "whole"))
    assert all(torch.equal(first[key], second[key]) for key in first)


def _both(*hear: Callable[[Progress], None]) -> Callable[[Progress], None]:
    def all_of_them(now: Progress) -> None:
        for one in hear:
            one(now)

    return all_of_them


def _epochs(folder: Path) -> int:
    table = folder / "history.csv"
    return len(table.read_text().splitlines()) - 1 if table.exists() else 0


def test_the_table_of_epochs(tmp_path: Path) -> None:
    with pytest.raises(Halt):
        go(tmp_path, progress=halting(3, 2))
    assert _epochs(tmp_path) == 2
    _, history = go(tmp_path)
    with (tmp_path / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3, 4]
    for row, epoch in zip(rows, history.epochs, strict=True):
        assert epoch.validation is not None
        assert float(row["loss"]) == epoch.loss
        assert float(row["lr"]) == epoch.lr
        assert float(row["score"]) == epoch.validation.score
        for i in range(3):
            assert float(row[f"loss of group {i}"]) == epoch.group_losses[i]
            assert float(row[f"accuracy of group {i}"]) == epoch.validation.group_accuracies[i]


def test_without_a_folder_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    model, _ = go(None)
    assert list(tmp_path.iterdir()) == []
    assert all(value.isfinite().all() for value in weights(model))
