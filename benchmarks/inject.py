"""Make a child slower, larger, or disturbed by a known amount, to test whether the comparison detects it.

    python -m ohlora.run 'compare.arms=["as it is: backend=hf","late: launch.prefix=[python,benchmarks/inject.py,…]"]'

delay: every optimizer step takes 5 % longer, and 64 MiB are allocated from the first step on.
pause: the process is stopped for 3 s (SIGSTOP) while it trains.
load: another program, not our child, uses one processor from the first step on.
Inference is not changed.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time

from ohlora.training.steps import StepTimer
from ohlora.worker import main

DELAY, MIB, PAUSE_S = 0.05, 64, 3
BUSY = "import os, sys\nwhile os.path.exists(f'/proc/{sys.argv[1]}/stat'):\n    sum(range(200_000))"
held: list[bytearray] = []


def inject_delay() -> None:
    """Sleep inside the step, before it is timed; keep used memory from the first step on."""
    begin, end = StepTimer.begin, StepTimer.end

    def larger(timer: StepTimer) -> None:
        if not held:
            held.append(bytearray(b"x") * (MIB * 2**20))
        begin(timer)

    def slower(timer: StepTimer, step: int) -> None:
        time.sleep(DELAY * (timer.clock.now() - timer._started))
        end(timer, step)

    StepTimer.begin, StepTimer.end = larger, slower  # type: ignore[method-assign, assignment]


def inject_once(command: str) -> None:
    """Run a shell command, detached from this process, when the first step begins; {pid} is our process id."""
    begin = StepTimer.begin

    def started(timer: StepTimer) -> None:
        if not timer.seconds:
            subprocess.run(
                ["/bin/sh", "-c", f"({command.replace('{pid}', str(os.getpid()))}) >/dev/null 2>&1 &"], check=True
            )
        begin(timer)

    StepTimer.begin = started  # type: ignore[method-assign, assignment]


def inject(what: str) -> None:
    """Set up one of the injections; it takes effect when training begins."""
    if what == "delay":
        inject_delay()
    elif what == "pause":
        inject_once(f"sleep 1; kill -STOP {{pid}}; sleep {PAUSE_S}; kill -CONT {{pid}}")
    elif what == "load":
        inject_once(f"exec {sys.executable} -c {shlex.quote(BUSY)} {{pid}}")
    else:
        sys.exit(f"error: {what}: choose from delay, pause, load")


if __name__ == "__main__":
    inject(sys.argv[1])
    sys.argv = ["ohlora.worker", *sys.argv[sys.argv.index("ohlora.worker") + 1 :]]
    sys.exit(main())
