"""A model's folder: is it complete, which model is it, its hash. Read without torch, before anything is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ohlora.config.choices import Source, Weights
from ohlora.config.schema import ModelConfig
from ohlora.files import read_json, sha256_file, sha256_of, write_json
from ohlora.models.weights import is_safe, parameters_m

TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "spiece.model", "vocab.json", "tokenizer_config.json")
MARKER = "ohlora-model.json"
ADAPTER_CARD = "ohlora-adapter.json"  # beside an adapter: its base model
# Files that decide how text becomes token ids; generation_config.json names the tokens that end an answer.
TOKENIZER_ENDINGS = (".json", ".txt", ".model", ".spm", ".bpe", ".codes", ".tiktoken", ".jinja", ".py")
VOCABULARIES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt")  # a tokenizer needs one of these
HASHED = (".safetensors", ".json", ".model", ".py")
# A folder is identified by these: also its chat template, and vocabularies that are not JSON.
IDENTIFYING = (*HASHED, ".jinja", "merges.txt", "vocab.txt", ".spm", ".bpe", ".codes", ".tiktoken")


@dataclass(frozen=True)
class LocalModel:
    """A model option with the folder of prepared models and the file of known hashes; finds the model's files.

    Paths are computed once; whether files exist is checked each time.
    """

    option: ModelConfig
    models: Path
    hashes: Path

    @cached_property
    def folder(self) -> Path:
        """The folder that a run loads: `model.path` itself, or `<models>/<name>`."""
        return Path(str(self.option.path)) if self.is_in_place else self.models / self.option.name

    @cached_property
    def is_in_place(self) -> bool:
        """True if the user's folder is used directly; pickled weights are converted into another folder."""
        given = self.option.path
        return given is not None and (self.option.weights is not Weights.bin or is_safe(Path(given)))


def is_there(model: LocalModel) -> bool:
    """True if the folder that this run loads needs no preparation."""
    return is_prepared(model.folder) or (model.is_in_place and model.folder.is_dir())


def is_prepared(folder: Path) -> bool:
    """True for a complete folder: every file in its marker exists with its recorded size."""
    try:
        files = read_json(folder / MARKER)["files"]
        return all((folder / name).stat().st_size == entry["bytes"] for name, entry in files.items())
    except (OSError, ValueError, KeyError, TypeError):
        return False


def find_mismatch(model: LocalModel) -> str | None:
    """Why the prepared folder of this name is not the requested model; None if it is."""
    folder = model.folder
    if model.is_in_place or not is_prepared(folder):
        return None
    marker = read_json(folder / MARKER)
    again = "give another model.name, or remove that folder to prepare it again"
    if model.option.path:
        if source_hash(model) == marker.get("source_hash"):
            return None
        return f"model.path={model.option.path}: {folder} was prepared from other files; {again}"
    asked = {"repo": model.option.repo, "package": model.option.package, "revision": model.option.revision}
    for key, value in asked.items():
        if value not in {None, marker.get(key), marker.get(f"asked_{key}")}:
            return f"model.{key}={value}: {folder} was prepared from {marker.get(key)}; {again}"
    return None


def write_marker(folder: Path, **facts: Any) -> None:
    """Hash every file of a finished folder and write the marker, last."""
    names = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    files = {
        name: {"bytes": path.stat().st_size, "sha256": sha256_file(path)}
        for name, path in names.items()
        if name != MARKER and not any(part.startswith(".") for part in name.split("/"))
    }
    write_json(folder / MARKER, {"schema": 1, **facts, "hash": _hash_files(files), "files": files})


def described_problems(folder: Path, key: str, architecture: str | None) -> list[str]:
    """Problems with a folder's config and tokenizer files; each message starts with `key`, 'model.path=…'."""
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
            f"{key}: contains {', '.join(named)}, but this model option says {architecture}; choose the option "
            "for this model"
        )
    if not any((folder / name).is_file() for name in VOCABULARIES):
        found.append(f"{key}: has neither tokenizer.json nor tokenizer.model; copy the tokenizer's files")
    return found


def model_hash(model: LocalModel) -> str:
    """`folder_hash` of the model that this run loads."""
    return folder_hash(model.folder, model.hashes)


