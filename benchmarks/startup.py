"""python benchmarks/startup.py: the time of commands before a run starts, as ratios to importing Hydra.

Each round runs every command once, so that a drift of the machine affects all of them. Run it where the embedded model
is prepared; it accepts the Gemma terms.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from statistics import median

COMMANDS = {
    "import hydra": ["-c", "import hydra, hydra._internal.hydra"],
    "ohlora --cfg job": ["-m", "ohlora.run", "--cfg", "job"],
    "ohlora --help": ["-m", "ohlora.run", "--help"],
    "ohlora lora.rank=0": ["-m", "ohlora.run", "lora.rank=0"],
    "ohlora task=estimate": ["-m", "ohlora.run", "task=estimate"],
    "ohlora task=licenses": ["-m", "ohlora.run", "task=licenses"],
    "ohlora task=prepare, already prepared": ["-m", "ohlora.run", "task=prepare", "model.accept_license=gemma"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split(": ", 1)[1])
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(rounds + 1):
        for name, command in COMMANDS.items():
            started = time.perf_counter()
            subprocess.run([sys.executable, *command], capture_output=True, check=False)
            seconds[name].append(time.perf_counter() - started)
    base = seconds["import hydra"][1:]
    print(f"{rounds} rounds after a warm-up, medians\n\n| command | s | ratio to `import hydra` |\n| --- | --- | --- |")
    for name, taken in seconds.items():
        ratio = median(t / b for t, b in zip(taken[1:], base, strict=True))
        print(f"| `{name}` | {median(taken[1:]):.3f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
