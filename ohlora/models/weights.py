"""Files of weights: which there are, are they whole, how many parameters. Headers only, without torch."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

from ohlora.files import read_json

SAFE = ("model.safetensors", "model.safetensors.index.json")
PICKLED = ("pytorch_model.bin", "pytorch_model.bin.index.json")
BUFFERS = ("BOOL", "U8")  # masks that old files carry along; no parameters
PICKLE_RISK = "reading a pickle can run code of whoever made it"


def list_weight_files(folder: Path, single: str, index: str) -> list[str]:
    """The files that the weights lie in: those of the index, else the one file.

    Raises:
        ValueError: there is an index that cannot be read.
    """
    if (folder / single).is_file() or not (folder / index).is_file():
        return [single]
    try:
        return sorted({str(name) for name in read_json(folder / index)["weight_map"].values()})
    except (ValueError, KeyError, AttributeError, TypeError):
        raise ValueError(f"{index} cannot be read; download it again") from None


def is_safe(folder: Path) -> bool:
    """True where there are safetensors, whole or not."""
    return any((folder / name).is_file() for name in SAFE) or any(folder.glob("*.safetensors"))


def is_pickled(folder: Path) -> bool:
    """True where pickled weights are all there is."""
    return not is_safe(folder) and any((folder / name).is_file() for name in PICKLED)


def weight_problems(folder: Path, key: str) -> list[str]:
    """What is missing or cut short, in words."""
    if is_pickled(folder):
        return [
            f"{key}: holds only pickled weights (.bin), and {PICKLE_RISK}; add model.weights=bin to have them "
            "read as plain tensors and rewritten as safetensors, or take a model that has safetensors"
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
                f"{key}: {name} has {size:,} bytes where its header promises {expected:,}; "
                "the file is cut short, download it again"
            )
    return found


def pickle_problems(folder: Path, key: str) -> list[str]:
    """What stops pickled weights from being converted."""
    try:
        names = list_weight_files(folder, *PICKLED)
    except ValueError as error:
        return [f"{key}: {error}"]
    return [f"{key}: {name} is missing; the download did not finish" for name in names if not (folder / name).is_file()]


def safetensors_bytes(path: Path) -> int | None:
    """The size in bytes that a safetensors file's header promises, or None if there is no such header."""
    try:
        header, length = _header(path)
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        return 8 + length + max(ends, default=0)
    except (OSError, ValueError, struct.error, KeyError, TypeError, IndexError, AttributeError):
        return None


def parameters_m(folder: Path) -> float | None:
    """Millions of parameters by the headers, tied embeddings once; None where there is no whole set of safetensors."""
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
    """Name -> shape of every tensor of a safetensors file; empty where its header cannot be read."""
    try:
        header, _ = _header(path)
        return {name: list(entry["shape"]) for name, entry in header.items() if name != "__metadata__"}
    except (OSError, ValueError, struct.error, KeyError, TypeError, AttributeError):
        return {}


def model_shapes(folder: Path) -> dict[str, list[int]]:
    """The same of all the weights of a model's folder; empty where one of its files cannot be read."""
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
