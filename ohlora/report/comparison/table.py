"""The user's table, ready to paste: memory and time of inference and fine-tuning, a row per arm and one of savings."""

from __future__ import annotations

from ohlora.records.result import Result, Status
from ohlora.report.comparison.comparison import Track
from ohlora.report.comparison.contrast import Contrast, Figure
from ohlora.report.comparison.headline import COLUMNS
from ohlora.report.comparison.labels import memory_text, seconds_text
from ohlora.report.markdown import NO_VALUE, markdown
from ohlora.report.reading import ArmRuns
from ohlora.report.words.comparison import say

HEADER = ("테스트", "Inference 메모리", "Inference 시간", "Fine-Tuning 메모리", "Fine-Tuning 시간")


def build_user_table(track: Track, lang: str = "en") -> str:
    """One row per arm, the baseline last if the arms are back ends; then what each other arm saves."""
    is_last = track.arms[:1] if track.are_backends else []
    arms = [arm for arm in track.arms if arm not in is_last] + is_last
    return markdown(HEADER, [build_arm_row(arm, track, lang) for arm in arms] + build_savings_rows(track, lang))


def single_table(result: Result) -> str:
    """The table of one run alone, in the language of its configuration."""
    lang = (result.requested.get("report") or {}).get("lang", "en")
    return build_user_table(Track("", [ArmRuns(result.arm, runs=[result])], []), lang)


def build_arm_row(arm: ArmRuns, track: Track, lang: str) -> list[str]:
    """An arm's row of the user's table; if runs did not finish, with how many did and why."""
    metrics = track.metrics(arm)
    cells = []
    for phase in ("infer", "train"):
        cells += [memory_text(metrics, phase), _time_cell(metrics, phase, lang)]
    name = track.label_markdown(arm)
    if arm.planned not in (0, len(arm.finished)):
        broken = next((run for run in arm.runs if run.status != Status.finished.value), None)
        status = say(lang, f"status.{broken.status if broken else 'not run'}")
        why = f", {status}: {(broken.reason or {}).get('text', '')}" if broken else ""
        name += f" ({len(arm.finished)}/{arm.planned}{why})"
        cells = [status if cell == NO_VALUE else cell for cell in cells]
    return [name, *cells]


def build_savings_rows(track: Track, lang: str) -> list[list[str]]:
    """What each arm saves against the baseline."""
    return [_savings_row(one, track, lang) for one in _shown(track)]


def shows_percentages(track: Track) -> bool:
    """Does the table show savings in percent?"""
    return any(len(one.pairs) > 1 for one in _shown(track))


def _shown(track: Track) -> list[Contrast]:
    """The contrasts that get a row of savings; none in a sweep with many arms."""
    few = track.name or len(track.arms) == 2 or track.are_backends
    return [one for one in track.contrasts if one.comparable and one.pairs] if few else []


def _savings_row(one: Contrast, track: Track, lang: str) -> list[str]:
    arms = {"arm": track.label(one.other), "baseline": track.label(one.baseline)}
    is_usual = track.is_with_and_without(one.other)
    name = say(lang, "saved") if is_usual else say(lang, "saved by", **arms)
    if len(one.pairs) == 1:
        how = "make compare-full" if is_usual else "compare.pairs=4" if track.name else ""
        return [name, say(lang, "one pair") + (f": `{how}`" if how else ""), *[NO_VALUE] * 3]
    by_column = {figure.column: figure for figure in one.headline()}
    return [name, *(_saving(by_column.get(column), lang) for column in COLUMNS)]


def _saving(figure: Figure | None, lang: str) -> str:
    """'+12.3 % (faster)' saved by the other arm; a negative number is what it costs more."""
    if figure is None:
        return NO_VALUE
    saved = 100 * (1 - figure.paired.ratio)
    return f"{saved:+.1f} %".replace("-0.0", "0.0").replace("+0.0", "0.0") + f" ({say(lang, figure.verdict)})"


def _time_cell(metrics: dict[str, float], phase: str, lang: str) -> str:
    total, warm = metrics.get(f"{phase}/{phase}_time_s"), metrics.get(f"{phase}/{phase}_warm_time_s")
    if total is None:
        return NO_VALUE
    return seconds_text(total) + ("" if warm is None else f" ({say(lang, 'warm', s=seconds_text(warm)[:-2])})")
