"""The back ends: only what differs between the ways to run a model.

A back end does not deal with MLflow, timing or Hydra. To add one: a file in this folder with a subclass of `Backend`,
and `conf/backend/<name>.yaml`. Every module here is imported to find them, so heavy imports go inside methods.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module
from pathlib import Path

from ohlora.backends.interface import Backend, Loaded, LoadSpec, LoraSpec, Mode, Setting, Support

__all__ = [
    "Backend", "LoadSpec", "Loaded", "LoraSpec", "Mode", "Setting", "Support", "backend", "backends",
    "env_prefixes", "label", "shared_env",
]  # fmt: skip


def backends() -> dict[str, type[Backend]]:
    """Name -> class of every back end, sorted by name."""
    found: dict[str, type[Backend]] = {}
    for info in pkgutil.iter_modules(__path__):
        module = import_module(f"{__name__}.{info.name}")
        for item in vars(module).values():
            if isinstance(item, type) and issubclass(item, Backend) and item is not Backend:
                found[item.name] = item
    return dict(sorted(found.items()))


def backend(name: str) -> Backend:
    """The back end of this name; its libraries are imported later, in its methods."""
    return backends()[name]()


def label(name: str) -> str:
    """Its row in the report's first table, such as '**with** Unsloth'; the name itself for an unknown back end."""
    known = backends().get(name)
    return known.label if known else name


def shared_env(compiled: Path) -> dict[str, str]:
    """Environment variables for the libraries of all back ends, the same in every child; `compiled`: the run's folder
    for compiled code.
    """
    env: dict[str, str] = {}
    for known in backends().values():
        env |= known.env
        env |= {name: str(compiled / name.lower()) for name in known.compile_caches}
    return env


def env_prefixes() -> tuple[str, ...]:
    """Prefixes of the environment variables that could change the settings of a back end's libraries."""
    return tuple(known.env_prefix for known in backends().values() if known.env_prefix)
