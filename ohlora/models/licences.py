"""Every licence that is known: what users must know before using a model, and the notice that derived files need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from ohlora.models.card import CUSTOM


@dataclass(frozen=True)
class Licence:
    """One licence, by its tag on the hub.

    `restricted`: it limits use beyond attribution, so it must be accepted once. `restrictions` sums up the terms of
    `version` (a version or date), as checked on the date `checked`. `notice` must stand beside the weights and
    everything derived from them.
    """

    title: str
    url: str
    restricted: bool = False
    version: str = ""
    checked: str = ""
    notice: str = ""
    restrictions: str = ""


class Licences(Mapping[str, Licence]):
    """Licences by tag. An unknown tag that starts like a restricted family counts as one of that family.

    The hub adds a new tag for every version of such terms, and a tag missing here must not count as free.
    """

    def __init__(self, entries: dict[str, Licence], families: dict[str, Licence]) -> None:
        self.entries, self.families = entries, families

    def __getitem__(self, tag: str) -> Licence:
        if tag in self.entries:
            return self.entries[tag]
        for beginning, family in self.families.items():
            if tag.startswith(beginning):
                return replace(family, title=f"{family.title} '{tag.removeprefix(CUSTOM)}'")
        raise KeyError(tag)

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)


def _llama(number: str, released: str, also: str = "") -> Licence:
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
        f"name begins with 'Llama'{also}.",
    )


def _non_commercial(kind: str, version: str) -> Licence:
    also = {
        "by-nc-sa": "; what is made from it carries the same licence",
        "by-nc-nd": "; what is made from it may not be given to others",
    }.get(kind, "")
    return Licence(
        f"Creative Commons {kind.upper()} {version}",
        f"https://creativecommons.org/licenses/{kind}/{version}/",
        restricted=True,
        version=version,
        checked="2026-11-25",
        restrictions=f"No commercial use{also}; name the author.",
    )


NON_COMMERCIAL = {"by-nc": ("2.0", "3.0", "4.0"), "by-nc-nd": ("3.0", "4.0"), "by-nc-sa": ("2.0", "3.0", "4.0")}
# Prefix of a tag -> the entry used for tags without their own entry.
FAMILIES = {
    "gemma": Licence(
        "Gemma licence",
        "https://ai.google.dev/gemma/terms",
        restricted=True,
        restrictions="Gemma's terms forbid some uses and also cover derived models; read the terms named in the card.",
    ),
    "llama": Licence(
        "Llama licence",
        "https://www.llama.com",
        restricted=True,
        restrictions="Llama's terms forbid some uses and also cover derived models; read the terms named in the card.",
    ),
    "cc-by-nc": Licence(
        "Creative Commons licence",
        "https://creativecommons.org/licenses/",
        restricted=True,
        restrictions="No commercial use; name the author; read the version that the card names.",
    ),
    CUSTOM: Licence(
        "author's own licence",
        "",
        restricted=True,
        restrictions="These are its author's own terms, not summed up here. Such terms often forbid some uses, "
        "such as commercial use, and also cover derived models; read them before you accept.",
    ),
}
ENTRIES: dict[str, Licence] = {
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
    "llama2": Licence(
        "Llama 2 Community License",
        "https://ai.meta.com/llama/license",
        restricted=True,
        version="July 18, 2023",
        checked="2026-11-25",
        notice="Llama 2 is licensed under the LLAMA 2 Community License, Copyright (c) Meta Platforms, Inc. All Rights "
        "Reserved.",
        restrictions="The Acceptable Use Policy (https://ai.meta.com/llama/use-policy) forbids uses; over 700 million "
        "monthly users need a licence of their own; neither it nor what it writes may improve another language model; "
        "what is made from it carries the same licence.",
    ),
    "llama3": _llama("3", "April 18, 2024"),
    "llama3.1": _llama("3.1", "July 23, 2024"),
    "llama3.2": _llama("3.2", "September 25, 2024"),
    "llama3.3": _llama("3.3", "December 6, 2024"),
    "llama4": _llama("4", "April 5, 2025", "; its multimodal models are not for those at home in the European Union"),
    "apache-2.0": Licence("Apache License 2.0", "https://www.apache.org/licenses/LICENSE-2.0", version="2.0"),
    "mit": Licence("MIT License", "https://opensource.org/license/mit"),
    "cc-by-4.0": Licence("Creative Commons BY 4.0", "https://creativecommons.org/licenses/by/4.0/", version="4.0"),
    "cc-by-sa-4.0": Licence(
        "Creative Commons BY-SA 4.0", "https://creativecommons.org/licenses/by-sa/4.0/", version="4.0"
    ),
    **{f"cc-{kind}-{no}": _non_commercial(kind, no) for kind, versions in NON_COMMERCIAL.items() for no in versions},
    "unknown": Licence("no licence known", "", restrictions="Look it up before you use the model."),
}
LICENCES = Licences(ENTRIES, FAMILIES)

ACCEPT_YES, ACCEPT_NO = ("true", "yes"), ("false", "no")  # what model.accept_license may be besides a licence's tag
ACCEPT_ANSWERS = (*ACCEPT_YES, *ACCEPT_NO)
