"""A data set published on the hub: fetched once, whole or not at all, into the folder of models."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from ohlora.config.schema import DataConfig
from ohlora.errors import UserError
from ohlora.files import read_json
from ohlora.models import hub
from ohlora.models.folder import MARKER, is_prepared
from ohlora.models.hub_errors import Repository
from ohlora.models.terms import card_licence

SUFFIXES = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".parquet", ".xlsx")  # of data files, in any folder
CARD = "README.md"
NOT_DATA = ("dataset_infos.json", "dataset_info.json", "requirements.txt", "state.json")


def published_files(data: DataConfig) -> list[Path]:
    """The data files of `data.repo` at `data.revision`, fetched into `<data.path>/<owner>/<name>` when not there yet.

    Raises:
        UserError: no such repository, revision or file; the hub cannot be reached.
    """
    folder = _folder(data)
    if not is_prepared(folder):
        _fetch(data, folder)
    names = _select(read_json(folder / MARKER)["files"], data)
    return [folder / name for name in names]


def licence_note(data: DataConfig) -> str:
    """What the card of a published set says of its licence."""
    tag = card_licence(_folder(data))
    if tag is None or tag == "unknown":
        return f"{data.repo}: its card names no licence; ask its owner before you publish what you train on it"
    return f"{data.repo}: licence {tag}, as its card says; it may bind what you train on it"


def _folder(data: DataConfig) -> Path:
    at = f"@{data.revision}" if data.revision else ""
    return Path(str(data.path)) / f"{data.repo}{at}"


def _fetch(data: DataConfig, folder: Path) -> None:
    from ohlora.models.prepare import ensure_folder  # imported only when needed, to keep the parent process light

    repository = Repository(
        f"data.repo={data.repo}", str(data.repo), data.revision, "or download it elsewhere and give data=file "
        "data.path=<folder>", kind="dataset",
    )  # fmt: skip
    show = _Lines()

    def fill(partial: Path) -> dict[str, Any]:
        show.stage(f"asking the hub for {repository.name}")
        commit, files = hub.list_files(repository)
        names = _select(files, data)
        card = [files[CARD]] if CARD in files else []
        hub.fetch(repository, commit, [*card, *(files[name] for name in names)], partial, show)
        return {"source": "hub", "repo": repository.name, "revision": commit, "asked_revision": repository.revision}

    ensure_folder(folder, repository.key, fill, show, resumes=True)


def _select(names: Iterable[str], data: DataConfig) -> list[str]:
    """The data files among a repository's files: those that `data.files` matches, else all."""
    found = sorted(name for name in names if _is_data(name))
    chosen = found if data.files is None else [name for name in found if fnmatch(name, data.files)]
    if not chosen:
        have = f"; it has {', '.join(found[:10])}" if found else f"; data files end with {', '.join(SUFFIXES)}"
        asked = f"data.files={data.files}: no data file of {data.repo} matches" if data.files else (
            f"data.repo={data.repo}: the repository has no data file"
        )  # fmt: skip
        raise UserError(asked + have)
    return chosen


def _is_data(name: str) -> bool:
    hidden = any(part.startswith(".") for part in name.split("/"))
    base = name.rsplit("/", 1)[-1]
    return not hidden and base.lower().endswith(SUFFIXES) and base not in (*NOT_DATA, MARKER)


class _Lines:
    """Says on stderr what is being fetched."""

    def stage(self, name: str, total: int | None = None, unit: str = "") -> None:
        size = f" ({total} {unit})" if total else ""
        print(f"data: {name}{size}", file=sys.stderr, flush=True)

    def advance(self, done: int, **shown: float) -> None:
        """Nothing more: data files are small beside a model."""
