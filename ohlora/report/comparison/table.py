"""The user's table: inference and fine-tuning, memory and time, with and without Unsloth; ready to paste."""

from __future__ import annotations

from collections.abc import Sequence

from ohlora.records.result import Result, Status
from ohlora.report.comparison.comparison import Track
from ohlora.report.comparison.contrast import Contrast, Figure
from ohlora.report.comparison.headline import memory_key
from ohlora.report.markdown import NO_VALUE, markdown
from ohlora.report.reading import ArmRuns
from ohlora.report.words.comparison import say

HEADER = ("테스트", "Inference 메모리", "Inference 시간", "Fine-Tuning 메모리", "Fine-Tuning 시간")
KNOWN = {"unsloth": "**with** Unsloth", "hf": "**w/o** Unsloth"}


def user_table(track: Track, lang: str = "en") -> str:
    """One row per arm and, for one arm with and one without Unsloth, a row of what it saves."""
    arms = sorted(track.arms, key=lambda arm: arm.backend != "unsloth") if _two_sides(track.arms) else track.arms
    cells = [row(arm, track.arms, lang) for arm in arms]
    saved = _savings(track, lang)
    return markdown(HEADER, cells + ([saved] if saved else []))


def row(arm: ArmRuns, arms: Sequence[ArmRuns], lang: str) -> list[str]:
    """An arm's row of the user's table; of an arm that did not finish whole, how far it came and why."""
    return [f"{label(arm, arms)}{_shortfall(arm)}", *_cells(arm, lang)]


def single_table(result: Result) -> str:
    """The table of one run alone, in the language that it was asked for."""
    lang = (result.requested.get("report") or {}).get("lang", "en")
    return user_table(Track("", [ArmRuns(result.arm, runs=[result])], []), lang)


def label(arm: ArmRuns, arms: Sequence[ArmRuns]) -> str:
    """'with' or 'w/o' Unsloth where that names the arm, else the arm's name."""
    if arm.backend in KNOWN and [other.backend for other in arms].count(arm.backend) == 1:
        return KNOWN[arm.backend]
    return arm.name


def headline_name(figure: Figure, lang: str) -> str:
    phase, what = figure.key.split("/")[0], "memory" if "peak" in figure.key else "time"
    return say(lang, f"{phase} {what}")


def change(figure: Figure, digits: int = 1) -> str:
    """'-12.3 %': by how much the other arm's figure differs from the baseline's."""
    return f"{100 * (figure.paired.ratio - 1):+.{digits}f} %"


def _shortfall(arm: ArmRuns) -> str:
    if arm.planned in (0, len(arm.finished)):
        return ""
    broken = next((run for run in arm.runs if run.status != Status.finished.value), None)
    why = f", {broken.status}: {(broken.reason or {}).get('text', '')}" if broken else ""
    return f" ({len(arm.finished)}/{arm.planned}{why})"


def _cells(arm: ArmRuns, lang: str) -> list[str]:
    metrics = arm.metrics()
    times = [metrics.get("infer/infer_time_s"), metrics.get("train/train_time_s")]
    warm = metrics.get("train/train_warm_time_s")
    cells = [
        _memory(metrics, "infer"),
        _seconds(times[0]),
        _memory(metrics, "train"),
        _seconds(times[1])
        + (f" ({warm:.1f} {say(lang, 'warm')})" if times[1] is not None and warm is not None else ""),
    ]
    if len(arm.finished) == len(arm.runs) == arm.planned or not arm.planned:
        return cells
    broken = next((run.status for run in arm.runs if run.status != Status.finished.value), say(lang, "not run"))
    return [broken if cell == NO_VALUE else cell for cell in cells]


def _two_sides(arms: Sequence[ArmRuns]) -> bool:
    return sorted(arm.backend for arm in arms) == ["hf", "unsloth"]


def _savings(track: Track, lang: str) -> list[str] | None:
    if not _two_sides(track.arms) or not track.contrasts or not track.contrasts[0].comparable:
        return None
    one = track.contrasts[0]
    by_column = {(f.key.split("/")[0], "peak" in f.key): f for f in one.headline()}
    columns = (("infer", True), ("infer", False), ("train", True), ("train", False))
    return [say(lang, "saved"), *(_saved(by_column.get(column), one, lang) for column in columns)]


def _saved(figure: Figure | None, one: Contrast, lang: str) -> str:
    """'+12.3 % (faster)' saved by Unsloth; a negative number is what it costs more."""
    if figure is None:
        return NO_VALUE
    ratio = figure.paired.ratio if one.other.backend == "unsloth" else 1 / figure.paired.ratio
    saved = 100 * (1 - ratio)
    shown = f"{saved:+.1f} %" if abs(saved) >= 0.05 else "0.0 %"
    return f"{shown} ({say(lang, _of_unsloth(figure, one))})"


def _of_unsloth(figure: Figure, one: Contrast) -> str:
    turned = {"faster": "slower", "slower": "faster", "less": "more", "more": "less"}
    return figure.verdict if one.other.backend == "unsloth" else turned.get(figure.verdict, figure.verdict)


def _memory(metrics: dict[str, float], phase: str) -> str:
    """'2,296 MiB RSS': without a GPU it says that it is resident memory."""
    key = memory_key(metrics, phase)
    return NO_VALUE if key is None else f"{metrics[key]:,.0f} MiB{'' if 'vram' in key else ' RSS'}"


def _seconds(value: float | None) -> str:
    return NO_VALUE if value is None else f"{value:.1f} s"
