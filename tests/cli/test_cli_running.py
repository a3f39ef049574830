"""How a network is run, by flags: what goes together, and what ``run.json`` keeps of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.cli.conftest import Cli


def test_exact_pixels_and_scaled_ones_exclude_each_other(evaluate: tuple[str, ...], cli: Cli) -> None:
    cli(*evaluate, "--exact-resize", "--scaled-decoding").refused(
        "exact_resize keeps every pixel as Pillow has it and scaled_decoding does not; choose one"
    )


@pytest.mark.training
def test_a_run_says_that_it_was_compiled_and_decoded_at_a_fraction(
    evaluate: tuple[str, ...], cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compiled(model: nn.Module, **_: object) -> nn.Module:
        return model

    monkeypatch.setattr(torch, "compile", compiled)
    found = cli(*evaluate, "--compile", "--scaled-decoding", "--no-report", "--out", "run", "-f", "json")
    plain = cli(*evaluate, "--no-report", "--out", "plain", "-f", "json")
    decided = [json.loads(one.out)["groupings"][0]["counts"] for one in (found, plain)]
    assert decided[0] == decided[1]  # small pictures are not decoded otherwise
    told = [json.loads(Path(run, "run.json").read_text())["inference"] for run in ("run", "plain")]
    assert [(one["compile"], one["scaled_decoding"]) for one in told] == [(True, True), (False, False)]
    assert "compile = true" in Path("run/config.toml").read_text()
