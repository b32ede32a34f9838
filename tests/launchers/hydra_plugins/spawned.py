"""A Hydra launcher that runs each job in a process of its own, as those of joblib, submitit and Ray do.

Found through PYTHONPATH=tests/launchers, as an installed plug-in is. The task and Hydra's state arrive there pickled.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cloudpickle
from hydra.core.config_store import ConfigStore
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, run_job, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

RUN = """
import pathlib, sys
import cloudpickle
job, left = map(pathlib.Path, sys.argv[1:])
call, arguments = cloudpickle.loads(job.read_bytes())
left.write_bytes(cloudpickle.dumps(call(*arguments)))
"""


NODE = {"_target_": "hydra_plugins.spawned.SpawnedLauncher"}
ConfigStore.instance().store(group="hydra/launcher", name="spawned", node=NODE, provider="tests")


class SpawnedLauncher(Launcher):
    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.context, self.task, self.config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        Path(self.config.hydra.sweep.dir).mkdir(parents=True, exist_ok=True)
        return [self.spawn(list(overrides), number) for number, overrides in enumerate(job_overrides, initial_job_idx)]

    def spawn(self, overrides: list[str], number: int) -> JobReturn:
        given = (self.context, self.task, self.config, overrides, number, Singleton.get_state())
        with TemporaryDirectory() as folder:
            job, left = Path(folder) / "job", Path(folder) / "left"
            job.write_bytes(cloudpickle.dumps((run_here, given)))
            subprocess.run([sys.executable, "-c", RUN, str(job), str(left)], check=True)
            result: JobReturn = cloudpickle.loads(left.read_bytes())
        return result


def run_here(
    context: HydraContext, task: TaskFunction, config: DictConfig, overrides: list[str], number: int, state: Any
) -> JobReturn:
    setup_globals()
    Singleton.set_state(state)
    composed = context.config_loader.load_sweep_config(config, overrides)
    with open_dict(composed):
        composed.hydra.job.id = composed.hydra.job.num = number
    if os.environ.get("KILL_JOB") == str(number):
        os.kill(os.getpid(), signal.SIGKILL)
    print(f"job {number} in process {os.getpid()}", file=sys.stderr)
    return run_job(
        task_function=task, config=composed, job_dir_key="hydra.sweep.dir", job_subdir_key="hydra.sweep.subdir",
        hydra_context=context,
    )  # fmt: skip
