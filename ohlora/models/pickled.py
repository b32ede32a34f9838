"""Convert pickled weights (.bin) to safetensors; they are read as plain tensors, so no code in a pickle runs."""

from __future__ import annotations

import pickle
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ohlora.errors import UserError
from ohlora.files import read_json, write_json
from ohlora.models.weights import PICKLED, SAFE, list_weight_files

SMALL = (".json", ".model", ".txt", ".jinja", ".md")


def convert(source: Path, target: Path, key: str, say: Callable[[str], None]) -> None:
    """Write `source`'s pickled weights into `target` as safetensors, one file at a time. They may be the same folder.

    Raises:
        UserError: a file contains more than tensors, or is truncated.
    """
    tied = _ties_embeddings(source)
    names = list_weight_files(source, *PICKLED)
    renamed = {name: name.replace("pytorch_model", "model").replace(".bin", ".safetensors") for name in names}
    for name in names:
        say(f"rewriting {name} as safetensors")
        _write(_tensors(source / name, key), target / renamed[name], tied)
    if names != [PICKLED[0]]:
        _write_index(target, list(renamed.values()), read_json(source / PICKLED[1]).get("metadata") or {})


def remove_pickles(folder: Path) -> None:
    """Remove the pickles, once their tensors are stored beside them."""
    for name in {*list_weight_files(folder, *PICKLED), PICKLED[1]}:
        (folder / name).unlink(missing_ok=True)


def copy_small(source: Path, target: Path, with_code: bool) -> None:
    """Copy everything except the weights."""
    for path in source.iterdir():
        kept = path.suffix in SMALL or path.name.startswith(("LICENSE", "NOTICE")) or path.name == "GEMMA_TERMS.html"
        if path.is_file() and path.name != PICKLED[1] and (kept or (with_code and path.suffix == ".py")):
            shutil.copyfile(path, target / path.name)


def _tensors(path: Path, key: str) -> dict[str, Any]:
    import torch

    try:
        read = torch.load(path, map_location="cpu", weights_only=True, mmap=_is_zip(path))
    except pickle.UnpicklingError:
        raise UserError(
            f"{key}: {path.name} contains more than tensors and is refused, since reading it could run its author's "
            "code; use a model with safetensors"
        ) from None
    except (RuntimeError, EOFError, OSError, ValueError) as error:
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"{key}: {path.name} cannot be read ({said[:100]}); download it again") from None
    if not isinstance(read, dict) or not all(isinstance(value, torch.Tensor) for value in read.values()):
        raise UserError(f"{key}: {path.name} is not a table of tensors; use a model with safetensors")
    return read


def _write(tensors: dict[str, Any], path: Path, tied: bool) -> None:
    """Output weights that share memory with the input embeddings are dropped if the model ties them itself."""
    from safetensors.torch import save_file

    seen: set[tuple[Any, ...]] = set()
    kept: dict[str, Any] = {}
    for name, tensor in sorted(tensors.items(), key=lambda item: _is_output(item[0])):
        place = (tensor.untyped_storage().data_ptr(), tensor.storage_offset(), tensor.shape, tensor.stride())
        if not (tied and _is_output(name) and place in seen):
            kept[name] = tensor
        seen.add(place)
    partial = path.with_name(f".{path.name}.tmp")
    save_file(_apart(kept), partial, metadata={"format": "pt"})
    partial.rename(path)


def _apart(tensors: dict[str, Any]) -> dict[str, Any]:
    """Each tensor with its own memory, as safetensors requires."""
    users = Counter(tensor.untyped_storage().data_ptr() for tensor in tensors.values())
    return {
        name: (tensor.clone() if users[tensor.untyped_storage().data_ptr()] > 1 else tensor).contiguous()
        for name, tensor in tensors.items()
    }


def _write_index(target: Path, names: list[str], metadata: dict[str, Any]) -> None:
    from safetensors import safe_open

    where: dict[str, str] = {}
    for name in names:
        with safe_open(target / name, framework="pt") as file:
            where |= dict.fromkeys(file.keys(), name)
    write_json(target / SAFE[1], {"metadata": metadata, "weight_map": where})


def _is_output(name: str) -> bool:
    return name.endswith(("lm_head.weight", "embed_out.weight"))


def _ties_embeddings(folder: Path) -> bool:
    """Does this model use its input embeddings as output weights? If config.json does not say, its class does."""
    from transformers import AutoConfig

    said = read_json(folder / "config.json").get("tie_word_embeddings")
    if said is not None:
        return bool(said)
    try:
        return bool(getattr(AutoConfig.from_pretrained(folder, local_files_only=True), "tie_word_embeddings", False))
    except (OSError, ValueError):
        return False


def _is_zip(path: Path) -> bool:
    """Only the newer pickle format can be memory-mapped."""
    with path.open("rb") as file:
        return file.read(2) == b"PK"
