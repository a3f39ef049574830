"""Two processes under torchrun give what one gives, every row once, and end in order."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import io, json, sys
from dataclasses import dataclass, field
import numpy as np, pandas as pd, torch
from PIL import Image
from torch import nn
from fairaudit.config import InferenceSettings, Preprocess
from fairaudit.data.manifest import Card, Manifest
from fairaudit.engine.devices import finish, is_main
from fairaudit.engine.predict import predict
from fairaudit.errors import FairauditError

class Faces:
    def read(self, row):
        number = int(row)
        if number in (3, 17):
            return b""
        out = io.BytesIO()
        pixels = np.random.default_rng(number).integers(0, 256, (20, 20, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(out, "JPEG")
        return out.getvalue()
    def missing(self, rows):
        return []

class Head:
    tasks = {"gender": ("a", "b"), "race": ("c", "d", "e")}
    def scores(self, logits):
        return {"gender": logits[:, :2].softmax(1), "race": logits[:, 2:].sigmoid()}

class Classifier:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 6, 5, 2), nn.ReLU(), nn.Flatten(), nn.Linear(600, 5)).eval()
    head = Head()
    preprocess = Preprocess(size=(24, 24), resize="squash")

rows = [str(i) for i in range(int(sys.argv[1]))]
manifest = Manifest(pd.DataFrame({"row": rows, "split": "all"}), Faces(), Card("made here"))
settings = InferenceSettings(device="cpu", batch_size=4, workers=1, max_unreadable=int(sys.argv[2]))
last = []
try:
    result = predict(Classifier(), manifest, settings, lambda *told: last.append(told))
    said = {
        "rows": list(result.rows),
        "scores": {task: values.tolist() for task, values in result.scores.items()},
        "unreadable": result.unreadable,
        "last": last[-1] if last else None,
    }
except FairauditError as error:
    said = str(error)
finally:
    finish()
if is_main():
    print(json.dumps(said))
"""


def run(folder: Path, processes: int, images: int, max_unreadable: int) -> object:
    script = folder / "predict_here.py"
    script.write_text(SCRIPT)
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)] if processes > 1 else []
    command = [sys.executable, *launcher, str(script), str(images), str(max_unreadable)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, check=False)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


@pytest.mark.slow
def test_two_processes_equal_one(tmp_path: Path) -> None:
    alone = run(tmp_path, 1, 22, 2)
    together = run(tmp_path, 2, 22, 2)
    assert together == alone
    assert isinstance(alone, dict)
    assert alone["rows"] == [str(i) for i in range(22) if i not in (3, 17)]
    assert alone["unreadable"] == [["3", "the file is empty"], ["17", "the file is empty"]]
    assert alone["last"] == [22, 22]


@pytest.mark.slow
def test_a_process_without_any_batch_takes_part(tmp_path: Path) -> None:
    assert run(tmp_path, 2, 3, 0) == run(tmp_path, 1, 3, 0)


@pytest.mark.slow
def test_unreadable_images_of_all_processes_are_counted_together(tmp_path: Path) -> None:
    said = run(tmp_path, 2, 22, 1)
    assert said == run(tmp_path, 1, 22, 1)
    assert said == (
        "2 of 22 images cannot be read, and --max-unreadable allows 1: 3 (the file is empty); 17 (the file is empty); "
        "mend or remove them, or allow more"
    )
