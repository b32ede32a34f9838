"""The licences of the models: what a person must know before using one, and what must travel with it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from ohlora.config.schema import Config
from ohlora.models.architectures import architecture, known
from ohlora.models.folder import card_licence, model_folder


@dataclass(frozen=True)
class Licence:
    """One licence, by its tag on the hub.

    `restricted`: it limits use beyond attribution, so it has to be accepted once. `version` is the version or date of
    the terms that `restrictions` sums up, `checked` when that was looked at. `notice` must stand beside weights and
    whatever is made from them.
    """

    title: str
    url: str
    restricted: bool = False
    version: str = ""
    checked: str = ""
    notice: str = ""
    restrictions: str = ""


def _llama(number: str, released: str) -> Licence:
    page = f"https://www.llama.com/llama{number.replace('.', '_')}"
    return Licence(
        f"Llama {number} Community License",
        f"{page}/license",
        restricted=True,
        version=released,
        checked="2026-11-25",
        notice=f"Llama {number} is licensed under the Llama {number} Community License, Copyright © Meta Platforms, "
        "Inc. All Rights Reserved. Built with Llama.",
        restrictions=f"The Acceptable Use Policy ({page}/use-policy) forbids uses; over 700 million monthly users need "
        "a licence of their own; what is made from it carries the same licence, says 'Built with Llama', and a model's "
        "name begins with 'Llama'.",
    )


def _non_commercial(tag: str, also: str = "") -> Licence:
    return Licence(
        f"Creative Commons {tag.upper()} 4.0",
        f"https://creativecommons.org/licenses/{tag}/4.0/",
        restricted=True,
        version="4.0",
        checked="2026-11-25",
        restrictions=f"No commercial use{also}; name the author.",
    )


LICENCES: dict[str, Licence] = {
    "gemma": Licence(
        "Gemma Terms of Use",
        "https://ai.google.dev/gemma/terms",
        restricted=True,
        version="April 1, 2026",
        checked="2026-11-25",
        notice="Gemma is provided under and subject to the Gemma Terms of Use found at ai.google.dev/gemma/terms",
        restrictions="Section 3.2 forbids the uses listed in the Prohibited Use Policy "
        "(https://ai.google.dev/gemma/prohibited_use_policy) and any use against the law, and Google may restrict "
        "usage that it believes violates the terms; adapters, merged and exported models made "
        "from it carry the same terms.",
    ),
    "llama3": _llama("3", "April 18, 2024"),
    "llama3.1": _llama("3.1", "July 23, 2024"),
    "llama3.2": _llama("3.2", "September 25, 2024"),
    "llama3.3": _llama("3.3", "December 6, 2024"),
    "apache-2.0": Licence("Apache License 2.0", "https://www.apache.org/licenses/LICENSE-2.0", version="2.0"),
    "mit": Licence("MIT License", "https://opensource.org/license/mit"),
    "cc-by-4.0": Licence("Creative Commons BY 4.0", "https://creativecommons.org/licenses/by/4.0/", version="4.0"),
    "cc-by-sa-4.0": Licence(
        "Creative Commons BY-SA 4.0", "https://creativecommons.org/licenses/by-sa/4.0/", version="4.0"
    ),
    "cc-by-nc-4.0": _non_commercial("by-nc"),
    "cc-by-nc-sa-4.0": _non_commercial("by-nc-sa", "; what is made from it carries the same licence"),
    "unknown": Licence("no licence known", "", restrictions="Look it up before you use the model."),
}

ACCEPT_YES, ACCEPT_NO = ("true", "yes"), ("false", "no")  # what model.accept_license may be beside a licence's tag
ACCEPT_ANSWERS = (*ACCEPT_YES, *ACCEPT_NO)
CARRIED = ("NOTICE", "NOTICE.md", "GEMMA_TERMS.html", "LICENSE", "LICENSE.txt", "LICENSE.md", "USE_POLICY.md")


def licence_of(config: Config, folder: Path | None = None) -> str:
    """The tag of the model's licence: what its option says, else its class where that is under one, else its card.

    `folder`: where config.json and card lie, by default where the model is. 'unknown' where nothing tells.
    """
    places = [folder] if folder else [model_folder(config), *([Path(config.model.path)] if config.model.path else [])]
    place = next((place for place in places if (place / "config.json").is_file()), places[0])
    family = known(architecture(config, place))
    tag = config.model.license or (family and family.licence) or card_licence(place) or "unknown"
    return tag if tag in LICENCES else "unknown"


def screen_notice(licence: str, label: str) -> str:
    """What is put on screen before a model is used whose licence restricts it or is not known; '' for a free one."""
    entry = LICENCES[licence]
    if not entry.restricted and licence != "unknown":
        return ""
    named = ", ".join(part for part in (entry.url, entry.version and f"version of {entry.version}") if part)
    read = f"(checked {entry.checked}) " if entry.checked else ""
    parts = (f"{label}: {entry.title}{f' ({named})' if named else ''}", entry.notice, f"{read}{entry.restrictions}")
    return "\n".join(part for part in parts if part)


def terms(licence: str) -> str:
    """Title, address, notice and restrictions, as they stand in the card of something derived."""
    entry = LICENCES[licence]
    title = f"{entry.title}: {entry.url}" if entry.url else entry.title
    return "\n\n".join(part for part in (title, entry.notice, entry.restrictions) if part)


def carry(source: Path, target: Path, licence: str) -> None:
    """Put the notice and the terms that lie beside a model into a folder of something derived from it."""
    for name in CARRIED:
        if (source / name).is_file() and source != target:
            shutil.copy2(source / name, target / name)
    notice = LICENCES[licence].notice
    if notice and not (target / "NOTICE").is_file():
        (target / "NOTICE").write_text(notice + "\n", "utf-8")
