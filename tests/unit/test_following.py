"""Values that follow another unless given: alpha the rank, the least tokens of an answer the most; and the warm-up.

Run: python -m pytest tests/unit/test_following.py
"""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from transformers import get_scheduler

from ohlora.config.compose import compose_config
from ohlora.config.identity import run_id
from ohlora.config.paths import options
from ohlora.config.schema import Config
from ohlora.planning.plan import to_plain
from ohlora.planning.validate import validate
from ohlora.studies.sweep import plan_sweep
from ohlora.tasks.train import sft_settings

STEPS = 40
# Of configurations as they were when every option named its own alpha and its least tokens: their runs stay found.
IDENTITIES = {
    (): "arm-r0-51b87d0913",
    ("experiment=model_selection",): "arm-r0-e80ddbca67",
    ("lora=dora",): "arm-r0-c2a7dc08c8",
    ("lora=r16", "trainer=smoke", "experiment=smoke"): "arm-r0-e555891971",
    ("task=infer", "lora=none", "generation.batch=1"): "arm-r0-5ebc0b661d",
    ("lora=rslora",): "arm-r0-5bd5acbf58",
    ("lora=qlora", "generation=selection"): "arm-r0-2f8218ad31",
}


def config(*overrides: str) -> Config:
    return validate(compose_config(list(overrides)))


@pytest.mark.parametrize("option", options("lora"))
def test_options_keep_their_alpha(option: str) -> None:
    lora = config(f"lora={option}", "task=infer").lora
    assert (lora.rank, lora.alpha) == {"none": (0, 0), "r16": (16, 16), "r32": (32, 32), "r128": (128, 128)}.get(
        option, (64, 64)
    )


@pytest.mark.parametrize("option", sorted({*options("lora")} - {"none", "rslora"}))
def test_alpha_follows_the_rank_unless_given(option: str) -> None:
    assert config(f"lora={option}", "lora.rank=8").lora.alpha == 8
    assert config(f"lora={option}", "lora.rank=8", "lora.alpha=32").lora.alpha == 32


def test_alpha_of_rslora_stays_with_another_rank() -> None:
    assert config("lora=rslora", "lora.rank=8").lora.alpha == 64


def test_a_sweep_over_ranks_keeps_one_scale() -> None:
    plans = plan_sweep(["lora.rank=8,16,32", "task=train", "tracking=none"])[1]
    assert [plan.config.lora.alpha / plan.config.lora.rank for plan in plans] == [1, 1, 1]


@pytest.mark.parametrize("overrides", IDENTITIES)
def test_run_ids_stay(overrides: tuple[str, ...]) -> None:
    assert run_id(to_plain(compose_config(list(overrides))), "arm", 0) == IDENTITIES[overrides]


@pytest.mark.parametrize(("option", "most"), [("timed", 40), ("selection", 80)])
def test_every_answer_of_a_timed_run_is_equally_long(option: str, most: int) -> None:
    generation = config(f"generation={option}").generation
    assert (generation.min_new_tokens, generation.max_new_tokens) == (most, most)
    longer = config(f"generation={option}", "generation.max_new_tokens=100").generation
    assert (longer.min_new_tokens, longer.max_new_tokens) == (100, 100)


def rates(*overrides: str) -> list[float]:
    """The learning rate of each step, as a share of the greatest, with the arguments that the trainer is given."""
    from trl import SFTConfig

    arguments: dict[str, Any] = sft_settings(config("task=train", *overrides).trainer, 42, "cpu", "float32", "unused")
    made = SFTConfig(**arguments)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = get_scheduler(made.lr_scheduler_type, optimizer, made.get_warmup_steps(STEPS), STEPS)
    found = []
    for _ in range(STEPS):
        found.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    return found


@pytest.mark.parametrize("schedule", ["linear", "cosine", "constant"])
@pytest.mark.parametrize(("ratio", "steps"), [(1.0, STEPS), (0.5, STEPS // 2), (0.01, 1), (0.0, 0)])
def test_the_warm_up_is_that_share_of_the_run(schedule: str, ratio: float, steps: int) -> None:
    found = rates(f"trainer.schedule={schedule}", f"trainer.warmup_ratio={ratio}")
    assert found[:steps] == pytest.approx([step / steps for step in range(steps)])
    assert steps == STEPS or found[steps] == pytest.approx(1.0)


@pytest.mark.parametrize("steps", [1, 2, 7, 1000, 123_457])
def test_the_whole_run_is_every_step(steps: int) -> None:
    trainer = config("task=train", "trainer.warmup_ratio=1").trainer
    share = sft_settings(trainer, 42, "cpu", "float32", "unused")["warmup_steps"]
    assert share < 1 and math.ceil(share * steps) == steps
