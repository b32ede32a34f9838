"""python benchmarks/profile_step.py: where one step of training and one of answering goes, before and with ours.

The parts in turn on the same model (gemma3-270m, bfloat16, rank 64, no trainer around it), medians of the steps after
the first three; half of the tokens have loss. Writes experiments/speed/step.md. Needs the prepared model. A CPU only.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM
from trl.trainer import sft_trainer

from ohlora.files import write_atomic
from ohlora.generation.batches import BatchGenerator
from ohlora.measure.device import describe
from ohlora.measure.matmul import matmul_peak
from ohlora.models.architectures import ARCHITECTURES
from ohlora.report.markdown import markdown
from ohlora.report.provenance import code_version
from ohlora.training.fast import share_inputs
from ohlora.training.flops import training_cost
from ohlora.training.head_loss import head_loss

SIZES = ((2, 46), (8, 128))
STEPS, LEFT_OUT = 11, 3
PARTS = ("decoder forward", "LM head and loss", "backward", "optimizer")
ROWS, PROMPT, ANSWER = 32, 30, 40  # of the table of answering
STOP, PAD = 1, 0
Loss = Callable[[Any, Any, Any], Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split(": ", 1)[1].splitlines()[0])
    parser.add_argument("--models", type=Path, default=Path("models"), help="where gemma3-270m was prepared")
    parser.add_argument("--out", type=Path, default=Path("experiments/speed/step.md"))
    given = parser.parse_args()
    folder = given.models / "gemma3-270m"
    if not (folder / "config.json").is_file():
        sys.exit(f"error: {folder} is missing; run: python -m ohlora.run task=prepare")
    answering = _profile_answers(AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).eval())
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16, local_files_only=True)
    targets = list(ARCHITECTURES[type(model).__name__].targets)
    model = get_peft_model(
        model, LoraConfig(r=64, lora_alpha=64, target_modules=targets, task_type="CAUSAL_LM")
    ).train()
    with tempfile.TemporaryDirectory() as cache:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache
        training = _profile_training(model)
    text = "\n".join(
        [
            "# Where a step goes",
            "",
            f"Device: {describe('cpu')['name']}, {time.strftime('%Y-%m-%d')}; code {code_version()['commit']}. Written "
            "by `python benchmarks/profile_step.py`; milliseconds, medians.",
            "",
            "## Training",
            "",
            "Share: of the measured matmul speed, reached with the least work that the step needs. Compiled: every "
            "layer by `torch.compile(dynamic=True)`, since rows differ in length; nothing was compiled before.",
            "",
            training,
            "",
            "## Answering",
            "",
            f"Prompts of {PROMPT} tokens, {ANSWER} new ones; one step gives each row of the batch one token.",
            "",
            answering,
            "",
        ]
    )
    write_atomic(given.out, text)
    print(text)


def _profile_training(model: Any) -> str:
    variants: list[tuple[str, Loss, bool]] = [
        ("TRL's chunked_nll", _trl_loss, False), ("ours (fast)", _our_loss, True), ("ours, compiled", _our_loss, True),
    ]  # fmt: skip
    peak, cost, rows = matmul_peak("cpu", "bfloat16"), training_cost(model), []
    assert peak
    for name, loss, shared in variants:
        share_inputs(model, shared)
        if "compiled" in name:
            for layer in model.get_base_model().model.layers:
                layer.forward = torch.compile(layer.forward, dynamic=True)
        for batch, length in SIZES:
            steps = _steps(model, batch, length, loss)
            spent = [1000 * median(part[LEFT_OUT:]) for part in zip(*steps, strict=True)]
            work = batch * length * cost.per_token + batch * (length - length // 2) * cost.per_loss_token
            share = work / (sum(spent) / 1000 * peak)
            milliseconds = [f"{ms:,.0f}" for ms in [*spent, sum(spent)]]
            rows.append([f"{batch} × {length}", name, *milliseconds, f"{share:.2f}", f"{sum(steps[0]):.1f} s"])
    rows.sort(key=lambda row: row[0])
    return markdown(["rows × tokens", "loss", *PARTS, "step", "share", "first step"], rows)


def _profile_answers(model: Any) -> str:
    """A step of `generate` with one prompt, and of ours with many."""
    torch.manual_seed(0)
    prompts = torch.randint(5, 250_000, (ROWS, PROMPT)).tolist()
    rows = []
    for name, size in (("one by one, `generate`", 1), ("ours, in batches", ROWS)):
        generate = BatchGenerator(model, ANSWER, ANSWER, [STOP], PAD, size=str(size), by_generate=False)
        decoder, head = _timed_calls(model.model), _timed_calls(model.lm_head)
        generate(prompts[: max(size, 4)])
        step = 1000 * median(after - before for before, after in pairwise(start for start, _ in decoder))
        parts = [1000 * median(end - start for start, end in calls) for calls in (decoder, head)]
        cells = [*parts, step - sum(parts), step, step / size]
        rows.append([name, str(size), *(f"{ms:,.1f}" for ms in cells)])
    return markdown(["", "rows", "decoder", "LM head", "the rest", "step", "a token"], rows)


def _timed_calls(module: Any) -> list[tuple[float, float]]:
    """(start, end) of every call of it from now on."""
    calls: list[tuple[float, float]] = []
    begun = []
    module.register_forward_pre_hook(lambda *_: begun.append(time.perf_counter()))
    module.register_forward_hook(lambda *_: calls.append((begun.pop(), time.perf_counter())))
    return calls


def _our_loss(hidden: Any, labels: Any, head: Any) -> Any:
    return head_loss(hidden, labels, head.weight) / (labels[:, 1:] != -100).sum()


def _trl_loss(hidden: Any, labels: Any, head: Any) -> Any:
    chunk = sft_trainer._CHUNKED_LM_HEAD_CHUNK_SIZE
    return sft_trainer._chunked_cross_entropy_loss(hidden, head.weight, chunk, labels=labels)[0]


def _steps(model: Any, rows: int, length: int, loss: Loss) -> list[list[float]]:
    """Seconds of each part, for every step."""
    torch.manual_seed(0)
    base = model.get_base_model()
    ids = torch.randint(5, 250_000, (rows, length))
    labels = ids.clone()
    labels[:, : length // 2] = -100
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=2e-4, fused=True)
    found = []
    for _ in range(STEPS):
        times = [time.perf_counter()]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            hidden = base.base_model(
                input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False
            ).last_hidden_state
            times.append(time.perf_counter())
            value = loss(hidden, labels, base.get_output_embeddings())
        times.append(time.perf_counter())
        value.backward()
        times.append(time.perf_counter())
        optimizer.step()
        optimizer.zero_grad()
        times.append(time.perf_counter())
        found.append([after - before for before, after in pairwise(times)])
    return found


if __name__ == "__main__":
    main()
