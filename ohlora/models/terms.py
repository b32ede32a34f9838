"""The licence of one model: which it is, what users are shown of it, what stands beside derived files."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from ohlora.files import sha256_file
from ohlora.models.architectures import class_licence
from ohlora.models.card import CUSTOM, card_tags, licence_link
from ohlora.models.folder import LocalModel
from ohlora.models.licences import LICENCES, Licence

CARRIED = ("NOTICE", "NOTICE.md", "GEMMA_TERMS.html", "LICENSE", "LICENSE.txt", "LICENSE.md", "USE_POLICY.md")


def licence_of(model: LocalModel, folder: Path | None = None) -> str:
    """The tag of the model's licence: from its class if that has one, else its option, else its card.

    A card with restrictions overrides an option without. `folder`: the folder of config.json and card, by default the
    model's. 'unknown' if no file names a licence, and for a tag without an entry.
    """
    place = folder or card_folder(model)
    if lawful := class_licence(model.option, place):
        return lawful
    said, card = model.option.license, card_licence(place)
    tag = card if said is None or (card and _restricts(card) and not _restricts(said)) else said
    return tag if tag is not None and tag in LICENCES else "unknown"


def card_folder(model: LocalModel) -> Path:
    """The folder of the model's config.json and card: the model's own, else the folder that it is made from."""
    places = [model.folder, *([Path(model.option.path)] if model.option.path else [])]
    return next((place for place in places if (place / "config.json").is_file()), places[0])


def find_licence(tag: str, folder: Path, repo: str | None = None) -> Licence:
    """The facts about a licence. A custom one gets the link in `folder`'s card and the hash of its text.

    The hash is its version: another text under the same name must be accepted again.
    """
    entry = LICENCES[tag]
    if not tag.startswith(CUSTOM):
        return entry
    link = licence_link(folder)
    texts = [folder / name for name in (link.rsplit("/", 1)[-1], *CARRIED) if name and not name.startswith("NOTICE")]
    text = next((path for path in texts if path.is_file()), None)
    if not link.startswith(("https://", "http://")):
        name = link or (text.name if text else "README.md")
        link = f"https://huggingface.co/{repo}/blob/main/{name}" if repo else str(folder / name)
    return replace(entry, url=link, version=sha256_file(text)[:12] if text else "")


def acceptance_name(tag: str) -> str:
    """The name to accept it by: the tag, or the name of a custom licence."""
    return tag.removeprefix(CUSTOM)


def card_licence(folder: Path) -> str | None:
    """The licence tag in a folder's card; of several the one that restricts use, else a known one."""
    tags = card_tags(folder)
    tags = [tag for tag in tags if not (tag.startswith(CUSTOM) and acceptance_name(tag) in LICENCES)]
    best = [tag for tag in tags if _restricts(tag)] or [tag for tag in tags if tag in LICENCES] or tags
    return best[0] if best else None


def _restricts(tag: str) -> bool:
    return tag in LICENCES and LICENCES[tag].restricted


def screen_notice(licence: str, label: str, found: Licence | None = None) -> str:
    """The notice shown before a model with a restricted or unknown licence is used; '' for a free one."""
    entry = found or LICENCES[licence]
    if not entry.restricted and licence != "unknown":
        return ""
    named = ", ".join(part for part in (entry.url, entry.version and f"version of {entry.version}") if part)
    read = f"(checked {entry.checked}) " if entry.checked else ""
    parts = (f"{label}: {entry.title}{f' ({named})' if named else ''}", entry.notice, f"{read}{entry.restrictions}")
    return "\n".join(part for part in parts if part)


def format_terms(licence: str, folder: Path, repo: str | None = None) -> str:
    """Title, address, notice and restrictions, for the card of something derived from `folder`."""
    entry = find_licence(licence, folder, repo)
    title = f"{entry.title}: {entry.url}" if entry.url else entry.title
    return "\n\n".join(part for part in (title, entry.notice, entry.restrictions) if part)


def copy_terms(source: Path, target: Path, licence: str) -> None:
    """Copy a model's notice and terms into the folder of something derived from it."""
    for name in CARRIED:
        if (source / name).is_file() and source != target:
            shutil.copy2(source / name, target / name)
    notice = LICENCES[licence].notice
    if notice and not (target / "NOTICE").is_file():
        (target / "NOTICE").write_text(notice + "\n", "utf-8")
