"""The files of a data option: one path, several, a folder, a pattern, or one of the sets in the package."""

from __future__ import annotations

from pathlib import Path

from ohlora.config.schema import DataConfig
from ohlora.data.published import SUFFIXES, published_files
from ohlora.errors import UserError

PACKAGED = Path(__file__).with_name("ohlora.csv")
SETS = {"ohlora": PACKAGED, "persona": PACKAGED.with_name("persona.jsonl")}


def data_files(data: DataConfig) -> list[Path]:
    """The files, in order; existing or not. A published set is fetched first.

    Raises:
        UserError: a folder or a pattern without data files; a published set that cannot be fetched.
    """
    if data.repo:
        return published_files(data)
    if not data.path:
        return [SETS.get(data.name, PACKAGED)]
    given = [data.path] if isinstance(data.path, str) else list(data.path)
    return [path for one in given for path in _expand(str(one))]


def _expand(given: str) -> list[Path]:
    path = Path(given)
    if path.is_dir():
        found = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)
        if not found:
            raise UserError(f"data.path={given}: the folder has no data file ({', '.join(SUFFIXES)})")
        return found
    if any(sign in given for sign in "*?[") and not path.exists():
        found = sorted(Path(path.anchor or ".").glob(str(path.relative_to(path.anchor)) if path.anchor else given))
        if not found:
            raise UserError(f"data.path={given}: no file matches")
        return found
    return [path]
