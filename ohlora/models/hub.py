"""List a hub repository at one commit, download its files with resumption, check their hashes.

huggingface_hub's own download keeps only complete files and restarts an interrupted one. Here each file is written to
a part file named after its content hash, so that the next call resumes it.
"""

from __future__ import annotations

import hashlib
import io
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ohlora.files import sha256_file
from ohlora.models.hub_errors import Interrupted, Repository, explain_hub_errors, read_token

MIB = 2**20
SPARE = 64 * MIB  # kept free on the disk


class Show(Protocol):
    """Receives progress; a Job."""

    def stage(self, name: str, total: int | None = None, unit: str = "") -> None: ...
    def advance(self, done: int, **shown: float) -> None: ...


@dataclass(frozen=True)
class Remote:
    """One file of a repository. Large files have a sha256, others git's own hash."""

    name: str
    size: int
    sha256: str | None
    blob: str | None

    @property
    def digest(self) -> str:
        return self.sha256 or self.blob or f"{self.name}-{self.size}"

    def is_same(self, path: Path) -> bool:
        """Does this file have the content that the repository lists?"""
        if path.stat().st_size != self.size:
            return False
        if self.sha256:
            return sha256_file(path) == self.sha256
        return self.blob in (None, _git_hash(path))


def list_files(repository: Repository) -> tuple[str, dict[str, Remote]]:
    """(commit, files by name) of the requested revision, or of the newest.

    Raises:
        UserError: the repository, its revision or the hub cannot be reached.
    """
    from huggingface_hub import HfApi

    with explain_hub_errors(repository):
        api = HfApi(token=read_token())
        ask = api.model_info if repository.kind == "model" else api.dataset_info
        info = ask(repository.name, revision=repository.revision, files_metadata=True, token=read_token())
    files = {
        s.rfilename: Remote(s.rfilename, s.size or 0, s.lfs.sha256 if s.lfs else None, s.blob_id)
        for s in info.siblings or []
    }
    return str(info.sha), files


def fetch(
    repository: Repository, commit: str, files: Sequence[Remote], folder: Path, show: Show, extra: int = 0
) -> None:
    """Download these files into `folder`; each gets its name only when it is complete and its hash is right.

    `extra`: further bytes that later steps need.

    Raises:
        Interrupted: the network or the disk stopped it; the next call resumes.
    """
    present = {file.name: (folder / file.name).is_file() and file.is_same(folder / file.name) for file in files}
    missing = [file for file in files if not present[file.name]]
    ask_disk(repository.key, folder, sum(file.size - _count_downloaded(folder, file) for file in missing) + extra)
    total = sum(file.size for file in files)
    done = total - sum(file.size for file in missing)
    if total - done >= MIB:
        show.stage(f"downloading {repository.name} at {commit[:12]}", total // MIB, "MiB")
    for file in missing:
        _fetch_one(repository, commit, file, folder, _progress(show, done))
        done += file.size


def ask_disk(key: str, folder: Path, needed: int) -> None:
    """Refuse a download that the disk has no room for, before it starts."""
    free = shutil.disk_usage(folder).free
    if needed and needed + SPARE > free:
        raise Interrupted(
            f"{key}: needs {needed / MIB:,.0f} MiB, and {free / MIB:,.0f} MiB are free on the disk of {folder.parent}; "
            "free some, or choose another disk with models=<folder>"
        )


def _fetch_one(repository: Repository, commit: str, file: Remote, folder: Path, grown: Callable[[int], None]) -> None:
    from huggingface_hub import hf_hub_url
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers, disable_progress_bars

    disable_progress_bars()
    part = _part(folder, file)
    (folder / file.name).unlink(missing_ok=True)
    url = hf_hub_url(repository.name, file.name, repo_type=repository.kind, revision=commit)
    headers = build_hf_headers(token=read_token())
    try:
        with explain_hub_errors(repository), _Growing(part, grown) as growing:
            http_get(
                url, growing, resume_size=_count_downloaded(folder, file), headers=headers, expected_size=file.size
            )
    except Interrupted:
        if not _count_downloaded(folder, file):
            part.unlink()
        raise
    if not file.is_same(part):
        part.unlink()
        raise Interrupted(
            f"{repository.key}: {file.name} is damaged (its hash differs from the repository's) and was removed; run "
            "the command again to download it"
        )
    (folder / file.name).parent.mkdir(parents=True, exist_ok=True)
    part.rename(folder / file.name)


class _Growing(io.FileIO):
    """The part file, which reports its size as progress."""

    def __init__(self, path: Path, grown: Callable[[int], None]) -> None:
        super().__init__(path, "ab")
        self.grown = grown

    def write(self, data: Any) -> int:
        written = super().write(data)
        self.grown(self.tell())
        return written


def _progress(show: Show, before: int) -> Callable[[int], None]:
    return lambda size: show.advance((before + size) // MIB)


def _part(folder: Path, file: Remote) -> Path:
    return folder / f".{hashlib.sha256(file.digest.encode()).hexdigest()[:20]}.part"


def _count_downloaded(folder: Path, file: Remote) -> int:
    """The number of bytes that an earlier call downloaded; a part file larger than the whole is discarded."""
    part = _part(folder, file)
    size = part.stat().st_size if part.is_file() else 0
    if size > file.size:
        part.unlink()
        return 0
    return size


def _git_hash(path: Path) -> str:
    data = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
