"""python benchmarks/sampler.py: what watching memory costs the work that is watched.

The work is a loop of matrix products and small tensor operations, as a training step mixes them. It runs without
and with an open phase in turn. `own CPU` is the processor time of the sampler's thread ÷ the time of the loop;
`slowdown` is what the loop itself shows, the median over pairs, which on a busy machine is mostly the machine.
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
    """Rounds done: as many as fit into the time, or just so many."""
    left = torch.randn(512, 512)
    small = torch.zeros(64)
    done, until = 0, time.perf_counter() + (seconds or 0)
    while done < rounds if seconds is None else time.perf_counter() < until:
        left = torch.tanh(left @ left)
        for _ in range(50):  # the interpreter's share, which waits for the lock that a sampler takes
            small = small + 1
        done += 1
    return done


def sampler_cpu_s() -> float:
    """Processor time of the sampler's thread so far."""
    (sampler,) = (thread for thread in threading.enumerate() if thread.name == "memory-sampler")
    assert sampler.ident is not None
    return time.clock_gettime(time.pthread_getcpuclockid(sampler.ident))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split(": ", 1)[1])
    parser.add_argument("--pairs", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each loop")
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    rounds = work(given.seconds, 0)
    shares, slowdowns = [], []
    with tempfile.TemporaryDirectory() as folder:
        timeline = Path(folder) / "memory.jsonl"
        for pair in range(given.pairs):
            taken = {}
            for watched in (False, True) if pair % 2 == 0 else (True, False):
                started = time.perf_counter()
                if watched:
                    with PhaseMemory("cpu", timeline, "train").phase("train"):
                        work(None, rounds)
                        own = sampler_cpu_s()
                else:
                    work(None, rounds)
                taken[watched] = time.perf_counter() - started
            shares.append(own / taken[True])
            slowdowns.append(taken[True] / taken[False] - 1)
        size = timeline.stat().st_size / (given.pairs * given.seconds)
    print(f"{given.pairs} pairs of {given.seconds:g} s, {given.threads} threads\n")
    print("| | median | quartiles |\n| --- | --- | --- |")
    for name, values in (("own CPU", shares), ("slowdown", slowdowns)):
        low, _, high = quantiles(values, n=4)
        print(f"| {name} | {100 * median(values):.2f} % | {100 * low:.2f} to {100 * high:.2f} % |")
    print(f"| timeline | {size:.0f} bytes/s | |")


if __name__ == "__main__":
    main()
