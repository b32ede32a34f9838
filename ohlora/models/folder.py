"""A model's folder: is it whole, what is it, what is its hash. Read without torch, before anything is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ohlora.config.schema import Config, Source, Weights
from ohlora.files import read_json, sha256_file, sha256_of, write_json
from ohlora.models.weights import is_safe, parameters_m

MARKER = "ohlora-model.json"
ADAPTER_CARD = "ohlora-adapter.json"  # beside an adapter: which base model it was trained on
# Of the files that can decide how text becomes token ids; generation_config.json names the tokens that end an answer.
TOKENIZER_ENDINGS = (".json", ".txt", ".model", ".spm", ".bpe", ".codes", ".tiktoken", ".jinja", ".py")
VOCABULARIES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt")  # a tokenizer needs one of them
HASHED = (".safetensors", ".json", ".model", ".py")


def model_folder(config: Config) -> Path:
    """The folder that this run loads: `model.path` where it lies, else `<models>/<name>`."""
    return Path(str(config.model.path)) if is_in_place(config) else Path(config.models) / config.model.name


def is_in_place(config: Config) -> bool:
    """True for a folder of the user's that is used as it is; pickled weights are converted first, into `<models>`."""
    given = config.model.path
    return given is not None and (config.model.weights is not Weights.bin or is_safe(Path(given)))


def is_there(config: Config) -> bool:
    """True when the folder that this run loads needs no preparation."""
    return is_prepared(model_folder(config)) or (is_in_place(config) and model_folder(config).is_dir())


def is_prepared(folder: Path) -> bool:
    """True for a folder that `task=prepare` finished and nobody has cut since (names and sizes agree)."""
    try:
        files = read_json(folder / MARKER)["files"]
        return all((folder / name).stat().st_size == entry["bytes"] for name, entry in files.items())
    except (OSError, ValueError, KeyError, TypeError):
        return False


def prepared_otherwise(config: Config) -> str | None:
    """Why the prepared folder of this name is not the model that is asked for; None when it is."""
    folder = model_folder(config)
    if is_in_place(config) or not is_prepared(folder):
        return None
    marker = read_json(folder / MARKER)
    again = "give another model.name, or remove that folder to prepare it again"
    if config.model.path:
        if source_hash(config) == marker.get("source_hash"):
            return None
        return f"model.path={config.model.path}: {folder} was prepared from other files; {again}"
    asked = {"repo": config.model.repo, "package": config.model.package, "revision": config.model.revision}
    for key, value in asked.items():
        if value not in {None, marker.get(key), marker.get(f"asked_{key}")}:
            return f"model.{key}={value}: {folder} was prepared from {marker.get(key)}; {again}"
    return None


def write_marker(folder: Path, **facts: Any) -> None:
    """Hash every file of a finished folder and say so in its marker, last."""
    files = {
        path.name: {"bytes": path.stat().st_size, "sha256": sha256_file(path)}
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name != MARKER and not path.name.startswith(".")
    }
    write_json(folder / MARKER, {"schema": 1, **facts, "hash": _weights_hash(files), "files": files})


def described_problems(folder: Path, key: str, architecture: str | None) -> list[str]:
    """What is wrong with a folder's config and tokenizer files, in words that begin with `key`, 'model.path=…'."""
    if not folder.is_dir():
        return [f"{key}: no such folder"]
    found = []
    try:
        named = read_json(folder / "config.json").get("architectures") or []
    except FileNotFoundError:
        return [f"{key}: config.json is missing; this is not a Hugging Face model folder"]
    except (ValueError, AttributeError):
        return [f"{key}: config.json cannot be read as JSON; download it again"]
    if named and architecture and architecture not in named:
        found.append(
            f"{key}: holds {', '.join(named)}, but this model option says {architecture}; choose the option "
            "that fits the folder"
        )
    if not any((folder / name).is_file() for name in VOCABULARIES):
        found.append(f"{key}: neither tokenizer.json nor tokenizer.model is there; copy the tokenizer's files")
    return found


def model_hash(config: Config) -> str:
    """`folder_hash` of the model that this run loads."""
    return folder_hash(model_folder(config), Path(config.outputs) / ".hashes.json")


def source_hash(config: Config) -> str:
    """What identifies the folder at `model.path`: the hash of what is loaded, or of the pickles it is made from."""
    given = Path(str(config.model.path))
    if is_in_place(config):
        return model_hash(config)
    if not given.is_dir():  # it was converted, and the pickles are gone
        return str(read_json(model_folder(config) / MARKER).get("source_hash"))
    return folder_hash(given, Path(config.outputs) / ".hashes.json", (*HASHED, ".bin"))


def folder_hash(folder: Path, cache: Path, kept: tuple[str, ...] = HASHED) -> str:
    """sha256 over the names and hashes of weights, config and tokenizer.

    A folder prepared by us carries it; for any other it is computed once and remembered in `cache`
    by path, sizes and times.
    """
    if is_prepared(folder):
        return str(read_json(folder / MARKER)["hash"])
    paths = sorted(p for p in folder.iterdir() if p.suffix in kept and p.name != MARKER)
    state = sha256_of([(str(p.resolve()), p.stat().st_size, p.stat().st_mtime_ns) for p in paths])
    try:
        known = read_json(cache)
    except (OSError, ValueError):
        known = {}
    if state not in known:
        known[state] = _weights_hash({p.name: {"sha256": sha256_file(p)} for p in paths}, kept)
        cache.parent.mkdir(parents=True, exist_ok=True)
        write_json(cache, known)
    return str(known[state])


def tokenizer_hash(folder: Path) -> str:
    """sha256 over every file that can decide how text becomes token ids: all small ones but our own and the index."""
    there = folder.iterdir() if folder.is_dir() else ()
    paths = sorted(path for path in there if path.name.endswith(TOKENIZER_ENDINGS) and path.is_file())
    left_out = (MARKER, ADAPTER_CARD)
    return sha256_of(
        (path.name, sha256_file(path))
        for path in paths
        if path.name not in left_out and not path.name.endswith(".index.json")
    )


def facts(config: Config, licence: str) -> dict[str, Any]:
    """The `model` part of result.json, of a model whose folder is there; `licence`: the tag that acceptance went by."""
    folder = model_folder(config)
    marker = read_json(folder / MARKER) if is_prepared(folder) else {}
    return {
        "name": config.model.name,
        "folder": str(folder),
        "label": folder.name if config.model.label == config.model.path else config.model.label,
        "source": marker.get("source", Source.local.value if config.model.path else config.model.source.value),
        "repo": marker.get("repo", config.model.repo),
        "params_m": config.model.params_m or parameters_m(folder),
        "revision": marker.get("revision", config.model.revision),
        "quantisation": marker.get("quantisation", "none"),
        "hash": model_hash(config),
        "licence": licence,
    }


def _weights_hash(files: dict[str, dict[str, Any]], kept: tuple[str, ...] = HASHED) -> str:
    return sha256_of((name, entry["sha256"]) for name, entry in sorted(files.items()) if name.endswith(kept))
