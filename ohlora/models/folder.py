"""A model's folder: is it whole, what is it, what is its hash. Read without torch, before anything is loaded."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from ohlora.config.schema import Config, Source
from ohlora.files import read_json, sha256_file, sha256_of, write_json

MARKER = "ohlora-model.json"
ADAPTER_CARD = "ohlora-adapter.json"  # beside an adapter: which base model it was trained on
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "chat_template.jinja",
    "generation_config.json",  # names the tokens that end an answer
)


def model_folder(config: Config) -> Path:
    """The folder that this run loads: `model.path`, else `<models>/<name>`."""
    return Path(config.model.path) if config.model.path else Path(config.models) / config.model.name


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
    if config.model.path or not is_prepared(folder):
        return None
    marker = read_json(folder / MARKER)
    asked = {"repo": config.model.repo, "package": config.model.package, "revision": config.model.revision}
    for key, value in asked.items():
        if value not in {None, marker.get(key), marker.get(f"asked_{key}")}:
            return (
                f"model.{key}={value}: {folder} was prepared from {marker.get(key)}; give another model.name, or "
                "remove that folder to prepare it again"
            )
    return None


def write_marker(folder: Path, **facts: Any) -> None:
    """Hash every file of a finished folder and say so in its marker, last."""
    files = {
        path.name: {"bytes": path.stat().st_size, "sha256": sha256_file(path)}
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name != MARKER and not path.name.startswith(".")
    }
    write_json(folder / MARKER, {"schema": 1, **facts, "hash": _weights_hash(files), "files": files})


def problems(folder: Path, key: str, architecture: str) -> list[str]:
    """What stops this folder from being loaded, in words; empty when it looks whole."""
    if not folder.is_dir():
        return [f"{key}={folder}: no such folder"]
    found = []
    try:
        named = read_json(folder / "config.json").get("architectures") or []
    except FileNotFoundError:
        return [f"{key}={folder}: config.json is missing; this is not a Hugging Face model folder"]
    except ValueError:
        return [f"{key}={folder}: config.json cannot be read as JSON; download it again"]
    if named and architecture not in named:
        found.append(
            f"{key}={folder}: holds {', '.join(named)}, but this model option says {architecture}; choose the option "
            "that fits the folder"
        )
    if not any((folder / name).is_file() for name in TOKENIZER_FILES[:2]):
        found.append(f"{key}={folder}: neither tokenizer.json nor tokenizer.model is there; copy the tokenizer's files")
    return found + _weight_problems(folder, key)


def model_hash(config: Config) -> str:
    """`folder_hash` of the model that this run loads."""
    return folder_hash(model_folder(config), Path(config.outputs) / ".hashes.json")


def folder_hash(folder: Path, cache: Path) -> str:
    """sha256 over the names and hashes of weights, config and tokenizer.

    A folder prepared by us carries it; for any other it is computed once and remembered in `cache`
    by path, sizes and times.
    """
    if is_prepared(folder):
        return str(read_json(folder / MARKER)["hash"])
    paths = sorted(p for p in folder.iterdir() if p.suffix in {".safetensors", ".json", ".model"} and p.name != MARKER)
    state = sha256_of([(str(p.resolve()), p.stat().st_size, p.stat().st_mtime_ns) for p in paths])
    try:
        known = read_json(cache)
    except (OSError, ValueError):
        known = {}
    if state not in known:
        known[state] = _weights_hash({p.name: {"sha256": sha256_file(p)} for p in paths})
        cache.parent.mkdir(parents=True, exist_ok=True)
        write_json(cache, known)
    return str(known[state])


def tokenizer_hash(folder: Path) -> str:
    """sha256 over the files that decide how text becomes token ids."""
    return sha256_of((name, sha256_file(folder / name)) for name in TOKENIZER_FILES if (folder / name).is_file())


def facts(config: Config) -> dict[str, Any]:
    """The `model` part of result.json, of a model whose folder is there."""
    folder = model_folder(config)
    marker = read_json(folder / MARKER) if is_prepared(folder) else {}
    return {
        "name": config.model.name,
        "folder": str(folder),
        "label": config.model.label,
        "source": marker.get("source", Source.local.value if config.model.path else config.model.source.value),
        "repo": marker.get("repo", config.model.repo),
        "params_m": config.model.params_m,
        "revision": marker.get("revision", config.model.revision),
        "quantisation": marker.get("quantisation", "none"),
        "hash": model_hash(config),
        "licence": config.model.license,
    }


def _weights_hash(files: dict[str, dict[str, Any]]) -> str:
    kept = (".safetensors", ".json", ".model")
    return sha256_of((name, entry["sha256"]) for name, entry in sorted(files.items()) if name.endswith(kept))


def _weight_problems(folder: Path, key: str) -> list[str]:
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        try:
            names = sorted(set(read_json(index)["weight_map"].values()))
        except (ValueError, KeyError, AttributeError):
            return [f"{key}={folder}: {index.name} cannot be read; download it again"]
    else:
        names = ["model.safetensors"]
    found = []
    for name in names:
        path = folder / name
        if not path.is_file():
            found.append(f"{key}={folder}: {name} is missing; the download did not finish")
            continue
        expected = safetensors_bytes(path)
        if expected is None:
            found.append(f"{key}={folder}: {name} has no readable safetensors header; download it again")
        elif expected != path.stat().st_size:
            found.append(
                f"{key}={folder}: {name} has {path.stat().st_size:,} bytes where its header promises {expected:,}; "
                "the file is cut short, download it again"
            )
    return found


def safetensors_bytes(path: Path) -> int | None:
    """The size in bytes that a safetensors file's header promises, or None if there is no such header."""
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > 100_000_000:
                return None
            header = json.loads(file.read(length))
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        return 8 + length + max(ends, default=0)
    except (OSError, ValueError, struct.error, KeyError, TypeError, IndexError):
        return None
