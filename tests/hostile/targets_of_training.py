"""What is damaged of runs that are gone on with, of attributions, and of settings, and which commands then read it."""

from __future__ import annotations

from tests.hostile.byte_mutants import any_bytes
from tests.hostile.file_mutants import any_archive, any_parquet, any_safetensors, any_zip
from tests.hostile.state_mutants import any_journal, any_maps, any_shard, any_state
from tests.hostile.targets import Target
from tests.hostile.tree_mutants import any_json, any_toml, near_json, near_toml
from tests.hostile.unfinished import DRAWN, EVALUATE, FIT, KEPT, MITIGATE, STORE, TUNE

_STATE = (any_bytes, any_zip, any_state, any_state, any_state, any_state)
_JSON = (any_bytes, any_json, near_json, near_json)
_TOML = (any_bytes, any_toml, near_toml, near_toml)
_DEVICE = ("--device", "cpu", "-q", "--out", "out")
_MODEL = ("explain", "model.pt", *DRAWN, "--target", "gender", "--size", "32", "--samples", "20", "--segments", "6",
          "--repeats", "1", "--random-orders", "1", "--per-group", "1", *_DEVICE)  # fmt: skip
_MASKED = ("mitigate", *DRAWN, "--by", "Eyeglasses", "--bootstrap", "100", "--epochs", "1", "--arch",
           "timm/test_efficientnet", "--size", "32", "--seeds", "1", "--no-report", *_DEVICE,
           "--method", f"attribution-mask:attribution={STORE}")  # fmt: skip
_STORE_WORDS = (
    ("attribute", "map", STORE, *DRAWN, "--limit", "2", *_DEVICE),
    ("attribute", "mask", STORE, *DRAWN, "--limit", "4", *_DEVICE),
    ("attribute", "mask", STORE, *DRAWN, "--limit", "2", "--kind", "specific-mask", "--measure", "entropy", *_DEVICE),
    _MASKED,
    (*_MODEL, "--map", f"glasses={STORE}"),
)
_EMBED = ("embed", "embeddings.npz", "--bootstrap", "100", "--no-report", "-q", "--out", "out")


def _resumed(words: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    return ((*words, "--resume"),)


def _kept(name: str, file: str, mutations: tuple, words: tuple[str, ...], folder: str, share: float = 0.3) -> Target:  # type: ignore[type-arg]
    return Target(name, f"out/{file}", (f"{KEPT}/{folder}/{file}",), mutations, _resumed(words), share, f"{KEPT}/{folder}")


TRAINED = (
    _kept("unfinished training", "max-group/.seed-0.training/model/training.pt", _STATE, MITIGATE, "mitigate"),
    _kept("finished run.json", "erm/seed-0/run.json", _JSON, MITIGATE, "mitigate"),
    _kept("finished history.json", "erm/seed-0/history.json", _JSON, MITIGATE, "mitigate"),
    _kept("finished audit.json", "erm/seed-0/audit.json", _JSON, MITIGATE, "mitigate"),
    _kept("finished predictions", "erm/seed-0/predictions.parquet", (any_bytes, any_parquet), MITIGATE, "mitigate"),
    _kept("mitigate.toml", "mitigate.toml", _TOML, MITIGATE, "mitigate"),
    _kept("unfinished search", "tuning/max-group.journal", (any_bytes, any_journal, any_journal), TUNE, "tune"),
    _kept("unfinished fit", ".fit.fitting/training.pt", _STATE, FIT, "fit"),
    _kept("unfinished of.json", "run.unfinished/of.json", _JSON, EVALUATE, "evaluate"),
    _kept("unfinished shard", "run.unfinished/part-0-0.npz", (any_bytes, any_zip, any_shard, any_shard), EVALUATE,
          "evaluate"),
    Target("attribution.json", f"{STORE}/attribution.json", (f"{STORE}/attribution.json",), _JSON, _STORE_WORDS, 0.3),
    Target("attribution weights", f"{STORE}/regions.safetensors", (f"{STORE}/regions.safetensors",),
           (any_bytes, any_safetensors), _STORE_WORDS, 0.3),
    Target("attribution maps", f"{STORE}/maps.npz", (f"{STORE}/maps.npz",), (any_bytes, any_zip, any_maps, any_maps),
           _STORE_WORDS, 0.3),
    Target("embeddings asked more", "embeddings.npz", ("embeddings.npz",), (any_archive, any_archive, any_bytes),
           ((*_EMBED, "--by", "place"), (*_EMBED, "--by", "place", "--without", "map"),
            (*_EMBED, "--by", "place", "--class", "place", "--without", "leakage,downstream,map"),
            (*_MODEL, "--map", "glasses=embeddings.npz")), 0.3),
    Target("config of mitigate", "mitigate.toml", (f"{KEPT}/mitigate/mitigate.toml",), _TOML,
           (("mitigate", "--config", "mitigate.toml", "--epochs", "1", "--no-report", "-q", "--out", "out"),), 0.3),
    Target("config of sweep", "sweep.toml", (f"{KEPT}/tune/mitigate.toml",), _TOML,
           (("sweep", "--config", "sweep.toml", "--epochs", "1", "--grid", "lr=0.001", "--no-report", "-q", "--out",
             "out"),), 0.2),
)  # fmt: skip
