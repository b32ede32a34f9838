"""Several comparisons side by side: each is compared within itself, nothing is pooled across machines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ohlora.files import write_atomic, write_json
from ohlora.records.manifest import RECOMMENDED
from ohlora.report.comparison.comparison import Comparison, Track
from ohlora.report.comparison.document import describe_notes, list_breaches, list_failures
from ohlora.report.comparison.labels import interval_text, list_headline
from ohlora.report.comparison.record import SCHEMA, to_csv, to_dict
from ohlora.report.comparison.table import HEADER, build_arm_row
from ohlora.report.markdown import items, markdown, section, table
from ohlora.report.provenance import code_version, version_text
from ohlora.report.reading import name_machine
from ohlora.report.words.comparison import say

WORK = ("tokens", "batches", "prompts")
VERDICTS = ("where", "arm", "metric", "ratio", "interval", "pairs", "verdict")


def write_several(comparisons: Sequence[Comparison], out: Path) -> str:
    """Write comparison.md, .csv and .json of all of them into `out`; returns the text to print."""
    out.mkdir(parents=True, exist_ok=True)
    text = compose_side_by_side(comparisons)
    write_atomic(out / "comparison.md", text)
    write_atomic(out / "comparison.csv", to_csv(comparisons))
    together = {
        "schema": SCHEMA,
        "written_by": code_version(),
        "different_machines": len(list_machines(comparisons)) > 1,
        "comparisons": [to_dict(comparison) for comparison in comparisons],
    }
    write_json(out / "comparison.json", together)
    return f"{text}\n{out / 'comparison.md'}"


def list_machines(comparisons: Sequence[Comparison]) -> list[str]:
    """The distinct devices, by name and memory."""
    runs = [run for comparison in comparisons for run in comparison.runs if run.device]
    return list(dict.fromkeys(name_machine(run.device) for run in runs))


def compose_side_by_side(comparisons: Sequence[Comparison]) -> str:
    """The user's table with the arms of all folders, then the headline ratios of each folder."""
    lang, names = comparisons[0].lang, list_machines(comparisons)
    runs = [run for comparison in comparisons for run in comparison.runs]
    parts = [text for one in comparisons for text in list_breaches(one)]
    parts += [_table(comparisons, lang), say(lang, "differ" if len(names) > 1 else "same", names="; ".join(names))]
    unlike = [key for key in WORK if len({run.hashes[key] for run in runs if key in run.hashes}) > 1]
    parts += [say(lang, "unlike_work", what=", ".join(say(lang, key) for key in unlike))] if unlike else []
    parts.append(items(dict.fromkeys(text for one in comparisons for text in describe_notes(one))))
    parts += section(lang, "verdicts", _verdicts(comparisons, lang))
    parts += section(lang, "failures", items(text for one in comparisons for text in list_failures(one)))
    unused = [f"{one.folder}: {text}" for one in comparisons for text in one.source.describe_unreadable(lang)]
    parts += [*section(lang, "unreadable", items(unused)), say(lang, "written by", version=version_text())]
    return "\n\n".join(parts) + "\n"


def _table(comparisons: Sequence[Comparison], lang: str) -> str:
    rows = []
    for comparison in comparisons:
        for track, arm in comparison.named_arms:
            machine = name_machine(arm.first.device if arm.first else {})
            rows.append([_where(comparison, comparisons, track, lang), machine, *build_arm_row(arm, track, lang)])
    return markdown((say(lang, "where"), say(lang, "machine"), *HEADER), rows)


def _verdicts(comparisons: Sequence[Comparison], lang: str) -> str:
    rows = []
    for comparison in comparisons:
        for line in list_headline(comparison, lang):
            where, arms = _where(comparison, comparisons, line.track, lang), f"{line.arm} ÷ {line.baseline}"
            cells = [line.metric, line.change, interval_text(line.figure), line.pairs, line.verdict]
            rows.append([where, arms, *cells])
    return table(lang, VERDICTS, rows)


def _where(comparison: Comparison, all_of_them: Sequence[Comparison], track: Track, lang: str) -> str:
    """The folder's name, or its whole path if two have the same name."""
    folder = comparison.folder
    name = folder.name if [one.folder.name for one in all_of_them].count(folder.name) == 1 else str(folder)
    return f"{name} ({track.title(lang)})" if track.name == RECOMMENDED else name
