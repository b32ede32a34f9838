"""How often does the comparison cry wolf, and what does it find? Resamples recorded runs of one and the same arm.

    python -m ohlora.run -m backend=hf 'repeat=range(0,64)' study=aa …   records them
    python benchmarks/calibration.py outputs/aa/comparison.csv           this table

Comparisons of an arm with itself are put together out of neighbouring runs and judged by the report's own code. What is
found is the same with the second arm's values made larger. CPU figures of this machine.
"""

from __future__ import annotations

import argparse
import csv
import random
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from ohlora.records.result import Result
from ohlora.report.comparison.contrast import contrast
from ohlora.report.reading import ArmRuns

HEADLINE = ("infer/peak_rss_mib", "infer/infer_time_s", "train/peak_rss_mib", "train/train_time_s")
LEAST = 60  # recorded runs, below which a rate of 5 % cannot be told from chance


def recorded(path: Path) -> list[dict[str, float]]:
    """All metrics of every finished run, in the order of running."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["status"] == "finished"]
    rows.sort(key=lambda row: int(row["order"]))
    return [{key: float(value) for key, value in row.items() if "/" in key and value} for row in rows]


def verdicts(pairs: Sequence[tuple[dict[str, float], dict[str, float]]], flip: int) -> dict[str, str]:
    """What the report says of these (first, second) runs as AB BA AB BA (flip=0) or BA AB BA AB (flip=1)."""
    arms = {"A": ArmRuns("A"), "B": ArmRuns("B")}
    for number, pair in enumerate(pairs):
        order = "AB" if (number + flip) % 2 == 0 else "BA"
        for turn, (name, metrics) in enumerate(zip(order, pair, strict=True)):
            start = 10.0 * number + 2 * turn
            result = Result(f"{name}{number}", "finished", "benchmark", name, number, metrics=metrics)
            result.timings = {"started": start, "ended": start + 1}
            arms[name].runs.append(result)
    return {key: figure.verdict for key, figure in contrast(arms["A"], arms["B"], []).figures.items()}


def windows(runs: Sequence[dict[str, float]], pairs: int) -> Iterator[list[tuple[dict[str, float], dict[str, float]]]]:
    """Every stretch of neighbouring runs that makes so many pairs."""
    for start in range(len(runs) - 2 * pairs + 1):
        part = runs[start : start + 2 * pairs]
        yield list(zip(part[::2], part[1::2], strict=True))


def draws(
    runs: Sequence[dict[str, float]], pairs: int, count: int, chance: random.Random
) -> Iterator[list[tuple[dict[str, float], dict[str, float]]]]:
    """Neighbouring runs as pairs, `pairs` of them drawn at random, in the order of time."""
    for _ in range(count):
        shift = chance.randrange(2)
        whole = [(runs[i], runs[i + 1]) for i in range(shift, len(runs) - 1, 2)]
        yield [whole[i] for i in sorted(chance.sample(range(len(whole)), pairs))]


def false_alarms(runs: Sequence[dict[str, float]], pairs: int, count: int) -> list[str]:
    """Alarms in every stretch of neighbours, and in pairs drawn at random; in the latter of both families."""
    chance = random.Random(pairs)
    stretches = [verdicts(one, chance.randrange(2)) for one in windows(runs, pairs)]
    drawn = [verdicts(one, chance.randrange(2)) for one in draws(runs, pairs, count, chance)]
    return [*_alarms(stretches, True), *_alarms(drawn, True), _alarms(drawn, False)[0]]


def _alarms(said: list[dict[str, str]], headline: bool) -> list[str]:
    """How many comparisons showed anything in this family of metrics, and what."""
    shown = [{k for k, v in one.items() if v != "no_difference_shown" and (k in HEADLINE) == headline} for one in said]
    loud = sum(map(bool, shown))
    keys = Counter(key for one in shown for key in one).most_common()
    return [f"{loud} of {len(said)} ({100 * loud / len(said):.1f} %)", ", ".join(f"{key} {n}" for key, n in keys)]


def found(runs: Sequence[dict[str, float]], pairs: int, key: str, factor: float, add: float, count: int) -> float:
    """The share of comparisons that find B's value of this metric made larger."""
    chance, hits = random.Random(pairs), 0
    runs = [{key: run[key] for key in HEADLINE} for run in runs]
    for made in draws(runs, pairs, count, chance):
        flip = chance.randrange(2)
        changed = []
        for number, (first, second) in enumerate(made):
            sides = [dict(first), dict(second)]
            second_is_b = (number + flip) % 2 == 0
            sides[second_is_b][key] = sides[second_is_b][key] * factor + add
            changed.append((sides[0], sides[1]))
        hits += verdicts(changed, flip)[key] in ("slower", "more")
    return hits / count


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("csv", type=Path, help="comparison.csv of the recorded runs")
    parser.add_argument("--draws", type=int, default=2000, help="random comparisons for each number of pairs")
    given = parser.parse_args()
    runs = recorded(given.csv)
    if len(runs) < LEAST:
        sys.exit(f"error: {given.csv}: {len(runs)} finished runs; at least {LEAST} are needed")
    print(f"{len(runs)} recorded runs\n\n## False alarms: an arm against itself\n")
    print("| pairs | every stretch of neighbours | by metric | drawn at random | by metric | other metrics |")
    print("|---|---|---|---|---|---|")
    for pairs in (4, 6, 8, 12):
        print(f"| {pairs} | {' | '.join(false_alarms(runs, pairs, given.draws))} |", flush=True)
    print("\n## Found: the second arm's values made larger, share of comparisons\n")
    print(
        "| pairs | fine-tuning time +2 % | +5 % | +10 % | inference time +5 % | fine-tuning memory +16 MiB | +64 MiB |"
    )
    print("|---|---|---|---|---|---|---|")
    less = given.draws // 4
    for pairs in (4, 6, 8, 12):
        shares = [found(runs, pairs, "train/train_time_s", factor, 0, less) for factor in (1.02, 1.05, 1.1)]
        shares.append(found(runs, pairs, "infer/infer_time_s", 1.05, 0, less))
        shares += [found(runs, pairs, "train/peak_rss_mib", 1, mib, less) for mib in (16, 64)]
        print(f"| {pairs} | {' | '.join(f'{100 * share:.0f} %' for share in shares)} |", flush=True)


if __name__ == "__main__":
    main()
