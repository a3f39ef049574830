"""The state of a training, changed in any one place, is not gone on with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from fairaudit.engine.state import STATE, load_state, save_state
from fairaudit.errors import ArtifactError

WHO = {"epochs": 2, "classes": "a, b"}


def _state() -> dict[str, Any]:
    return {
        "module": {"weight": torch.arange(6.0).reshape(2, 3), "steps": torch.tensor(3)},
        "average": None,
        "optimizer": {"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{"lr": 0.1, "params": [0]}]},
        "empty": torch.empty(0),
        "half": torch.ones(3, dtype=torch.bfloat16),
        "random": [(3, (1, 2, 3), None)],
        "epochs": [{"epoch": 1, "score": float("nan")}],
    }


def test_a_state_is_read_as_it_was_written(tmp_path: Path) -> None:
    save_state(tmp_path, WHO, _state())
    found = load_state(tmp_path, WHO)
    assert found is not None
    assert list(found) == list(_state())
    assert torch.equal(found["module"]["weight"], _state()["module"]["weight"])
    assert found["random"] == [(3, (1, 2, 3), None)]


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s["module"].pop("steps"),
        lambda s: s["module"].update(weight=s["module"]["weight"].reshape(3, 2)),
        lambda s: s["module"].update(weight=s["module"]["weight"].double()),
        lambda s: s["module"]["weight"].add_(1),
        lambda s: s["module"].update(weight=[1.0]),
        lambda s: s["optimizer"]["state"][0].pop("step"),
        lambda s: s["optimizer"]["state"].update({"0": s["optimizer"]["state"].pop(0)}),
        lambda s: s["optimizer"]["param_groups"].append({}),
        lambda s: s["epochs"][0].update(score=None),
        lambda s: s.update(random=[(3, (1, 2), None)]),
        lambda s: s.update(average={}),
        lambda s: s.update(more=1),
        lambda s: s.pop("seal"),
        lambda s: s.update(seal=None),
        lambda s: s.update(identity=None),
        lambda s: s["identity"].update(epochs=3),
    ],
)
def test_a_state_that_is_another_thing_is_refused(change: Any, tmp_path: Path) -> None:
    save_state(tmp_path, WHO, _state())
    state = torch.load(tmp_path / STATE, weights_only=True)
    change(state)
    torch.save(state, tmp_path / STATE)
    with pytest.raises(ArtifactError, match=r"training\.pt is not the state of a training, or damaged; delete it"):
        load_state(tmp_path, WHO)
