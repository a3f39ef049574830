"""Demo: the main job on drawn faces. A biased sample trains a model, an audit finds it out, max-group retrains it.

Nothing is downloaded and nobody is shown. It is one run of ``mitigate`` with a single seed: both models start from the same
weights and see the same images in the same number of epochs; both are audited on the same balanced test faces, which
neither saw.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairaudit.artifacts.comparisons import read_comparison
from fairaudit.artifacts.records import read_audit
from fairaudit.comparison import ComparisonResult
from fairaudit.config import (
    Arm,
    AuditSettings,
    MitigateConfig,
    ModelSettings,
    PreprocessOverrides,
    TestSettings,
    TrainingSettings,
)
from fairaudit.results import AuditResult
from fairaudit.workflows.mitigate import mitigate
from fairaudit.workflows.pages import write_page
from fairaudit.workflows.run_folders import COMPARISON, run_folder
from fairaudit.workflows.study import Watch

TARGET, ATTRIBUTE = "gender", "Eyeglasses"
# A shortcut: nearly all drawn women of the sample wear glasses and nearly no man does; in the test half of each do.
TRAIN_FACES: Mapping[str, Any] = {"n": 4000, "size": 48, "seed": 0, "spurious": f"{ATTRIBUTE}~{TARGET}=woman:0.9"}
TEST_FACES: Mapping[str, Any] = {
    "n": 6000, "size": 48, "seed": 1, "shares": f"{ATTRIBUTE}=yes:0.5", "balanced_test": False,
}  # fmt: skip
RULE = f"accuracy worst_group by {TARGET},{ATTRIBUTE} >= 0.65"
BASELINE, MITIGATION = "erm", "max-group"


@dataclass(frozen=True)
class Demo:
    """What the demo found.

    Attributes:
        before: audit of the model trained by plain cross-entropy.
        after: audit of the model trained with max-group.
        comparison: what changed between them, image by image.
        folder: of the experiment.
        runs: the run folders of both.
    """

    before: AuditResult
    after: AuditResult
    comparison: ComparisonResult
    folder: Path
    runs: tuple[Path, Path]


def demo(out: Path, *, seed: int = 0, command: Sequence[str] = (), watch: Watch | None = None) -> Demo:
    """Train, audit, retrain, audit again, compare, and leave a page of the experiment beside its record.

    Args:
        out: folder of the experiment.
        seed: of the split, and through it of the images that are learnt from.
        command: the command line, for ``run.json``.
        watch: who is told what happens.

    Raises:
        OutputError: a result cannot be written.
    """
    config = settings(seed)
    resumed = (out / "mitigate.toml").exists()
    found = mitigate(config, out, resume=resumed, command=command, watch=watch)
    assert found is not None  # the demo runs in one process
    write_page(found.result, out)
    before, after = (run_folder(out, arm, 0) for arm in config.trained)
    audits = [read_audit(run) for run in (before, after)]
    return Demo(audits[0], audits[1], read_comparison(after.parent / COMPARISON), out, (before, after))


def settings(seed: int) -> MitigateConfig:
    """The experiment.

    Args:
        seed: of the split.
    """
    return MitigateConfig(
        data="synthetic",
        data_options=TRAIN_FACES,
        split="train",
        test=TestSettings(data="synthetic", split="test", data_options=TEST_FACES),
        split_shares=(0.9, 0.1, 0.1),
        split_seed=seed,
        compare_content=False,
        network=ModelSettings(arch="timm/test_resnet", preprocess=PreprocessOverrides(size=(48, 48), resize="squash")),
        arms=(Arm(loss=MITIGATION, training={"balance": "groups"}, label=MITIGATION),),
        seeds=1,
        training=TrainingSettings(epochs=8, batch_size=64, lr=3e-3, warmup=1),
        audit=AuditSettings(target=TARGET, by=((TARGET, ATTRIBUTE),), rules=(RULE,)),
    )
