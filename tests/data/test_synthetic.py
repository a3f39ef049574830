"""The drawn dataset: labels that equal what was drawn, shares that are honoured, ties that hit their target, refusals."""

from __future__ import annotations

import hashlib
import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fairaudit import plugins
from fairaudit.data.faces import Face, RenderedStore
from fairaudit.data.manifest import Manifest
from fairaudit.data.sources import synthetic
from fairaudit.data.sources.synthetic import CARD, load
from fairaudit.errors import DataError, FairauditError


def share(manifest: Manifest, column: str, level: str, where: str = "row == row") -> float:
    rows = manifest.frame.query(where)
    return float((rows[column] == level).mean())


def faces(manifest: Manifest) -> list[Face]:
    store = manifest.store
    assert isinstance(store, RenderedStore)
    return [store.faces[row] for row in manifest.frame["row"]]


def test_the_table_says_what_was_drawn() -> None:
    manifest = load(None, "all", n=300)
    assert list(manifest.frame["row"]) == [f"face-{k:06d}.png" for k in range(300)]
    for (_, row), face in zip(manifest.frame.iterrows(), faces(manifest), strict=True):
        assert (row["gender"], row["tone"], row["age"]) == (face.gender, face.tone, face.age)
        drawn = {
            "Blond_Hair": face.hair_colour == "blond" and face.hair_style != "bald",
            "Eyeglasses": face.glasses != "none",
            "Wearing_Hat": face.hat != "none",
            "Smiling": face.smile > 0.35,
            "Young": face.age < 40,
            "Beard": face.beard not in ("none", "stubble"),
            "Long_Hair": face.hair_style in ("long_straight", "long_wavy", "long_curly", "bob", "braids"),
            "Bald": face.hair_style == "bald",
        }
        assert {name: row[name] == "yes" for name in drawn} == drawn
        low, _, high = row["age_group"].rstrip("+").partition("-")
        assert int(low) <= face.age < (int(high) + 1 if high else 200)


def test_the_declared_levels_are_the_cards_in_its_order() -> None:
    manifest = load(None, "val", n=50)
    for column, levels in CARD.levels.items():
        assert manifest.levels(column) == levels
    assert manifest.level("Gender", "FEMALE") == "woman"
    assert manifest.frame["age"].dtype == np.float64
    assert CARD.target in CARD.levels
    assert {a for by in CARD.by for a in by} <= set(CARD.levels)
    assert all(level in CARD.levels[column] for column, level in CARD.privileged.items())


def test_the_splits_part_the_figures_60_20_20() -> None:
    whole = load(None, "all", n=1000)
    assert whole.frame["split"].value_counts().to_dict() == {"train": 600, "val": 200, "test": 200}
    for split in ("train", "val", "test"):
        part = load(None, split, n=1000)
        pd.testing.assert_frame_equal(part.frame, whole.of_split(split).frame)
        assert faces(part) == faces(whole.of_split(split))


def test_a_picture_does_not_depend_on_how_many_there_are() -> None:
    options: dict[str, Any] = {"shares": "tone=dark:0.1", "spurious": "Smiling~tone=dark:0.8", "pictures_per_identity": 2}
    few, many = load(None, "all", n=101, **options), load(None, "all", n=160, **options)
    assert faces(few) == faces(many)[:101]
    pd.testing.assert_frame_equal(few.frame, many.frame.iloc[:101])


def test_another_process_draws_the_same_and_the_store_survives_pickling() -> None:
    code = (
        "import hashlib, sys\n"
        "from fairaudit.data.sources.synthetic import load\n"
        "m = load(None, 'test', n=40, size=32, shares='tone=dark:0.05', balanced_test=False)\n"
        "text = m.frame.to_csv() + ''.join(hashlib.sha256(m.store.read(r)).hexdigest() for r in m.frame['row'])\n"
        "print(hashlib.sha256(text.encode()).hexdigest(), 'torch' in sys.modules)"
    )
    elsewhere = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    manifest = load(None, "test", n=40, size=32, shares="tone=dark:0.05", balanced_test=False)
    store = pickle.loads(pickle.dumps(manifest.store))
    pictures = "".join(hashlib.sha256(store.read(row)).hexdigest() for row in manifest.frame["row"])
    assert elsewhere == [hashlib.sha256((manifest.frame.to_csv() + pictures).encode()).hexdigest(), "False"]
    assert store.missing(list(manifest.frame["row"])) == []


