"""The licences of the models: what a person must know before using one, and what must travel with it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Licence:
    """`free`: no use restrictions beyond attribution. `notice` must stand beside weights and anything derived."""

    title: str
    url: str
    free: bool
    notice: str = ""
    restrictions: str = ""


LICENCES: dict[str, Licence] = {
    "gemma": Licence(
        "Gemma Terms of Use",
        "https://ai.google.dev/gemma/terms",
        free=False,
        notice="Gemma is provided under and subject to the Gemma Terms of Use found at ai.google.dev/gemma/terms",
        restrictions="Section 3.2 forbids the uses listed in the Prohibited Use Policy "
        "(ai.google.dev/gemma/prohibited_use_policy); adapters and merged models made from it carry the same terms.",
    ),
    "apache-2.0": Licence("Apache License 2.0", "https://www.apache.org/licenses/LICENSE-2.0", free=True),
    "mit": Licence("MIT License", "https://opensource.org/license/mit", free=True),
    "unknown": Licence("no licence known", "", free=False, restrictions="Look it up before you use the model."),
}

CARRIED = ("NOTICE", "NOTICE.md", "GEMMA_TERMS.html", "LICENSE", "LICENSE.txt", "USE_POLICY.md")


def screen_notice(licence: str, label: str) -> str:
    """What is put on screen before a model with use restrictions is prepared or used; '' for a free one."""
    entry = LICENCES[licence]
    if entry.free:
        return ""
    parts = (f"{label}: {entry.title}{f' ({entry.url})' if entry.url else ''}", entry.notice, entry.restrictions)
    return "\n".join(part for part in parts if part)


def carry(source: Path, target: Path, licence: str) -> None:
    """Put the notice and the terms that lie beside a model into a folder of something derived from it."""
    for name in CARRIED:
        if (source / name).is_file() and source != target:
            shutil.copy2(source / name, target / name)
    notice = LICENCES[licence].notice
    if notice and not (target / "NOTICE").is_file():
        (target / "NOTICE").write_text(notice + "\n", "utf-8")
