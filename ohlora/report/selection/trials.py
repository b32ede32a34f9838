"""The runs of task=selection, and those planned without a result: their configuration and their machine."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from ohlora.config.identity import flatten
from ohlora.records.manifest import SELECTION
from ohlora.records.result import Result
from ohlora.records.samples import Sample, read_samples
from ohlora.report.markdown import NO_VALUE
from ohlora.report.reading import RunFolder, find_newest, name_machine, requested_work

NOT_SETTINGS = ("task", "seed", "device")  # repeats may differ in the seed; the machine's name contains the device
# The settings among the keys of a model; the others are facts about it.
MODEL_SETTINGS = ("dtype", "attention", "prompt_format", "prompt_template", "lora_targets")
DATA, TOKENS = "data.path", "data.tokens"  # of a planned run the data file's hash, else the hash of its tokens
FILES = "model.files"  # of a planned run with model.path: the hash of that folder
DIGITS = 8  # of a hash
SHA256_DIGITS = 64


@dataclass(frozen=True)
class Trial:
    """A planned run with its result, None if it left none. `asked`: its configuration, 'lora.rank' -> 16."""

    arm: str
    machine: str
    asked: dict[str, Any]
    folder: Path
    run: Result | None = None

    @property
    def model(self) -> str:
        facts = self.run.model if self.run else {}
        return str(self.asked.get("model.name") or facts.get("name") or self.arm)

    @property
    def rank(self) -> str:
        return to_text(self.asked["lora.rank"]) if "lora.rank" in self.asked else NO_VALUE

    @property
    def settings(self) -> dict[str, str]:
        """The settings besides model and rank that make it another candidate, as texts."""
        found = {key: to_text(value) for key, value in self.asked.items() if _is_setting(key)}
        path = str(self.asked.get("model.path") or "")
        return found | ({FILES: path} if len(path) == SHA256_DIGITS else {})  # without a plan it is the folder's name

    @property
    def weights(self) -> str:
        """The hash of the weights that it loaded, '' if it loaded none."""
        return str((self.run.model if self.run else {}).get("hash") or "")

    @property
    def origin(self) -> str:
        """Where its configuration takes the weights from: a folder, else a repository and its revision."""
        repo, revision = self.asked.get("model.repo"), self.asked.get("model.revision")
        return str(self.asked.get("model.path") or f"{repo}@{revision}")

    def fact(self, measured: str, asked: str) -> Any:
        """A fact about the model: as found when it ran, else as in its option."""
        found = (self.run.model if self.run else {}).get(measured)
        return self.asked.get(f"model.{asked}") if found is None else found

    def samples(self) -> list[Sample]:
        """The fine-tuned model's answers, of the last attempt that left any."""
        if self.run is None:
            return []
        path = find_newest(self.folder, self.run, "samples/answer.jsonl")
        return read_samples(path) if path else []


def collect_trials(folders: Sequence[RunFolder]) -> list[Trial]:
    """Every run and every planned one, in the order of the plans; runs of another task are left out."""
    return [trial for source in folders for trial in _trials(source)]


def to_text(value: Any) -> str:
    """The same text for equal values: 1e-4 and 0.0001, 10 and 10.0."""
    if isinstance(value, float):
        return f"{value:.12g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _trials(source: RunFolder) -> Iterator[Trial]:
    runs = {run.run_id: run for run in source.runs}
    # A run that never started would have run on the machine of the folder's others.
    here = name_machine(next((run.device for run in runs.values() if run.device), {}))
    plan = {job.run_id: job for job in (source.manifest.jobs if source.manifest else [])}
    for run_id in dict.fromkeys([*plan, *runs]):
        run, asked = runs.get(run_id), plan[run_id].asked if run_id in plan else {}
        if run is None:
            yield Trial(plan[run_id].arm, here, asked, source.folder)
        elif run.task == SELECTION:
            machine = name_machine(run.device) if run.device else here
            yield Trial(run.arm, machine, asked or _asked_of_result(run), source.folder, run)


def _asked_of_result(run: Result) -> dict[str, Any]:
    """The configuration of a run without a plan or with an older one; files by what is known of their content."""
    asked = flatten(requested_work(run))
    path = (run.requested.get("model") or {}).get("path")
    if path:
        asked["model.path"] = PurePath(path).name
    if "tokens" in run.hashes:
        asked[TOKENS] = run.hashes["tokens"]
    return asked


def _is_setting(key: str) -> bool:
    group, _, name = key.partition(".")
    if group in NOT_SETTINGS or key == "lora.rank":
        return False
    return group != "model" or name in MODEL_SETTINGS
