"""Networks with the same tensors: which compute the same function."""

from __future__ import annotations

from fairaudit.models.equivalence import function_classes


def test_one_function_under_two_names_and_two_functions_with_the_same_tensors() -> None:
    names = ["timm/resnet18", "timm/resnetblur18", "torchvision/resnet18"]
    assert function_classes([(name, {}) for name in names], 64, 11_000_000) == [0, 1, 0]


def test_padding_and_eps_are_seen() -> None:
    names = ["timm/efficientnet_b0", "timm/tf_efficientnet_b0"]
    assert function_classes([(name, {}) for name in names], 64, 5_000_000) == [0, 1]
    assert function_classes([(names[0], {}), (names[0], {"bn_eps": 1e-3})], 64, 5_000_000) == [0, 1]


def test_what_cannot_be_tried_is_not_said_to_be_equal() -> None:
    assert function_classes([("timm/resnet18", {}), ("timm/resnet18", {})], 64, 10**12) == [0, 1]
