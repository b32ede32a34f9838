"""A child that is slower or larger by a known amount, to see whether the comparison finds it.

    python -m ohlora.run 'compare.arms=["as it is: backend=hf","injected: launch.prefix=[python,benchmarks/inject.py]"]'

Every optimizer step takes 5 % longer, and 64 MiB are held from the first step on; inference is left alone.
"""

from __future__ import annotations

import sys
import time

from ohlora.training.steps import StepTimer
from ohlora.worker import main

DELAY, MIB = 0.05, 64
held: list[bytearray] = []


def inject() -> None:
    """Sleep inside the step, before its time is taken; hold touched memory from the first step on."""
    begin, end = StepTimer.begin, StepTimer.end

    def larger(timer: StepTimer) -> None:
        if not held:
            held.append(bytearray(b"x") * (MIB * 2**20))
        begin(timer)

    def slower(timer: StepTimer, step: int) -> None:
        time.sleep(DELAY * (timer.clock.now() - timer._started))
        end(timer, step)

    StepTimer.begin, StepTimer.end = larger, slower  # type: ignore[method-assign]


if __name__ == "__main__":
    inject()
    sys.argv = ["ohlora.worker", *sys.argv[sys.argv.index("ohlora.worker") + 1 :]]
    sys.exit(main())
