"""Checks of numbers that rounding makes differ a little: losses and gradient norms, and whether they are finite."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import isfinite
from typing import Any

from ohlora.config.identity import flatten
from ohlora.records.result import Result
from ohlora.report.comparison.equality import ABSENT, Check, Pairs

# How far they may lie apart, relative, with weights in float32 and in 16 bit. float32: the effect of another order of
# additions after a few steps. 16 bit: one rounding is 0.4 % in bfloat16.
TOLERANCE = {"losses": (1e-3, 2e-2), "grad_norms": (1e-2, 1e-1), "eval_loss": (5e-3, 2e-2)}


def check_closeness(code: str, pairs: Pairs, first_only: bool = False) -> Check:
    """The largest relative distance over all pairs and steps, or over the pairs' first steps, against the tolerance."""
    worst, where, tolerance = 0.0, 0, 0.0
    for left, right in pairs:
        a, b = _values(code, left), _values(code, right)
        if not a or not b or len(a) != len(b):
            return Check(code, "unknown")
        tolerance = max(tolerance, TOLERANCE[code][left.effective.get("dtype") != "float32"])
        skipped = set(_skipped_steps(left)) & set(_skipped_steps(right))  # counted from 1; their gradients overflowed
        for step, (x, y) in enumerate(list(zip(a, b, strict=True))[: 1 if first_only else None]):
            if code == "grad_norms" and step + 1 in skipped:
                continue
            distance = abs(x - y) / max(abs(x), abs(y), 1e-12) if isfinite(x) and isfinite(y) else float("inf")
            if not distance <= worst:
                worst, where = distance, step
    at = f", step {where}" if code != "eval_loss" and worst else ""
    alone = "step 0 alone: " if first_only else ""
    detail = alone + (f"{worst:.1e} ≤ {tolerance:g}" if worst <= tolerance else f"{worst:.1e} > {tolerance:g}{at}")
    return Check(code, "equal" if worst <= tolerance else "broken", detail)


def _values(code: str, run: Result) -> list[float]:
    if code == "eval_loss":
        return [run.metrics["eval/eval_loss"]] if "eval/eval_loss" in run.metrics else []
    return list(run.parity.get(code) or [])


def check_float32(runs: Sequence[Result]) -> Check:
    kinds = [flatten(run.effective).get("train.adapter_dtype") for run in runs]
    unlike = [f"{run.arm}: {kind}" for run, kind in zip(runs, kinds, strict=True) if kind not in (None, ["float32"])]
    return Check("float32", "broken" if unlike else "unknown" if None in kinds else "equal", "; ".join(unlike[:2]))


def check_finite(runs: Sequence[Result]) -> Check:
    """float16 overflows on a T4: a loss, or another number, that is not finite."""
    broken = [
        f"{run.arm}: {key}"
        for run in runs
        for key, value in run.metrics.items()
        if not isfinite(value) or (key == "train/nonfinite_steps" and value)
    ]
    return Check("finite", "broken" if broken else "equal", "; ".join(list(dict.fromkeys(broken))[:4]))


def check_scaler(pairs: Pairs) -> Iterator[Check]:
    """float16's loss scaler finds its scale by skipping steps: no difference while both arms skip the same ones."""
    skipped = [[_skipped_steps(run) for run in pair] for pair in pairs]
    unlike = next((sides for sides in skipped if sides[0] != sides[1]), None)
    if unlike:
        yield Check("scaler", "broken", " / ".join(f"step {', '.join(map(str, side)) or ABSENT}" for side in unlike))
    elif any(side for sides in skipped for side in sides):
        yield Check("scaler", "equal", f"step {', '.join(map(str, skipped[0][0])) or ABSENT}")


def _skipped_steps(run: Result) -> list[Any]:
    """The numbers of the skipped steps; of a run that recorded only how many, their count."""
    steps = run.parity.get("scaler_skipped_steps")
    count = int(run.metrics.get("train/skipped_steps", 0))
    return list(steps) if steps is not None else [f"× {count}"] if count else []
