"""A convolution of a small map and its matrix say the same, and only where the matrix is no more work."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from fairaudit.attribution.folding import folded
from fairaudit.attribution.products import MapProduct, with_products
from tests.attribution.test_folding import with_statistics


@given(
    size=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    bias=st.booleans(),
    seed=st.integers(0, 99),
)
def test_the_matrix_is_the_convolution(
    size: tuple[int, int], kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int], bias: bool, seed: int
) -> None:
    kernel = tuple(min(k, n + 2 * p) for k, n, p in zip(kernel, size, padding, strict=True))  # type: ignore[assignment]
    torch.manual_seed(seed)
    conv = nn.Conv2d(3, 5, kernel, stride, padding, bias=bias).double()
    maps = torch.randn(2, 3, *size, dtype=torch.float64)
    with torch.no_grad():
        expected = conv(maps)
        found = MapProduct(conv, *size)(maps)
    assert found.shape == expected.shape
    assert torch.allclose(found, expected, atol=1e-12)


def test_a_network_says_the_same_and_its_last_stages_are_matrices() -> None:
    trunk = with_statistics("imagenet")  # 12 pixels: maps of 3, 2, 1 and 1 a side
    patches = torch.randn(7, 4, 12, 12, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = trunk(patches)
        own = with_products(folded(trunk), patches[:1])
        assert expected.std() > 0.01
        assert torch.allclose(own(patches), expected, rtol=1e-4, atol=1e-4)
    kinds = {name: type(module) for name, module in own.named_modules()}
    assert kinds["layer4.1.conv2"] is MapProduct
    assert kinds["conv1"] is nn.Conv2d
    assert isinstance(trunk.get_submodule("layer4.1.conv2"), nn.Conv2d)


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(4, 4, 3, padding=1, groups=4),
        nn.Conv2d(4, 4, 3, padding=2, dilation=2),
        nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"),
        nn.Conv2d(4, 4, 3, padding="same"),
        nn.Conv2d(4, 4, 1),
    ],
    ids=["groups", "dilation", "reflected", "same", "more work"],
)
def test_what_is_not_plain_or_would_be_more_work_stays(conv: nn.Conv2d) -> None:
    network = with_products(nn.Sequential(conv).eval(), torch.zeros(1, 4, 2, 2))
    assert type(network[0]) is nn.Conv2d  # type: ignore[index]
