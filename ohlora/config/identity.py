"""The identity of a run: the same configuration, arm and repeat give the same `run_id` on every machine."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

# Where files go and what is done with them afterwards does not change what is measured.
VOLATILE = frozenset(
    {
        "study",
        "outputs",
        "models",
        "tracking",
        "arm",
        "repeat",
        "compare",
        "curve",
        "report",
        "preflight",
        "device_memory_gib",
    }
)
MEASURED_LAUNCH = ("prefix", "threads")  # of `launch`: numactl or another number of threads changes the measurement

# Keys added later and their defaults: left out of the hash at their default, so that earlier run_ids stay.
LATER_KEYS: dict[str, Any] = {
    "trainer.speed": "plain",
    "trainer.compile": False,
    "generation.batch": "1",
    "data.repo": None,
    "data.revision": None,
    "data.files": None,
    "data.columns.checks": "checks",
    "data.encoding": "auto",
    "data.separator": "auto",
    "data.split_values": {"train": None, "validation": None, "test": None},
    "data.split_seed": 42,
    "data.train_on": "all",
    "data.overlong": "cut",
    "trainer.keep": "last",
    "trainer.patience": None,
    "trainer.eval_every": None,
    "trainer.sample_every": None,
    "trainer.neftune_alpha": None,
    "trainer.train_share": 1.0,
    "decoding.name": "greedy",
    "decoding.do_sample": False,
    "decoding.temperature": 1.0,
    "decoding.top_p": 1.0,
    "decoding.top_k": 0,
    "decoding.repetition_penalty": 1.0,
    "decoding.num_beams": 1,
    "decoding.stop": [],
    "decoding.retries": 0,
    "decoding.retry_on": ["empty", "wrong_language", "repeated", "cut_off"],
    "persona.name": "",
    "persona.called": [],
    "persona.speech_level": "haeyo",
    "persona.facts": {},
    "persona.memory_keys": [],
    "persona.forget_key": "삭제",
    "persona.refusals": {},
    "persona.refusal_forms": [],
    "persona.unknown_forms": [],
    "persona.numbers": {},
    "judge.against": None,
    "judge.seeds": [],
}


def run_id(resolved: dict[str, Any], arm: str, repeat: int) -> str:
    """`<arm>-r<repeat>-<10 hex digits>`; the digits hash the resolved configuration, the arm and the repeat.

    `resolved` is the whole configuration as plain dicts; keys that do not change the measurement are dropped here.
    """
    text = json.dumps([select_measured(resolved), arm, repeat], sort_keys=True, ensure_ascii=False, default=str)
    digest = hashlib.sha256(text.encode()).hexdigest()[:10]
    return f"{slug(arm)}-r{repeat}-{digest}"


def select_measured(resolved: dict[str, Any]) -> dict[str, Any]:
    """The parts of a configuration that decide what is measured."""
    kept = {key: value for key, value in resolved.items() if key not in VOLATILE}
    if isinstance(kept.get("model"), dict):
        kept["model"] = {key: value for key, value in kept["model"].items() if key != "accept_license"}
    if isinstance(kept.get("launch"), dict):
        kept["launch"] = {key: value for key, value in kept["launch"].items() if key in MEASURED_LAUNCH}
    for path, default in LATER_KEYS.items():
        kept = _drop_default(kept, path.split("."), default)
    return kept


def _drop_default(tree: dict[str, Any], path: list[str], default: Any) -> dict[str, Any]:
    """Leave out the key at `path` where it has this value, and a group that has no other key."""
    key, rest = path[0], path[1:]
    without = {name: value for name, value in tree.items() if name != key}
    if key not in tree:
        return tree
    if not rest:
        return without if tree[key] == default else tree
    if not isinstance(tree[key], dict):
        return tree
    group = _drop_default(tree[key], rest, default)
    return {**tree, key: group} if group else without


def flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """{'train': {'loss': x}} -> {'train.loss': x}."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        found |= flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found


def slug(text: str) -> str:
    """A file name made from an arm's name: 'backend=hf,lora=r16' -> 'hf-r16'."""
    values = [part.split("=", 1)[-1] for part in text.split(",")]
    return re.sub(r"[^A-Za-z0-9._]+", "-", "-".join(values)).strip("-.")[:60] or "run"
