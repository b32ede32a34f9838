"""comparison.md: the user's table, verdicts, every metric, parity, settings, failures, hardware; in two languages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ohlora.records.manifest import RECOMMENDED
from ohlora.records.result import Result, Status
from ohlora.report.comparison.comparison import Comparison, Note, Track
from ohlora.report.comparison.contrast import Contrast, Figure
from ohlora.report.comparison.disturbances import count_pairs, describe_disturbances, verdict_text
from ohlora.report.comparison.headline import RESOLUTION_MIB
from ohlora.report.comparison.labels import change, headline_name, label, value_text
from ohlora.report.comparison.settings import changed_by_itself, differences
from ohlora.report.comparison.table import shows_percentages, user_table
from ohlora.report.estimates import describe_estimates
from ohlora.report.markdown import NO_VALUE, markdown, number
from ohlora.report.page import MARKER
from ohlora.report.provenance import version_text
from ohlora.report.words.comparison import say


def document(comparison: Comparison) -> str:
    """The whole report as Markdown; the plots go where MARKER stands."""
    lang, parts = comparison.lang, list(loud(comparison))
    for place, track in enumerate(comparison.tracks):  # the headline opens the file
        parts += [f"## {say(lang, f'track.{track.name}')}", ""] if place else []
        parts += [user_table(track, lang), "", *([say(lang, "cells"), ""] if shows_percentages(track) else [])]
        parts += _test_settings(track, lang)
    parts += [f"## {say(lang, 'verdicts')}", "", *verdicts(comparison), ""]
    parts += [f"## {say(lang, 'know')}", "", *(f"- {text}" for text in known(comparison)), "", MARKER, ""]
    disturbed = list(describe_disturbances(comparison))
    parts += [f"## {say(lang, 'disturbed')}", "", *disturbed, ""] if disturbed else []
    parts += [f"## {say(lang, 'all_metrics')}", "", *_per_track(comparison, _all_metrics)]
    parts += [f"## {say(lang, 'parity')}", "", *_per_track(comparison, _parity)]
    parts += [f"## {say(lang, 'settings')}", "", *_per_track(comparison, _settings)]
    guessed = _estimates(comparison)
    parts += [f"## {say(lang, 'estimates')}", "", "\n\n".join(guessed), ""] if guessed else []
    failed = failures(comparison)
    parts += [f"## {say(lang, 'failures')}", "", *failed, ""] if failed else []
    unused = unusable(comparison)
    parts += [f"## {say(lang, 'unreadable')}", "", *(f"- {text}" for text in unused), ""] if unused else []
    parts += [f"## {say(lang, 'hardware')}", "", *_hardware(comparison), ""]
    parts += [say(lang, "written by", version=version_text()), ""]
    return "\n".join(parts)


def head(comparison: Comparison) -> str:
    """The report down to the plots: tables, verdicts, notes. MLflow cuts a description at 8,000 characters."""
    return document(comparison).split(MARKER)[0]


def loud(comparison: Comparison) -> Iterator[str]:
    """Over the table: what voids the comparison."""
    lang = comparison.lang
    for track, one in comparison.voided:
        for check in one.voided:
            text = say(
                lang,
                "breach",
                track=_prefix(track.name, lang),
                arm=one.other.name,
                baseline=one.baseline.name,
                check=say(lang, check.code),
                detail=check.detail or NO_VALUE,
            )
            yield f"> **{say(lang, 'NOT COMPARABLE')}**: {text}"
            yield ""


def verdicts(comparison: Comparison) -> Iterator[str]:
    """One line for each headline metric of each contrast."""
    lang = comparison.lang
    for track in comparison.tracks:
        if track.name and track.contrasts:
            yield f"**{say(lang, f'track.{track.name}')}**"
            yield ""
        for one in track.contrasts:
            for figure in one.headline():
                yield _verdict_line(track, one, figure, lang)
        yield ""


def known(comparison: Comparison) -> list[str]:
    """The notes as text."""
    return [note_text(note, comparison.lang) for note in comparison.notes()]


def note_text(note: Note, lang: str) -> str:
    values = dict(note.values)
    if note.code == "route":  # the back end's own words
        return str(values[lang])
    if "track" in values:
        values["track"] = _prefix(str(values["track"]), lang)
    if "checks" in values:
        assert isinstance(values["checks"], tuple)
        values["checks"] = ", ".join(say(lang, code) for code in values["checks"])
    return say(lang, note.code, **values)


def failures(comparison: Comparison) -> list[str]:
    """One line per run that did not finish, with its reason, and per arm with planned runs that never ran."""
    lines = []
    for track in comparison.tracks:
        for arm in track.arms:
            name = f"{_prefix(track.name, comparison.lang)}{label(arm, track.arms)}"
            for run in arm.runs:
                if run.status != Status.finished.value:
                    lines.append(f"- {name} ({run.run_id}): {run.status}: {(run.reason or {}).get('text', '')}")
            if arm.planned > len(arm.runs):
                count = arm.planned - len(arm.runs)
                lines.append(f"- {name}: {say(comparison.lang, 'planned', count=count)}")
    return lines


def unusable(comparison: Comparison) -> list[str]:
    """Files that were left out, and why."""
    words = {"lost": say(comparison.lang, "lost"), "foreign": say(comparison.lang, "foreign")}
    return [f"{name}: {words.get(why, why)}" for name, why in comparison.held.unreadable]


def _prefix(track: str, lang: str) -> str:
    return f"{say(lang, f'track.{track}')}: " if track == RECOMMENDED else ""


def _verdict_line(track: Track, one: Contrast, figure: Figure, lang: str) -> str:
    values = {
        "metric": headline_name(figure, lang),
        "verdict": verdict_text(figure, lang),
        "change": change(figure),
        "arm": label(one.other, track.arms),
        "baseline": label(one.baseline, track.arms),
        "pairs": count_pairs(one, lang),
    }
    if figure.paired.interval is None:
        sides = {"x": value_text(figure.key, figure.paired.other), "y": value_text(figure.key, figure.paired.baseline)}
        return say(lang, "one_pair_line", **values, **sides)
    low, high = (f"{100 * (end - 1):+.1f} %" for end in figure.paired.interval)
    return say(lang, "verdict_line", low=low, high=high, **values)


def _per_track(comparison: Comparison, part: Callable[[Track, str], Iterator[str]]) -> Iterator[str]:
    for track in comparison.tracks:
        if track.name and len(comparison.tracks) > 1:
            yield f"### {say(comparison.lang, f'track.{track.name}')}\n"
        yield from part(track, comparison.lang)
        yield ""


def _all_metrics(track: Track, lang: str) -> Iterator[str]:
    per_arm = [track.metrics(arm) for arm in track.arms]
    keys = sorted(set().union(*per_arm)) if per_arm else []
    one = track.contrasts[0] if len(track.contrasts) == 1 else None
    header = [say(lang, "metric"), *(arm.name for arm in track.arms)]
    if one:
        header += [say(lang, word) for word in ("ratio", "interval", "spread", "verdict", "needed")]
    rows = [
        [
            f"`{key}`",
            *(number(m.get(key)) for m in per_arm),
            *(_figure_cells(one.figures.get(key), lang) if one else ()),
        ]
        for key in keys
    ]
    yield markdown(header, rows)
    for other in track.contrasts if one is None else ():
        columns = [say(lang, word) for word in ("metric", "ratio", "interval", "spread", "verdict", "needed")]
        yield f"\n{other.other.name} ÷ {other.baseline.name}\n"
        yield markdown(columns, [[f"`{key}`", *_figure_cells(f, lang)] for key, f in other.figures.items()])
    if track.contrasts:
        arm = " / ".join(c.other.name for c in track.contrasts)
        yield "\n" + say(lang, "method", arm=arm, baseline=track.arms[0].name, mib=RESOLUTION_MIB)


def _figure_cells(figure: Figure | None, lang: str) -> list[str]:
    if figure is None:
        return [NO_VALUE] * 5
    one = figure.paired
    return [
        f"{one.ratio:.3f}",
        NO_VALUE if one.interval is None else f"{one.interval[0]:.3f} – {one.interval[1]:.3f}",
        NO_VALUE if one.spread is None else f"{100 * one.spread:.1f} %",
        verdict_text(figure, lang),
        NO_VALUE if one.spread is None else str(figure.pairs_needed or "> 1,000"),
    ]


def _parity(track: Track, lang: str) -> Iterator[str]:
    for one in track.contrasts:
        if len(track.contrasts) > 1:
            yield f"{one.other.name} – {one.baseline.name}\n"
        rows = [[say(lang, check.code), say(lang, check.state), check.detail] for check in one.checks]
        yield markdown([say(lang, word) for word in ("check", "state", "seen")], rows) if rows else NO_VALUE


def _settings(track: Track, lang: str) -> Iterator[str]:
    for arm in track.arms:
        for key, want, have in changed_by_itself(arm):
            yield "- " + say(lang, "changed", arm=arm.name, key=key, want=want, have=have)
    yield ""
    for one in track.contrasts:
        left, right = one.baseline.first, one.other.first
        found = list(differences(left, right)) if left and right else []
        rows = [
            [f"`{d.key}`", _short(d.baseline), _short(d.other), say(lang, "by_asking" if d.asked else "by_itself")]
            for d in found
        ]
        header = [say(lang, "setting"), one.baseline.name, one.other.name, say(lang, "why")]
        yield markdown(header, rows) if rows else say(lang, "no_differences")


def _short(text: str, length: int = 160) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _test_settings(track: Track, lang: str) -> Iterator[str]:
    run = next((arm.first for arm in track.arms if arm.first and arm.first.requested), None)
    trainer, generation = (run.requested.get(key) or {} if run else {} for key in ("trainer", "generation"))
    if run is None or run.task != "benchmark" or not {"epochs", "batch_size"} <= set(trainer):
        return
    rank = {str((arm.first.requested.get("lora") or {}).get("rank")) for arm in track.arms if arm.first}
    name = f"**{say(lang, f'track.{track.name}')}**. " if track.name else ""
    yield name + say(
        lang,
        "test_settings",
        prompts=f"{run.metrics.get('infer/prompts', generation.get('prompts') or 0):g}",
        new=generation.get("max_new_tokens", NO_VALUE),
        rows=trainer.get("train_rows") or NO_VALUE,
        eval_rows=trainer.get("eval_rows") or NO_VALUE,
        length=say(lang, "steps", n=trainer["max_steps"])
        if trainer.get("max_steps")
        else say(lang, "epochs", n=f"{trainer['epochs']:g}"),
        batch=trainer["batch_size"],
        rank=", ".join(sorted(rank)),
    )
    yield ""


def _estimates(comparison: Comparison) -> list[str]:
    """Peak memory of every arm as it was estimated before its runs, and the median measured."""
    lang = comparison.lang
    arms = [
        ([f"{_prefix(track.name, lang)}{arm.name}"], arm.metrics(), arm.runs)
        for track in comparison.tracks
        for arm in track.arms
    ]
    return describe_estimates(["arm"], arms, lang)


def _hardware(comparison: Comparison) -> Iterator[str]:
    """What the runs ran on and with, each distinct value once."""
    runs: Sequence[Result] = [run for run in comparison.runs if run.device]
    facts: dict[str, dict[str, None]] = {}
    for run in runs:
        for key, value in {**run.device, **{f"{k} (version)": v for k, v in run.versions.items()}}.items():
            facts.setdefault(key, {})[str(value)] = None
    yield markdown(("", say(comparison.lang, "seen")), [[key, " / ".join(values)] for key, values in facts.items()])
