"""Undamaged files of what was begun and not ended, and of what is made once and used later: each a folder of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from fairaudit.artifacts import unfinished
from fairaudit.artifacts.unfinished import Shards
from fairaudit.cli.app import run
from fairaudit.engine import train

KEPT = "kept"
"""Folder of what becomes a command's ``out``."""
DATA = ("--data", "table", "--root", "labels.csv", "--data-option", "images=faces")
EVALUATE = ("evaluate", "model.pt", *DATA, "--target", "gender", "--by", "race", "--size", "32", "--batch-size", "2",
            "--min-support", "1", "--device", "cpu", "--no-report", "-q", "--out", "out/run")  # fmt: skip
DRAWN = ("--data", "synthetic", "--data-option", "n=60", "--data-option", "size=32")
REGIONS = ("--size", "32", "--patch", "8", "--per-side", "7", "--width", "4", "--epochs", "1", "--batch-size", "32",
           "--sample", "6", "--device", "cpu", "--workers", "0", "-q")  # fmt: skip
_TRAIN = (*DRAWN, "--by", "Eyeglasses", "--bootstrap", "100", "--arch", "timm/test_efficientnet", "--size", "32",
          "--seeds", "1", "--device", "cpu", "--no-report", "-q", "--out", "out")  # fmt: skip
MITIGATE = ("mitigate", *_TRAIN, "--epochs", "2", "--loss", "max-group", "--ema", "0.9")
TUNE = ("sweep", *_TRAIN, "--epochs", "1", "--loss", "max-group", "--tune", "3", "--tune-space", "lr=0.0001..0.01")
FIT = ("attribute", "fit", "Eyeglasses", *DRAWN, *REGIONS, "--epochs", "2", "--out", "out/fit")
STORE = "glasses"


class StoppedError(KeyboardInterrupt):
    """Ctrl-C at a moment of our choice."""


@contextmanager
def _stopped_after(owner: Any, name: str, times: int) -> Iterator[None]:
    """Within the block what is called so is interrupted once it has been called so often."""
    real: Callable[..., Any] = getattr(owner, name)
    done: list[None] = []

    def called(*words: Any, **named: Any) -> None:
        real(*words, **named)
        done.append(None)
        if len(done) == times:
            raise StoppedError

    with patch.object(owner, name, called):
        yield


def make_unfinished(folder: Path) -> None:
    """Write them beside what ``make_seeds`` writes.

    Args:
        folder: what ``make_seeds`` filled.
    """
    with chdir(folder):
        assert run(["attribute", "fit", "Eyeglasses", *DRAWN, *REGIONS, "--out", STORE]) == 0
        Path(KEPT).mkdir()
        for name, words, owner, called, times in (
            ("mitigate", MITIGATE, train, "save_state", 3),  # the baseline is done, the other arm in its second epoch
            ("tune", TUNE, train, "save_state", 4),  # three trials of the baseline, one of the other arm
            ("fit", FIT, train, "save_state", 1),
        ):
            with _stopped_after(owner, called, times):
                assert run(words) == 130
            os.rename("out", f"{KEPT}/{name}")  # noqa: PTH104
        with (
            patch.multiple(unfinished, IMAGES=2, SECONDS=0.0, SHARE=1e9),
            _stopped_after(Shards, "_write", 2),
        ):
            assert run(EVALUATE) == 130
        os.rename("out", f"{KEPT}/evaluate")  # noqa: PTH104
