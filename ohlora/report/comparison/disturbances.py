"""What a report says of disturbed pairs, and of a verdict that is not given."""

from __future__ import annotations

from collections.abc import Iterator

from ohlora.measure.disturbance import find_disturbances
from ohlora.records.result import Result
from ohlora.report.comparison.comparison import Comparison
from ohlora.report.comparison.contrast import Contrast, Figure
from ohlora.report.words.comparison import say


def verdict_text(figure: Figure, lang: str) -> str:
    """The verdict; of quality by one seed, why there is none (other reasons are a note on the whole comparison)."""
    verdict = say(lang, figure.verdict)
    return f"{verdict} ({say(lang, 'one_seed')})" if figure.why == "one_seed" else verdict


def count_pairs(one: Contrast, lang: str) -> str:
    """'3', or '3, 1 disturbed and left out'."""
    count = str(len(one.pairs))
    return say(lang, "pairs_of", pairs=count, left_out=len(one.left_out)) if one.left_out else count


def describe_run(result: Result) -> list[str]:
    """'train: the process stood still for 3.0 s', for each phase of a run that the machine disturbed."""
    lang = str((result.requested.get("report") or {}).get("lang", "en"))
    found = find_disturbances(result.disturbance)
    return [f"{phase}: {'; '.join(_reason_text(reason, lang) for reason in why)}" for phase, why in found.items()]


def describe_disturbances(comparison: Comparison) -> Iterator[str]:
    """One line per phase that the machine disturbed, of the pairs that verdicts leave out."""
    lang = comparison.lang
    lines: dict[str, None] = {}
    for track in comparison.tracks:
        where = f"{say(lang, f'track.{track.name}')}, " if track.name and len(comparison.tracks) > 1 else ""
        for left in (left for one in track.contrasts for left in one.left_out):
            for run in left.pair:
                again = say(lang, "made_again", n=run.redo) if run.redo else ""
                for phase, reasons in left.reasons.get(run.run_id, {}).items():
                    why = "; ".join(_reason_text(reason, lang) for reason in reasons)
                    values = {"pair": run.repeat + 1, "again": again, "arm": run.arm, "phase": phase, "why": why}
                    lines[f"- {where}{say(lang, 'disturbed_line', **values)}"] = None
    yield from lines


def _reason_text(reason: str, lang: str) -> str:
    """'the process stood still for 3.0 s' of 'longest_pause_s=3.0'."""
    name, value = reason.split("=")
    name, _, what = name.partition(".")
    shown = f"{100 * float(value):.0f} %" if name.endswith(("share", "reasons")) else value
    return say(lang, f"reason.{name}", value=shown, what=what.replace("_", " "))
