"""Compose the configuration with Hydra, and explain its errors: what, where, what is allowed, how to fix it."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ohlora.config.keys import allowed_values, known_keys
from ohlora.config.paths import conf_dir, groups, options
from ohlora.errors import UserError, suggest

if TYPE_CHECKING:
    from omegaconf import DictConfig


def compose_config(
    overrides: Sequence[str], hydra: bool = False, folder: Path | None = None, name: str = "config"
) -> Any:
    """Compose the configuration for these overrides; include Hydra's own node only if `hydra`.

    `folder` and `name`: use another folder of groups, or another top-level file.

    Raises:
        UserError: in place of every composition error of Hydra.
    """
    from hydra import compose, initialize_config_dir

    from ohlora.config.schema import register

    register()
    try:
        with initialize_config_dir(str(folder or conf_dir()), version_base="1.3"):
            return compose(name, overrides=list(overrides), return_hydra_config=hydra)
    except Exception as error:
        raise explain_error(error, overrides) from error


# Texts for the model. On the command line `\n` means a line break, `\t` a tab, and `\\n` a backslash and an n.
TEXTS = ("model.prompt_template", "generation.ask", "decoding.stop")
ESCAPED = re.compile(r"\\(\\[nt]|[nt])")
# One word of a command line: spaces within quotes do not end it.
WORD = re.compile(r"""(?:[^\s"']|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|["'])+""", re.DOTALL)


@dataclass(frozen=True)
class SingleConfig:
    """A composed command line without -m. `folder`: from hydra.run.dir; `sweeps`: its experiment defines a sweep."""

    node: DictConfig
    overrides: list[str]
    folder: Path | None
    sweeps: bool


def compose_single(
    given: Sequence[str], config_dir: str | None = None, config_path: str | None = None, name: str | None = None
) -> SingleConfig:
    """Compose as Hydra does for one run, with its flags --config-dir (more groups), --config-path and --config-name.

    Raises:
        UserError: in place of every composition error of Hydra.
    """
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import open_dict, read_write

    more = []
    if config_dir:
        if not Path(config_dir).is_dir():
            raise UserError(f"--config-dir={config_dir}: no such folder")
        more = [f"hydra.searchpath=['file://{Path(config_dir).absolute()}']"]
    folder = Path(config_path).absolute() if config_path else None
    node = compose_config([*more, *given], hydra=True, folder=folder, name=name or "config")
    HydraConfig.instance().set_config(node)  # for `${hydra:…}` in a user's values
    chosen = any(override.startswith("hydra.run.dir=") for override in given)
    single = SingleConfig(
        node,
        list(node.hydra.overrides.task),
        Path(node.hydra.run.dir).absolute() if chosen else None,
        bool(node.hydra.sweeper.get("params")),
    )
    with read_write(node), open_dict(node):
        del node["hydra"]
    return single


def quote_argument(argument: str) -> str:
    """`data.path=데이터.csv`, `data.path=~/my.csv`, `compare.arms=[lora=r16,lora=r64]` in the quotes that Hydra's
    grammar needs, and texts for the model with their line breaks. Other arguments are unchanged.
    """
    key, equals, value = argument.partition("=")
    if key.lstrip("+~") in TEXTS and equals:
        return f"{key}={_quote_text(_break_lines(value))}"
    if key in ("compare.arms", "compare.recommended") and re.fullmatch(r"\[[^\[\]\"']+\]", value):
        return f"{key}=[{','.join(repr(arm.strip()) for arm in value[1:-1].split(','))}]"
    home = value.startswith("~/")
    value = os.path.expanduser(value) if home else value  # noqa: PTH111  a shell does not expand ~ after an =
    if not equals or (value.isascii() and not home) or re.search(r"[\"'\[\]{}(),\\]", value):
        return argument
    return f"{key}='{value}'"


def split_arguments(text: str) -> list[str]:
    """Split the overrides of one arm, each quoted by `quote_argument`: 'a=1 model.prompt_template="Q: {prompt}\\n"'."""
    return [quote_argument(word) for word in WORD.findall(text)]


def _break_lines(value: str) -> str:
    meaning = {"n": "\n", "t": "\t"}
    return ESCAPED.sub(lambda found: meaning.get(found[1], found[1]), value)


def _quote_text(value: str) -> str:
    """Quote one prompt template, unless it is quoted, null, or a list."""
    from hydra.core.override_parser.types import Quote, QuotedString

    if value in ("", "null") or value[0] in "\"'[" or value.count("{prompt}") > 1:
        return value
    return str(QuotedString(value, Quote.single).with_quotes())


def explain_error(error: Exception, overrides: Sequence[str]) -> UserError:
    """Turn a composition error of Hydra or OmegaConf into a UserError. Raise anything else again."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    if isinstance(error, UserError):
        return error
    if isinstance(error, YAMLError):
        return UserError(_explain_yaml(error))
    if not isinstance(error, HydraException | OmegaConfBaseException | ValueError | OSError):
        raise error
    text = str(error)
    for explain in (_option, _several, _null_group, _group, _file, _key, _value, _syntax):
        message = explain(error, text, overrides)
        if message:
            return UserError(message)
    return UserError(f"the command line could not be read: {' '.join(text.split())}")


def _option(_: Exception, text: str, overrides: Sequence[str]) -> str | None:
    found = re.search(r"Could not find '([^']+)/([^'/]+)'", text)
    if not found:
        return None
    group, option = found.groups()
    allowed = list(dict.fromkeys([*options(group), *re.findall(r"^\t(\S+)$", text, re.MULTILINE)]))
    return f"{group}={option}: choose from {', '.join(allowed)}{suggest(option, allowed)}"


def _several(_: Exception, text: str, overrides: Sequence[str]) -> str | None:
    found = re.search(r"Ambiguous value for argument '([^']+)'", text)
    return found and f"{found[1]}: several values make a sweep: add -m; for one value with commas, quote it twice"


def _null_group(_: Exception, text: str, overrides: Sequence[str]) -> str | None:
    if "Config group override must be a string" not in text:
        return None
    given = next((o for o in overrides if o.split("=")[0] in groups() and o.endswith("=null")), None)
    return given and f"{given}: choose from {', '.join(options(given.split('=')[0]))}"


def _group(_: Exception, text: str, overrides: Sequence[str]) -> str | None:
    found = re.search(r"Could not override '([^']+)'\.\s*No match in the defaults list", text)
    if not found:
        return None
    return f"{found[1]}: this group does not exist; groups are {', '.join(groups())}{suggest(found[1], groups())}"


def _file(_: Exception, text: str, overrides: Sequence[str]) -> str | None:
    """A file of a group holds an unknown key, or a value of the wrong type."""
    mixed = re.search(r"In '([^']+)': \w+ raised while composing config:\s*Cannot merge", text)
    if mixed:
        return f"{mixed[1]}.yaml: a list stands where keys are expected, or the reverse; compare it with --cfg job"
    found = re.search(r"In '([^']+)': \w+ raised while composing config:\s*(.*?)\s*full_key: (\S+)", text, re.DOTALL)
    if not found:
        return None
    file, problem, key = found.groups()
    unknown = re.search(r"Key '[^']+' not in", problem)
    value = re.search(r"[Vv]alue '([^']*)'", problem)
    place = f"{file}.yaml: {key}"
    if unknown:
        near = known_keys() if key.rpartition(".")[0] in known_keys() else ()
        return f"{place}: this key does not exist{suggest(key, near)}"
    return f"{place}{f'={value[1]}' if value else ''}: must be {allowed_values(key)}"


def _explain_yaml(error: Exception) -> str:
    """Where a file is no YAML, or says one key twice."""
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None) or str(error)
    place = f"{mark.name}: line {mark.line + 1}: " if mark else ""
    twice = re.search(r"duplicate key (.+)", problem)
    if twice:
        first = getattr(error, "context_mark", None)
        since = f" of the block that begins in line {first.line + 1}" if first else ""
        return f"{place}the key {twice[1]}{since} stands twice; keep one of them"
    return f"{place}this is not YAML: {problem}"


def _key(error: Exception, text: str, overrides: Sequence[str]) -> str | None:
    found = re.search(r"Could not (?:override|append to config|delete from config)[^']*'([^']+)'", text)
    if found is None and "Could not append" in text:
        found = re.search(r"'([^']+)'", text)
    cause = str(error.__cause__ or "")
    if found and ("not in" in cause or "To append" in text or "Key" in cause):
        key = found[1].lstrip("+~").split("=")[0]
        return (
            f"{_given(key, overrides)}: this key does not exist{suggest(key, known_keys())}; see --cfg job for all keys"
        )
    if found and "Multiple values" not in text and "append" in text:
        key = found[1].lstrip("+~").split("=")[0]
        return f"{_given(key, overrides)}: this key already exists; remove the +"
    return None


def _value(error: Exception, text: str, overrides: Sequence[str]) -> str | None:
    """A value of the wrong type; OmegaConf may name its key anywhere in the chain of causes."""
    from omegaconf.errors import OmegaConfBaseException, ValidationError

    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ValidationError | OmegaConfBaseException):
            key = getattr(cause, "full_key", None) or _first_key(text)
            if key:
                return f"{_given(key, overrides)}: must be {allowed_values(key)}"
        cause = cause.__cause__
    return None


def _syntax(_: Exception, text: str, overrides: Sequence[str]) -> str | None:
    from hydra.errors import OverrideParseException

    if not isinstance(_, OverrideParseException):
        return None
    quoting = "quote a value that contains spaces, letters beyond ASCII or any of , = ( ) [ ] { } ~ &"
    return f"{_.override}: is not key=value; {quoting}, as in 'key=\"값, b\"'"


def _first_key(text: str) -> str | None:
    found = re.search(r"full_key: (\S+)", text)
    return found[1] if found else None


def _given(key: str, overrides: Sequence[str]) -> str:
    """The override that set this key, as the user wrote it; only the key if a file set it."""
    for override in overrides:
        if override.lstrip("+~").split("=")[0] == key:
            return override
    return key
