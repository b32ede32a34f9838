"""The runs that the machine disturbed, in a report (docs/disturbance.md)."""

from __future__ import annotations

from collections.abc import Iterable

from ohlora.measure.disturbance import find_disturbances
from ohlora.records.result import Result
from ohlora.report.markdown import section, table
from ohlora.report.words.comparison import say


def describe_run(result: Result) -> list[str]:
    """'train: the process was paused for 3.0 s', for each phase of a run that the machine disturbed."""
    lang = str((result.requested.get("report") or {}).get("lang", "en"))
    return [f"{phase}: {why}" for phase, why in _describe_phases(result, lang).items()]


def list_disturbed(
    named: Iterable[tuple[str, Result]], lang: str, consequence: str, columns: tuple[str, str] = ("pair", "arm")
) -> list[str]:
    """The section with a row per phase that the machine disturbed, of runs with their names.

    `consequence`: the code of the sentence on whether their figures count; `columns`: the codes of the columns with the
    repeat and the name.
    """
    rows = []
    for name, run in named:
        pair = f"{run.repeat + 1}{say(lang, 'made_again', n=run.redo) if run.redo else ''}"
        rows += [[pair, name, phase, why] for phase, why in _describe_phases(run, lang).items()]
    shown = table(lang, (*columns, "phase", "why"), rows)
    return section(lang, "disturbed", say(lang, consequence), shown) if rows else []


def _describe_phases(run: Result, lang: str) -> dict[str, str]:
    return {
        say(lang, f"phase.{phase}"): "; ".join(_reason_text(reason, lang) for reason in why)
        for phase, why in find_disturbances(run.disturbance).items()
    }


def _reason_text(reason: str, lang: str) -> str:
    """'the process was paused for 3.0 s' of 'longest_pause_s=3.0'."""
    name, value = reason.split("=")
    name, _, what = name.partition(".")
    shown = f"{100 * float(value):.0f} %" if name.endswith(("share", "reasons")) else value
    return say(lang, f"reason.{name}", value=shown, what=what.replace("_", " "))