def test_another_seed_draws_other_figures() -> None:
    one, two = load(None, "train", n=30), load(None, "train", n=30, seed=1)
    assert set(faces(one)).isdisjoint(faces(two))


def test_without_options_every_split_is_balanced_over_gender_and_tone() -> None:
    for split in ("train", "val", "test"):
        cells = load(None, split, n=900).frame.groupby(["gender", "tone"], observed=False).size()
        assert len(cells) == 6
        assert cells.max() - cells.min() <= 1


def test_shares_of_groups_are_honoured_where_they_apply() -> None:
    shares = "tone=dark:0.05,light:0.85; gender=woman:0.3"
    for split, count in (("train", 720), ("val", 240)):
        manifest = load(None, split, n=1200, shares=shares)
        assert len(manifest) == count
        for column, wanted in {
            "tone": {"light": 0.85, "medium": 0.10, "dark": 0.05},
            "gender": {"woman": 0.3, "man": 0.7},
        }.items():
            for level, number in wanted.items():
                assert share(manifest, column, level) == pytest.approx(number, abs=3 / count)
    assert share(load(None, "test", n=1200, shares=shares), "tone", "dark") == pytest.approx(1 / 3, abs=0.01)
    skewed = load(None, "test", n=1200, shares=shares, balanced_test=False)
    assert share(skewed, "tone", "dark") == pytest.approx(0.05, abs=0.01)


def test_a_level_with_share_nought_does_not_occur() -> None:
    assert share(load(None, "train", n=300, shares="TONE = Dark : 0"), "tone", "dark") == 0


@pytest.mark.parametrize("name", Face.ATTRIBUTES)
def test_the_share_of_an_attribute_is_honoured(name: str) -> None:
    manifest = load(None, "train", n=800, shares=f"{name}=yes:0.35")
    assert share(manifest, name, "yes") == pytest.approx(0.35, abs=0.015)
    by_cell = manifest.frame.groupby(["gender", "tone"], observed=True)[name].apply(lambda v: float((v == "yes").mean()))
    assert by_cell.sub(0.35).abs().max() < 0.05


@pytest.fixture(scope="module")
def untied() -> Manifest:
    """A test split whose attributes are tied to nothing."""
    return load(None, "test", n=1500)


@pytest.mark.parametrize(
    ("attribute", "column", "level"),
    [("Blond_Hair", "gender", "woman"), ("Eyeglasses", "tone", "dark"), ("Smiling", "gender", "man")],
)
def test_a_spurious_tie_hits_its_target_and_spares_the_test_split(
    attribute: str, column: str, level: str, untied: Manifest
) -> None:
    spurious = f"{attribute}~{column}={level}:0.95"
    train = load(None, "train", n=1500, spurious=spurious)
    assert share(train, attribute, "yes", f"{column} == '{level}'") == pytest.approx(0.95, abs=0.01)
    assert share(train, attribute, "yes", f"{column} != '{level}'") == pytest.approx(0.05, abs=0.01)
    assert load(None, "test", n=1500, spurious=spurious).frame.equals(untied.frame)
    tied = load(None, "test", n=1500, spurious=spurious, balanced_test=False)
    assert share(tied, attribute, "yes", f"{column} == '{level}'") == pytest.approx(0.95, abs=0.03)


def test_two_attributes_are_dealt_independently() -> None:
    frame = load(None, "train", n=1500, shares="Smiling=yes:0.5; Eyeglasses=yes:0.5").frame
    both = ((frame["Smiling"] == "yes") & (frame["Eyeglasses"] == "yes")).mean()
    assert both == pytest.approx(0.25, abs=0.04)


def test_several_pictures_of_one_figure_share_what_belongs_to_it() -> None:
    manifest = load(None, "all", n=400, pictures_per_identity=4, shares="Smiling=yes:0.5")
    frame = manifest.frame
    assert (frame.groupby("identity").size() == 4).all()
    constant = [c for c in frame.columns if c not in ("row", "identity", "Smiling")]
    assert (frame.groupby("identity")[constant].nunique() == 1).to_numpy().all()
    assert frame.groupby("identity")["Smiling"].nunique().max() == 2
    assert share(manifest, "Smiling", "yes", "split == 'train'") == pytest.approx(0.5, abs=0.03)
    for start in range(0, 400, 4):
        group = faces(manifest)[start : start + 4]
        assert len({(f.melanin, f.jaw, f.hair_style, f.eye_colour, f.texture) for f in group}) == 1
        assert len({f.noise_seed for f in group}) == 4


