"""The task registry: the values of `task=` and how each runs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Phase:
    """One child process. `module` has `run(job) -> None`, imported in the child; `backend`: it loads a back end."""

    name: str
    module: str
    backend: bool = True


@dataclass(frozen=True)
class Task:
    """How a task is run.

    phases: the child processes, in order; prepare and tokenize run first where needed;
    tracked: it creates an MLflow run;
    parent: instead of phases, a module with `show(config) -> (exit code, text)` that runs in the parent, without a run;
    study: a module with `run_study(config, overrides, folder) -> exit code`, which plans several runs by itself.
    """

    phases: tuple[Phase, ...] = ()
    tracked: bool = True
    parent: str = ""
    study: str = ""

    @property
    def trains(self) -> bool:
        return TRAIN in self.phases

    @property
    def judges(self) -> bool:
        return JUDGE in self.phases


PREPARE = Phase("prepare", "ohlora.tasks.prepare", backend=False)
TOKENIZE = Phase("tokenize", "ohlora.tasks.tokenize", backend=False)
INFER = Phase("infer", "ohlora.tasks.infer")
TRAIN = Phase("train", "ohlora.tasks.train")
ANSWER = Phase("answer", "ohlora.tasks.answer")
JUDGE_FIRST = Phase("judge_first", "ohlora.tasks.judge_side")
JUDGE_SECOND = Phase("judge_second", "ohlora.tasks.judge_side")
JUDGE = Phase("judge", "ohlora.tasks.judge", backend=False)
INSPECT = Phase("inspect_data", "ohlora.tasks.inspect_data", backend=False)

TASKS: dict[str, Task] = {
    "benchmark": Task((INFER, TRAIN)),
    "train": Task((TRAIN,)),
    "infer": Task((INFER,)),
    "selection": Task((INFER, TRAIN, ANSWER)),
    "judge": Task((JUDGE_FIRST, JUDGE_SECOND, JUDGE)),
    "final": Task((TRAIN, JUDGE_FIRST, JUDGE_SECOND, JUDGE)),
    "inspect_data": Task((INSPECT,), tracked=False),
    "curve": Task((TRAIN,), study="ohlora.studies.curve"),
    "prepare": Task((PREPARE,), tracked=False),
    "licenses": Task(parent="ohlora.commands.licenses"),
    "estimate": Task(parent="ohlora.commands.estimate"),
}

PHASES: dict[str, Phase] = {
    phase.name: phase for phase in (PREPARE, TOKENIZE, INFER, TRAIN, ANSWER, JUDGE_FIRST, JUDGE_SECOND, JUDGE, INSPECT)
}
