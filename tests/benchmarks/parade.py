"""PARADE (reconstruction) against margin loss on drawn people: ``python -m tests.benchmarks.parade --out DIR``.

90 % of the people that are learnt from have light skin, 5 % medium, 5 % dark; people of the test are other ones, a third of
each. What is asked: does an embedding that is decorrelated from the tone of the skin find people of all tones equally
often? Everything is trained five times from random weights, at 32 pixels on one thread, about a quarter of an hour of
processor time in all, and resumable. A second experiment learns from as many people of whom a third has each tone: the gap
that is left there is not of the imbalance. Settings were not chosen: ρ is the sweep that the ancestor's value ends.

Leakage is the balanced accuracy of a linear probe of the tone on the test images' embeddings, cross-validated by person;
without any it would be a third.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from fairaudit.config import InferenceSettings, MitigateConfig, ModelSettings
from fairaudit.data.locate import load_dataset
from fairaudit.data.manifest import Manifest
from fairaudit.embedding.leakage import leakage
from fairaudit.engine.devices import one_thread
from fairaudit.engine.embed import TASK, cut, embed
from fairaudit.metrics.retrieval import normalised
from fairaudit.models.classifier import load_classifier
from fairaudit.predictions import Column
from fairaudit.results.mitigation import MitigationResult
from fairaudit.workflows.mitigate import mitigate
from fairaudit.workflows.study import Watch

TONES = ("light", "medium", "dark")
SKEW = "tone=light:0.9,medium:0.05,dark:0.05"
DRAWN = {"size": 32, "pictures_per_identity": 4, "balanced_test": False}
TEST = {**DRAWN, "n": 1800, "seed": 1}
STRENGTHS = (50, 150, 500, 1500)


def config(shares: str, arms: Sequence[Mapping[str, Any]]) -> MitigateConfig:
    """One experiment.

    Args:
        shares: of tones among the people that are learnt from.
        arms: what is tried.
    """
    return MitigateConfig.model_validate(
        {
            "data": "synthetic",
            "data_options": {**DRAWN, "n": 2200, "shares": shares},
            "test": {"data": "synthetic", "split": "all", "data_options": TEST},
            "split_shares": (0.9, 0.05, 0.05),
            "compare_content": False,
            "arms": arms,
            "network": {"preprocess": {"size": (32, 32), "resize": "squash"}},
            "training": {"epochs": 8, "lr": 3e-3, "select": "last", "device": "cpu", "workers": 0},
            "audit": {"target": "identity", "by": [["tone"]]},
            "seeds": 5,
        }
    )


EXPERIMENTS: Mapping[str, MitigateConfig] = {
    "skewed": config(
        SKEW,
        [
            {"method": "metric-learning"},
            *({"method": "parade", "method_options": {"decorrelation": str(rho)}} for rho in STRENGTHS),
            {"method": "adversarial"},
            {"method": "metric-learning", "method_options": {"balanced": "groups"}},
        ],
    ),
    "balanced": config("", [{"method": "metric-learning"}]),
}


def leaked(result: MitigationResult, folder: Path, test: Manifest) -> dict[str, list[float]]:
    """How well the tone is told from embeddings of the test images: arm → one number per seed; kept in a file.

    Args:
        result: of an experiment.
        folder: its folder.
        test: the test images.
    """
    record = folder / "leakage.json"
    known: dict[str, float] = json.loads(record.read_text()) if record.exists() else {}
    tones = test.frame["tone"].cat.codes.to_numpy().astype(np.int64)
    people = Column.of(test.frame["identity"].tolist()).codes
    for run in (run for arm in result.arms for run in arm.runs):
        if run.folder not in known:
            network = load_classifier(folder / run.folder / "model.pt", ModelSettings(), None, {})
            found = embed(cut(network), test, InferenceSettings(device="cpu", workers=0))
            assert [str(row) for row in found.rows] == test.frame["row"].tolist()
            probed = leakage(normalised(found.scores[TASK]), tones, people, 0, 0.95)
            known[run.folder] = probed["linear"].balanced
            record.write_text(json.dumps(known))
    return {arm.name: [known[run.folder] for run in arm.runs] for arm in result.arms}


def recalls(folder: Path, run: str) -> dict[str, float]:
    """Recall@1 of one run by tone, of all, and the gap.

    Args:
        folder: of the experiment.
        run: folder of the run within it.
    """
    audit = json.loads((folder / run / "audit.json").read_text())
    by_tone = {
        one["group"]["tone"]: one["metrics"]["accuracy"]["value"]
        for grouping in audit["groupings"]
        for one in grouping["groups"]
    }
    gap = max(by_tone.values()) - min(by_tone.values())
    return {**by_tone, "all": audit["overall"]["metrics"]["accuracy"]["value"], "gap": gap}


def table(results: Mapping[str, MitigationResult], out: Path, test: Manifest) -> str:
    """Markdown: an arm a line, mean ± SD over seeds, change from the baseline with the p of a paired t-test.

    Args:
        results: experiment → what it found.
        out: folder of the experiments.
        test: the test images.
    """
    lines = [
        "| trained on | recall@1 | " + " | ".join(TONES) + " | gap | gap closed | leakage |",
        "|---" * (5 + len(TONES)) + "|",
    ]
    for name, result in results.items():
        told = leaked(result, out / name, test)
        runs = {arm.name: [recalls(out / name, run.folder) for run in arm.runs] for arm in result.arms}
        base = runs[str(result.baseline)]
        for arm in result.arms:
            own = runs[arm.name]
            cells = [
                cell([one[key] for one in own], None if own is base else [one[key] for one in base])
                for key in ("all", *TONES, "gap")
            ]
            closed = (
                "–" if own is base else f"{1 - np.mean([o['gap'] for o in own]) / np.mean([b['gap'] for b in base]):.0%}"
            )
            probe = cell(told[arm.name], None if own is base else told[str(result.baseline)])
            lines.append(f"| {name}: {arm.name} | {' | '.join(cells)} | {closed} | {probe} |")
    skewed = results["skewed"]
    sweep = [next(arm.name for arm in skewed.arms if arm.name == f"parade(decorrelation={rho})") for rho in STRENGTHS]
    told = leaked(skewed, out / "skewed", test)
    per_seed = np.array([told[str(skewed.baseline)], *(told[arm] for arm in sweep)])
    slopes = [stats.linregress(np.arange(len(per_seed)), column).slope for column in per_seed.T]
    p = float(stats.ttest_1samp(slopes, 0).pvalue)
    lines.append(
        f"\nLeakage per step of ρ (0, {', '.join(map(str, STRENGTHS))}): {np.mean(slopes):+.4f}, p = {p:.3f} over seeds."
    )
    return "\n".join(lines)


def cell(own: Sequence[float], base: Sequence[float] | None) -> str:
    """Mean ± SD, and with a baseline the change and the p of a paired t-test.

    Args:
        own: one number per seed.
        base: those of the baseline.
    """
    text = f"{np.mean(own):.3f} ±{np.std(own, ddof=1):.3f}"
    if base is None:
        return text
    change = np.array(own) - np.array(base)
    return f"{text} ({change.mean():+.3f}, p={float(stats.ttest_rel(own, base).pvalue):.3f})"


def main() -> None:
    """Run what is not done, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the experiments; an earlier one is gone on with")
    out = parser.parse_args().out
    watch = Watch(arm=lambda number, of, arm, seed: print(f"{number} of {of}: {arm}, seed {seed}", flush=True))
    results = {}
    for name, wanted in EXPERIMENTS.items():
        done = mitigate(wanted, out / name, resume=(out / name / "mitigate.toml").exists(), watch=watch)
        assert done is not None
        results[name] = done.result
    with one_thread():
        print(table(results, out, load_dataset("synthetic", None, "all", **TEST)))


if __name__ == "__main__":
    main()
