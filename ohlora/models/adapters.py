"""Adapters: find one, check that it fits the model, fetch published ones from a hub into `<models>/adapters`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ohlora.errors import UserError
from ohlora.files import read_json
from ohlora.models import acceptance, hub
from ohlora.models.adapter_fit import Sizes, adapter_sizes, base_name, find_misfit, find_planned_misfit
from ohlora.models.checks import folder_problems
from ohlora.models.folder import ADAPTER_CARD, LocalModel, earlier_hashes, is_prepared, is_there, model_hash
from ohlora.models.hub import Show
from ohlora.models.hub_errors import Repository
from ohlora.models.licences import LICENCES
from ohlora.models.terms import card_licence, find_licence
from ohlora.models.weights import PICKLE_RISK, model_shapes, safetensors_bytes

HUB = "hub:"
KEY = "adapter"  # by which an adapter is given; judge.against gives another
DESCRIBED, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
TEXTS = (ADAPTER_CARD, "README.md", "GEMMA_TERMS.html", "USE_POLICY.md")


def find_repository(adapter: str | None, models: Path, name: str = KEY) -> Repository | None:
    """The repository of `adapter=hub:<owner>/<name>[@<revision>]`, also for the folder that it is fetched into.

    name: the key that it was given by, for messages.

    Raises:
        UserError: owner or name is missing.
    """
    given = adapter or ""
    if given.startswith(HUB):
        named = given[len(HUB) :]
    elif (Path(given) / DESCRIBED).is_file():  # it is already there
        return None
    else:
        try:
            named = Path(given).relative_to(models / "adapters").as_posix()
        except ValueError:
            return None
    owned, _, revision = named.partition("@")
    if len([part for part in owned.split("/") if part.strip(".")]) != 2:
        if not given.startswith(HUB):
            return None
        raise UserError(f"{name}={given}: must be hub:<owner>/<name>, or hub:<owner>/<name>@<revision>")
    by_hand = f"or download it elsewhere and give {name}=<folder>"
    return Repository(f"{name}={HUB}{named}", owned, revision or None, by_hand)


def published_folder(adapter: str | None, models: Path, name: str = KEY) -> Path | None:
    """The folder that a published adapter is fetched into; None for any other adapter."""
    repository = find_repository(adapter, models, name)
    if repository is None:
        return None
    at = f"@{repository.revision}" if repository.revision else ""
    return models / "adapters" / f"{repository.name}{at}"


def is_here(adapter: str | None, models: Path, name: str = KEY) -> bool:
    """False for a published adapter that has not been fetched yet."""
    folder = published_folder(adapter, models, name)
    return folder is None or is_prepared(folder)


def fetch(adapter: str | None, model: LocalModel, show: Show, name: str = KEY) -> None:
    """Fetch a published adapter completely or not at all. Its terms are checked before its weights are downloaded; the
    weights decide whether it fits the model.

    Raises:
        UserError: it cannot be fetched, is pickled, belongs to another model, or its terms were not accepted.
    """
    from ohlora.models.prepare import ensure_folder  # imported only when needed, to keep the parent process light

    repository, target = find_repository(adapter, model.models, name), published_folder(adapter, model.models, name)
    if repository is None or target is None:
        return

    def fill(partial: Path) -> dict[str, Any]:
        assert repository is not None
        show.stage(f"asking the hub for {repository.name}")
        commit, files = hub.list_files(repository)
        for needed in (DESCRIBED, WEIGHTS):
            if needed not in files:
                raise UserError(_incomplete(repository.key, needed, set(files)))
        texts = [
            file for name, file in sorted(files.items()) if name in TEXTS or name.startswith(("LICENSE", "NOTICE"))
        ]
        hub.fetch(repository, commit, [files[DESCRIBED], *texts], partial, show)
        found = list(find_base_problems(model, partial, repository.key))
        if found:
            raise UserError(found)
        _accepted(model, partial, repository, show)
        hub.fetch(repository, commit, [files[DESCRIBED], *texts, files[WEIGHTS]], partial, show)
        if safetensors_bytes(partial / WEIGHTS) != files[WEIGHTS].size:
            raise UserError(f"{repository.key}: {WEIGHTS} is truncated or not safetensors; choose another revision")
        found = list(find_base_problems(model, partial, repository.key))
        if found:
            raise UserError(found)
        if note := base_note(model, partial, repository.key):
            show.stage(f"note: {note}")
        return {"source": "hub", "repo": repository.name, "revision": commit, "asked_revision": repository.revision}

    ensure_folder(target, repository.key, fill, show, resumes=True)


def _accepted(model: LocalModel, folder: Path, repository: Repository, show: Show) -> None:
    """An adapter can have other terms than its base model; they are accepted in the same way."""
    tag, key = card_licence(folder), repository.key
    if tag is None or tag not in LICENCES or tag == "unknown":
        show.stage(acceptance.unknown_note(key, folder))
    else:
        acceptance.require_acceptance(model, tag, key, find_licence(tag, folder, repository.name))


def find_problems(
    adapter: str,
    model: LocalModel,
    folder: Path | None,
    planned: Mapping[str, set[Sizes]] | None = None,
    name: str = KEY,
) -> Iterator[str]:
    """Why the adapter in `folder` cannot be loaded onto this run's model.

    `planned`: the module sizes from the model option, for a model that is not here yet.
    """
    key = f"{name}={adapter}"
    if folder is None:
        yield (
            f"{key}: no adapter found; give the run directory of a finished task=train or task=benchmark, a folder "
            "with adapter_config.json, or hub:<owner>/<name>"
        )
    elif not (folder / WEIGHTS).is_file():
        yield _incomplete(key, WEIGHTS, {path.name for path in folder.iterdir()})
    else:
        yield from find_base_problems(model, folder, key, planned)


def find_base_problems(
    model: LocalModel, folder: Path, key: str, planned: Mapping[str, set[Sizes]] | None = None
) -> Iterator[str]:
    """Does the adapter belong to this run's model? Decided by the hash in its card, else by layer sizes."""
    base = model.folder
    if (folder / ADAPTER_CARD).is_file():
        try:
            card = read_json(folder / ADAPTER_CARD)
            trained_on, digest = card["base"], card["base_hash"]
        except (ValueError, KeyError, TypeError):
            yield f"{key}: {ADAPTER_CARD} cannot be read; the adapter is incomplete"
            return
        whole = is_there(model) and not folder_problems(model.option, base)
        here = model_hash(model) if whole else None
        fits = digest in (here, *earlier_hashes(model)) if here else trained_on == model.option.name
        if not fits:
            yield (
                f"{key}: was trained on {trained_on} (weights {digest[:12]}), not on the weights of "
                f"model={model.option.name}; choose model={trained_on} or the folder it was trained from"
            )
        return
    try:
        named = _base_of(folder)
    except (ValueError, AttributeError):
        yield f"{key}: adapter_config.json cannot be read; copy the adapter again"
        return
    sizes, shapes = adapter_sizes(folder / WEIGHTS), model_shapes(base)
    misfit = find_misfit(sizes, shapes) if shapes else find_planned_misfit(sizes, planned or {})
    if misfit:
        yield (
            f"{key}: does not fit model={model.option.name}: {misfit}"
            f"{f'; its base model is {named}: choose that one' if named else '; choose the model it was trained on'}"
        )


