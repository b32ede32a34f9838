"""Atomic writes, JSON files and hashes."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

NONFINITE = ("Infinity", "-Infinity", "NaN")


def write_atomic(path: Path, text: str) -> None:
    """Replace a file in one step, so that no reader ever sees half of it, even after a crash."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_text(text, "utf-8")
    temporary.replace(path)


def encode_json(value: Any, indent: int | None = None) -> str:
    """Encode as valid JSON: a number that is not finite becomes "NaN", "Infinity" or "-Infinity"."""
    try:
        return json.dumps(value, ensure_ascii=False, indent=indent, default=str, allow_nan=False)
    except ValueError:
        return json.dumps(_name_nonfinite(value), ensure_ascii=False, indent=indent, default=str, allow_nan=False)


def restore_numbers(value: Any) -> Any:
    """Turn the names that `encode_json` wrote for non-finite numbers back into numbers; leave all else unchanged."""
    if isinstance(value, dict):
        return {key: restore_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [restore_numbers(item) for item in value]
    return float(value) if value in NONFINITE else value


def _name_nonfinite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _name_nonfinite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_name_nonfinite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else NONFINITE[value < 0]
    return value


def write_json(path: Path, value: Any) -> None:
    write_atomic(path, encode_json(value, indent=2) + "\n")


def read_json(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """The complete objects of a JSON Lines file that may still be growing; incomplete lines are left out."""
    if not path.is_file():
        return []
    found = []
    for line in path.read_bytes().split(b"\n")[:-1]:
        with contextlib.suppress(ValueError):
            entry = json.loads(line)
            if isinstance(entry, dict):
                found.append(entry)
    return found


def sha256_file(path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def sha256_of(parts: Iterable[Any]) -> str:
    """One hash over all values, each encoded as JSON."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(json.dumps(part, ensure_ascii=False, sort_keys=True, default=str).encode())
        digest.update(b"\n")
    return digest.hexdigest()
