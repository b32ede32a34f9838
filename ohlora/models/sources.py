"""Copy a model's files into our folder from each possible source; return the facts for the marker."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ohlora.config.choices import Source, Weights
from ohlora.errors import UserError
from ohlora.models import acceptance, embedded, hub, pickled
from ohlora.models.checks import check_loadable, code_files, code_problems, small_problems, subject
from ohlora.models.folder import LocalModel, source_hash
from ohlora.models.hub import Remote, Show
from ohlora.models.hub_errors import Repository
from ohlora.models.terms import find_licence, licence_of
from ohlora.models.weights import PICKLE_RISK, PICKLED, SAFE, list_weight_files, pickle_problems

DESCRIBED = ("config.json", "generation_config.json")
TOKENIZER = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "chat_template.json",
)
EMBEDDED_BYTES = 3  # disk bytes per parameter: the GGUF while it is read, and 16-bit weights
TEXTS = ("README.md", "USE_POLICY.md")


def make_model(model: LocalModel, partial: Path, show: Show) -> dict[str, Any]:
    """Fill `partial` with the requested model.

    Raises:
        hub_errors.Interrupted: the partial download should be kept.
        UserError: any other problem that the user can fix.
    """
    if model.option.path:
        return _from_pickles(model, partial, show)
    return (_from_hub if model.option.source is Source.hub else _from_package)(model, partial, show)


def _from_package(model: LocalModel, partial: Path, show: Show) -> dict[str, Any]:
    assert model.option.package
    from transformers import AutoTokenizer

    hub.ask_disk(subject(model.option), partial, round(EMBEDDED_BYTES * 1e6 * (model.option.params_m or 0)))

    facts = embedded.convert(model.option.package, partial, show.stage)
    embedded.check_tokenizer(model.option.package, AutoTokenizer.from_pretrained(partial, local_files_only=True))
    _refuse(small_problems(model.option, partial))
    _require_acceptance(model, partial, show)
    return {**facts, "repo": model.option.repo}


def _from_pickles(model: LocalModel, partial: Path, show: Show) -> dict[str, Any]:
    """Convert a user's folder with only .bin files; it is not changed."""
    given, key = Path(str(model.option.path)), subject(model.option)
    pickled.copy_small(given, partial, with_code=model.option.remote_code is not None)
    _refuse([*small_problems(model.option, partial), *pickle_problems(given, key)])
    hub.ask_disk(key, partial, sum((given / name).stat().st_size for name in list_weight_files(given, *PICKLED)))
    _require_acceptance(model, partial, show)
    notes = check_loadable(model.option, partial)
    pickled.convert(given, partial, key, show.stage)
    return {
        "source": "local",
        "quantisation": "none",
        "repo": model.option.repo,
        "source_hash": source_hash(model),
        "weights": Weights.bin.value,
        "notes": notes,
    }


def _from_hub(model: LocalModel, partial: Path, show: Show) -> dict[str, Any]:
    """Fetch the small files first, so that their problems are reported before gigabytes are downloaded."""
    repository = Repository(subject(model.option), str(model.option.repo), model.option.revision)
    show.stage(f"asking the hub for {repository.name}{f' at {repository.revision}' if repository.revision else ''}")
    commit, files = hub.list_files(repository)
    names = _weights_of(files, repository, model)
    small = [files[name] for name in sorted(files) if _is_small(name, names)]
    hub.fetch(repository, commit, small, partial, show)
    _refuse(small_problems(model.option, partial, code_here=False))
    _require_acceptance(model, partial, show)
    small += [files[name] for name in sorted(files) if code_files(partial) and _is_code(name)]
    hub.fetch(repository, commit, small, partial, show)
    _refuse(code_problems(model.option, partial))
    notes = check_loadable(model.option, partial)
    weights = [files[name] for name in _list_weights(partial, names, files, repository)]
    is_bin = names == PICKLED
    again = sum(file.size for file in weights) if is_bin else 0  # the rewritten files, beside the pickles
    hub.fetch(repository, commit, [*small, *weights], partial, show, again)
    _remove_others(partial, {file.name for file in [*small, *weights]})
    if is_bin:
        pickled.convert(partial, partial, repository.key, show.stage)
        pickled.remove_pickles(partial)
    return {
        "source": "hub",
        "quantisation": "none",
        "repo": repository.name,
        "revision": commit,
        "asked_revision": repository.revision,
        "weights": (Weights.bin if is_bin else Weights.safetensors).value,
        "remote_code": model.option.remote_code if code_files(partial) else None,
        "notes": notes,
    }


def _weights_of(files: dict[str, Remote], repository: Repository, model: LocalModel) -> tuple[str, str]:
    """(single file, index) of the weights to download.

    Raises:
        UserError: there are none, or only pickles without model.weights=bin.
    """
    if any(name in files for name in SAFE):
        return SAFE
    key = repository.key
    if any(name in files for name in PICKLED):
        if model.option.weights is Weights.bin:
            return PICKLED
        raise UserError(
            f"{key}: has only pickled weights (.bin), and {PICKLE_RISK}; add model.weights=bin to have them read as "
            "plain tensors and rewritten as safetensors, or use a model with safetensors"
        )
    if "adapter_config.json" in files:
        raise UserError(f"{key}: is an adapter; choose its base model and give adapter=hub:{repository.name}")
    raise UserError(f"{key}: has no weights ({' or '.join(SAFE)} is missing); choose another repository")


def _list_weights(partial: Path, names: tuple[str, str], files: dict[str, Remote], repository: Repository) -> list[str]:
    """The weight files; the repository must have all of them."""
    if names[0] in files:
        return [names[0]]
    try:
        found = list_weight_files(partial, *names)
    except ValueError as error:
        raise UserError(f"{repository.key}: {error}") from None
    if missing := [name for name in found if name not in files]:
        raise UserError(f"{repository.key}: lists {', '.join(missing)} but lacks it; choose another revision")
    return found


def _is_small(name: str, weights: tuple[str, str]) -> bool:
    """Is this a file needed besides the weights: config, tokenizer, index, terms?"""
    if "/" in name:
        return False
    return name in (*DESCRIBED, *TOKENIZER, *TEXTS, weights[1]) or (
        name.startswith(("LICENSE", "NOTICE")) or name.endswith((".model", ".jinja"))
    )


def _is_code(name: str) -> bool:
    """Any Python file: those named in config.json import the others."""
    return "/" not in name and name.endswith(".py")


def _remove_others(partial: Path, names: set[str]) -> None:
    """Remove files that an earlier call left for another revision."""
    for path in partial.iterdir():
        if path.name not in names:
            path.unlink()


def _require_acceptance(model: LocalModel, partial: Path, show: Show) -> None:
    """Require acceptance of terms that only config.json or card shows, before the weights are fetched."""
    tag = licence_of(model, partial)
    if tag == "unknown":
        show.stage(acceptance.unknown_note(subject(model.option), partial))
    else:
        acceptance.require_acceptance(model, tag, entry=find_licence(tag, partial, model.option.repo))


def _refuse(problems: Iterable[str]) -> None:
    found = list(problems)
    if found:
        raise UserError(found)
