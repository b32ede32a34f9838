"""The user's table: inference and fine-tuning, memory and time, with and without Unsloth; ready to paste."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from ohlora.report.comparison import Arm, Comparison
from ohlora.result import Result, Status

HEADER = ("테스트", "Inference 메모리", "Inference 시간", "Fine-Tuning 메모리", "Fine-Tuning 시간")
# The memory of a phase: what a GPU allocated where there is one, else what was resident.
MEMORY = ("peak_vram_mib", "peak_rss_mib")
NO_VALUE = "—"


def comparison_markdown(comparison: Comparison) -> str:
    """comparison.md: the table first, then what it means, then every number."""
    parts = [user_table(comparison), "", *(f"- {note}" for note in comparison.notes), ""]
    failed = failures(comparison.arms)
    if failed:
        parts += ["### Runs that did not finish", "", *failed, ""]
    if comparison.unreadable:
        parts += ["### Files that could not be read", "", *(f"- {text}" for text in comparison.unreadable), ""]
    return "\n".join([*parts, "### All metrics (medians per arm)", "", _all_metrics(comparison.arms), ""])


def user_table(comparison: Comparison) -> str:
    """One row per arm and, for one arm with and one without Unsloth, a row of what it saves."""
    cells = [[_label(arm, comparison.arms), *_cells(arm)] for arm in comparison.arms]
    saved = _savings(comparison.arms) if comparison.comparable else None
    return _markdown(HEADER, cells + ([saved] if saved else []))


def single_table(result: Result) -> str:
    """The table of one run alone."""
    return user_table(Comparison([Arm(result.arm, runs=[result])], [], []))


def comparison_csv(comparison: Comparison) -> str:
    """One line per run: its identity, how it ended, and every metric as a column."""
    runs = comparison.runs
    keys = sorted({key for run in runs for key in run.metrics})
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["run_id", "arm", "repeat", "status", "reason", *keys])
    for run in runs:
        values = [run.metrics.get(key, "") for key in keys]
        writer.writerow([run.run_id, run.arm, run.repeat, run.status, (run.reason or {}).get("text", ""), *values])
    return out.getvalue()


def memory_mib(metrics: dict[str, float], phase: str) -> float | None:
    """Peak memory of a phase in MiB: allocated on a GPU, resident without one; None where not measured."""
    return next((metrics[f"{phase}/{key}"] for key in MEMORY if f"{phase}/{key}" in metrics), None)


def _cells(arm: Arm) -> list[str]:
    metrics = arm.metrics()
    times = [metrics.get("infer/infer_time_s"), metrics.get("train/train_time_s")]
    warm = metrics.get("train/train_warm_time_s")
    cells = [
        _mib(memory_mib(metrics, "infer")),
        _seconds(times[0]),
        _mib(memory_mib(metrics, "train")),
        _seconds(times[1]) + (f" ({warm:.1f} warm)" if times[1] is not None and warm is not None else ""),
    ]
    if len(arm.finished) == len(arm.runs) == arm.planned or not arm.planned:
        return cells
    broken = next((run.status for run in arm.runs if run.status != Status.finished.value), "not run")
    return [broken if cell == NO_VALUE else cell for cell in cells]


def _label(arm: Arm, arms: Sequence[Arm]) -> str:
    known = {"unsloth": "**with** Unsloth", "hf": "**w/o** Unsloth"}
    backends = [other.backend for other in arms]
    if arm.backend in known and backends.count(arm.backend) == 1:
        return known[arm.backend]
    return arm.name


def _savings(arms: Sequence[Arm]) -> list[str] | None:
    sides = {arm.backend: arm.metrics() for arm in arms if arm.finished}
    if len(arms) != 2 or set(sides) != {"hf", "unsloth"}:
        return None
    without, with_unsloth = sides["hf"], sides["unsloth"]
    return [
        "**절감** (saved)",
        _saved(memory_mib(without, "infer"), memory_mib(with_unsloth, "infer")),
        _saved(without.get("infer/infer_time_s"), with_unsloth.get("infer/infer_time_s")),
        _saved(memory_mib(without, "train"), memory_mib(with_unsloth, "train")),
        _saved(without.get("train/train_time_s"), with_unsloth.get("train/train_time_s")),
    ]


def _saved(before: float | None, after: float | None) -> str:
    """'+12.3 %' saved; a negative number is what Unsloth costs more."""
    if not before or after is None:
        return NO_VALUE
    return f"{100 * (1 - after / before):+.1f} %"


def failures(arms: Sequence[Arm]) -> list[str]:
    """One line per run that did not finish, with its reason, and per arm with planned runs that never ran."""
    lines = []
    for arm in arms:
        for run in arm.runs:
            if run.status != Status.finished.value:
                lines.append(
                    f"- {_label(arm, arms)} ({run.run_id}): {run.status}: {(run.reason or {}).get('text', '')}"
                )
        if arm.planned > len(arm.runs):
            lines.append(f"- {_label(arm, arms)}: {arm.planned - len(arm.runs)} planned and not run")
    return lines


def _all_metrics(arms: Sequence[Arm]) -> str:
    per_arm = [arm.metrics() for arm in arms]
    keys = sorted(set().union(*per_arm)) if per_arm else []
    rows = [[f"`{key}`", *(_number(m.get(key)) for m in per_arm)] for key in keys]
    return _markdown(("metric", *(arm.name for arm in arms)), rows)


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


def _mib(value: float | None) -> str:
    return NO_VALUE if value is None else f"{value:,.0f} MiB"


def _seconds(value: float | None) -> str:
    return NO_VALUE if value is None else f"{value:.1f} s"


def _number(value: float | None) -> str:
    return NO_VALUE if value is None else f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
