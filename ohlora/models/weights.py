"""Weight files: which exist, are they complete, how many parameters. Reads only headers, without torch."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

from ohlora.files import read_json

SAFE = ("model.safetensors", "model.safetensors.index.json")
PICKLED = ("pytorch_model.bin", "pytorch_model.bin.index.json")
BUFFERS = ("BOOL", "U8")  # masks stored in old files; not parameters
PICKLE_RISK = "reading a pickle can run code of its author"


def list_weight_files(folder: Path, single: str, index: str) -> list[str]:
    """The weight files: those in the index, else the single file.

    Raises:
        ValueError: the index cannot be read.
    """
    if (folder / single).is_file() or not (folder / index).is_file():
        return [single]
    try:
        return sorted({str(name) for name in read_json(folder / index)["weight_map"].values()})
    except (ValueError, KeyError, AttributeError, TypeError):
        raise ValueError(f"{index} cannot be read; download it again") from None


def is_safe(folder: Path) -> bool:
    """True if there are safetensors, complete or not."""
    return any((folder / name).is_file() for name in SAFE) or any(folder.glob("*.safetensors"))


def is_pickled(folder: Path) -> bool:
    """True if there are only pickled weights."""
    return not is_safe(folder) and any((folder / name).is_file() for name in PICKLED)


def weight_problems(folder: Path, key: str) -> list[str]:
    """Messages about missing or truncated weight files."""
    if is_pickled(folder):
        return [
            f"{key}: has only pickled weights (.bin), and {PICKLE_RISK}; add model.weights=bin to have them "
            "read as plain tensors and rewritten as safetensors, or use a model with safetensors"
        ]
    try:
        names = list_weight_files(folder, *SAFE)
    except ValueError as error:
        return [f"{key}: {error}"]
    found = []
    for name in names:
        path = folder / name
        if not path.is_file():
            found.append(f"{key}: {name} is missing; the download did not finish")
            continue
        expected, size = safetensors_bytes(path), path.stat().st_size
        if expected is None:
            found.append(f"{key}: {name} has no readable safetensors header; download it again")
        elif expected != size:
            found.append(
                f"{key}: {name} has {size:,} bytes but its header says {expected:,}; "
                "the file is truncated, download it again"
            )
    return found


def pickle_problems(folder: Path, key: str) -> list[str]:
    """Why pickled weights cannot be converted."""
    try:
        names = list_weight_files(folder, *PICKLED)
    except ValueError as error:
        return [f"{key}: {error}"]
    return [f"{key}: {name} is missing; the download did not finish" for name in names if not (folder / name).is_file()]


def safetensors_bytes(path: Path) -> int | None:
    """The file size in bytes according to a safetensors header; None without a header."""
    try:
        header, length = _header(path)
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        return 8 + length + max(ends, default=0)
    except (OSError, ValueError, struct.error, KeyError, TypeError, IndexError, AttributeError):
        return None


def parameters_m(folder: Path) -> float | None:
    """Millions of parameters from the headers, tied embeddings once; None without a complete set of safetensors."""
    try:
        tied = read_json(folder / "config.json").get("tie_word_embeddings") is True
        shapes: dict[str, list[int]] = {}
        for name in list_weight_files(folder, *SAFE):
            header, _ = _header(folder / name)
            shapes |= {
                tensor: entry["shape"]
                for tensor, entry in header.items()
                if tensor != "__metadata__" and entry["dtype"] not in BUFFERS
            }
        if tied and len(shapes) > 1:
            shapes.pop("lm_head.weight", None)
        return round(sum(math.prod(shape) for shape in shapes.values()) / 1e6, 1)
    except (OSError, ValueError, struct.error, KeyError, TypeError, AttributeError):
        return None


def tensor_shapes(path: Path) -> dict[str, list[int]]:
    """Name -> shape of every tensor of a safetensors file; empty if its header cannot be read."""
    try:
        header, _ = _header(path)
        return {name: list(entry["shape"]) for name, entry in header.items() if name != "__metadata__"}
    except (OSError, ValueError, struct.error, KeyError, TypeError, AttributeError):
        return {}


def model_shapes(folder: Path) -> dict[str, list[int]]:
    """The same for all weights of a model's folder; empty if one of its files cannot be read."""
    try:
        found = [tensor_shapes(folder / name) for name in list_weight_files(folder, *SAFE)]
    except ValueError:
        return {}
    return {name: shape for shapes in found for name, shape in shapes.items()} if all(found) else {}


def _header(path: Path) -> tuple[dict[str, Any], int]:
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        if length > 100_000_000:
            raise ValueError(f"{path.name}: no safetensors header")
        return json.loads(file.read(length)), length
