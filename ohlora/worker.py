"""The child process of a run; by hand it runs a run directory again.

python -m ohlora.worker <run directory>                  run every phase again, each in its own process
python -m ohlora.worker <run directory> --phase train    run one phase in this process
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ohlora.backends.imports import keep_out
from ohlora.config.tasks import PHASES
from ohlora.entry import refuse_windows, replace_unprintable
from ohlora.errors import UserError
from ohlora.files import encode_json
from ohlora.measure.gpus import narrow_process
from ohlora.running.process import EVENT_FD, LIFE_FD
from ohlora.tasks.job import read_config, run_phase


def die_with_parent(life_fd: int) -> None:
    """Kill this process group, descendants included, as soon as the parent has exited for any reason.

    A shell in our group waits on a pipe that only the parent keeps open. Unlike a thread it needs no GIL, unlike
    a parent-death signal it also ends grandchildren, and it works on every Unix.
    """
    subprocess.Popen(["/bin/sh", "-c", "read _; kill -KILL 0"], stdin=life_fd)
    os.close(life_fd)


def _event_writer() -> Callable[[dict[str, Any]], None]:
    """Write events to the parent's pipe, or to the screen when started by hand."""
    fd = os.environ.pop(EVENT_FD, None)
    if fd is None:
        return lambda event: print(encode_json(event), flush=True)
    os.set_inheritable(int(fd), False)
    pipe = os.fdopen(int(fd), "w", encoding="utf-8", buffering=1)
    return lambda event: print(encode_json(event), file=pipe, flush=True)


def main() -> int:
    replace_unprintable()
    try:
        refuse_windows()
    except UserError as error:
        print(error.report(), file=sys.stderr)
        return 2
    parser = argparse.ArgumentParser(prog="python -m ohlora.worker", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("directory", type=Path, help="a run directory or one of its attempts; with its config.yaml")
    parser.add_argument("--phase", choices=sorted(PHASES), help="only this phase, in this process")
    given = parser.parse_args()
    if given.phase:
        if not (given.directory / "config.yaml").is_file():
            parser.error(f"{given.directory}: has no config.yaml; --phase needs one attempt of a run")
        life = os.environ.pop(LIFE_FD, None)
        if life is not None:
            die_with_parent(int(life))
        (given.directory / "phases").mkdir(exist_ok=True)
        config = read_config(given.directory)
        narrow_process(config.device)
        keep_out(config.lora.quantization)
        run_phase(given.directory.resolve(), given.phase, _event_writer())
        return 0
    from ohlora.running.rerun import rerun

    return rerun(given.directory)


if __name__ == "__main__":
    sys.exit(main())
