"""Did both arms do the same work? Each check says equal, broken, different as asked, or not checked. A broken one
voids the comparison."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite
from typing import Any, Literal

from ohlora.config.identity import flatten
from ohlora.records.result import Result
from ohlora.report.comparison.headline import WORK
from ohlora.report.comparison.settings import asked_to_differ, is_intended

State = Literal["equal", "broken", "asked", "unknown"]
Pairs = Sequence[tuple[Result, Result]]
# How far losses, gradient norms and the final evaluation loss may lie apart, relative; by the weights' precision.
# float32: what another order of additions amounts to after a few steps. 16 bit: one rounding is 0.4 % in bfloat16.
ABSENT = "—"
TOLERANCE = {"float32": (1e-3, 1e-2, 5e-3), "other": (2e-2, 1e-1, 2e-2)}
# The parts of the configuration that decide what a check looks at: where the arms were asked to differ there, it may.
WEIGHTS = ("model.name", "model.repo", "model.revision", "model.package", "model.lora_targets")
PROMPT = ("model.prompt_format", "model.prompt_template")
ROWS = ("data", *WEIGHTS, *PROMPT, "trainer.max_length", "trainer.train_rows")
ASKED = (*ROWS, "trainer.eval_rows", "generation.prompts", "generation.split", "generation.ask")
AMOUNT = ("trainer.batch_size", "trainer.gradient_accumulation", "trainer.epochs", "trainer.max_steps")
ADAPTER = (*WEIGHTS, "lora", "seed")
TRAINING = (*ROWS, "model.dtype", "lora", "seed", "trainer.batch_size")
LATER = (  # not the first step's
    "trainer.optimizer", "trainer.learning_rate", "trainer.schedule", "trainer.warmup_ratio", "trainer.weight_decay",
    "trainer.epochs", "trainer.max_steps", "trainer.gradient_accumulation", "trainer.max_grad_norm",
)  # fmt: skip
WORK_BY = {
    "infer/prompts": ASKED,
    "infer/generated_tokens": (*ASKED, "generation"),
    "train/train_steps": ("data", "trainer.train_rows", *AMOUNT),
    "train/train_tokens": (*ROWS, *AMOUNT),
    "train/padding_ratio": (*ROWS, *AMOUNT, "seed"),
}
MUST_BE_EQUAL = (
    "dtype", "mixed_precision", "quantization", "loss", "optimizer", "batch_size", "steps", "truncated_rows",
    "trainable_parameters", "lora_method", "lora_scale", "gradient_checkpointing", "allocator",
)  # fmt: skip


@dataclass(frozen=True)
class Check:
    """One check of one pair of arms; `detail` says what was seen: numbers and names, no sentence."""

    code: str
    state: State
    detail: str = ""


def pairs_of(baseline: Sequence[Result], other: Sequence[Result]) -> list[tuple[Result, Result]]:
    """The runs of two arms that have the same repeat and were made again as often, as pairs."""
    partners = {(run.repeat, run.redo): run for run in other}
    return [(run, partners[run.repeat, run.redo]) for run in baseline if (run.repeat, run.redo) in partners]


def checks(baseline: Sequence[Result], other: Sequence[Result]) -> list[Check]:
    """All checks between the finished runs of two arms."""
    pairs = pairs_of(baseline, other)
    if not pairs:
        return []
    asked = asked_to_differ(*pairs[0])
    runs = [*baseline, *other]
    phases = {key.split("/")[0] for run in runs for key in run.metrics}
    found = [_hash("tokens", "tokens", runs, asked, ASKED)]
    if "infer" in phases:
        found.append(_hash("prompts", "prompts", runs, asked, ASKED))
    if "train" in phases:
        found += [
            _batches(pairs, runs, asked),
            _hash_by_seed("adapter", "adapter_init", runs, asked, ADAPTER),
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
        _versions(baseline, other),
        _one_value("weights", [run.model.get("hash") for run in runs], _touched(asked, WEIGHTS)),
        _machine(runs),
        _one_value("threads", [run.device.get("threads") for run in runs], _touched(asked, ("launch.threads",))),
        _finite(runs),
        *_scaler(pairs),
    ]
    return found


def overlapped(runs: Sequence[Result]) -> Check:
    """Runs that shared the machine with one another measured each other."""
    spans = sorted((r.timings["started"], r.timings["ended"], r.run_id) for r in runs if "ended" in r.timings)
    both = [f"{a[2]} · {b[2]}" for a, b in pairwise(spans) if b[0] < a[1]]
    return Check("alone", "broken" if both else "equal" if spans else "unknown", "; ".join(both[:3]))


def _hash(code: str, key: str, runs: Sequence[Result], asked: list[str], parts: tuple[str, ...]) -> Check:
    return _one_value(code, [run.hashes.get(key) for run in runs], _touched(asked, parts))


def _hash_by_seed(code: str, key: str, runs: Sequence[Result], asked: list[str], parts: tuple[str, ...]) -> Check:
    """The same where pairs differ in the seed: one value for each."""
    if _touched(asked, ("seed",)):
        return _hash(code, key, runs, asked, parts)
    seeds = dict.fromkeys(run.requested.get("seed") for run in runs)
    found = [_hash(code, key, [run for run in runs if run.requested.get("seed") == s], asked, parts) for s in seeds]
    return next(check for state in ("broken", "asked", "unknown", "equal") for check in found if check.state == state)


def _one_value(code: str, values: Sequence[Any], intended: bool) -> Check:
    known = [str(value) for value in values if value is not None]
    distinct = list(dict.fromkeys(known))
    if len(distinct) > 1:
        return Check(code, "asked" if intended else "broken", " / ".join(_short(value) for value in distinct[:3]))
    if len(known) < len(values):
        return Check(code, "unknown")
    return Check(code, "equal", _short(distinct[0]))


def _short(value: str) -> str:
    """A hash by its beginning; anything else whole."""
    return value[:12] if len(value) == 64 and " " not in value else value


def _batches(pairs: Pairs, runs: Sequence[Result], asked: list[str]) -> Check:
    check = _hash_by_seed("batches", "batches", runs, asked, (*ROWS, *AMOUNT, "seed"))
    if check.state == "broken":
        for left, right in pairs:
            steps = list(zip(left.parity.get("batches", []), right.parity.get("batches", []), strict=False))
            unlike = [number for number, (a, b) in enumerate(steps) if a != b]
            if unlike:
                return Check("batches", "broken", f"step {', '.join(map(str, unlike[:5]))}")
    return check


def _float32(runs: Sequence[Result]) -> Check:
    kinds = [flatten(run.effective).get("train.adapter_dtype") for run in runs]
    unlike = [f"{run.arm}: {kind}" for run, kind in zip(runs, kinds, strict=True) if kind not in (None, ["float32"])]
    return Check("float32", "broken" if unlike else "unknown" if None in kinds else "equal", "; ".join(unlike[:2]))


def _closeness(
    code: str, pairs: Pairs, asked: list[str], read: Callable[[Result], list[float] | None], which: int
) -> Check:
    """The largest relative distance over all pairs and steps, against the tolerance."""
    later = _touched(asked, LATER)
    ends = code == "eval_loss" and (later or _touched(asked, ("trainer.eval_rows",)))
    if ends or _touched(asked, TRAINING):
        return Check(code, "asked")
    worst, where, tolerance = 0.0, 0, 0.0
    for left, right in pairs:
        a, b = read(left), read(right)
        if not a or not b or len(a) != len(b):
            return Check(code, "unknown")
        dtype = str(left.effective.get("dtype"))
        tolerance = max(tolerance, TOLERANCE.get(dtype, TOLERANCE["other"])[which])
        skipped = set(_skipped_steps(left)) & set(_skipped_steps(right))  # counted from 1; their gradients overflowed
        for step, (x, y) in enumerate(list(zip(a, b, strict=True))[: 1 if later else None]):
            if code == "grad_norms" and step + 1 in skipped:
                continue
            distance = abs(x - y) / max(abs(x), abs(y), 1e-12) if isfinite(x) and isfinite(y) else float("inf")
            if not distance <= worst:
                worst, where = distance, step
    at = f", step {where}" if code != "eval_loss" and worst else ""
    alone = "step 0 alone: " if later else ""
    detail = alone + (f"{worst:.1e} ≤ {tolerance:g}" if worst <= tolerance else f"{worst:.1e} > {tolerance:g}{at}")
    return Check(code, "equal" if worst <= tolerance else "broken", detail)


def _work(pairs: Pairs, asked: list[str]) -> Check:
    known = False
    unlike: dict[str, str] = {}
    intended: dict[str, str] = {}
    for left, right in pairs:
        for key in WORK:
            sides = [left.metrics.get(key), right.metrics.get(key)]
            known |= None not in sides
            if sides[0] != sides[1]:
                found = intended if _touched(asked, WORK_BY[key]) else unlike
                found[key] = f"{key} {' / '.join('—' if side is None else f'{side:g}' for side in sides)}"
    if unlike:
        return Check("work", "broken", "; ".join(unlike.values()))
    return Check("work", "asked" if intended else "equal" if known else "unknown", "; ".join(intended.values()))


def _settings(runs: Sequence[Result], asked: list[str]) -> Iterator[Check]:
    """Settings in effect without whose equality nothing may be compared, in every run; only what is not equal."""
    effective = [flatten(run.effective) for run in runs]
    for name in MUST_BE_EQUAL:
        for key in sorted({key for side in effective for key in side if key.rsplit(".", 1)[-1] == name}):
            by_arm = {run.arm: _value(name, side.get(key)) for run, side in zip(runs, effective, strict=True)}
            values = {_value(name, side.get(key)) for side in effective}
            if values == {*values, ABSENT} and len(values) == 2:
                yield Check(f"setting {key}", "unknown")
            elif len(values) > 1:
                detail = ", ".join(f"{arm}: {value}" for arm, value in by_arm.items())
                yield Check(f"setting {key}", "asked" if is_intended(name, asked) else "broken", detail)


def _value(name: str, value: Any) -> str:
    """As it is compared: of checkpointing, that it is on; who recomputes is what a back end is."""
    if value is None:
        return ABSENT
    return "none" if value == "none" else "on" if name == "gradient_checkpointing" else str(value)


def _softcap(runs: Sequence[Result]) -> Iterator[Check]:
    """Gemma 2 caps its attention scores; the SDPA path of transformers leaves the cap out."""
    phases = ("infer", "train")
    capped = [
        run
        for run in runs
        if "Gemma2ForCausalLM" in [(run.effective.get(phase) or {}).get("model_class") for phase in phases]
    ]
    dropped = {
        run.arm
        for run in capped
        for phase in phases
        if (run.effective.get(phase) or {}).get("attention") == "sdpa"
        and (run.effective.get(phase) or {}).get("route") == "transformers"
    }
    if capped:
        yield Check("softcap", "broken" if dropped else "equal", "; ".join(sorted(dropped)))


def _machine(runs: Sequence[Result]) -> Check:
    """The same processor or GPU and as much memory; of main memory a kernel keeps a varying share for itself."""
    found = _one_value("machine", [_hardware(run.device) for run in runs], False)
    ram = [run.device["ram_mib"] for run in runs if "ram_mib" in run.device]
    if found.state == "equal" and ram and max(ram) > 1.02 * min(ram):
        return Check("machine", "broken", f"{min(ram):,} / {max(ram):,} MiB")
    return found


def _hardware(device: dict[str, Any]) -> str | None:
    # A CPU's name says the rest of it.
    beside = ("cpu", "cores", "vram_mib", "cuda", "uuid") if device.get("type") == "cuda" else ()
    return ", ".join(str(device[key]) for key in ("name", *beside) if key in device) or None


def _versions(baseline: Sequence[Result], other: Sequence[Result]) -> Check:
    """Every library the same in all runs of an arm, and what both arms have the same in both."""
    sides = [{(name, v) for run in arm for name, v in run.versions.items()} for arm in (baseline, other)]
    names = [{name for name, _ in side} for side in sides]
    found: dict[str, set[str]] = {}
    for name in sorted(names[0] | names[1]):
        both = name in names[0] & names[1]
        for together in [sides[0] | sides[1]] if both else sides:
            versions = {v for n, v in together if n == name}
            if len(versions) > 1:
                found[name] = versions
    detail = "; ".join(f"{name} {' / '.join(sorted(versions))}" for name, versions in found.items())
    whole = all(run.versions for run in (*baseline, *other))
    return Check("versions", "broken" if found else "equal" if whole else "unknown", detail)


def _finite(runs: Sequence[Result]) -> Check:
    """float16 overflows on a T4: a loss, or another number, that is not finite."""
    broken = [
        f"{run.arm}: {key}"
        for run in runs
        for key, value in run.metrics.items()
        if not isfinite(value) or (key == "train/nonfinite_steps" and value)
    ]
    return Check("finite", "broken" if broken else "equal", "; ".join(list(dict.fromkeys(broken))[:4]))


def _scaler(pairs: Pairs) -> Iterator[Check]:
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


def _touched(asked: list[str], parts: tuple[str, ...]) -> bool:
    return any(key == part or key.startswith(f"{part}.") for key in asked for part in parts)


def _some(value: float | None) -> list[float] | None:
    return None if value is None else [value]
