"""Nothing asks a network for anything, and what differs between two runs of the same kind is nothing that is reported."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

from fairaudit.artifacts.tables import read_predictions
from tests.cli.conftest import Cli

pytestmark = pytest.mark.training

TINY = (
    "mitigate", "--data", "synthetic", "--data-option", "n=80", "--data-option", "size=16", "--target", "gender", "--by",
    "tone", "--loss", "max-group", "--epochs", "1", "--size", "16", "--seeds", "1", "--min-support", "1",
)  # fmt: skip


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """No connection can be made and no name looked up; what was tried."""
    tried: list[str] = []

    def refuse(*asked: Any, **_: Any) -> NoReturn:
        tried.append(repr(asked))
        raise OSError("no network here")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse, raising=True)
    for name in ("getaddrinfo", "gethostbyname", "create_connection"):
        monkeypatch.setattr(socket, name, refuse)
    return tried


def test_an_audit_of_a_checkpoint_asks_nobody(evaluate: tuple[str, ...], cli: Cli, offline: list[str], drawn: None) -> None:
    assert cli(*evaluate, "--out", "run").code == 0
    assert cli("report", "run", "--format", "html", "--out", "page.html").code == 0
    assert cli("gate", "run", "--rule", "accuracy gap by race <= 0.99").code in (0, 3)
    assert Path("run/report.html").exists()
    assert offline == []


def test_weights_are_the_one_thing_that_is_asked_for(cli: Cli, offline: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(Path.cwd()))
    refused = cli(*TINY, "--arch", "torchvision/shufflenet_v2_x0_5", "--weights", "pretrained", "--out", "run")
    assert refused.code == 2
    assert refused.err.endswith("give a local file with --weights FILE\n")
    assert offline != []
    assert not Path("run").exists()


@pytest.mark.training
def test_training_asks_nobody(cli: Cli, offline: list[str]) -> None:
    ended = cli(*TINY, "--out", "run")
    assert ended.code == 0, ended.err
    assert offline == []


@pytest.mark.parametrize("more", [("--batch-size", 1), ("--batch-size", 7, "--workers", 1), ("--workers", 3)])
def test_how_images_are_batched_changes_no_decision(evaluate: tuple[str, ...], cli: Cli, more: tuple[object, ...]) -> None:
    assert cli(*evaluate, "--out", "usual", "--no-report").code == 0
    assert cli(*evaluate, *more, "--out", "other", "--no-report").code == 0
    usual, other = (read_predictions(Path(name, "predictions.parquet")).tasks["gender"] for name in ("usual", "other"))
    assert usual.y_score is not None
    assert other.y_score is not None
    np.testing.assert_array_equal(usual.y_pred, other.y_pred)
    np.testing.assert_allclose(
        usual.y_score, other.y_score, atol=1e-5
    )  # convolutions of other sizes add up in another order
    counted = [
        [by["counts"] for by in json.loads(Path(name, "audit.json").read_text())["groupings"]]
        for name in ("usual", "other")
    ]
    assert counted[0] == counted[1]
