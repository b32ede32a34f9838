"""The keys of the configuration schema: which exist, which are missing or unknown, what each may hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any, get_args, get_origin, get_type_hints

from omegaconf import DictConfig, OmegaConf

from ohlora.config.schema import Config
from ohlora.errors import suggest


def known_keys(cls: Any = Config, prefix: str = "") -> dict[str, Any]:
    """Dotted key -> field type, for the whole schema."""
    keys: dict[str, Any] = {}
    hints = get_type_hints(cls)
    for item in fields(cls):
        kind = hints[item.name]
        keys[prefix + item.name] = kind
        kind = _inner(kind)
        if is_dataclass(kind):
            keys.update(known_keys(kind, f"{prefix}{item.name}."))
    return keys


def _inner(kind: Any) -> Any:
    """The X of `X | None`."""
    return kind if get_origin(kind) in (list, dict) else next((k for k in get_args(kind) if k is not type(None)), kind)


def _entry(kind: Any) -> Any:
    """The dataclass of each value of a dict[str, X | None]; None for any other type."""
    inner = _inner(get_args(kind)[1]) if get_origin(kind) is dict else None
    return inner if is_dataclass(inner) else None


def unknown_keys(composed: DictConfig) -> Iterator[tuple[str, str]]:
    """Keys that the schema does not have (Hydra accepts `+train.stepz=3`), each with a suggestion."""
    known = known_keys()

    def walk(node: DictConfig, prefix: str) -> Iterator[str]:
        for name in map(str, node):
            key = f"{prefix}{name}"
            if key not in known:
                yield key
            elif is_dataclass(_inner(known[key])):
                if not OmegaConf.is_missing(node, name) and node[name] is not None:
                    yield from walk(node[name], f"{key}.")
            elif _entry(known[key]):  # names of the user's own, each with the same keys
                for entry in map(str, node[name]):
                    known.update({f"{key}.{entry}": dict, **known_keys(_entry(known[key]), f"{key}.{entry}.")})
                    if node[name][entry] is not None:
                        yield from walk(node[name][entry], f"{key}.{entry}.")

    for key in walk(composed, ""):
        yield key, suggest(key, known)


def missing_keys(composed: DictConfig) -> list[str]:
    """Keys whose value is still `???`, including those of optional groups."""
    return sorted(OmegaConf.missing_keys(composed))


def allowed_values(key: str) -> str:
    """'float32 | bfloat16' or 'an integer', for a message about a wrong type."""
    kind = _inner(known_keys().get(key.split("[", maxsplit=1)[0]))  # decoding.retry_on[1] is an item of a list
    if get_origin(kind) is list:
        words = getattr(get_args(kind)[0], "__members__", None)
        return (
            f"a list of {' | '.join(words)}, such as [{','.join(list(words)[:2])}]" if words else "a list such as [a,b]"
        )
    if hasattr(kind, "__members__"):
        return " | ".join(kind.__members__)
    names = {int: "an integer", float: "a number", bool: "true or false", str: "text"}
    return names.get(kind, "another type")
