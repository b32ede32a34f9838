"""python benchmarks/harness.py outputs/<study>: the time that the parent adds to each run.

Read from the folder of a comparison or a sweep: the time between the starts of two runs, minus the time of the child
processes. It includes reading and writing files, MLflow, and composing the next run. The final report is timed here,
in its own process.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from statistics import median

from ohlora.errors import UserError
from ohlora.report.reading import read_folder


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split(": ", 1)[1])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    try:
        runs = sorted((r for arm in read_folder(folder).arms for r in arm.finished), key=lambda r: r.timings["started"])
    except UserError as error:
        sys.exit(error.report())
    added, shares = [], []
    for run, following in pairwise(runs):
        children = sum(part["process_s"] for part in run.timings.values() if isinstance(part, dict))
        whole = following.timings["started"] - run.timings["started"]
        if following.order == run.order + 1 and following.timings["started"] - run.timings["ended"] < 60:
            added.append(whole - children)
            shares.append((whole - children) / children)
    if not added:
        sys.exit(f"error: {folder}: no two finished runs one after the other")
    share = 100 * median(shares)
    print(
        f"{len(added)} runs: the parent adds {median(added):.2f} s to each (most: {max(added):.2f} s), {share:.2f} % of"
    )
    print("its children's time")
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "ohlora.report", str(folder)], check=False, capture_output=True)
    print(f"the report at the end: {time.perf_counter() - started:.1f} s")


if __name__ == "__main__":
    main()
