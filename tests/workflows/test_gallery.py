"""The gallery of a stored run: which rows it shows, what they look like, and what it refuses."""

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fairaudit.artifacts.records import write_audit, write_toml
from fairaudit.artifacts.tables import write_predictions
from fairaudit.cli.app import run
from fairaudit.config import AuditSettings
from fairaudit.data.locate import load_dataset
from fairaudit.data.manifest import FolderStore
from fairaudit.errors import DataError, UsageError
from fairaudit.predictions import Column, Predictions, Task
from fairaudit.results.gallery import CLOSE, MISTAKE
from fairaudit.workflows.audit import audit
from fairaudit.workflows.gallery import MOST, SIDE, gallery_of, stored_gallery


def _predictions(extra: str = "d.png") -> Predictions:
    score = np.array([[0.1, 0.9], [0.8, 0.2], [0.4, 0.6], [0.45, 0.55]])
    task = Task(("no", "yes"), np.array([0, 0, 0, 1]), score.argmax(1), score)
    race = Column(np.array([0, 0, 1, 1]), ("Black", "White"))
    return Predictions(np.array(["a.png", "b.png", "c.png", extra], dtype=object), {"smile": task}, {"race": race})


def _images(folder: Path) -> Path:
    for i, name in enumerate(("a.png", "b.png", "c.png", "d.png")):
        Image.new("RGB", (300, 200), (60 * i, 10, 10)).save(folder / name)
    return folder


SETTINGS = AuditSettings.model_validate({"by": [["race"]], "target": "smile"})


def test_every_face_names_its_row_and_shows_its_picture(tmp_path: Path) -> None:
    found = gallery_of(_predictions(), SETTINGS, ("race",), FolderStore(_images(tmp_path)), 1)
    shown = [(face.row, face.group["race"], face.kind, face.true, face.predicted, face.score) for face in found.faces]
    assert shown == [
        ("a.png", "Black", MISTAKE, "no", "yes", 0.9),
        ("b.png", "Black", CLOSE, "no", "no", 0.8),
        ("c.png", "White", MISTAKE, "no", "yes", 0.6),
        ("d.png", "White", CLOSE, "yes", "yes", 0.55),
    ]
    for i, face in enumerate(found.faces):
        head, _, data = face.image.partition(",")
        assert head == "data:image/jpeg;base64"
        picture = Image.open(io.BytesIO(base64.b64decode(data)))
        assert picture.size == (SIDE, SIDE * 2 // 3)
        pixel = picture.getpixel((40, 30))
        assert isinstance(pixel, tuple)
        assert abs(pixel[0] - 60 * i) < 12


def test_what_cannot_be_read_has_no_picture_and_paths_stay_below_the_root(tmp_path: Path) -> None:
    inside = tmp_path / "faces"
    inside.mkdir()
    _images(inside)
    (inside / "b.png").write_bytes(b"not an image")
    Image.new("RGB", (9, 9)).save(tmp_path / "d.png")
    found = gallery_of(_predictions("../d.png"), SETTINGS, ("race",), FolderStore(inside), 2)
    assert {face.row: bool(face.image) for face in found.faces} == {"a.png": True, "b.png": False, "c.png": True,
                                                                     "../d.png": False}  # fmt: skip


def test_a_threshold_moves_the_mistakes(tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"threshold": 0.57, "positive": "yes"})
    found = gallery_of(_predictions(), settings, ("race",), FolderStore(_images(tmp_path)), 4)
    assert [face.row for face in found.faces if face.kind == MISTAKE] == ["a.png", "c.png", "d.png"]


def _stored(folder: Path, predictions: Predictions) -> Path:
    folder.mkdir(parents=True)
    write_predictions(predictions, folder / "predictions.parquet")
    settings = SETTINGS.model_copy(update={"target": next(iter(predictions.tasks))})
    write_audit(audit(predictions, settings), folder / "audit.json")
    (folder / "run.json").write_text(json.dumps({"settings": settings.model_dump(mode="json")}))
    return folder


