"""The task registry: what `task=` can be, and how each is run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Phase:
    """One child process. `module` has `run(job) -> None`, imported in the child only; `backend`: it loads one."""

    name: str
    module: str
    backend: bool = True


@dataclass(frozen=True)
class Task:
    """How a task is run.

    phases: the child processes, in order, after those that make a missing model or missing tokens;
    tracked: it makes a run in MLflow.
    """

    phases: tuple[Phase, ...]
    tracked: bool = True


PREPARE = Phase("prepare", "ohlora.tasks.prepare", backend=False)
TOKENIZE = Phase("tokenize", "ohlora.tasks.tokenize", backend=False)
INFER = Phase("infer", "ohlora.tasks.infer")
TRAIN = Phase("train", "ohlora.tasks.train")

TASKS: dict[str, Task] = {
    "benchmark": Task((INFER, TRAIN)),
    "train": Task((TRAIN,)),
    "infer": Task((INFER,)),
    "prepare": Task((PREPARE,), tracked=False),
}

PHASES: dict[str, Phase] = {phase.name: phase for phase in (PREPARE, TOKENIZE, INFER, TRAIN)}
