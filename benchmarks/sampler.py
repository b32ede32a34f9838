"""python benchmarks/sampler.py: the cost of sampling memory during work.

The work is a loop of matrix products and small tensor operations, similar to a training step. It runs alternately
without and with an open phase. Reported are the processor time of the sampler's thread ÷ the time of the loop, which a
busy machine does not change, then the extra processor time of the process and the extra time of the loop: medians over
pairs, the last meaningful only on a quiet machine.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from pathlib import Path
from statistics import median, quantiles

import torch

from ohlora.measure.memory import PhaseMemory


def work(seconds: float | None, rounds: int) -> int:
    """Work for this time, or this many rounds; return the number of rounds."""
    left = torch.randn(512, 512)
    small = torch.zeros(64)
    done, until = 0, time.perf_counter() + (seconds or 0)
    while done < rounds if seconds is None else time.perf_counter() < until:
        left = torch.tanh(left @ left)
        for _ in range(50):  # Python code, which waits for the GIL while the sampler has it
            small = small + 1
        done += 1
    return done


def timed(rounds: int) -> tuple[float, float]:
    """(wall, processor time of this process) in seconds."""
    started, used = time.perf_counter(), time.process_time()
    work(None, rounds)
    return time.perf_counter() - started, time.process_time() - used


def sampler_cpu_s() -> float:
    """Processor time of the sampler's thread so far."""
    (sampler,) = (thread for thread in threading.enumerate() if thread.name == "memory-sampler")
    assert sampler.ident is not None
    return time.clock_gettime(time.pthread_getcpuclockid(sampler.ident))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split(": ", 1)[1])
    parser.add_argument("--pairs", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each loop")
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    rounds = work(given.seconds, 0)
    found: dict[str, list[float]] = {"own CPU ÷ wall": [], "CPU of the process": [], "wall": []}
    with tempfile.TemporaryDirectory() as folder:
        timeline = Path(folder) / "memory.jsonl"
        for pair in range(given.pairs):
            taken: dict[bool, tuple[float, float]] = {}
            for watched in (False, True) if pair % 2 == 0 else (True, False):
                if watched:
                    with PhaseMemory("cpu", timeline, "train").phase("train"):
                        taken[watched] = timed(rounds)
                        own = sampler_cpu_s()
                else:
                    taken[watched] = timed(rounds)
            (wall, cpu), (wall_alone, cpu_alone) = taken[True], taken[False]
            for values, value in zip(
                found.values(), (own / wall, cpu / cpu_alone - 1, wall / wall_alone - 1), strict=True
            ):
                values.append(value)
        size = timeline.stat().st_size / (given.pairs * given.seconds)
    print(f"{given.pairs} pairs of {given.seconds:g} s, {given.threads} threads\n")
    print("| | median | quartiles |\n| --- | --- | --- |")
    for name, values in found.items():
        low, _, high = quantiles(values, n=4)
        print(f"| {name} | {100 * median(values):+.2f} % | {100 * low:+.2f} to {100 * high:+.2f} % |")
    print(f"| timeline | {size:.0f} bytes/s | |")


if __name__ == "__main__":
    main()
