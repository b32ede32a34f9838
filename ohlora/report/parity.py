"""Did both arms do the same work? Each check says equal, broken, different as asked, or not checked. A broken one
voids the comparison."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite
from typing import Any, Literal

from ohlora.report.headline import WORK
from ohlora.report.settings import asked_to_differ, flat, was_asked
from ohlora.result import Result

State = Literal["equal", "broken", "asked", "unknown"]
Pairs = Sequence[tuple[Result, Result]]
# How far losses, gradient norms and the final evaluation loss may lie apart, relative; by the weights' precision.
# float32: what another order of additions amounts to after a few steps. 16 bit: one rounding is 0.4 % in bfloat16.
TOLERANCE = {"float32": (1e-3, 1e-2, 5e-3), "other": (2e-2, 1e-1, 2e-2)}
# What decides the losses of a training: where the arms were asked to differ, these may. LATER: after step 0.
WEIGHTS = ("model.name", "model.repo", "model.revision", "model.package", "model.lora_targets")
PROMPT = ("model.prompt_format", "model.prompt_template")
TEXT = ("data", *WEIGHTS, *PROMPT, "generation", "trainer.max_length", "trainer.train_rows", "trainer.eval_rows")
TRAINING = (*TEXT, "model.dtype", "lora", "seed", "adapter", "trainer.batch_size")
LATER = (
    "trainer.optimizer", "trainer.learning_rate", "trainer.schedule", "trainer.warmup_ratio", "trainer.weight_decay",
    "trainer.epochs", "trainer.max_steps", "trainer.gradient_accumulation", "trainer.max_grad_norm",
)  # fmt: skip
AMOUNT = ("trainer.batch_size", "trainer.gradient_accumulation", "trainer.epochs", "trainer.max_steps")
MUST_BE_EQUAL = (
    "dtype", "mixed_precision", "quantization", "loss", "optimizer", "batch_size", "steps", "truncated_rows",
    "trainable_parameters",
)  # fmt: skip
SAME_LIBRARIES = ("torch", "transformers", "peft", "trl", "accelerate")


@dataclass(frozen=True)
class Check:
    """One check of one pair of arms; `detail` says what was seen: numbers and names, no sentence."""

    code: str
    state: State
    detail: str = ""


def checks(baseline: Sequence[Result], other: Sequence[Result]) -> list[Check]:
    """All checks between the finished runs of two arms; pairs are runs of the same repeat."""
    by_repeat = {run.repeat: run for run in other}
    pairs = [(run, by_repeat[run.repeat]) for run in baseline if run.repeat in by_repeat]
    if not pairs:
        return []
    asked = asked_to_differ(*pairs[0])
    runs = [*baseline, *other]
    phases = {key.split("/")[0] for run in runs for key in run.metrics}
    found = [_hash("tokens", "tokens", runs, asked, TEXT)]
    if "infer" in phases:
        found.append(_hash("prompts", "prompts", runs, asked, TEXT))
    if "train" in phases:
        found += [
            _batches(pairs, runs, asked),
            _hash("adapter", "adapter_init", runs, asked, (*WEIGHTS, "lora", "seed")),
            _float32(runs),
            _closeness("losses", pairs, asked, lambda run: run.parity.get("losses"), 0),
            _closeness("grad_norms", pairs, asked, lambda run: run.parity.get("grad_norms"), 1),
        ]
    if "eval" in phases:
        found.append(_closeness("eval_loss", pairs, asked, lambda run: _some(run.metrics.get("eval/eval_loss")), 2))
    found += [
        _work(pairs, asked),
        *_settings(runs, asked),
        *_softcap(runs),
        _versions(runs),
        _one_value("weights", [run.model.get("hash") for run in runs], _touched(asked, WEIGHTS), shown=12),
        _one_value("machine", [_machine(run) for run in runs], False),
        _finite(runs),
    ]
    return found


def overlapped(runs: Sequence[Result]) -> Check:
    """Runs that shared the machine with one another measured each other."""
    spans = sorted((r.timings["started"], r.timings["ended"], r.run_id) for r in runs if "ended" in r.timings)
    both = [f"{a[2]} · {b[2]}" for a, b in pairwise(spans) if b[0] < a[1]]
    return Check("alone", "broken" if both else "equal" if spans else "unknown", "; ".join(both[:3]))


def _hash(code: str, key: str, runs: Sequence[Result], asked: list[str], parts: tuple[str, ...]) -> Check:
    return _one_value(code, [run.hashes.get(key) for run in runs], _touched(asked, parts), shown=12)


def _one_value(code: str, values: Sequence[Any], excused: bool, shown: int = 40) -> Check:
    known = [str(value)[:shown] for value in values if value is not None]
    if not known:
        return Check(code, "unknown")
    distinct = list(dict.fromkeys(known))
    if len(distinct) > 1:
        return Check(code, "asked" if excused else "broken", " / ".join(distinct[:3]))
    return Check(code, "equal" if len(known) == len(values) else "unknown", distinct[0])


def _batches(pairs: Pairs, runs: Sequence[Result], asked: list[str]) -> Check:
    check = _hash("batches", "batches", runs, asked, (*TRAINING, *LATER))
    if check.state == "broken":
        for left, right in pairs:
            steps = list(zip(left.parity.get("batches", []), right.parity.get("batches", []), strict=False))
            unlike = [number for number, (a, b) in enumerate(steps) if a != b]
            if unlike:
                return Check("batches", "broken", f"step {', '.join(map(str, unlike[:5]))}")
    return check


def _float32(runs: Sequence[Result]) -> Check:
    kinds = [flat(run.effective).get("train.adapter_dtype") for run in runs]
    unlike = [f"{run.arm}: {kind}" for run, kind in zip(runs, kinds, strict=True) if kind not in (None, ["float32"])]
    known = any(kind is not None for kind in kinds)
    return Check("float32", "broken" if unlike else "equal" if known else "unknown", "; ".join(unlike[:2]))


def _closeness(
    code: str, pairs: Pairs, asked: list[str], read: Callable[[Result], list[float] | None], which: int
) -> Check:
    """The largest relative distance over all pairs and steps, against the tolerance."""
    if _touched(asked, TRAINING):
        return Check(code, "asked")
    later = _touched(asked, LATER)
    if later and code == "eval_loss":
        return Check(code, "asked")
    worst, where, tolerance = 0.0, 0, 0.0
    for left, right in pairs:
        a, b = read(left), read(right)
        if not a or not b:
            return Check(code, "unknown")
        dtype = str(left.effective.get("dtype"))
        tolerance = max(tolerance, TOLERANCE.get(dtype, TOLERANCE["other"])[which])
        for step, (x, y) in enumerate(zip(a[:1] if later else a, b[:1] if later else b, strict=False)):
            distance = abs(x - y) / max(abs(x), abs(y), 1e-12) if isfinite(x) and isfinite(y) else float("inf")
            if not distance <= worst:
                worst, where = distance, step
    at = f", step {where}" if code != "eval_loss" and worst else ""
    detail = f"{worst:.1e} ≤ {tolerance:g}" if worst <= tolerance else f"{worst:.1e} > {tolerance:g}{at}"
    return Check(code, "equal" if worst <= tolerance else "broken", detail)


def _work(pairs: Pairs, asked: list[str]) -> Check:
    if _touched(asked, (*TEXT, *AMOUNT)):
        return Check("work", "asked")
    unlike = {
        key: f"{key} {left.metrics[key]:g} / {right.metrics[key]:g}"
        for left, right in pairs
        for key in WORK
        if key in left.metrics and key in right.metrics and left.metrics[key] != right.metrics[key]
    }
    return Check("work", "broken" if unlike else "equal", "; ".join(unlike.values()))


def _settings(runs: Sequence[Result], asked: list[str]) -> Iterator[Check]:
    """Settings in effect without whose equality nothing may be compared, in every run."""
    effective = [flat(run.effective) for run in runs]
    for name in MUST_BE_EQUAL:
        keys = sorted({key for side in effective for key in side if key.rsplit(".", 1)[-1] == name})
        for key in keys:
            values = {str(side[key]) for side in effective if key in side}
            if len(values) > 1:
                by_arm = {run.arm: str(side[key]) for run, side in zip(runs, effective, strict=True) if key in side}
                detail = ", ".join(f"{arm}: {value}" for arm, value in by_arm.items())
                yield Check(f"setting {key}", "asked" if was_asked(name, asked) else "broken", detail)


def _softcap(runs: Sequence[Result]) -> Iterator[Check]:
    """Gemma 2 caps its attention scores; the SDPA path of transformers leaves the cap out."""
    capped = [run for run in runs if (run.requested.get("model") or {}).get("architecture") == "Gemma2ForCausalLM"]
    dropped = {
        run.arm
        for run in capped
        for phase in ("infer", "train")
        if (run.effective.get(phase) or {}).get("attention") == "sdpa"
        and (run.effective.get(phase) or {}).get("route") == "transformers"
    }
    if capped:
        yield Check("softcap", "broken" if dropped else "equal", "; ".join(sorted(dropped)))


def _machine(run: Result) -> str | None:
    return f"{run.device['name']} {run.device.get('ram_mib', '')}".strip() if "name" in run.device else None


def _versions(runs: Sequence[Result]) -> Check:
    unlike = []
    for name in SAME_LIBRARIES:
        values = sorted({run.versions[name] for run in runs if name in run.versions})
        if len(values) > 1:
            unlike.append(f"{name} {' / '.join(values)}")
    return Check("versions", "broken" if unlike else "equal", "; ".join(unlike))


def _finite(runs: Sequence[Result]) -> Check:
    """fp16 overflows on a T4: a loss that is no number, or a step that the scaler left out."""
    broken = [
        f"{run.arm}: {key}"
        for run in runs
        for key, value in run.metrics.items()
        if not isfinite(value) or (key in ("train/nonfinite_steps", "train/skipped_steps") and value)
    ]
    return Check("finite", "broken" if broken else "equal", "; ".join(list(dict.fromkeys(broken))[:4]))


def _touched(asked: list[str], parts: tuple[str, ...]) -> bool:
    return any(key == part or key.startswith(f"{part}.") for key in asked for part in parts)


def _some(value: float | None) -> list[float] | None:
    return None if value is None else [value]
