"""The names of candidates: model and LoRA rank, with the settings in which trials of the report differ."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from hashlib import sha256
from pathlib import PurePath

from ohlora.report.selection.trials import DATA, DIGITS, FILES, TOKENS, Trial

HASHES = (DATA, TOKENS, FILES)  # named only where nothing else tells two trials apart
LONGEST = 40  # characters of a value in a name


def label_trials(trials: Sequence[Trial]) -> list[tuple[str, str]]:
    """Each trial's model and rank as texts: 'gemma3-270m backend=unsloth' and '16 learning_rate=0.0001'.

    Trials of one name on one machine are repeats: the same work with the same weights.

    A setting that changes the base model's inference too stands with the model, the others with the rank.
    """
    labels: dict[int, tuple[str, str]] = {}
    for title, of_model in _split_by_weights(trials).items():
        with_model = find_differing_settings(of_model, _changes_inference)
        for rank, of_rank in _group(of_model, lambda trial: trial.rank).items():
            with_rank = find_differing_settings(of_rank, lambda key: not _changes_inference(key))
            for trial in of_rank:
                labels[id(trial)] = (_name(title, trial, with_model), _name(rank, trial, with_rank))
    return [labels[id(trial)] for trial in trials]


def find_differing_settings(trials: Sequence[Trial], counts: Callable[[str], bool]) -> list[str]:
    """The keys in which trials differ, without those that follow from another option of their group."""
    settings = [trial.settings for trial in trials]
    found: list[str] = []
    for key in sorted({key for one in settings for key in one if counts(key)}, key=_order):
        explained_by = found if key in HASHES or f"{key.split('.')[0]}.name" in found else []
        values: dict[Hashable, set[str]] = {}
        for one in settings:
            if key in one:  # a trial without the key differs from none
                values.setdefault(tuple(one.get(name) for name in explained_by), set()).add(one[key])
        if any(len(texts) > 1 for texts in values.values()):
            found.append(key)
    return found


def _split_by_weights(trials: Sequence[Trial]) -> dict[str, list[Trial]]:
    """Title -> the trials of one model. Two models of one name have different weights or origins.

    A trial that loaded none counts to the weights that others loaded from the same origin.
    """
    found: dict[str, list[Trial]] = {}
    for name, of_name in _group(trials, lambda trial: trial.model).items():
        loaded = {trial.origin: trial.weights for trial in of_name[::-1] if trial.weights}
        models = _group(of_name, lambda trial: trial.weights or loaded.get(trial.origin, trial.origin))  # noqa: B023
        titles = _tell_apart(models)
        for title, of_model in zip(titles, models.values(), strict=True):
            found[f"{name} ({title})" if len(models) > 1 else name] = of_model
    return found


def _tell_apart(models: dict[str, list[Trial]]) -> list[str]:
    """Titles for models of one name: their labels, else their hashes, else numbers."""
    labels = [PurePath(str(trials[0].fact("label", "label") or "")).name for trials in models.values()]
    hashes = [weights[:DIGITS] for weights in models]
    numbers = [str(number) for number in range(1, len(models) + 1)]
    return next(texts for texts in (labels, hashes, numbers) if all(texts) and len(set(texts)) == len(models))


def _group(trials: Sequence[Trial], key: Callable[[Trial], str]) -> dict[str, list[Trial]]:
    found: dict[str, list[Trial]] = {}
    for trial in trials:
        found.setdefault(key(trial), []).append(trial)
    return found


def _changes_inference(key: str) -> bool:
    return not key.startswith(("trainer.", "lora.", "model.lora_targets")) or key == "lora.quantization"


def _order(key: str) -> tuple[bool, bool, str]:
    return key in HASHES, not key.endswith(".name"), key


def _name(first: str, trial: Trial, keys: Sequence[str]) -> str:
    """'16 learning_rate=0.0001'; 'backend' stands for backend.name, 'data' and 'model' for hashes of their files."""
    words = [first]
    for key in keys:
        if key in trial.settings:
            group, _, last = key.partition(".")
            short = group if last == "name" or key in HASHES else key.rsplit(".", 1)[-1]
            words.append(f"{short}={_shorten(trial.settings[key], key)}")
    return " ".join(words)


def _shorten(value: str, key: str) -> str:
    """Short enough for a table, on one line, and still different for different values."""
    if key in HASHES:
        return value[:DIGITS]
    line = " ".join(value.split())
    if line == value and len(value) <= LONGEST:
        return value
    return f"{line[:24]}… {sha256(value.encode()).hexdigest()[:6]}"
