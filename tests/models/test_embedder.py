"""Embedding networks: rows of length 1, checkpoints that load without a flag, and what is refused of them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from fairaudit.config import ModelSettings, Preprocess
from fairaudit.engine.embed import cut
from fairaudit.errors import CheckpointError
from fairaudit.models.classifier import build_network, load_classifier, save_classifier
from fairaudit.models.embedder import EmbeddingNetwork
from fairaudit.models.starting import start_from_weights
from fairaudit.models.treated import described

ARCH = "timm/test_resnet"
SIZE = Preprocess(size=(32, 32), resize="squash")


@pytest.fixture(params=[".pt", ".safetensors"])
def saved(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[EmbeddingNetwork, Path]:
    """An embedding network and its checkpoint."""
    torch.manual_seed(0)
    model = EmbeddingNetwork(build_network(ARCH, 7)).eval()
    name, kwargs = described(model, ARCH, {})
    path = tmp_path / f"model{request.param}"
    save_classifier(path, model, architecture=name, arch_kwargs=kwargs, head=None, preprocess=SIZE)
    return model, path


def test_a_checkpoint_says_what_it_is(saved: tuple[EmbeddingNetwork, Path]) -> None:
    model, path = saved
    found = load_classifier(path, ModelSettings(), None, {})
    images = torch.randn(4, 3, 32, 32)
    with torch.no_grad():
        wanted = model(images)
        assert torch.equal(found.model(images), wanted)
        assert torch.equal(cut(found).model(images), wanted), "embed takes the embedding, not what goes into the head"
        assert cut(found, "inner.fc").size == 7
    torch.testing.assert_close(wanted.norm(dim=1), torch.ones(4))
    assert (found.architecture, found.preprocess.size) == ("fairaudit/embedder", (32, 32))
    assert (cut(found).size, cut(found).layer) == (7, "its embedding head")
    assert "head" not in found.metadata


def test_it_is_no_classifier(saved: tuple[EmbeddingNetwork, Path]) -> None:
    with pytest.raises(CheckpointError) as caught:
        load_classifier(saved[1], ModelSettings(), "gender", {"gender": ("female", "male")})
    assert str(caught.value) == (
        f"{saved[1]} gives embeddings of 7 numbers, no classes; audit it with 'fairaudit embed', or give its backbone a "
        "new head with --weights"
    )


def test_its_backbone_may_be_trained_on(saved: tuple[EmbeddingNetwork, Path]) -> None:
    model, path = saved
    start = start_from_weights(path, None, ModelSettings())
    assert start.architecture == ARCH
    network, inner = start.network(3, 0).state_dict(), model.inner.state_dict()
    assert network["fc.weight"].shape[0] == 3
    assert all(torch.equal(network[key], value) for key, value in inner.items() if not key.startswith("fc."))
