"""Positions: which fit, their one order, and views that equal crops."""

from __future__ import annotations

import pytest
import torch

from fairaudit.attribution.patches import Positions, one_of_each, some_of_all, usual_positions, windows
from fairaudit.errors import UsageError


def crop(image: torch.Tensor, positions: Positions, position: int) -> torch.Tensor:
    """One patch by plain slicing: row by row, the stride apart."""
    n, step, k = positions.per_side, (positions.image - positions.patch) // (positions.per_side - 1), positions.patch
    top, left = position // n * step, position % n * step
    return image[:, top : top + k, left : left + k]


def test_the_papers_positions() -> None:
    paper = Positions(128, 32, 49)
    assert (paper.stride, len(paper)) == (2, 2401)
    assert paper.corner(0) == (0, 0)
    assert paper.corner(1) == (0, 2)
    assert paper.corner(49) == (2, 0)
    assert paper.corner(2400) == (96, 96)


@pytest.mark.parametrize(
    ("image", "patch", "per_side", "sentence"),
    [
        (
            128, 32, 50,
            "50 patches of 32 pixels on a side of 128 are 1.96 pixels apart, no whole number; "
            "the number per side may be 5, 7, 9, 13, 17, 25, 33, 49",
        ),
        (
            128, 32, 2,
            "2 patches of 32 pixels on a side of 128 are 96 pixels apart, which leaves gaps; "
            "the number per side may be 4, 5, 7, 9, 13, 17, 25, 33",
        ),
        (128, 32, 1, "1 patches of 32 pixels on a side of 128 are too few to cover it; "
                     "the number per side may be 4, 5, 7, 9, 13, 17, 25, 33"),
        (32, 32, 3, "patches of 32 pixels do not fit into pictures of 32: a patch must have 1 to 31 pixels"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said_with_what_does(image: int, patch: int, per_side: int, sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        Positions(image, patch, per_side)
    assert str(caught.value) == sentence


@pytest.mark.parametrize("image", [8, 32, 48, 64, 96, 100, 128, 224, 225])
def test_the_usual_positions_fit_pictures_of_any_size(image: int) -> None:
    found = usual_positions(image)
    assert found.patch == image // 4
    assert found.corner(len(found) - 1) == (image - found.patch, image - found.patch)


def test_views_are_crops_and_copy_nothing() -> None:
    positions = Positions(10, 4, 4)
    images = torch.rand(3, 3, 10, 10)
    view = windows(images, positions)
    assert view.untyped_storage().data_ptr() == images.untyped_storage().data_ptr()
    ids = torch.tensor([0, 5, 15, 7])
    several = some_of_all(images, ids, positions)
    assert several.shape == (3, 4, 3, 4, 4)
    for picture in range(3):
        for place, position in enumerate(ids.tolist()):
            assert torch.equal(several[picture, place], crop(images[picture], positions, position))
    single = one_of_each(images, torch.tensor([14, 2, 9]), positions)
    for picture, position in enumerate((14, 2, 9)):
        assert torch.equal(single[picture], crop(images[picture], positions, position))


def test_pictures_of_another_size_are_no_view() -> None:
    with pytest.raises(ValueError, match="12"):
        windows(torch.zeros(1, 3, 12, 12), Positions(10, 4, 4))


def test_coarser_positions_are_some_of_the_finer_ones() -> None:
    fine = Positions(128, 32, 49)
    coarse = fine.coarser(8)
    assert (coarse.stride, coarse.per_side) == (16, 7)
    kept = fine.ids(8).tolist()
    assert [coarse.corner(i) for i in range(len(coarse))] == [fine.corner(i) for i in kept]
    with pytest.raises(UsageError) as caught:
        fine.coarser(5)
    assert str(caught.value) == (
        "every 5. of 49 positions does not reach from edge to edge without gaps; it may be every 1, 2, 3, 4, 6, 8, 12, 16"
    )
