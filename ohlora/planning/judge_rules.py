"""The rules of task=judge and task=final: which adapter, which seeds, and what other tasks must not be given."""

from __future__ import annotations

from collections.abc import Iterator

from ohlora.config.schema import Config
from ohlora.config.tasks import TASKS

ADAPTER_TASKS = ("infer", "judge")


def judge_problems(c: Config) -> Iterator[str]:
    """Every rule that this configuration breaks."""
    task = TASKS.get(c.task.name)
    if task is None:
        return
    if c.adapter is not None and c.task.name not in ADAPTER_TASKS:
        yield f"adapter={c.adapter}: only task=infer and task=judge use an adapter; remove it or give one of them"
    if c.adapter is None and c.task.name == "judge":
        yield "adapter=null: task=judge judges an adapter; give adapter=<run directory of a training>"
    if task.judges:
        yield from _judging(c)
        return
    if c.judge.against is not None:
        yield f"judge.against={c.judge.against}: only task=judge judges; remove it, or give task=judge"
    if c.judge.seeds:
        yield f"judge.seeds={c.judge.seeds}: only task=judge and task=final judge; remove it, or give one of them"


def _judging(c: Config) -> Iterator[str]:
    name = c.task.name
    if c.judge.seeds and not c.decoding.do_sample:
        yield (
            f"judge.seeds={c.judge.seeds}: decoding={c.decoding.name} gives the same answer with every seed; give "
            "decoding=sample, or remove judge.seeds"
        )
    if len(set(c.judge.seeds)) < len(c.judge.seeds) or any(seed < 0 for seed in c.judge.seeds):
        yield f"judge.seeds={c.judge.seeds}: must be different numbers >= 0"
    if c.generation.min_new_tokens > 0:
        yield (
            f"generation.min_new_tokens={c.generation.min_new_tokens}: task={name} judges answers that end by "
            "themselves; give generation=judged"
        )
    if c.compare.arms:
        yield f"compare.arms: task={name} compares two sides by itself; remove compare.arms, or give task=train"
