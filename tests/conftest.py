"""Fixtures that every test may use."""

from __future__ import annotations

import gc
import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

# Before anything imports torch or numpy, and for every process that a test starts: networks and tables this small only
# wait for each other's threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell that starts the tests in the background has Ctrl-C ignored, in all that they start too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Few examples by default; .ci/run asks for as many as Hypothesis itself would try (--hypothesis-profile thorough). A busy
# machine is no error: no example has a deadline.
settings.register_profile("quick", max_examples=15, deadline=None)
settings.register_profile("thorough", max_examples=100, deadline=None)
settings.load_profile("quick")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real faces, predictions and weights; tests that need it skip where it is not."""
    folder = Path(os.environ.get("FAIRAUDIT_SHARED", Path(__file__).parents[2] / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip("the real faces are not here (set FAIRAUDIT_SHARED)")
    return folder


def pytest_collection_finish() -> None:
    """Leave the modules and tests that are loaded by now out of every later garbage collection: a fifth of the time."""
    gc.collect()
    gc.freeze()
