"""The child process of a run, and a run directory again by hand.

python -m ohlora.worker <run directory>                  every phase again, each in a process of its own
python -m ohlora.worker <run directory> --phase train    one phase, in this process
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ohlora.config.tasks import PHASES
from ohlora.files import encode_json
from ohlora.measure.gpus import narrow_process
from ohlora.running.process import EVENT_FD, LIFE_FD
from ohlora.tasks.job import read_config, run_phase
from ohlora.terminal import replace_unprintable


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
        return lambda event: print(encode_json(event), flush=True)
    os.set_inheritable(int(fd), False)
    pipe = os.fdopen(int(fd), "w", encoding="utf-8", buffering=1)
    return lambda event: print(encode_json(event), file=pipe, flush=True)


def main() -> int:
    replace_unprintable()
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
        narrow_process(read_config(given.directory).device)
        run_phase(given.directory.resolve(), given.phase, _event_writer())
        return 0
    from ohlora.running.rerun import rerun

    return rerun(given.directory)


if __name__ == "__main__":
    sys.exit(main())
