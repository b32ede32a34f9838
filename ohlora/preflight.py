"""What can be known to fail before anything heavy starts: files, folders, columns. Reads, never writes results."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ohlora.config.schema import Config
from ohlora.data.rows import run_rows
from ohlora.errors import UserError
from ohlora.files import read_json
from ohlora.models.folder import ADAPTER_CARD, is_prepared, model_folder, model_hash, prepared_otherwise, problems


def check(config: Config) -> None:
    """Every problem that files can show.

    Raises:
        UserError: with all of them.
    """
    found = list(_problems(config))
    if found:
        raise UserError(found)


def adapter_folder(given: str) -> Path | None:
    """The adapter in a run directory (its newest attempt), an attempt, or an adapter folder itself."""
    folder = Path(given)
    candidates = [folder, folder / "adapter", *(path / "adapter" for path in attempts(folder)[::-1])]
    return next((path for path in candidates if (path / "adapter_config.json").is_file()), None)


def attempts(run: Path) -> list[Path]:
    """The attempts of a run directory, oldest first."""
    found = [path for path in run.glob("attempt-*") if path.name[8:].isdigit()]
    return sorted(found, key=lambda path: int(path.name[8:]))


def _problems(config: Config) -> Iterator[str]:
    yield from _writable("outputs", Path(config.outputs))
    if config.tracking.name == "mlflow" and config.tracking.uri is None:
        yield from _writable("tracking.uri (the working directory)", Path.cwd())
    if config.model.path is not None:
        yield from problems(Path(config.model.path), "model.path", config.model.architecture)
    elif otherwise := prepared_otherwise(config):
        yield otherwise
    elif not is_prepared(model_folder(config)):
        yield from _writable("models", Path(config.models))
    if config.task.name != "prepare":
        try:
            run_rows(config)
        except UserError as error:
            yield from error.problems
    if config.adapter is not None:
        yield from _adapter_problems(config)


def _writable(key: str, folder: Path) -> Iterator[str]:
    """A folder that exists must take files; one that does not must be creatable below the nearest that does."""
    nearest = folder.absolute()
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir():
        yield f"{key}={folder}: {nearest} is a file, not a folder; choose another folder"
    elif not os.access(nearest, os.W_OK | os.X_OK) or os.statvfs(nearest).f_flag & os.ST_RDONLY:
        yield f"{key}={folder}: {nearest} cannot be written to; choose another folder or change its permissions"


def _adapter_problems(config: Config) -> Iterator[str]:
    assert config.adapter is not None
    folder = adapter_folder(config.adapter)
    if folder is None:
        yield (
            f"adapter={config.adapter}: no adapter there; give the run directory of a finished task=train or "
            "task=benchmark, or a folder with adapter_config.json"
        )
        return
    if not any((folder / name).is_file() for name in ("adapter_model.safetensors", "adapter_model.bin")):
        yield f"adapter={config.adapter}: {folder} holds no adapter_model.safetensors; it was not written whole"
        return
    base = model_folder(config)
    if (folder / ADAPTER_CARD).is_file():
        try:
            card = read_json(folder / ADAPTER_CARD)
            trained_on, digest = card["base"], card["base_hash"]
        except (ValueError, KeyError, TypeError):
            yield f"adapter={config.adapter}: {ADAPTER_CARD} cannot be read; the adapter was not written whole"
            return
        whole = base.is_dir() and not problems(base, "model", config.model.architecture)
        here = model_hash(config) if whole else None
        if (here and digest != here) or (here is None and trained_on != config.model.name):
            yield (
                f"adapter={config.adapter}: was trained on {trained_on} (weights {digest[:12]}), not on the weights of "
                f"model={config.model.name}; choose model={trained_on} or the folder it was trained from"
            )
        return
    try:
        named = str(read_json(folder / "adapter_config.json").get("base_model_name_or_path") or "")
    except (ValueError, AttributeError):
        yield f"adapter={config.adapter}: adapter_config.json cannot be read; copy the adapter again"
        return
    if named and config.model.repo and Path(named).name not in {Path(config.model.repo).name, base.name}:
        yield f"adapter={config.adapter}: its base model is {named}, not {config.model.repo}; choose that model"
