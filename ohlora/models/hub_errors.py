"""Turn the hub's errors into one line each that says what to do."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass

from ohlora.errors import UserError


class Interrupted(UserError):
    """A download that the next call resumes; what was downloaded is kept."""


@dataclass(frozen=True)
class Repository:
    """`key`: the option that named it, for messages: 'model.repo=owner/name'. `by_hand`: an alternative."""

    key: str
    name: str
    revision: str | None = None
    by_hand: str = "or download it elsewhere and give model.path=<folder>"
    kind: str = "model"  # or dataset


def read_token() -> str | bool:
    """The token from the environment, never a stored one."""
    return os.environ.get("HF_TOKEN") or False


@contextlib.contextmanager
def explain_hub_errors(repository: Repository) -> Iterator[None]:
    """Raise the hub's errors as one line that says what to do."""
    from httpx import HTTPError
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    key, has_token = repository.key, bool(read_token())
    go_on = f"run the command again to resume, {repository.by_hand}"
    try:
        yield
    except GatedRepoError:
        how = (
            "the account of HF_TOKEN has no access yet; request it on the repository's page"
            if has_token
            else "HF_TOKEN is not set; accept them on the repository's page, then set HF_TOKEN"
        )
        raise Interrupted(f"{key}: it is gated: its owner's terms must be accepted, and {how}") from None
    except RevisionNotFoundError:
        group, dot, _ = key.partition(".repo=")
        where, newest = (f"{group}.revision={repository.revision}", f"{group}.revision=null") if dot else (key, "none")
        raise UserError(
            f"{where}: {repository.name} has no such branch, tag or commit; give one that its page lists, or {newest} "
            "for the newest"
        ) from None
    except RepositoryNotFoundError:
        private = "HF_TOKEN has no access" if has_token else "HF_TOKEN is not set"
        raise UserError(f"{key}: no such repository, or it is private and {private}; check owner and name") from None
    except OfflineModeIsEnabled:
        raise Interrupted(f"{key}: HF_HUB_OFFLINE is set; unset it to download, {repository.by_hand}") from None
    except HFValidationError as error:
        raise UserError(f"{key}: {str(error).splitlines()[0]}") from None
    except HfHubHTTPError as error:
        status = error.response.status_code
        if status in (401, 403):
            raise Interrupted(f"{key}: the hub refuses HF_TOKEN ({status}); set a token with read access") from None
        raise Interrupted(f"{key}: the hub answered {status}; {go_on}") from None
    except (HTTPError, OSError) as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise Interrupted(f"{key}: the disk is full; free some of it, then {go_on}") from None
        raise Interrupted(f"{key}: the hub could not be reached ({type(error).__name__}); {go_on}") from None
