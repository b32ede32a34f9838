"""Checks of what must be identical in both arms: hashes, amounts of work, settings, libraries, the machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ohlora.config.identity import flatten
from ohlora.records.result import Result
from ohlora.report.comparison.settings import is_intended, touches

State = Literal["equal", "broken", "asked", "unknown"]
Pairs = Sequence[tuple[Result, Result]]
ABSENT = "—"
MUST_BE_EQUAL = (
    "dtype", "mixed_precision", "quantization", "loss", "optimizer", "batch_size", "steps", "truncated_rows",
    "trainable_parameters", "lora_method", "lora_scale", "gradient_checkpointing", "allocator",
)  # fmt: skip


@dataclass(frozen=True)
class Check:
    """One check of one pair of arms; `detail`: the numbers and names that were found, no sentence."""

    code: str
    state: State
    detail: str = ""


def check_equal(
    code: str, runs: Sequence[Result], read: Callable[[Result], Any], intended: bool, by_seed: bool = False
) -> Check:
    """One value in all runs; `by_seed`: one for each seed."""
    values = [read(run) for run in runs]
    seen: dict[object, dict[str, None]] = {}
    for run, value in zip(runs, values, strict=True):
        if value is not None:
            seen.setdefault(run.requested.get("seed") if by_seed else "", {})[str(value)] = None
    unlike = next((distinct for distinct in seen.values() if len(distinct) > 1), None)
    if unlike:
        return Check(code, "asked" if intended else "broken", " / ".join(_short(value) for value in [*unlike][:3]))
    return Check(code, "unknown") if None in values else Check(code, "equal", _short(str(values[0])))


def check_batches(check: Check, pairs: Pairs) -> Check:
    """The check of the batches' hash; a broken one says at which steps they differ."""
    for left, right in pairs if check.state == "broken" else ():
        steps = list(zip(left.parity.get("batches", []), right.parity.get("batches", []), strict=False))
        unlike = [number for number, (a, b) in enumerate(steps) if a != b]
        if unlike:
            return Check("batches", "broken", f"step {', '.join(map(str, unlike[:5]))}")
    return check


def check_work(pairs: Pairs, asked: Sequence[str], decided_by: dict[str, tuple[str, ...]]) -> Check:
    """Equal numbers of steps, tokens and prompts; `decided_by`: the parts of the configuration that decide each."""
    known = False
    unlike: dict[str, str] = {}
    intended: dict[str, str] = {}
    for left, right in pairs:
        for key, parts in decided_by.items():
            sides = [left.metrics.get(key), right.metrics.get(key)]
            known |= None not in sides
            if sides[0] != sides[1]:
                found = intended if touches(asked, parts) else unlike
                found[key] = f"{key} {' / '.join('—' if side is None else f'{side:g}' for side in sides)}"
    if unlike:
        return Check("work", "broken", "; ".join(unlike.values()))
    return Check("work", "asked" if intended else "equal" if known else "unknown", "; ".join(intended.values()))


def check_settings(runs: Sequence[Result], asked: list[str]) -> Iterator[Check]:
    """The settings in effect that must be equal in every run for a comparison; only those that are not."""
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
    """The value to compare; of checkpointing only whether it is on: how it is done belongs to the back end."""
    if value is None:
        return ABSENT
    return "none" if value == "none" else "on" if name == "gradient_checkpointing" else str(value)


def check_softcap(runs: Sequence[Result]) -> Iterator[Check]:
    """Gemma 2 caps its attention scores; the SDPA path of transformers leaves the cap out."""
    phases = [(run.arm, run.effective.get(phase) or {}) for run in runs for phase in ("infer", "train")]
    capped = [(arm, one) for arm, one in phases if one.get("model_class") == "Gemma2ForCausalLM"]
    dropped = {arm for arm, one in capped if (one.get("attention"), one.get("route")) == ("sdpa", "transformers")}
    if capped:
        yield Check("softcap", "broken" if dropped else "equal", "; ".join(sorted(dropped)))


def check_machine(runs: Sequence[Result]) -> Check:
    """The same processor or GPU and the same memory; a kernel reserves a varying share of main memory."""
    found = check_equal("machine", runs, lambda run: _hardware(run.device), False)
    ram = [run.device["ram_mib"] for run in runs if "ram_mib" in run.device]
    if found.state == "equal" and ram and max(ram) > 1.02 * min(ram):
        return Check("machine", "broken", f"{min(ram):,} / {max(ram):,} MiB")
    return found


def _hardware(device: dict[str, Any]) -> str | None:
    # A CPU's name implies the rest.
    beside = ("cpu", "cores", "vram_mib", "cuda", "uuid") if device.get("type") == "cuda" else ()
    return ", ".join(str(device[key]) for key in ("name", *beside) if key in device) or None


def check_versions(baseline: Sequence[Result], other: Sequence[Result]) -> Check:
    """One version of each library within an arm, and the same in both arms if both have it."""
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


def _short(value: str) -> str:
    """The first digits of a hash; any other text whole."""
    return value[:12] if len(value) == 64 and " " not in value else value
