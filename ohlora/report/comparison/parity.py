"""Did both arms do the same work? Each check is equal, broken, different as intended, or not checked. A broken one
voids the comparison."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from ohlora.records.result import Result
from ohlora.report.comparison.closeness import check_closeness, check_finite, check_float32, check_scaler
from ohlora.report.comparison.equality import (
    Check,
    Pairs,
    check_batches,
    check_equal,
    check_machine,
    check_settings,
    check_softcap,
    check_versions,
    check_work,
)
from ohlora.report.comparison.settings import list_requested_differences, touches

# The parts of the configuration that decide the value of a check: if those differ, a difference is intended.
WEIGHTS = ("model.name", "model.repo", "model.revision", "model.package", "model.lora_targets")
PROMPT = ("model.prompt_format", "model.prompt_template")
ROWS = ("data", *WEIGHTS, *PROMPT, "trainer.max_length", "trainer.train_rows")
ASKED = (*ROWS, "trainer.eval_rows", "generation.prompts", "generation.split", "generation.ask")
AMOUNT = ("trainer.batch_size", "trainer.gradient_accumulation", "trainer.epochs", "trainer.max_steps")
ADAPTER = (*WEIGHTS, "lora", "seed")
TRAINING = (*ROWS, "model.dtype", "lora", "seed", "trainer.batch_size")
LATER = (  # these do not change the first step
    "trainer.optimizer", "trainer.learning_rate", "trainer.schedule", "trainer.warmup_ratio", "trainer.weight_decay",
    "trainer.epochs", "trainer.max_steps", "trainer.gradient_accumulation", "trainer.max_grad_norm",
)  # fmt: skip
WORK_BY = {
    "infer/prompts": ASKED,
    "infer/generated_tokens": (*ASKED, "generation", "decoding"),
    "train/train_steps": ("data", "trainer.train_rows", *AMOUNT),
    "train/train_tokens": (*ROWS, *AMOUNT),
    "train/padding_ratio": (*ROWS, *AMOUNT, "seed"),
}


def match_pairs(baseline: Sequence[Result], other: Sequence[Result]) -> list[tuple[Result, Result]]:
    """Pairs of runs of two arms with the same repeat and redo."""
    partners = {(run.repeat, run.redo): run for run in other}
    return [(run, partners[run.repeat, run.redo]) for run in baseline if (run.repeat, run.redo) in partners]


def run_checks(baseline: Sequence[Result], other: Sequence[Result]) -> list[Check]:
    """All checks between the finished runs of two arms."""
    pairs = match_pairs(baseline, other)
    if not pairs:
        return []
    asked, runs = list_requested_differences(*pairs[0]), [*baseline, *other]
    phases = {key.split("/")[0] for run in runs for key in run.metrics}
    found = [check_equal("tokens", runs, lambda run: run.hashes.get("tokens"), touches(asked, ASKED))]
    if "infer" in phases:
        found.append(check_equal("prompts", runs, lambda run: run.hashes.get("prompts"), touches(asked, ASKED)))
    found += _check_training(pairs, runs, asked) if "train" in phases else []
    if "eval" in phases:
        is_other = touches(asked, (*LATER, *TRAINING, "trainer.eval_rows"))
        found.append(Check("eval_loss", "asked") if is_other else check_closeness("eval_loss", pairs))
    return [
        *found,
        check_work(pairs, asked, WORK_BY),
        *check_settings(runs, asked),
        *check_softcap(runs),
        check_versions(baseline, other),
        check_equal("weights", runs, lambda run: run.model.get("hash"), touches(asked, WEIGHTS)),
        check_machine(runs),
        check_equal("threads", runs, lambda run: run.device.get("threads"), touches(asked, ("launch.threads",))),
        check_finite(runs),
        *check_scaler(pairs),
    ]


def check_overlap(runs: Sequence[Result]) -> Check:
    """No two runs at the same time: they would have measured each other."""
    spans = sorted((r.timings["started"], r.timings["ended"], r.run_id) for r in runs if "ended" in r.timings)
    both = [f"{a[2]} · {b[2]}" for a, b in pairwise(spans) if b[0] < a[1]]
    return Check("alone", "broken" if both else "equal" if spans else "unknown", "; ".join(both[:3]))


def _check_training(pairs: Pairs, runs: Sequence[Result], asked: list[str]) -> list[Check]:
    by_seed, order = not touches(asked, ("seed",)), (*ROWS, *AMOUNT, "seed")
    batches = check_equal("batches", runs, lambda run: run.hashes.get("batches"), touches(asked, order), by_seed)
    adapter = check_equal("adapter", runs, lambda run: run.hashes.get("adapter_init"), touches(asked, ADAPTER), by_seed)
    found = [check_batches(batches, pairs), adapter, check_float32(runs)]
    is_other = touches(asked, TRAINING)
    for code in ("losses", "grad_norms"):
        found.append(Check(code, "asked") if is_other else check_closeness(code, pairs, touches(asked, LATER)))
    return found