def base_note(model: LocalModel, folder: Path, key: str) -> str:
    """A note on an adapter that fits the model but was trained on another base model or with its earlier tokenizer."""
    try:
        if (folder / ADAPTER_CARD).is_file():  # the hash of the weights already decided
            if read_json(folder / ADAPTER_CARD)["base_hash"] not in earlier_hashes(model):
                return ""
            return (
                f"{key}: was trained before the tokenizer of {model.option.name} was rewritten, on the same weights; "
                "control tokens, tags and runs of spaces have other ids now"
            )
        named = _base_of(folder)
    except (OSError, ValueError, AttributeError, KeyError, TypeError):
        return ""
    option = model.option
    own = {base_name(name) for name in (option.repo, option.name, model.folder.name) if name}
    if not named or base_name(named) in own:
        return ""
    return (
        f"{key}: was trained on {named}, and its layers fit {option.repo or option.name} too; "
        "its answers mean something only if both are the same weights"
    )


def require_fit(adapter: str | None, model: LocalModel, folder: Path | None, name: str = KEY) -> None:
    """Check an adapter against the model's files, which are present by now.

    Raises:
        UserError: it was trained on another model.
    """
    if adapter and (found := list(find_problems(adapter, model, folder, name=name))):
        raise UserError(found)


def _base_of(folder: Path) -> str:
    return str(read_json(folder / DESCRIBED).get("base_model_name_or_path") or "")


def _incomplete(key: str, name: str, names: set[str]) -> str:
    if name == WEIGHTS and "adapter_model.bin" in names:
        return f"{key}: has pickled weights (adapter_model.bin), and {PICKLE_RISK}; have it saved as safetensors"
    if "config.json" in names and DESCRIBED not in names:
        return f"{key}: is a whole model, not an adapter; give it as model.repo or model.path"
    return f"{key}: has no {name}; it is incomplete"