def test_a_stored_audit_needs_the_images_named(tmp_path: Path) -> None:
    stored = _stored(tmp_path / "run", _predictions())
    with pytest.raises(UsageError, match=r"does not say where its images are; name the folder .* with --images"):
        stored_gallery(stored, ("race",), 2)
    assert len(stored_gallery(stored, ("race",), 2, _images(tmp_path)).faces) == 4
    with pytest.raises(DataError, match=r"none of 4 images can be read, the first is a\.png"):
        stored_gallery(stored, ("race",), 2, stored)


def test_a_run_of_an_experiment_finds_the_images_of_its_dataset(tmp_path: Path) -> None:
    rows = load_dataset("synthetic", None, "all", n="6").frame["row"].to_numpy(dtype=object)
    task = Task(("no", "yes"), np.zeros(6, dtype=np.int64), np.array([1, 0, 1, 0, 1, 0]))
    predictions = Predictions(rows, {"smile": task}, {"race": Column(np.zeros(6, dtype=np.int64), ("Drawn",))})
    stored = _stored(tmp_path / "experiment" / "erm" / "seed-0", predictions)
    config = {"data": "synthetic", "data_options": {"n": 6}, "arms": [{"loss": "max-group"}], "audit": {"by": [["race"]]}}
    write_toml(tmp_path / "experiment" / "mitigate.toml", config)
    found = stored_gallery(stored, ("race",), 2)
    assert [face.row for face in found.faces] == [rows[0], rows[2]]
    assert all(face.image for face in found.faces)


def test_refusals(tmp_path: Path) -> None:
    store = FolderStore(_images(tmp_path))
    for each in (0, MOST + 1):
        with pytest.raises(UsageError, match=f"--gallery {each}: choose 1 to {MOST}"):
            gallery_of(_predictions(), SETTINGS, ("race",), store, each)
    tasks = dict(_predictions().tasks) | {"hat": next(iter(_predictions().tasks.values()))}
    several = Predictions(_predictions().rows, tasks, _predictions().attributes)
    with pytest.raises(UsageError, match="several labels were audited"):
        gallery_of(several, SETTINGS.model_copy(update={"target": "smile+hat"}), ("race",), store, 2)


def test_the_page_of_a_stored_run_shows_the_faces_and_names_their_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    images, run_folder = tmp_path / "images", tmp_path / "run"
    images.mkdir()
    _images(images)
    lines = [
        "file,smile,smile_pred,race",
        "a.png,no,yes,Black",
        "b.png,no,no,Black",
        "c.png,no,yes,White",
        "d.png,no,no,White",
    ]
    (tmp_path / "table.csv").write_text("\n".join(lines))
    monkeypatch.chdir(tmp_path)
    words = ["audit", "table.csv", "--y-true", "smile", "--id", "file", "--by", "race", "--out", "run", "--no-report", "-q"]
    assert run([*words, "--classes", "no,yes"]) == 0
    assert not (run_folder / "report.html").exists()
    shown = ["report", "run", "--format", "html", "--gallery", "3"]
    capsys.readouterr()
    assert run(shown) == 2
    assert "name the folder that row ids are paths below with --images" in capsys.readouterr().err
    assert run([*shown, "--images", "images"]) == 0
    page = capsys.readouterr().out
    assert page.count("data:image/jpeg;base64,") == 2
    assert "a.png: yes, labelled no" in page
    assert "c.png: yes, labelled no" in page
    assert "The dataset's terms" in page.replace("&#39;", "'")
    for words, said in (
        (["report", "run", "--gallery", "3"], "add --format html"),
        (["report", "run", "--format", "html", "--images", "images"], "add --gallery N"),
        (["report", "table.csv", "--format", "html", "--gallery", "1"], "not valid JSON"),
        (["report", "run", "--format", "html", "--gallery", "0", "--images", "images"], "choose 1 to 50"),
    ):
        assert run(words) == 2
        assert said in capsys.readouterr().err
