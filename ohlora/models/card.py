"""The licence in a folder's model card (README.md): the YAML between its first two `---` lines."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from ohlora.files import read_json
from ohlora.models.folder import ADAPTER_CARD, MARKER

CUSTOM = "other:"  # prefix of the tag of a custom licence


def card_tags(folder: Path) -> list[str]:
    """The licence tags of a folder's card in lower case, or those in our own file beside it; empty if there are none.

    A custom licence (`license: other`) is identified by its `license_name`, which comes first: unchanged, and as the
    tag 'other:<name>'. One with only a link is 'other:other'.
    """
    front = front_matter(folder / "README.md")
    tags = _tags(front.get("license"))
    if "other" in tags:
        names = _tags(front.get("license_name"))
        own = [CUSTOM + _one_word(name) for name in names or ["other"]] if names or licence_link(folder) else []
        tags = [*names, *own, *tags]
    return tags or [tag for name in (MARKER, ADAPTER_CARD) for tag in _tags(_recorded(folder / name))]


def licence_link(folder: Path) -> str:
    """Where the text of a card's custom licence is: an address or a file name; '' if the card does not say."""
    link = front_matter(folder / "README.md").get("license_link")
    return link.strip() if isinstance(link, str) else ""


def front_matter(path: Path) -> dict[Any, Any]:
    """The YAML mapping at the top of a card; empty if there is none."""
    try:
        text = path.read_text("utf-8-sig", "replace")
    except OSError:
        return {}
    front = re.match(r"---[ \t]*\n(.*?)^---[ \t]*$", text, re.DOTALL | re.MULTILINE)
    return _mapping(front[1]) if front else {}


@lru_cache(maxsize=16)  # parsing a card with long tables of results takes seconds
def _mapping(text: str) -> dict[Any, Any]:
    """Loads only strings, lists and mappings: no objects, no invalid dates. The C loader crashes on deep nesting."""
    try:
        read = yaml.load(text, Loader=yaml.BaseLoader)
    except (yaml.YAMLError, RecursionError):
        return {}
    return read if isinstance(read, dict) else {}


def _tags(value: Any) -> list[str]:
    """One tag or a list of tags, in the hub's spelling: lower case with hyphens."""
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