def earlier_hashes(model: LocalModel) -> list[str]:
    """The hashes that this prepared folder had before its tokenizer was rewritten; its weights are the same."""
    marker = read_json(model.folder / MARKER) if is_prepared(model.folder) else {}
    return list(marker.get("earlier_hashes") or [])


def source_hash(model: LocalModel) -> str:
    """The hash that identifies the folder at `model.path`: of every file that decides what a run computes.

    Adapters are checked by `model_hash`, which leaves the chat template out: another template needs no other adapter.
    """
    given = Path(str(model.option.path))
    if model.is_in_place:
        return folder_hash(model.folder, model.hashes, IDENTIFYING)
    if not given.is_dir():  # it was converted and its pickles removed
        return str(read_json(model.folder / MARKER).get("source_hash"))
    return folder_hash(given, model.hashes, (*IDENTIFYING, ".bin"))


def folder_hash(folder: Path, cache: Path, endings: tuple[str, ...] = HASHED) -> str:
    """sha256 over the names and hashes of the files with these endings, by default weights, config and tokenizer.

    Read from the marker of a folder prepared by us, except for files added since; for any other each file is hashed
    once and its hash cached in `cache` by path, size and time.
    """
    if is_prepared(folder):
        marker = read_json(folder / MARKER)
        if endings == HASHED:
            return str(marker["hash"])
        added = [path for path in _list_files(folder, endings) if path.name not in marker["files"]]
        return _hash_files(marker["files"] | _hash_each(added, cache), endings)
    return _hash_files(_hash_each(_list_files(folder, endings), cache), endings)


def _list_files(folder: Path, endings: tuple[str, ...]) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.name.endswith(endings) and p.name != MARKER and p.is_file())


def _hash_each(paths: list[Path], cache: Path) -> dict[str, dict[str, Any]]:
    """File name -> its sha256; read from `cache` if path, size and time are those of an earlier call."""
    try:
        known = read_json(cache)
    except (OSError, ValueError):
        known = {}
    states = {}
    for path in paths:
        stat = path.stat()
        states[path] = sha256_of(["file", str(path.resolve()), stat.st_size, stat.st_mtime_ns])
    new = {state: sha256_file(path) for path, state in states.items() if state not in known}
    if new:
        cache.parent.mkdir(parents=True, exist_ok=True)
        write_json(cache, known | new)
    return {path.name: {"sha256": (known | new)[state]} for path, state in states.items()}


def tokenizer_hash(folder: Path) -> str:
    """sha256 over every file that can decide how text becomes token ids: all small files except ours and the index."""
    there = folder.iterdir() if folder.is_dir() else ()
    paths = sorted(path for path in there if path.name.endswith(TOKENIZER_ENDINGS) and path.is_file())
    left_out = (MARKER, ADAPTER_CARD)
    return sha256_of(
        (path.name, sha256_file(path))
        for path in paths
        if path.name not in left_out and not path.name.endswith(".index.json")
    )


def has_tokenizer(folder: Path) -> bool:
    """Does the folder hold a tokenizer? Its weights may be missing."""
    return any((folder / name).is_file() for name in TOKENIZER_FILES)


def describe_model(model: LocalModel, licence: str) -> dict[str, Any]:
    """The `model` part of result.json, for a model whose folder exists; `licence`: the tag that was accepted."""
    folder = model.folder
    marker = read_json(folder / MARKER) if is_prepared(folder) else {}
    return {
        "name": model.option.name,
        "folder": str(folder.absolute()),
        "label": folder.name if model.option.label == model.option.path else model.option.label,
        "source": marker.get("source", Source.local.value if model.option.path else model.option.source.value),
        "repo": marker.get("repo", model.option.repo),
        "params_m": model.option.params_m or parameters_m(folder),
        "revision": marker.get("revision", model.option.revision),
        "quantisation": marker.get("quantisation", "none"),
        "hash": model_hash(model),
        "licence": licence,
    }


def _hash_files(files: dict[str, dict[str, Any]], endings: tuple[str, ...] = HASHED) -> str:
    return sha256_of((name, entry["sha256"]) for name, entry in sorted(files.items()) if name.endswith(endings))
