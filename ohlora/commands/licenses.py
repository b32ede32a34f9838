"""python -m ohlora.run task=licenses: the licence of every model, its restrictions, and whether it was accepted."""

from __future__ import annotations

from pathlib import Path

from ohlora.config.schema import Config
from ohlora.models.acceptance import REMEMBERED, read_acceptance, read_accepted
from ohlora.models.licences import ENTRIES, LICENCES, Licence
from ohlora.models.terms import card_folder, find_licence, licence_of
from ohlora.planning.plan import Plan
from ohlora.report.markdown import NO_VALUE, markdown


def show(config: Config) -> tuple[int, str]:
    """One row per model, then the restrictions of each licence."""
    rows: list[list[str]] = []
    entries: dict[str, Licence] = {}
    for model in (plan.model for plan in Plan(config).other_models()):
        tag = licence_of(model)
        entry, given = find_licence(tag, card_folder(model), model.option.repo), read_acceptance(model, tag)
        entries[tag] = entry
        if entry.restricted:
            state = f"accepted {given['accepted']}" if given else "not accepted"
        else:
            state = "nothing to accept" if tag != "unknown" else "look it up"
        rows.append([model.option.name, tag, entry.title, entry.version or NO_VALUE, state])
    parts = [markdown(("model", "tag", "licence", "version", "here"), rows), ""]
    for _, entry in sorted(entries.items()):
        if entry.restrictions:
            checked = f"checked {entry.checked}: " if entry.checked else ""
            parts += [f"{entry.title} ({entry.url}), {checked}{entry.restrictions}", ""]
    for tag, record in sorted(read_accepted(Path(config.models)).items()):
        if tag in ENTRIES and record.get("version") != LICENCES[tag].version:
            parts += [f"{tag}: accepted in version {record.get('version')}; the terms have changed since", ""]
    parts.append(f"Accept one with model.accept_license=<tag>; {Path(config.models) / REMEMBERED} records it")
    return 0, "\n".join(parts)
