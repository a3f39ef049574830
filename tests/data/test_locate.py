"""Finding a dataset's root, and calling its source with checked options."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import pytest
from PIL import Image

from fairaudit import plugins
from fairaudit.data.locate import find_root, load_dataset
from fairaudit.data.manifest import Card
from fairaudit.errors import ConfigError, DataError, UnknownNameError, UsageError

CARD = Card(obtain="download it from somewhere")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home and working directory, with no dataset anywhere."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("FAIRAUDIT_DATA", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    return tmp_path


def _utkface(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True)
    for name in names or ("26_1_0_20170112234340711.jpg",):
        Image.new("RGB", (8, 8)).save(folder / name)
    return folder


def test_places_in_order(home: Path) -> None:
    environ: dict[str, str] = {"XDG_CONFIG_HOME": str(home / "xdg"), "FAIRAUDIT_DATA": str(home / "env")}
    config = home / "xdg" / "fairaudit" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(f'[data]\nimage_folder = "{home / "far"}"\n')
    given, env, here, far = home / "given", home / "env" / "image_folder", Path("data/image-folder"), home / "far"
    for place in (far, here, env, given):
        place.mkdir(parents=True)
        root = given if place == given else None
        assert find_root("image-folder", root, CARD, environ) == place


def test_a_relative_path_in_the_config_file_is_relative_to_it(home: Path) -> None:
    config = home / ".config" / "fairaudit" / "config.toml"
    (config.parent / "faces").mkdir(parents=True)
    config.write_text('[data]\nlfw = "faces"\nmr2 = "~/mr2"\n')
    assert find_root("lfw", None, CARD, {}) == config.parent / "faces"
    with pytest.raises(DataError, match=f"config.toml says that mr2 is in {home / 'mr2'}, which does not exist"):
        find_root("mr2", None, CARD, {})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[data", "is not valid TOML: "),
        ("data = 3", r"\[data\] must be a table of dataset names and folders"),
        ("[data]\nlfw = 3", r"'lfw' under \[data\] must be a folder in quotes, not 3"),
    ],
)
def test_a_broken_config_file(home: Path, text: str, sentence: str) -> None:
    config = home / ".config" / "fairaudit" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(text)
    with pytest.raises(ConfigError, match=sentence):
        find_root("lfw", None, CARD, {})


@pytest.mark.parametrize("environ", [{}, {"FAIRAUDIT_DATA": "/faces"}])
def test_nowhere_says_how_to_get_it_and_where_to_put_it(home: Path, environ: Mapping[str, str]) -> None:
    with pytest.raises(DataError) as caught:
        find_root("lfw", None, CARD, environ)
    put = "/faces/lfw or data/lfw" if environ else "data/lfw"
    assert str(caught.value) == (
        f"lfw was not found: give its folder with --root, or put it in {put}, or name it in "
        f"{home / '.config/fairaudit/config.toml'} under [data]; to get it, download it from somewhere"
    )
    with pytest.raises(DataError, match="there is no nothing; to get lfw, download it from somewhere"):
        find_root("lfw", Path("nothing"), CARD, environ)


def test_the_bare_form(home: Path) -> None:
    _utkface(Path("data/utkface"))
    manifest = load_dataset("UTKFace", None)
    assert manifest.frame["row"].tolist() == ["26_1_0_20170112234340711.jpg"]


def test_options_reach_the_source_as_their_type(home: Path) -> None:
    root = _utkface(home / "faces", "26_1_0_20170112234340711.jpg", "bad.jpg")
    assert len(load_dataset("utkface", root, strict="no")) == 1
    assert len(load_dataset("utkface", root, strict=None)) == 1
    for value in (True, "true", "Yes"):
        with pytest.raises(DataError, match=r"1 files in .* are not named"):
            load_dataset("utkface", root, strict=value)


def test_unknown_options_and_values(home: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load_dataset("utkface", home, balanced=True)
    assert str(caught.value) == "utkface has no option 'balanced'; it has: strict"
    with pytest.raises(UsageError, match="mr2 has no option 'strict'; it has none"):
        load_dataset("mr2", home, strict=True)
    with pytest.raises(UsageError, match=r"table has no option 'targt'; it has: .*; did you mean 'target'"):
        load_dataset("table", home, targt="x")
    with pytest.raises(UsageError, match="the option 'strict' of utkface cannot be 'maybe': expected true or false"):
        load_dataset("utkface", home, strict="maybe")
    with pytest.raises(UnknownNameError, match="unknown dataset 'utkfase'; did you mean 'utkface'"):
        load_dataset("utkfase", home)


def test_conversion_by_annotation(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(
        root: Path | None,
        split: str,
        *,
        size: int = 0,
        share: float = 0.5,
        file: Path | None = None,
        by: tuple[str, ...] = (),
        mode: Literal["a", "b"] = "a",
    ) -> None: ...

    parameters = inspect.signature(load, eval_str=True).parameters
    known = {key: p for key, p in parameters.items() if p.kind is inspect.Parameter.KEYWORD_ONLY}
    monkeypatch.setattr(plugins, "options", lambda *_: known)
    checked = plugins.check_options(
        "datasets", "x", {"size": "12", "share": "0.25", "file": "a.csv", "by": "race, gender", "mode": "b"}
    )
    assert checked == {"size": 12, "share": 0.25, "file": Path("a.csv"), "by": ("race", "gender"), "mode": "b"}
    assert plugins.check_options("datasets", "x", {"by": ["race", ("race", "gender")]}) == {"by": ("race", "race,gender")}
    assert plugins.check_options("datasets", "x", {"by": ["race,gender"]}) == {"by": ("race,gender",)}
    for wrong in ({"size": "many"}, {"size": True}, {"mode": "c"}, {"by": 3}):
        with pytest.raises(UsageError, match="cannot be"):
            plugins.check_options("datasets", "x", wrong)


def test_a_copy_without_the_cards_split_is_used_whole_with_a_note(tmp_path: Path) -> None:
    header = "file,age,gender,race\n"
    (tmp_path / "fairface_label_train.csv").write_text(header + "train/1.jpg,0-2,Male,White\n")
    manifest = load_dataset("fairface", tmp_path)
    assert manifest.notes == ("this copy of fairface has no split 'val'; all 1 images are used",)
    with pytest.raises(DataError, match=r"there is no file .*fairface_label_val\.csv"):
        load_dataset("fairface", tmp_path, split="val")
    (tmp_path / "fairface_label_val.csv").write_text(header + "val/1.jpg,0-2,Male,White\n")
    assert load_dataset("fairface", tmp_path).frame["row"].tolist() == ["val/1.jpg"]
    assert len(load_dataset("fairface", tmp_path, split="all")) == 2
    # a broken validation table must not turn into an audit of the training images
    (tmp_path / "fairface_label_val.csv").write_text(header + "val/1.jpg,0-2,Male,Elf\n")
    with pytest.raises(DataError, match=r"fairface_label_val\.csv: 1 labels of 'race' are none of its levels"):
        load_dataset("fairface", tmp_path)


def test_a_table_without_rows_is_no_dataset(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("path,gender\n")
    with pytest.raises(DataError, match="table has no images in"):
        load_dataset("table", tmp_path)
