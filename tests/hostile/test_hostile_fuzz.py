"""A sample of the damaged files of ``python -m tests.benchmarks.fuzz``, and those that once brought a command down."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.hostile.judging import case_folder, draw, judged
from tests.hostile.seeds import make_seeds
from tests.hostile.targets import TARGETS, Target
from tests.hostile.targets_of_training import TRAINED
from tests.hostile.unfinished import make_unfinished

pytestmark = pytest.mark.filterwarnings("default")  # as a user's interpreter has them, not as errors

ALL = (*TARGETS, *TRAINED)
SHARES = np.array([target.share for target in ALL])
QUICK = [target for target in TARGETS if not target.name.startswith(("checkpoint", "image", "config", "embeddings"))]


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fuzz") / "seeds"
    make_seeds(folder)
    return folder


@pytest.fixture(scope="module")
def begun(seeds: Path) -> Path:
    """With what is begun and not ended beside."""
    make_unfinished(seeds)
    return seeds


def fallen(seed: int, case: int, seeds: Path, work: Path) -> str:
    """What fell in a case of the benchmark; empty where nothing did."""
    rng = np.random.default_rng([seed, case])
    target = ALL[int(rng.choice(len(ALL), p=SHARES / SHARES.sum()))]
    data, words = draw(target, seeds, rng)
    with case_folder(seeds, work, target, data):
        ending = judged(words)
    return ending.problem and f"{seed}/{case} {target.name}: {ending.problem} {ending.err}"


@pytest.mark.parametrize("target", QUICK, ids=lambda target: target.name)
def test_a_sample_of_damaged_files(target: object, seeds: Path, tmp_path: Path) -> None:
    one = next(known for known in QUICK if known is target)
    for case in range(6):
        data, words = draw(one, seeds, np.random.default_rng([77, case]))
        with case_folder(seeds, tmp_path / "case", one, data):
            ending = judged(words)
        assert not ending.problem, f"{case} {words}: {ending.err}"


@pytest.mark.training
@pytest.mark.parametrize("target", TRAINED, ids=lambda target: target.name)
def test_a_sample_of_damaged_files_of_trainings(target: Target, begun: Path, tmp_path: Path) -> None:
    for case in range(3):
        data, words = draw(target, begun, np.random.default_rng([78, case]))
        with case_folder(begun, tmp_path / "case", target, data):
            ending = judged(words)
        assert not ending.problem, f"{case} {words}: {ending.err}"


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_many_damaged_files(seed: int, begun: Path, tmp_path: Path) -> None:
    assert not [said for case in range(200) if (said := fallen(100 + seed, case, begun, tmp_path / "case"))]
