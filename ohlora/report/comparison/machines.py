"""Several comparisons side by side: each is compared within itself, nothing is pooled across machines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ohlora.files import write_atomic, write_json
from ohlora.records.manifest import RECOMMENDED
from ohlora.records.result import Result
from ohlora.report.comparison.comparison import Comparison, Track
from ohlora.report.comparison.disturbances import count_pairs, verdict_text
from ohlora.report.comparison.document import failures, known, loud, unusable
from ohlora.report.comparison.labels import change, headline_name, label
from ohlora.report.comparison.record import SCHEMA, as_csv, as_dict
from ohlora.report.comparison.table import HEADER, arm_row
from ohlora.report.markdown import NO_VALUE, markdown
from ohlora.report.words.comparison import say

WORK = ("tokens", "batches", "prompts")


def write_several(comparisons: Sequence[Comparison], out: Path) -> str:
    """Write comparison.md, .csv and .json of all of them into `out`; returns what is printed."""
    out.mkdir(parents=True, exist_ok=True)
    text = side_by_side(comparisons)
    write_atomic(out / "comparison.md", text)
    write_atomic(out / "comparison.csv", as_csv(comparisons))
    write_json(
        out / "comparison.json",
        {
            "schema": SCHEMA,
            "different_machines": len(machines(comparisons)) > 1,
            "comparisons": [as_dict(comparison) for comparison in comparisons],
        },
    )
    return f"{text}\n{out / 'comparison.md'}"


def machines(comparisons: Sequence[Comparison]) -> list[str]:
    """The distinct devices, by name and memory."""
    runs = [run for comparison in comparisons for run in comparison.runs if run.device]
    return list(dict.fromkeys(_machine(run.device) for run in runs))


def side_by_side(comparisons: Sequence[Comparison]) -> str:
    """The user's table over all folders, then the headline ratios of each."""
    lang = comparisons[0].lang
    names = machines(comparisons)
    parts = [line for one in comparisons for line in loud(one)]
    parts += [_table(comparisons, lang), ""]
    parts += [say(lang, "differ" if len(names) > 1 else "same", names="; ".join(names)), ""]
    unlike = [key for key in WORK if len({run.hashes[key] for run in _runs(comparisons) if key in run.hashes}) > 1]
    if unlike:
        parts += [say(lang, "unlike_work", what=", ".join(say(lang, key) for key in unlike)), ""]
    said = list(dict.fromkeys(text for one in comparisons for text in known(one)))
    parts += [*(f"- {text}" for text in said), ""]
    parts += [f"## {say(lang, 'verdicts')}", "", _verdicts(comparisons, lang), ""]
    failed = [line for one in comparisons for line in failures(one)]
    parts += [f"## {say(lang, 'failures')}", "", *failed, ""] if failed else []
    unused = [f"- {one.folder}: {text}" for one in comparisons for text in unusable(one)]
    parts += [f"## {say(lang, 'unreadable')}", "", *unused, ""] if unused else []
    return "\n".join(parts)


def _table(comparisons: Sequence[Comparison], lang: str) -> str:
    rows = []
    for comparison in comparisons:
        for track in comparison.tracks:
            for arm in track.arms:
                machine = _machine(arm.first.device) if arm.first and arm.first.device else NO_VALUE
                rows.append([_where(comparison, comparisons, track, lang), machine, *arm_row(arm, track, lang)])
    return markdown((say(lang, "where"), say(lang, "machine"), *HEADER), rows)


def _verdicts(comparisons: Sequence[Comparison], lang: str) -> str:
    rows = []
    for comparison in comparisons:
        for track in comparison.tracks:
            for one in track.contrasts:
                for figure in one.headline():
                    interval = figure.paired.interval
                    rows.append(
                        [
                            _where(comparison, comparisons, track, lang),
                            f"{label(one.other, track.arms)} ÷ {label(one.baseline, track.arms)}",
                            headline_name(figure, lang),
                            change(figure),
                            NO_VALUE if interval is None else f"{interval[0]:.3f} – {interval[1]:.3f}",
                            count_pairs(one, lang),
                            verdict_text(figure, lang),
                        ]
                    )
    words = ("where", "arm", "metric", "ratio", "interval", "pairs", "verdict")
    return markdown([say(lang, word) for word in words], rows)


def _runs(comparisons: Sequence[Comparison]) -> list[Result]:
    return [run for comparison in comparisons for run in comparison.runs]


def _where(comparison: Comparison, all_of_them: Sequence[Comparison], track: Track, lang: str) -> str:
    """The folder's name, or its whole path where two have the same name."""
    names = [one.folder.name for one in all_of_them]
    folder = comparison.folder
    name = folder.name if names.count(folder.name) == 1 else str(folder)
    return name + (f" ({say(lang, f'track.{track.name}')})" if track.name == RECOMMENDED else "")


def _machine(device: dict[str, object]) -> str:
    return f"{device.get('name')}, {device.get('vram_mib', device.get('ram_mib'))} MiB"
