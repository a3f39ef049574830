"""Occlusion by plain loops, and what it sees that hiding alone does not."""

from __future__ import annotations

import itertools

import numpy as np
import torch
from torch import Tensor, nn

from fairaudit.attribution.explainers import Explainer
from fairaudit.attribution.explanations import Effort, explain_image
from fairaudit.attribution.occlusion import occlusion
from tests.attribution.planted import hatted, looks_at, subject


class Anywhere(nn.Module):
    """The log-odds of the second class are the largest value of any pixel: any part of a thing is as good as all of it."""

    def forward(self, x: Tensor) -> Tensor:
        odds = x.amax((1, 2, 3))
        return torch.stack([torch.zeros_like(odds), odds], dim=1)


def test_by_plain_loops() -> None:
    """Windows of 3 × 3 pixels in steps of one, each hidden and each shown alone."""
    inputs = torch.rand(1, 3, 9, 9, generator=torch.Generator().manual_seed(0)) + 0.1
    empty = torch.zeros_like(inputs)
    network = looks_at(np.ones((9, 9), dtype=bool))
    odds = subject(network, 9).log_odds(1)
    total, often = np.zeros((9, 9)), np.zeros((9, 9))
    for a, b in itertools.product(range(7), range(7)):
        window = torch.zeros(9, 9, dtype=torch.bool)
        window[a : a + 3, b : b + 3] = True
        with torch.no_grad():
            hidden = odds(inputs) - odds(torch.where(window, empty, inputs))
            shown = odds(torch.where(window, inputs, empty)) - odds(empty)
        total += window.numpy() * float(hidden + shown) / 2
        often += window.numpy()
    found = occlusion(subject(network, 9), inputs, 1, empty, 9)
    np.testing.assert_allclose(found, total / often, rtol=1e-4, atol=1e-6)


def test_what_is_recognised_by_any_part_of_it_is_found() -> None:
    """No window hides the whole bar, so hiding alone costs nothing anywhere."""
    inputs = torch.zeros(1, 3, 20, 20)
    inputs[..., 5:8, 2:18] = 2.0
    found = occlusion(subject(Anywhere(), 20), inputs, 1, torch.zeros_like(inputs), 25)
    assert found.min() >= 0
    bar = np.zeros((20, 20), dtype=bool)
    bar[5:8, 2:18] = True
    assert found[bar].mean() > 3 * found[~bar].mean() > 0
    assert found[12:].max() == 0


def test_windows_do_not_depend_on_how_an_image_is_cut() -> None:
    pixels, hat = hatted(0)
    explainer = Explainer(subject(looks_at(hat)), "occlusion", 10, 10, windows=100)
    few, many = (explain_image(explainer, pixels, 1, Effort(segments=n, random_orders=0)) for n in (12, 80))
    np.testing.assert_array_equal(few.heat, many.heat)
