"""comparison.md: the user's table, verdicts, every metric, parity, settings, failures, hardware; in two languages."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ohlora.records.result import Status
from ohlora.report.comparison.comparison import Comparison, Track
from ohlora.report.comparison.contrast import Figure
from ohlora.report.comparison.headline import RESOLUTION_MIB
from ohlora.report.comparison.labels import (
    HeadlineLine,
    describe_work,
    detail_text,
    interval_text,
    list_headline,
    value_text,
    verdict_text,
)
from ohlora.report.comparison.notes import list_notes
from ohlora.report.comparison.settings import list_differences, list_unrequested_changes
from ohlora.report.comparison.table import build_user_table, shows_percentages
from ohlora.report.disturbances import list_disturbed
from ohlora.report.estimates import describe_estimates
from ohlora.report.markdown import NO_VALUE, items, markdown, number, section, table
from ohlora.report.page import MARKER
from ohlora.report.provenance import version_text
from ohlora.report.words.comparison import say

FIGURE = ("ratio", "interval", "spread", "verdict", "needed")


def compose_document(comparison: Comparison) -> str:
    """The whole report as Markdown; the plots go where MARKER stands."""
    lang, parts = comparison.lang, list_breaches(comparison)
    for place, track in enumerate(comparison.tracks):  # the headline opens the file
        parts += [f"## {track.title(lang)}"] if place else []
        parts += [build_user_table(track, lang), say(lang, "cells") if shows_percentages(track) else ""]
        parts += [_test_settings(track, lang)]
    parts += section(lang, "verdicts", *list_verdicts(comparison))
    parts += [*section(lang, "know", items(describe_notes(comparison))), MARKER]
    named = [(f"{track.prefix(lang)}{arm.name}", run) for track, arm in comparison.named_arms for run in arm.runs]
    parts += list_disturbed(named, lang, "disturbed_pairs")
    parts += section(lang, "all_metrics", *_per_track(comparison, _all_metrics))
    parts += section(lang, "parity", *_per_track(comparison, _parity))
    parts += section(lang, "settings", *_per_track(comparison, _settings))
    arms = [([f"{track.prefix(lang)}{arm.name}"], arm.metrics(), arm.runs) for track, arm in comparison.named_arms]
    parts += section(lang, "estimates", *describe_estimates(["arm"], arms, lang))
    parts += section(lang, "failures", items(list_failures(comparison)))
    parts += section(lang, "unreadable", items(comparison.source.describe_unreadable(lang)))
    parts += section(lang, "hardware", _hardware(comparison), say(lang, "written by", version=version_text()))
    return "\n\n".join(filter(None, parts)) + "\n"


def compose_summary(comparison: Comparison) -> str:
    """The report up to the plots: tables, verdicts, notes. MLflow cuts a description at 8,000 characters."""
    return compose_document(comparison).split(MARKER)[0]


def list_breaches(comparison: Comparison) -> list[str]:
    """The alarms above the table: one for each broken check."""
    lang, found = comparison.lang, []
    for track, one in comparison.voided:
        about = {"track": track.prefix(lang), "arm": one.other.name, "baseline": one.baseline.name}
        for check in one.voided:
            text = say(
                lang, "breach", **about, check=say(lang, check.code), detail=detail_text(check, lang) or NO_VALUE
            )
            found.append(f"> **{say(lang, 'NOT COMPARABLE')}**: {text}")
    return found


def list_verdicts(comparison: Comparison) -> list[str]:
    """One line for each headline metric of each contrast, in a list for each track."""
    lines, found = list(list_headline(comparison, comparison.lang)), []
    for track in comparison.tracks:
        own = [_verdict_line(line, comparison.lang) for line in lines if line.track is track]
        found += [f"**{track.title(comparison.lang)}**"] if track.name and own else []
        found += ["\n".join(own)] if own else []
    return found


def describe_notes(comparison: Comparison) -> list[str]:
    """The notes as text."""
    return [note.text for note in list_notes(comparison, comparison.lang)]


def list_failures(comparison: Comparison) -> list[str]:
    """One text per run that did not finish, with its reason, and per arm with planned runs that never ran."""
    lines, lang = [], comparison.lang
    for track, arm in comparison.named_arms:
        name = f"{track.prefix(lang)}{track.label(arm)}"
        broken = [run for run in arm.runs if run.status != Status.finished.value]
        lines += [
            f"{name} ({run.run_id}): {say(lang, f'status.{run.status}')}: {(run.reason or {}).get('text', '')}"
            for run in broken
        ]
        if arm.planned > len(arm.runs):
            lines.append(f"{name}: {say(lang, 'planned', count=arm.planned - len(arm.runs))}")
    return lines


def _verdict_line(line: HeadlineLine, lang: str) -> str:
    paired = line.figure.paired
    if paired.interval is None:
        sides = {"x": value_text(line.figure.key, paired.other), "y": value_text(line.figure.key, paired.baseline)}
        return say(lang, "one_pair_line", **vars(line), **sides)
    low, high = (f"{100 * (end - 1):+.1f} %" for end in paired.interval)
    return say(lang, "verdict_line", low=low, high=high, **vars(line))


def _per_track(comparison: Comparison, part: Callable[[Track, str], Iterator[str]]) -> Iterator[str]:
    for track in comparison.tracks:
        if track.name and len(comparison.tracks) > 1:
            yield f"### {track.title(comparison.lang)}"
        yield from part(track, comparison.lang)


def _all_metrics(track: Track, lang: str) -> Iterator[str]:
    per_arm = [track.metrics(arm) for arm in track.arms]
    compared = [contrast for contrast in track.contrasts if contrast.figures]
    one = compared[0] if len(track.contrasts) == len(compared) == 1 else None
    rows = []
    for key in sorted(set().union(*per_arm)):
        cells = [number(metrics.get(key)) for metrics in per_arm]
        rows.append([f"`{key}`", *cells, *(_figure_cells(one.figures.get(key), lang) if one else [])])
    figure = [say(lang, word) for word in FIGURE] if one else []
    yield markdown([say(lang, "metric"), *(arm.name for arm in track.arms), *figure], rows)
    for other in compared if one is None else ():
        yield f"{other.other.name} ÷ {other.baseline.name}"
        rows = [[f"`{key}`", *_figure_cells(figure, lang)] for key, figure in other.figures.items()]
        yield table(lang, ("metric", *FIGURE), rows)
    if track.contrasts:
        arm = " / ".join(contrast.other.name for contrast in compared or track.contrasts)
        yield say(lang, "method", arm=arm, baseline=track.arms[0].name, mib=RESOLUTION_MIB)


def _figure_cells(figure: Figure | None, lang: str) -> list[str]:
    if figure is None:
        return [NO_VALUE] * len(FIGURE)
    spread = figure.paired.spread
    seen = (NO_VALUE, NO_VALUE) if spread is None else (f"{100 * spread:.1f} %", str(figure.pairs_needed or "> 1,000"))
    return [f"{figure.paired.ratio:.3f}", interval_text(figure), seen[0], verdict_text(figure, lang), seen[1]]


def _parity(track: Track, lang: str) -> Iterator[str]:
    for one in track.contrasts:
        if len(track.contrasts) > 1:
            yield f"{one.other.name} – {one.baseline.name}"
        rows = [[say(lang, check.code), say(lang, check.state), detail_text(check, lang)] for check in one.checks]
        yield table(lang, ("check", "state", "seen"), rows) if rows else NO_VALUE


def _settings(track: Track, lang: str) -> Iterator[str]:
    yield items(
        say(lang, "changed", arm=arm.name, key=key, want=want, have=have)
        for arm in track.arms
        for key, want, have in list_unrequested_changes(arm)
    )
    for one in track.contrasts:
        rows = [
            [f"`{d.key}`", _short(d.baseline), _short(d.other), say(lang, "by_asking" if d.asked else "by_itself")]
            for d in list_differences(one.baseline.first, one.other.first)
        ]
        header = [say(lang, "setting"), one.baseline.name, one.other.name, say(lang, "why")]
        yield markdown(header, rows) if rows else say(lang, "no_differences")


def _short(text: str, length: int = 160) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _test_settings(track: Track, lang: str) -> str:
    run = next((arm.first for arm in track.arms if arm.first and arm.first.requested), None)
    rank = {str((arm.first.requested.get("lora") or {}).get("rank")) for arm in track.arms if arm.first}
    text = describe_work(run, lang, "test_settings", rank=", ".join(sorted(rank)))
    name = f"**{track.title(lang)}**. " if track.name else ""
    return name + text if run and run.task == "benchmark" and text else ""


def _hardware(comparison: Comparison) -> str:
    """What the runs ran on and with, each distinct value once."""
    facts: dict[str, dict[str, None]] = {}
    for run in (run for run in comparison.runs if run.device):
        for key, value in {**run.device, **{f"{k} (version)": v for k, v in run.versions.items()}}.items():
            facts.setdefault(key, {})[str(value)] = None
    header = ("", say(comparison.lang, "seen"))
    return markdown(header, [[key, " / ".join(values)] for key, values in facts.items()])
