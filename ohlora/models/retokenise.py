"""Rewrite the tokenizer of an embedded model that an earlier version prepared; its weights stay as they are."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from ohlora.files import read_json
from ohlora.models.embedded import PACKAGES, make_tokenizer
from ohlora.models.folder import MARKER, LocalModel, is_prepared, write_marker
from ohlora.models.hub import Show

REWRITTEN = ("tokenizer_config.json", "tokenizer.json")


def outdated_note(model: LocalModel) -> str:
    """What is wrong with this model's tokenizer and how to rewrite it; '' if nothing is."""
    if not is_outdated(model):
        return ""
    turns = " and ".join(PACKAGES[str(model.option.package)].turns)
    return (
        f"model.name={model.option.name}: {model.folder} was prepared by an earlier version, whose tokenizer splits "
        f"{turns} into pieces; rewrite the tokenizer with task=prepare (the weights stay)"
    )


def is_outdated(model: LocalModel) -> bool:
    """Was this prepared folder's tokenizer made by an earlier version of this package's rebuilding?"""
    marker = _marker(model)
    package = PACKAGES.get(str(marker.get("package")))
    return package is not None and marker.get("tokenizer_version", 1) < package.tokenizer_version


def renew(model: LocalModel, show: Show) -> None:
    """Rewrite an outdated tokenizer; the marker keeps the folder's earlier hash, so that its adapters still fit.

    Raises:
        UserError: the data package is missing or damaged. The folder is then unchanged.
    """
    if not is_outdated(model):
        return
    from filelock import FileLock  # imported only when needed, to keep the parent process light

    folder = model.folder
    made = folder.parent / f".{folder.name}.tokenizer"
    with FileLock(folder.parent / f".{folder.name}.lock"):
        if not is_outdated(model):  # another process has done so
            return
        show.stage("rebuilding the tokenizer that an earlier version made")
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir()
        try:
            _replace(_marker(model), folder, made)
        finally:
            shutil.rmtree(made, ignore_errors=True)


def _replace(marker: dict[str, Any], folder: Path, made: Path) -> None:
    name = marker["package"]
    make_tokenizer(name, made)
    facts = {key: value for key, value in marker.items() if key not in ("schema", "hash", "files")}
    facts["tokenizer_version"] = PACKAGES[name].tokenizer_version
    facts["earlier_hashes"] = [*marker.get("earlier_hashes", []), marker["hash"]]
    for file in REWRITTEN:
        (made / file).replace(folder / file)
    write_marker(folder, **facts)


def _marker(model: LocalModel) -> dict[str, Any]:
    """The marker of a prepared folder; empty for any other."""
    if model.is_in_place or not is_prepared(model.folder):
        return {}
    found: dict[str, Any] = read_json(model.folder / MARKER)
    return found
