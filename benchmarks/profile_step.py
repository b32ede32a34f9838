"""python benchmarks/profile_step.py: where one training step goes, with TRL's loss and with ours.

Both losses in turn on the same model (gemma3-270m, bfloat16, rank 64, no trainer around it), medians of the steps after
the first three; half of the tokens have loss. Writes experiments/speed/step.md. Needs the prepared model. A CPU only.
"""

from __future__ import annotations

import argparse
import sys
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
from ohlora.measure.device import describe
from ohlora.models.architectures import ARCHITECTURES
from ohlora.report.provenance import code_version
from ohlora.training.fast import share_inputs
from ohlora.training.head_loss import head_loss

SIZES = ((2, 46), (8, 128))
STEPS, LEFT_OUT = 11, 3
PARTS = ("decoder forward", "LM head and loss", "backward", "optimizer")
Loss = Callable[[Any, Any, Any], Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split(": ", 1)[1].splitlines()[0])
    parser.add_argument("--models", type=Path, default=Path("models"), help="where gemma3-270m was prepared")
    parser.add_argument("--out", type=Path, default=Path("experiments/speed/step.md"))
    given = parser.parse_args()
    folder = given.models / "gemma3-270m"
    if not (folder / "config.json").is_file():
        sys.exit(f"error: {folder} is missing; run: python -m ohlora.run task=prepare")
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16, local_files_only=True)
    targets = list(ARCHITECTURES[type(model).__name__].targets)
    model = get_peft_model(
        model, LoraConfig(r=64, lora_alpha=64, target_modules=targets, task_type="CAUSAL_LM")
    ).train()
    losses: dict[str, tuple[Loss, bool]] = {"TRL's chunked_nll": (_trl_loss, False), "ours (fast)": (_our_loss, True)}
    lines = [
        "# Where a training step goes",
        "",
        f"Device: {describe('cpu')['name']}, {time.strftime('%Y-%m-%d')}; code {code_version()['commit']}. Written by "
        "`python benchmarks/profile_step.py`; milliseconds, medians.",
        "",
        f"| rows × tokens | loss | {' | '.join(PARTS)} | step |",
        f"| --- {'| --- ' * (len(PARTS) + 2)}|",
    ]
    for rows, length in SIZES:
        for name, (loss, shared) in losses.items():
            share_inputs(model, shared)
            spent = [1000 * median(part[LEFT_OUT:]) for part in zip(*_steps(model, rows, length, loss), strict=True)]
            lines.append(f"| {rows} × {length} | {name} | {' | '.join(f'{ms:,.0f}' for ms in [*spent, sum(spent)])} |")
    text = "\n".join([*lines, ""])
    write_atomic(given.out, text)
    print(text)


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
