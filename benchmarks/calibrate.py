"""The calibration study in one command: the comparison's false-alarm rate, and what it detects.

    python benchmarks/calibrate.py outputs/calibration              64 runs and 24 with an injected change; ~50 minutes
    python benchmarks/calibrate.py outputs/calibration --pairs 4    a short trial

Compares an arm with itself in interleaved pairs, then with itself plus a delay and memory, a pause, a competing load.
Each run only trains a small model, for half a minute; the first run prepares the model. A later call resumes. The
tables are printed and written to <folder>/calibration.md. Do not use the machine meanwhile.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from calibration import LEAST, read_runs, tables

INJECT = Path(__file__).resolve().with_name("inject.py")
SIZE = (
    "task=train", "model=smollm2-135m-instruct", "lora=r16", "trainer.batch_size=1", "trainer.max_steps=5",
    "trainer.eval_rows=1", "trainer.samples=0", "tracking=none", "compare.redo=0",
)  # fmt: skip
INJECTED = ("delay", "pause", "load")


def compare(folder: Path, study: str, pairs: int, other: str, extra: list[str]) -> Path:
    """Run the comparison, or the rest of it; return the folder of its report."""
    arms = f"compare.arms=['as it is: backend=hf','{study}: {other}']"
    command = [sys.executable, "-m", "ohlora.run", arms, f"compare.pairs={pairs}", f"hydra.run.dir={folder / study}"]
    done = subprocess.run([*command, *SIZE, *extra], check=False, stdout=subprocess.DEVNULL)
    if done.returncode:
        sys.exit(f"error: {study}: exit code {done.returncode}; run the same command again to continue")
    return folder / study


def describe_injected(folder: Path, study: str) -> str:
    """The result of the comparison: runs called disturbed per arm, and the verdicts on time and memory."""
    (track,) = json.loads((folder / "comparison.json").read_text("utf-8"))["tracks"]
    (one,) = track["contrasts"]
    disturbed = [run for left in one["left_out"] for run in left["reasons"]]
    total = one["pairs"] + len(one["left_out"])
    other = sum(run.startswith(f"{study}-") for run in disturbed)
    cells = [study, f"{other} of {total}", f"{len(disturbed) - other} of {total}"]
    reasons = {
        why for left in one["left_out"] for phases in left["reasons"].values() for w in phases.values() for why in w
    }
    cells.append(", ".join(sorted({why.split("=")[0] for why in reasons})) or "–")
    for key in ("train/train_time_s", "train/peak_rss_mib"):
        for metrics in (one["metrics"], one["metrics_with_disturbed"]):
            figure = metrics.get(key)
            cells.append(f"{figure['verdict']} ({100 * (figure['ratio'] - 1):+.1f} %)" if figure else "–")
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pairs", type=int, default=32, help="of the arm with itself; two runs each")
    parser.add_argument("--injected", type=int, default=4, help="pairs of each injection")
    parser.add_argument("overrides", nargs="*", help="options of every run, such as models=<folder> launch.threads=1")
    given = parser.parse_intermixed_args()
    folder = given.folder.absolute()
    itself = compare(folder, "itself", given.pairs, "backend=hf", given.overrides)
    lines = ["# Calibration", ""]
    runs = read_runs(itself / "comparison.csv")
    lines += (
        tables(runs) if len(runs) >= LEAST else [f"{len(runs)} runs: too few for rates; at least {LEAST} are needed"]
    )
    lines += ["", "## Injected into one arm", ""]
    header = (
        "injected",
        "its runs called disturbed",
        "the other arm's",
        "criteria",
        "time",
        "time, disturbed pairs too",
    )
    lines += [f"| {' | '.join((*header, 'memory', 'memory, disturbed pairs too'))} |", "|---" * 8 + "|"]
    for study in INJECTED:
        prefix = f"launch.prefix=[{sys.executable},{INJECT},{study}]"
        made = compare(folder, study, given.injected, f"backend=hf {prefix}", given.overrides)
        lines.append(describe_injected(made, study))
    text = "\n".join(lines)
    (folder / "calibration.md").write_text(f"{text}\n", "utf-8")
    print(text)


if __name__ == "__main__":
    main()
