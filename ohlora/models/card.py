"""What a folder's README.md says of its licence: the YAML between its first two `---` lines."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from ohlora.files import read_json
from ohlora.models.folder import ADAPTER_CARD, MARKER

CUSTOM = "other:"  # the beginning of the tag of a licence that only its model has


def card_tags(folder: Path) -> list[str]:
    """The licence tags of a folder's card, lower-case, or what our own file beside it knows; empty where neither does.

    A licence of its own (`license: other`) is known by its `license_name`, which comes first: as it stands, and as the
    tag of a custom licence, 'other:<name>'. One that has a link alone is 'other:other'.
    """
    front = front_matter(folder / "README.md")
    tags = _tags(front.get("license"))
    if "other" in tags:
        names = _tags(front.get("license_name"))
        own = [CUSTOM + _one_word(name) for name in names or ["other"]] if names or licence_link(folder) else []
        tags = [*names, *own, *tags]
    return tags or [tag for name in (MARKER, ADAPTER_CARD) for tag in _tags(_recorded(folder / name))]


def licence_link(folder: Path) -> str:
    """Where a card says that its own licence is to be read: an address or a file's name; '' where it does not say."""
    link = front_matter(folder / "README.md").get("license_link")
    return link.strip() if isinstance(link, str) else ""


def front_matter(path: Path) -> dict[Any, Any]:
    """The mapping at the head of a card; empty where there is none, or none that is YAML."""
    try:
        text = path.read_text("utf-8-sig", "replace")
    except OSError:
        return {}
    front = re.match(r"---[ \t]*\n(.*?)^---[ \t]*$", text, re.DOTALL | re.MULTILINE)
    return _mapping(front[1]) if front else {}


@lru_cache(maxsize=16)  # a card with long tables of results takes seconds, and is asked for often
def _mapping(text: str) -> dict[Any, Any]:
    """Strings, lists and mappings alone: no object, no date that could be wrong. The C loader dies of deep nesting."""
    try:
        read = yaml.load(text, Loader=yaml.BaseLoader)
    except (yaml.YAMLError, RecursionError):
        return {}
    return read if isinstance(read, dict) else {}


def _tags(value: Any) -> list[str]:
    """One tag or a list of them, written the hub's way: lower-case, with hyphens."""
    listed = value if isinstance(value, list) else [value]
    return [tag for item in listed if isinstance(item, str) and (tag := re.sub(r"[\s_]+", "-", item.strip().lower()))]


def _one_word(name: str) -> str:
    """A name that can be typed: 'EXAONE AI Model License 1.1 - NC' -> 'exaone-ai-model-license-1.1-nc'."""
    return re.sub(r"[^\w.]+", "-", name).strip("-.") or "other"


def _recorded(path: Path) -> Any:
    try:
        return read_json(path)["licence"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
