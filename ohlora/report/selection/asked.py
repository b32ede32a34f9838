"""What a run of task=selection was asked to do, and a planned one that left no result: model, rank and settings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePath
from typing import Any

from omegaconf import OmegaConf

from ohlora.config.group import OPEN
from ohlora.config.identity import MEASURED_LAUNCH, VOLATILE, flatten
from ohlora.config.paths import conf_dir, options
from ohlora.records.manifest import PlannedRun
from ohlora.records.result import Result
from ohlora.report.markdown import NO_VALUE
from ohlora.report.reading import asked_of

LEFT_OUT = {*VOLATILE, "task", "seed", "experiment", "hydra"}  # repeats of one candidate may differ in these
MODEL_SETTINGS = ("dtype", "attention", "prompt_format", "prompt_template", "lora_targets")  # the rest are its facts
NAMED_GROUPS = ("backend", "data", "trainer", "generation")  # an option of these is known by its `name`
METHOD, QUANTIZATION = "lora.method", "lora.quantization"
FILE, TOKENS = "data.path", "data.tokens"  # the data file's name, and the hash of what was read from it
CANONICAL = re.compile(r"(?:(\w+)-)?r(\d+)(?:-(\w+))?")  # of an arm's lora=: r16, dora-r64, r64-nf4


@dataclass(frozen=True)
class Asked:
    """`settings` are 'trainer.learning_rate' -> '0.0001'; `source` is where the weights come from, '' not known."""

    name: str
    rank: str
    settings: dict[str, str]
    source: tuple[str, ...]
    path: str = ""


def of_run(run: Result) -> Asked:
    """Read off the result: everything is known."""
    keys = flatten(asked_of(run))
    settings = {key: as_text(value) for key, value in keys.items() if _counts(key)}
    model, data = (run.requested.get(group) or {} for group in ("model", "data"))
    if data.get("path"):
        settings[FILE] = last_part(data["path"])
    if "tokens" in run.hashes:
        settings[TOKENS] = run.hashes["tokens"][:8]
    name = str(model.get("name") or run.model.get("name") or run.arm)
    path = str(model.get("path") or "")
    source = _source(keys, path, str(model.get("label") or run.model.get("label") or ""))
    return Asked(name, as_text(keys["lora.rank"]) if "lora.rank" in keys else NO_VALUE, settings, source, path)


def of_job(job: PlannedRun, runs: Sequence[Asked]) -> Asked:
    """Read off the arm's name, then the overrides; what neither says is as in the most similar of the folder's runs."""
    given = _given(job)
    name, rank = given.get("model.name", ""), given.get("lora.rank", "")
    name = given.get("model.repo", name) if name == "hub" else name
    near = max(runs, key=lambda one: _likeness(one, given, name, rank), default=None)
    name = name or (near.name if near else job.arm)
    rank = rank or (near.rank if near else NO_VALUE)
    settings = {key: value for key, value in given.items() if _counts(key)}
    if given.get(FILE):
        settings[FILE] = last_part(given[FILE])
    path = given.get("model.path", "")
    return Asked(name, rank, _filled(settings, name, rank, near), _source(given, path, ""), path)


def option(name: str) -> dict[str, Any]:
    """The facts that a model's option tells without weights, by their names in result.json."""
    if name in OPEN or name not in options("model"):
        return {}
    keys = _file("model", name)
    return {"label": keys.get("label"), "licence": keys.get("license"), "params_m": keys.get("params_m")}


def as_text(value: Any) -> str:
    """One text for one value, whether a YAML file, a result or a command line says it: 1e-4 and 0.0001 are the same."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int | float):
        return f"{float(value):.12g}"
    if isinstance(value, list):
        return f"[{','.join(map(as_text, value))}]"
    return " ".join(str(value).split())


def last_part(path: str) -> str:
    return PurePath(path).name


def _counts(key: str) -> bool:
    """Does this key make another candidate? The rank is named by itself, files by what they hold."""
    group, _, name = key.partition(".")
    if group in LEFT_OUT or key in ("lora.rank", FILE):
        return False
    return name in {"model": MODEL_SETTINGS, "launch": MEASURED_LAUNCH}.get(group, (name,))


def _source(keys: dict[str, Any], path: str, label: str) -> tuple[str, ...]:
    repo, revision = (str(keys.get(f"model.{key}") or "") for key in ("repo", "revision"))
    return repo, revision, last_part(path), last_part(label)


def _given(job: PlannedRun) -> dict[str, str]:
    """Every key that the overrides give, and the arm, which has the last word; options of groups taken apart."""
    found: dict[str, str] = {}
    for piece in [*job.overrides, *_split(job.arm)]:
        key, equals, value = piece.lstrip("+~").partition("=")
        if equals and "${" not in value:
            found |= _taken_apart(key, _said(value))
    return found


def _taken_apart(key: str, value: str) -> dict[str, str]:
    if key == "lora":
        return _lora(value)
    return {f"{key}.name" if key in (*NAMED_GROUPS, "model") else key: value}


def _lora(value: str) -> dict[str, str]:
    """An arm's short form; else the option of that name."""
    found = CANONICAL.fullmatch(value)
    if found:
        method, rank, quantization = found.groups()
        return {"lora.rank": rank, METHOD: method or "lora", QUANTIZATION: quantization or "none"}
    keys = _file("lora", value) if value in options("lora") else {}
    return {f"lora.{key}": as_text(one) for key, one in keys.items()}


def _likeness(one: Asked, given: dict[str, str], name: str, rank: str) -> tuple[bool, bool, int]:
    alike = sum(one.settings.get(key) == value for key, value in given.items())
    return one.name == name, one.rank == rank, alike


def _filled(given: dict[str, str], name: str, rank: str, near: Asked | None) -> dict[str, str]:
    """What is given, and the other settings of the run `near`, except those that belong to another option there."""
    if near is None:
        return given
    kept = dict(near.settings)
    other = [group for group in NAMED_GROUPS if given.get(f"{group}.name", "") not in ("", kept.get(f"{group}.name"))]
    other += ["model"] if near.name != name else []
    like = all(given.get(key, kept.get(key)) == kept.get(key) for key in (METHOD, QUANTIZATION))
    other += [] if like and near.rank == rank else ["lora"]
    gone = {key for key in kept if key.split(".")[0] in other} - {METHOD, QUANTIZATION}
    gone |= {TOKENS} if near.name != name or given.get(FILE, "") not in ("", kept.get(FILE)) else set()
    return {key: value for key, value in kept.items() if key not in gone} | given


def _split(text: str) -> Iterator[str]:
    """At the commas that stand in no brackets and no quotes."""
    yield from (piece[0] for piece in re.finditer(r"(?:\[[^\]]*\]|'[^']*'|\"[^\"]*\"|[^,])+", text))


def _said(value: str) -> str:
    """The value of an override as `as_text` would write it."""
    value = value.strip()
    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
        return value[1:-1]
    if value.startswith("[") and value.endswith("]"):
        return f"[{','.join(map(_said, _split(value[1:-1])))}]"
    if value.lower() in ("null", "true", "false"):
        return value.lower()
    try:
        return as_text(float(value))
    except ValueError:
        return value


@lru_cache
def _file(group: str, name: str) -> dict[str, Any]:
    under = OmegaConf.create({group: OmegaConf.load(conf_dir() / group / f"{name}.yaml")})  # `${lora.rank}` is found
    loaded = OmegaConf.to_container(under, resolve=True)
    return dict(loaded[group]) if isinstance(loaded, dict) else {}
