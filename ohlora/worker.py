"""The child process of a run, and a run directory again by hand.

python -m ohlora.worker <run directory>                  every phase again, each in a process of its own
python -m ohlora.worker <run directory> --phase train    one phase, in this process
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from ohlora.config.schema import Config
from ohlora.errors import UserError
from ohlora.files import write_json
from ohlora.job import Job, Unsupported
from ohlora.process import EVENT_FD, LIFE_FD
from ohlora.result import Status
from ohlora.tasks import PHASES


def run_phase(attempt: Path, phase: str, emit: Callable[[dict[str, Any]], None]) -> None:
    """Run one phase and write its record, whatever happens."""
    with (attempt / "metrics.jsonl").open("a", encoding="utf-8") as metrics:
        job = Job(read_config(attempt), attempt, phase, emit, metrics)
        try:
            import_module(PHASES[phase].module).run(job)
        except Unsupported as error:
            _end(job, Status.unsupported, error.code, str(error))
        except UserError as error:
            _end(job, Status.failed, "bad_input", str(error))
        except Exception as error:
            traceback.print_exc()
            status, code = (Status.oom, "out_of_memory") if _is_oom(error) else (Status.failed, type(error).__name__)
            _end(job, status, code, (str(error).strip() or type(error).__name__).splitlines()[0])
        write_json(attempt / "phases" / f"{phase}.json", vars(job.record))


def read_config(attempt: Path) -> Config:
    """The resolved configuration of a run directory, typed."""
    from omegaconf import OmegaConf

    merged = OmegaConf.merge(OmegaConf.structured(Config), OmegaConf.load(attempt / "config.yaml"))
    config = OmegaConf.to_object(merged)
    assert isinstance(config, Config)
    return config


def _end(job: Job, status: Status, code: str, text: str) -> None:
    job.record.status, job.record.reason = status.value, {"code": code, "text": text}


def _is_oom(error: BaseException) -> bool:
    """Out of memory, on a GPU (torch's own class), on CPU (its allocator's RuntimeError) or in Python."""
    names = {cls.__name__ for cls in type(error).__mro__}
    return "OutOfMemoryError" in names or isinstance(error, MemoryError) or "DefaultCPUAllocator" in str(error)


def die_with_parent(life_fd: int) -> None:
    """End this process group, whatever it has started included, as soon as the parent is gone, however it went.

    A shell of our group waits for the pipe that only the parent holds open: unlike a thread it needs no GIL,
    unlike a parent-death signal it takes the grandchildren along, and it works on every Unix.
    """
    subprocess.Popen(["/bin/sh", "-c", "read _; kill -KILL 0"], stdin=life_fd)
    os.close(life_fd)


def _event_writer() -> Callable[[dict[str, Any]], None]:
    """Events to the parent's pipe; by hand, without one, to the screen."""
    fd = os.environ.pop(EVENT_FD, None)
    if fd is None:
        return lambda event: print(json.dumps(event, ensure_ascii=False), flush=True)
    os.set_inheritable(int(fd), False)
    pipe = os.fdopen(int(fd), "w", encoding="utf-8", buffering=1)
    return lambda event: print(json.dumps(event, ensure_ascii=False), file=pipe, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m ohlora.worker", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("directory", type=Path, help="a run directory or one of its attempts; it holds config.yaml")
    parser.add_argument("--phase", choices=sorted(PHASES), help="only this phase, in this process")
    given = parser.parse_args()
    if given.phase:
        if not (given.directory / "config.yaml").is_file():
            parser.error(f"{given.directory}: holds no config.yaml; --phase takes one attempt of a run")
        life = os.environ.pop(LIFE_FD, None)
        if life is not None:
            die_with_parent(int(life))
        (given.directory / "phases").mkdir(exist_ok=True)
        run_phase(given.directory.resolve(), given.phase, _event_writer())
        return 0
    from ohlora.again import run_again

    return run_again(given.directory)


if __name__ == "__main__":
    sys.exit(main())
