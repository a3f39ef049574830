"""What is greyed or noised, where, in training and in evaluation; and what a run refuses before it trains."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fairaudit.attribution.masks import KINDS, Kind
from fairaudit.engine.mixing import Batch
from fairaudit.engine.training_data import CachedImages
from fairaudit.errors import UsageError
from fairaudit.methods import attribution_mask
from fairaudit.models.treated import Treated
from tests.methods.studies import PREPROCESS, SIZE, Bench, Part, bench, biased, logits

pytestmark = pytest.mark.training

MEAN, STD = (torch.tensor(v)[:, None, None] for v in (PREPROCESS.mean, PREPROCESS.std))


def planted(part: Part) -> Part:
    """The same images, in whose upper left corner alone glasses can be told."""
    codes = torch.from_numpy(part.columns["glasses"].codes)
    pixels = torch.randint(90, 166, (len(codes), 3, SIZE, SIZE), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    pixels[:, 1, :3, :3] = (60 + 130 * codes)[:, None, None].to(torch.uint8)
    return Part(replace(part.data, images=CachedImages(pixels)), part.columns)


TRAIN, HELD = planted(biased(96, 0.8, seed=1)), planted(biased(32, 0.5, seed=2))
"""The same for all tests, so that the region classifier is fitted once."""


def asked(**changes: Any) -> Bench:
    return bench(TRAIN, HELD, epochs=1, **changes)


def treated(kind: Kind, **options: Any) -> tuple[Bench, nn.Module]:
    own = asked()
    outcome = attribution_mask.run(own.study, **{"confounder": "glasses", "kind": kind, "fit_epochs": 12, **options})
    return own, outcome.model


def inside(model: Treated, images: Tensor) -> list[Tensor]:
    """What the network within is shown, once in evaluation and once in training."""
    seen: list[Tensor] = []
    handle = model.inner.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    for mode in (False, True):
        model.train(mode)(images)
    handle.remove()
    model.eval()
    return seen


def test_a_general_mask_greys_one_region_in_training_and_evaluation() -> None:
    _, model = treated("general-mask")
    assert isinstance(model, Treated)
    images = torch.randn(4, 3, SIZE, SIZE)
    region = model.keep[0] == 0
    assert 0 < region.double().mean() <= 0.3
    assert region[:3, :3].double().mean() > 0.8, "it lies where glasses can be told"
    for shown in inside(model, images):
        assert bool((shown[:, :, region] == 0).all()), "grey is the mean that the normalisation takes off"
        assert torch.equal(shown[:, :, ~region], images[:, :, ~region])


def test_general_noise_is_anew_in_training_and_fixed_in_evaluation() -> None:
    _, model = treated("general-noise", sigma=0.5)
    assert isinstance(model, Treated)
    images = torch.randn(400, 3, SIZE, SIZE)
    region = model.reach[0] > 0
    evaluated, trained = (shown - images for shown in inside(model, images))
    assert torch.allclose(evaluated[0], evaluated[1], atol=1e-5), "every picture has the same noise"
    assert float(evaluated[0][:, region].abs().max()) > 0
    assert not torch.allclose(trained[0], trained[1], atol=1e-2)
    assert float(trained[:, :, region].std()) == pytest.approx(0.5, abs=0.02)
    for change in (evaluated, trained):
        assert float(change[:, :, ~region].abs().max()) == 0
    again = treated("general-noise", sigma=0.5)[1]
    assert isinstance(again, Treated)
    assert torch.equal(again.noise, model.noise), "it belongs to the seed"


def test_a_specific_mask_greys_training_images_alone() -> None:
    own, model = treated("specific-mask")
    assert not isinstance(model, Treated)
    [call] = own.calls
    positions = torch.arange(len(own.study.train))
    before, after = own.study.train.images.take(positions), call.data.images.take(positions)
    changed = (before != after).any(dim=1)
    grey = torch.tensor([round(255 * m) for m in PREPROCESS.mean], dtype=torch.uint8)
    for image, mask in zip(after, changed, strict=True):
        assert 0 < mask.double().mean() <= 0.3
        assert bool((image[:, mask] == grey[:, None]).all())
    assert len({tuple(mask.flatten().tolist()) for mask in changed}) > 10, "each has a region of its own"
    assert logits(model, own.study.validation).isfinite().all()


def test_specific_noise_is_in_each_pictures_own_region() -> None:
    own, model = treated("specific-noise", sigma=0.25)
    assert isinstance(model, Treated)
    [call] = own.calls
    assert call.mixer is not None
    positions = torch.tensor([3, 40, 7])
    images = torch.full((3, 3, SIZE, SIZE), 0.5)
    batch = Batch(images, torch.zeros(3, 2), torch.zeros(3, dtype=torch.int64), positions)
    one, same, other = (call.mixer(batch, seed).inputs for seed in (5, 5, 6))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    change = (one - images) / STD
    regions = (change != 0).all(dim=1)
    assert len({tuple(region.flatten().tolist()) for region in regions}) == 3
    assert all(0 < float(region.double().mean()) <= 0.3 for region in regions)
    assert float(change.abs().max()) < 0.25 * 6
    alone = call.mixer(Batch(images[:1], batch.targets[:1], batch.groups[:1], positions[1:2]), 5).inputs
    assert torch.equal(alone[0], one[1]), "the noise of a picture does not hang on its neighbours"
    assert bool((model.reach == 0).all()), "the mixer adds it in training"
    assert float(model.noise.abs().max()) > 0


@pytest.mark.parametrize("kind", ["general-noise", "specific-noise"])
def test_the_originals_clip_takes_all_negative_values(kind: Kind) -> None:
    own, model = treated(kind, paper_faithful=True)
    assert isinstance(model, Treated)
    images = torch.randn(8, 3, SIZE, SIZE) * 2
    shown = inside(model, images)[0]
    assert (float(shown.min()), float(shown.max())) == (0.0, 1.0)
    quiet = model.noise == 0
    assert torch.equal(shown[:, quiet], images.clamp(0, 1)[:, quiet]), "outside of the region too"
    mixer = own.calls[0].mixer
    if mixer is not None:
        batch = Batch(torch.rand(2, 3, SIZE, SIZE), torch.zeros(2, 2), torch.zeros(2, dtype=torch.int64), torch.arange(2))
        normal = (mixer(batch, 0).inputs - MEAN) / STD
        assert float(normal.min()) == pytest.approx(0, abs=1e-6)
        assert float(normal.max()) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_it_says_what_is_done_at_evaluation(kind: Kind) -> None:
    outcome = attribution_mask.run(asked().study, confounder="glasses", kind=kind, fit_epochs=12)
    assert "validation and test images" in outcome.notes[-1]
    assert "no attribution was given" in outcome.notes[0]


def test_seeds_share_the_region_classifier_of_the_same_images() -> None:
    notes, noises = [], []
    for seed in (0, 1):
        own = asked(seed=seed)
        outcome = attribution_mask.run(own.study, confounder="glasses", fit_epochs=12)
        assert isinstance(outcome.model, Treated)
        notes.append(outcome.notes)
        noises.append(outcome.model.noise != 0)
    assert notes[0] == notes[1]
    assert torch.equal(*noises), "the same region, whatever the noise"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, "attribution-mask must know which attribute to hide; name it with confounder=NAME or attribution=DIR"),
        ({"confounder": "glases"}, "unknown confounder of attribution-mask 'glases'; did you mean 'glasses'?"),
        ({"confounder": "glasses", "quantile": 1.0},
         "quantile of attribution-mask must lie between 0 and 1 (0.7 treats the top 30 %), not 1"),
        ({"confounder": "glasses", "sigma": 0.0}, "sigma of attribution-mask must be a number above 0, not 0"),
        ({"confounder": "glasses", "every": 5},
         "every 5. of 7 positions does not reach from edge to edge without gaps; it may be every 1, 2"),
        ({"attribution": Path("nowhere")},
         "nowhere holds no attribution (attribution.json is missing); 'fairaudit attribute fit' makes one"),
    ],
)  # fmt: skip
def test_refusals(options: dict[str, Any], sentence: str) -> None:
    own = asked()
    with pytest.raises(Exception) as caught:
        attribution_mask.run(own.study, **options)
    assert str(caught.value) == sentence
    assert not own.calls


def test_an_attribute_with_one_level_cannot_be_hidden() -> None:
    part = biased(64, 0.8, seed=1)
    column = part.columns["glasses"]
    alike = {**part.columns, "glasses": replace(column, codes=np.zeros_like(column.codes))}
    own = bench(Part(part.data, alike))
    with pytest.raises(UsageError) as caught:
        attribution_mask.run(own.study, confounder="glasses")
    assert str(caught.value) == (
        "glasses is 'no' on every training image, so it cannot be attributed; a region classifier needs two levels"
    )


def test_specific_noise_mixes_no_pictures() -> None:
    own = bench(augment=("mixup",))
    with pytest.raises(UsageError, match="needs whole images, and mixup mixes them"):
        attribution_mask.run(own.study, confounder="glasses", kind="specific-noise")
