"""What a reader must know before believing a number, each note with its code."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ohlora.backends import backends
from ohlora.config.identity import flatten
from ohlora.measure.statistics import MIN_PAIRS
from ohlora.report.comparison.comparison import Comparison, Track
from ohlora.report.words.comparison import say


class Note(NamedTuple):
    """`text` is the words of `code`; for a route, those of the back end."""

    code: str
    text: str


def list_notes(comparison: Comparison, lang: str) -> list[Note]:
    found = [(code, values) for track in comparison.tracks for code, values in _of_track(track, lang)]
    found += _of_runs(comparison)
    notes = [Note(code, say(lang, code, **values)) for code, values in found]
    effective = [flatten(run.effective) for run in comparison.runs]
    routes = {value for one in effective for key, value in one.items() if key.endswith(".route")}
    for known in backends().values():
        notes += [Note("route", text[lang]) for route, text in known.route_notes.items() if route in routes]
    return notes


def _of_runs(comparison: Comparison) -> Iterator[tuple[str, dict[str, object]]]:
    runs = comparison.runs
    devices = sorted({str(run.device.get("name")) for run in runs if run.device})
    for device in devices:
        yield "device", {"name": device}
    if len(devices) > 1:
        yield "machines", {}
    if any(run.device.get("type") == "cpu" for run in runs):
        yield "cpu", {}
    if any("device_difference" in flatten(run.effective).values() for run in runs):
        yield "device_difference", {}
    for label in sorted({str(run.model.get("label")) for run in runs if run.model}):
        yield "model", {"label": label}


def _of_track(track: Track, lang: str) -> Iterator[tuple[str, dict[str, object]]]:
    where = track.prefix(lang)
    if len(track.arms) < 2:
        yield "one_arm", {"track": where}
        return
    if not any(arm.finished for arm in track.arms):
        yield "none_finished", {"track": where}
    for one in track.contrasts:
        about: dict[str, object] = {"track": where, "arm": one.other.name, "pairs": len(one.pairs)}
        if one.too_short:
            yield "smoke", about
        unchecked = [say(lang, check.code) for check in one.checks if check.state == "unknown"]
        if unchecked:
            yield "unchecked", {**about, "checks": ", ".join(unchecked)}
        if one.left_out:
            yield "left_out", {**about, "count": len(one.left_out), "all": len(one.left_out) + len(one.pairs)}
        if not one.pairs and not one.left_out:
            yield "no_pairs", about
        elif len(one.pairs) < MIN_PAIRS:
            yield "few_pairs", {**about, "needed": MIN_PAIRS}
        if len(one.pairs) > 1 and not one.interleaved:
            yield "not_interleaved", about