def test_each_tone_has_both_presentations_with_overlapping_cues() -> None:
    frame = load(None, "train", n=3000).frame
    for _, rows in frame.groupby("tone", observed=True):
        long_hair = rows.groupby("gender", observed=True)["Long_Hair"].apply(lambda v: float((v == "yes").mean()))
        assert 0.5 < long_hair["woman"] < 0.9
        assert 0.05 < long_hair["man"] < 0.4


REFUSALS: list[tuple[dict[str, Any], str]] = [
    ({"n": 0}, "n is the number of pictures and must be at least 1, not 0"),
    ({"size": 8}, "size must lie between 16 and 1024 pixels, not 8"),
    ({"seed": -1}, "seed must be 0 or more, not -1"),
    ({"difficulty": 1.5}, "difficulty must lie between 0 and 1, not 1.5"),
    ({"pictures_per_identity": 0}, "pictures_per_identity must be at least 1, not 0"),
    ({"split": "tset"}, "there is no split 'tset'; did you mean 'test'?"),
    ({"n": 1, "split": "val"}, "n=1 leaves the split 'val' empty; ten figures (n=10) fill every split"),
    (
        {"shares": "tone:dark"},
        "shares: 'tone:dark' is not of the form COLUMN=LEVEL:SHARE,LEVEL:SHARE, as in tone=dark:0.1,light:0.9",
    ),
    ({"shares": "tome=dark:0.1"}, "shares: unknown column 'tome'; did you mean 'tone'?"),
    ({"shares": "tone=drak:0.1"}, "shares: unknown level of tone 'drak'; did you mean 'dark'?"),
    ({"shares": "tone=dark:1.2"}, "shares: '1.2' in 'tone=dark:1.2' is not a share between 0 and 1"),
    ({"shares": "tone=dark:ten"}, "shares: 'ten' in 'tone=dark:ten' is not a share between 0 and 1"),
    ({"shares": "tone=dark:nan"}, "shares: 'nan' in 'tone=dark:nan' is not a share between 0 and 1"),
    ({"shares": "tone=dark:0.6,light:0.6"}, "shares: those of tone add up to 1.2, not 1"),
    ({"shares": "gender=man:0.6,woman:0.3"}, "shares: those of gender add up to 0.9, not 1"),
    ({"shares": "tone=dark:0.1,dark:0.2"}, "shares: tone=dark is given twice"),
    ({"shares": "tone=dark:0.1;tone=light:0.2"}, "shares: tone is given twice; name all its levels in one clause"),
    (
        {"spurious": "Smiling=man:0.9"},
        "spurious: 'Smiling=man:0.9' is not of the form ATTRIBUTE~COLUMN=LEVEL:SHARE, as in Blond_Hair~gender=woman:0.95",
    ),
    ({"spurious": "Smilling~gender=man:1"}, "spurious: unknown yes/no attribute 'Smilling'; did you mean 'Smiling'?"),
    (
        {"spurious": "Smiling~Young=yes:0.9"},
        "spurious: unknown column to correlate with 'Young'; choose from gender, tone",
    ),
    ({"spurious": "Smiling~gender=womam:0.9"}, "spurious: unknown level of gender 'womam'; did you mean 'woman'?"),
    (
        {"shares": "Smiling=yes:0.5", "spurious": "Smiling~gender=woman:0.9"},
        "spurious: the share of Smiling is already given; say it once, in shares or in spurious",
    ),
    (
        {"shares": "Bald=yes:0.5; Long_Hair=yes:0.2"},
        "shares of Bald and Long_Hair cannot both be given: no figure can be bald and have hair",
    ),
]


@pytest.mark.parametrize(("options", "message"), REFUSALS)
def test_refusals_say_what_is_wrong(options: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"split": "train", **options}
    with pytest.raises(DataError) as caught:
        load(None, **arguments)
    assert str(caught.value) == message
    assert isinstance(caught.value, FairauditError)


def test_ten_figures_fill_every_split() -> None:
    for seed in range(8):
        assert set(load(None, "all", n=10, seed=seed).frame["split"]) == {"train", "val", "test"}


def test_the_plugin_is_found_and_its_card_has_every_heading() -> None:
    assert "synthetic" in plugins.names("datasets")
    text = plugins.card("datasets", "synthetic")
    for heading in ("Input:", "Labels:", "Licence:", "Get it:", "Citation:"):
        assert f"\n{heading}\n" in text
    options = plugins.options("datasets", "synthetic")
    assert {type(p.default) for p in options.values()} <= {int, float, bool, str}
    assert not synthetic.NEEDS_ROOT
