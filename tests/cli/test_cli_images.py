"""Images as they are found in the wild, and tables that lack something: read, or listed and refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.cli.conftest import SIZE, Cli


def pictures(folder: Path) -> list[str]:
    """Pictures of kinds that training sets have, and a table of them."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (40, 60, 3), dtype=np.uint8))
    image.convert("CMYK").save(folder / "cmyk.jpg")
    image.quantize(16).save(folder / "palette.png")
    image.save(folder / "animated.gif", save_all=True, append_images=[image.rotate(180)], loop=0)
    image.convert("LA").save(folder / "grey-alpha.png")
    Image.fromarray(rng.integers(0, 65536, (40, 60), dtype=np.uint16)).save(folder / "sixteen.png")
    Image.fromarray(rng.integers(0, 256, (40, 20_000, 3), dtype=np.uint8)).save(folder / "wide.jpg")
    names = sorted(path.name for path in folder.iterdir())
    write_labels(folder, [(name, ("Male", "Female")[k % 2]) for k, name in enumerate(names)])
    return names


def write_labels(folder: Path, rows: list[tuple[str, str]], columns: tuple[str, str] = ("path", "gender")) -> None:
    pd.DataFrame(rows, columns=list(columns)).assign(site=[k % 2 for k in range(len(rows))]).to_csv(
        folder / "labels.csv", index=False
    )


@pytest.fixture
def images(model: Path) -> tuple[object, ...]:
    """``evaluate`` over the table in ``faces/``."""
    data = ("--data", "table", "--root", "faces", "--target", "gender", "--by", "site", "--classes", "female,male")
    return ("evaluate", model, *data, "--size", SIZE, "--resize", "squash", "--min-support", 1, "-q")


@pytest.mark.training
def test_unusual_images_are_read_as_pillow_shows_them(images: tuple[object, ...], model: Path, cli: Cli) -> None:
    names = pictures(Path("faces"))
    assert cli(*images, "--out", "run", "-f", "csv").code == 0
    found = pd.read_parquet("run/predictions.parquet").set_index("row")["gender_score[Male]"]
    assert found.index.tolist() == names
    for name in names:
        with Image.open(f"faces/{name}") as image:
            shown = image.convert("RGB")
            if name == "sixteen.png":  # its upper eight bits, where Pillow would clip to white
                shown = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
        shown.save(f"faces/{Path(name).stem}-seen.png")
    write_labels(Path("faces"), [(f"{Path(name).stem}-seen.png", "Male") for name in names])
    assert cli(*images, "--out", "seen", "-f", "csv").code == 0
    seen = pd.read_parquet("seen/predictions.parquet")["gender_score[Male]"]
    np.testing.assert_allclose(found.to_numpy(), seen.to_numpy(), atol=0.05)
    assert found.nunique() == len(names)


def test_unreadable_images_are_listed_and_never_dropped_in_silence(images: tuple[object, ...], cli: Cli) -> None:
    pictures(Path("faces"))
    content = Path("faces/palette.png").read_bytes()
    Path("faces/palette.png").write_bytes(content[: len(content) // 2])
    Path("faces/cmyk.jpg").write_bytes(b"")
    Path("faces/wide.jpg").unlink()
    cli(*images, "--out", "run").refused(
        "3 of 6 images cannot be read, and --max-unreadable allows 0: cmyk.jpg (the file is empty); palette.png (image "
        "file is truncated); wide.jpg (No such file or directory); mend or remove them, or allow more"
    )
    assert not Path("run").exists()
    allowed = cli(*images[:-1], "--out", "run", "--max-unreadable", 3, "-f", "json")
    assert allowed.code == 0
    sentence = "3 images could not be read and are left out: cmyk.jpg, palette.png, wide.jpg"
    assert f"warning: {sentence}\n" in allowed.err
    assert sentence in allowed.record["notes"]
    assert allowed.record["overall"]["n"] == 3


def test_paths_outside_the_root(images: tuple[object, ...], cli: Cli) -> None:
    pictures(Path("faces"))
    (Path.cwd().parent / "secret.png").write_bytes(Path("faces/palette.png").read_bytes())
    for path in ("../../secret.png", "sub/../../../secret.png", str(Path.cwd().parent / "secret.png")):
        write_labels(Path("faces"), [(path, "Male"), ("cmyk.jpg", "Female")])
        cli(*images).refused(
            f"1 paths leave the dataset's root, the first is {path!r}; paths must be relative to the root and stay below it"
        )
    Path("faces/link.png").symlink_to(Path.cwd().parent / "secret.png")
    write_labels(Path("faces"), [("link.png", "Male"), ("cmyk.jpg", "Female")])
    cli(*images).refused(
        "1 of 2 images cannot be read, and --max-unreadable allows 0: link.png (link.png leads out of the dataset's root); "
        "mend or remove them, or allow more"
    )
    assert not Path("runs").exists()


def test_tables_that_lack_something(images: tuple[object, ...], table: Path, cli: Cli) -> None:
    pictures(Path("faces"))
    write_labels(Path("faces"), [("cmyk.jpg", "Male")], ("path", "gendr"))
    cli(*images).refused("faces/labels.csv lacks the column 'gender'; it has 'path', 'gendr', 'site'")
    write_labels(Path("faces"), [("cmyk.jpg", "")])
    cli(*images).refused("no image has a label for 'gender'; there is nothing to audit")
    write_labels(Path("faces"), [("cmyk.jpg", "Male"), ("wide.jpg", "Elf")])
    cli(*images).refused(
        "the model has no class for Elf (1 images) of 'gender'; its classes are female, Male: name them with --classes, "
        "count outputs together with --merge, or restrict the audit with --where"
    )
    audit = ("audit", table, "--y-true")
    cli(*audit, "gendr", "--by", "race").refused(
        f"{table} has no column 'gendr' (--y-true); did you mean 'gender' or 'gender_pred'?"
    )
    cli(*audit, "gender", "--by", "rce").refused(f"{table} has no column 'rce' (--by); did you mean 'race'?")
    cli(*audit, "gender", "--y-pred", "guess", "--by", "race").refused(
        f"{table} has no column 'guess' (--y-pred); choose from race, gender, gender_pred"
    )
    cli("audit", "none.csv", "--y-true", "gender", "--by", "race").refused(
        "none.csv: no such file; name a CSV or Parquet table of predictions or a run folder"
    )
