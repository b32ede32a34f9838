"""The names of candidates: a model and a rank, and whatever else differs, so that only repeats share one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import PurePath
from typing import Any

from ohlora.records.result import Result
from ohlora.report.selection.asked import FILE, QUANTIZATION, TOKENS, Asked, last_part, option

OF_A_MACHINE = ("device", FILE, TOKENS)  # between machines these differ without being another candidate
FILES = (FILE, TOKENS)  # named only where nothing else tells two runs apart
LONGEST = 40  # characters of a value in a name


@dataclass(frozen=True)
class Row:
    """A run, or a planned one without a result; `folder` and `place` are numbers: of the folder, in its plan."""

    asked: Asked
    machine: str
    folder: int
    place: int
    run: Result | None = None

    @property
    def hash(self) -> str:
        return str((self.run.model if self.run else {}).get("hash") or "")


@dataclass(frozen=True)
class RowLabel:
    """How a row is called. `facts` are the model's from any run of it, else from its option."""

    model: str
    rank: str
    facts: dict[str, Any]


@dataclass
class Model:
    """One model's rows. Two under one name have different weights, or come from different places."""

    name: str
    rows: list[Row] = field(default_factory=list)

    @property
    def hash(self) -> str:
        return next((row.hash for row in self.rows if row.hash), "")

    def may_be(self, row: Row) -> bool:
        """Nothing that is known of both speaks against it: the hashes, else what was asked for."""
        if row.hash and self.hash:
            return row.hash == self.hash
        return any(_alike(row, one) for one in self.rows)

    def facts(self) -> dict[str, Any]:
        runs = [row.run for row in self.rows if row.run]
        found = option(self.name)
        for key, asked in (("label", "label"), ("licence", "license"), ("params_m", "params_m")):
            told = [run.model.get(key) for run in runs]
            told += [(run.requested.get("model") or {}).get(asked) for run in runs]
            found[key] = next((value for value in told if value is not None), found.get(key))
        return found


def label_rows(rows: Sequence[Row]) -> list[RowLabel]:
    """Each row's name. Rows of one name on one machine are repeats: they were asked the same, of the same weights.

    What changes the base model's inference too stands with the model, the rest with the rank.
    """
    models = _models(rows)
    names: dict[int, RowLabel] = {}
    for model, title in zip(models, _titles(models), strict=True):
        of_model = _telling(model.rows, _of_inference)
        of_rank: dict[int, list[str]] = {}
        for rank in {row.asked.rank for row in model.rows}:
            of_rank |= _telling([row for row in model.rows if row.asked.rank == rank], _of_training)
        facts = model.facts()
        for row in model.rows:
            whole, rank_name = (
                " ".join(words) for words in ([title, *of_model[id(row)]], [row.asked.rank, *of_rank[id(row)]])
            )
            names[id(row)] = RowLabel(whole, rank_name, facts)
    return [names[id(row)] for row in rows]


def _models(rows: Sequence[Row]) -> list[Model]:
    """By name and weights. A row without a hash joins the model that it says it is, so those with one come first."""
    found: list[Model] = []
    for row in sorted(rows, key=lambda row: not row.hash):
        own = [model for model in found if model.name == row.asked.name and model.may_be(row)]
        if not own:
            found.append(Model(row.asked.name))
        (own or found[-1:])[0].rows.append(row)
    return found


def _alike(one: Row, other: Row) -> bool:
    """May both be of the same weights, by what was asked? In one folder of runs, a path is one place."""
    if one.folder == other.folder and not _same_place(one.asked.path, other.asked.path):
        return False
    return all(not a or not b or a == b for a, b in zip(one.asked.source, other.asked.source, strict=True))


def _same_place(one: str, other: str) -> bool:
    """A path that was given relative to some folder, and the whole one."""
    shorter, longer = sorted(([p for p in PurePath(path).parts if p != ".."] for path in (one, other)), key=len)
    return not shorter or longer[-len(shorter) :] == shorter


def _titles(models: Sequence[Model]) -> list[str]:
    """The name where one model has it; else with the first thing that tells all of that name apart."""
    titles = []
    for model in models:
        same = [one for one in models if one.name == model.name]
        tellings = [[_marks(one)[i] for one in same] for i in range(len(_marks(model)))]
        numbers = [str(i) for i in range(1, len(same) + 1)]
        marks = next((texts for texts in tellings if all(texts) and len(set(texts)) == len(same)), numbers)
        place = next(i for i, one in enumerate(same) if one is model)
        titles.append(f"{model.name} ({marks[place]})" if len(same) > 1 else model.name)
    return titles


def _marks(model: Model) -> list[str]:
    """What may tell it from another of its name: label, folder, repository, revision, hash."""
    found: list[list[Any]] = [[], [], [], [], []]
    for row in model.rows:
        facts = row.run.model if row.run else {}
        repo, revision, folder, label = row.asked.source
        own = facts.get("label") or label, folder or facts.get("folder"), repo, revision[:8], row.hash[:8]
        for texts, text in zip(found, own, strict=True):
            texts.append(text or "")
    label, folder, *rest = (next(filter(None, texts), "") for texts in found)
    return [last_part(str(label)), last_part(str(folder)), *rest]


def _of_training(key: str) -> bool:
    return key.startswith(("trainer.", "lora.", "model.lora_targets")) and key != QUANTIZATION


def _of_inference(key: str) -> bool:
    return not _of_training(key)


def _telling(rows: Sequence[Row], counts: Callable[[str], bool]) -> dict[int, list[str]]:
    """By `id` of a row: 'learning_rate=0.0001' for each of the keys that count in which the rows differ."""
    keys = sorted({key for row in rows for key in row.asked.settings if counts(key)}, key=_order)
    everywhere = _differing(rows, [key for key in keys if key not in OF_A_MACHINE], [])
    found = {}
    for machine in {row.machine for row in rows}:
        here = [row for row in rows if row.machine == machine]
        named = _differing(here, [key for key in keys if key in OF_A_MACHINE], everywhere)
        for row in here:
            settings = row.asked.settings
            found[id(row)] = [f"{_short(key)}={_shown(settings[key])}" for key in named if key in settings]
    return found


def _differing(rows: Sequence[Row], keys: Sequence[str], named: Sequence[str]) -> list[str]:
    """`named`, and the keys in which rows differ; what follows from another option is not said again."""
    found = list(named)
    for key in keys:
        follows = key in FILES or f"{key.split('.')[0]}.name" in found
        if _splits(rows, found if follows else [], key):
            found.append(key)
    return found


def _splits(rows: Sequence[Row], named: Sequence[str], key: str) -> bool:
    """Do rows that are the same in `named` differ in `key`? One that does not tell differs from none."""
    values: dict[tuple[str | None, ...], set[str]] = {}
    for row in rows:
        settings = row.asked.settings
        if key in settings:
            values.setdefault(tuple(settings.get(one) for one in named), set()).add(settings[key])
    return any(len(one) > 1 for one in values.values())


def _order(key: str) -> tuple[bool, bool, str]:
    return key in FILES, not key.endswith(".name"), key


def _short(key: str) -> str:
    """'backend' for backend.name, 'learning_rate' for trainer.learning_rate."""
    return key.split(".", maxsplit=1)[0] if key.endswith(".name") or key in FILES else key.rsplit(".", 1)[-1]


def _shown(value: str) -> str:
    """Short enough for a table, and still another text than any other value's."""
    return value if len(value) <= LONGEST else f"{value[:24]}… {sha256(value.encode()).hexdigest()[:6]}"
