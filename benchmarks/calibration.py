"""The false-alarm rate of the comparison, and what it detects, from resampled runs of one arm.

    python benchmarks/calibrate.py outputs/calibration                          records the runs and prints these tables
    python benchmarks/calibration.py outputs/calibration/itself/comparison.csv  only the tables

Builds comparisons of an arm with itself from neighbouring runs and judges them with the report's own code, with and
without the disturbance criteria. For the detection rates the second arm's values are made larger.
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
from ohlora.report.comparison.contrast import compare_arms
from ohlora.report.reading import ArmRuns

HEADLINE = ("infer/peak_rss_mib", "infer/infer_time_s", "train/peak_rss_mib", "train/train_time_s")
LEAST = 60  # recorded runs needed to measure a rate of 5 %
DISTURBED = "disturbed"  # a key besides the metrics: 1 if the run was disturbed
PAUSE = {"train": {"longest_pause_s": 99.0}}  # stands for any disturbance


def read_runs(path: Path) -> list[dict[str, float]]:
    """All metrics of every finished run, in the order of execution, and whether it was disturbed."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["status"] == "finished"]
    rows.sort(key=lambda row: int(row["order"]))
    metrics = [{key: float(value) for key, value in row.items() if "/" in key and value} for row in rows]
    return [{**found, DISTURBED: float(bool(row.get(DISTURBED)))} for found, row in zip(metrics, rows, strict=True)]


def verdicts(
    pairs: Sequence[tuple[dict[str, float], dict[str, float]]], flip: int, judge: bool = True
) -> dict[str, str]:
    """The report's verdicts on these (first, second) runs as AB BA AB BA (flip=0) or BA AB BA AB (flip=1).

    `judge`: leave out disturbed pairs, as the report does.
    """
    arms = {"A": ArmRuns("A"), "B": ArmRuns("B")}
    for number, pair in enumerate(pairs):
        order = "AB" if (number + flip) % 2 == 0 else "BA"
        for turn, (name, run) in enumerate(zip(order, pair, strict=True)):
            start = 10.0 * number + 2 * turn
            metrics = {key: value for key, value in run.items() if key != DISTURBED}
            result = Result(f"{name}{number}", "finished", "benchmark", name, number, metrics=metrics)
            result.timings = {"started": start, "ended": start + 1}
            result.disturbance = PAUSE if judge and run.get(DISTURBED) else {}
            arms[name].runs.append(result)
    return {key: figure.verdict for key, figure in compare_arms(arms["A"], arms["B"], []).figures.items()}


def windows(runs: Sequence[dict[str, float]], pairs: int) -> Iterator[list[tuple[dict[str, float], dict[str, float]]]]:
    """Every series of neighbouring runs that makes this many pairs."""
    for start in range(len(runs) - 2 * pairs + 1):
        part = runs[start : start + 2 * pairs]
        yield list(zip(part[::2], part[1::2], strict=True))


def draws(
    runs: Sequence[dict[str, float]], pairs: int, count: int, chance: random.Random
) -> Iterator[list[tuple[dict[str, float], dict[str, float]]]]:
    """`pairs` random pairs of neighbouring runs, in the order of time."""
    for _ in range(count):
        shift = chance.randrange(2)
        whole = [(runs[i], runs[i + 1]) for i in range(shift, len(runs) - 1, 2)]
        yield [whole[i] for i in sorted(chance.sample(range(len(whole)), pairs))]


def false_alarms(runs: Sequence[dict[str, float]], pairs: int, count: int) -> list[str]:
    """Alarms in every series of neighbours and in random pairs, the latter also without the disturbance criteria."""
    chance = random.Random(pairs)
    stretches = [verdicts(one, chance.randrange(2)) for one in windows(runs, pairs)]
    drawn = list(draws(runs, pairs, count, chance))
    judged = [verdicts(one, chance.randrange(2)) for one in drawn]
    unjudged = [verdicts(one, chance.randrange(2), judge=False) for one in drawn]
    return [*_alarms(stretches, True), *_alarms(judged, True), _alarms(judged, False)[0], _alarms(unjudged, True)[0]]


def _alarms(said: list[dict[str, str]], headline: bool) -> list[str]:
    """The number of comparisons with a verdict in this family of metrics, and which metrics."""
    quiet = ("no_difference_shown", "no_verdict")
    shown = [{k for k, v in one.items() if v not in quiet and (k in HEADLINE) == headline} for one in said]
    loud = sum(map(bool, shown))
    keys = Counter(key for one in shown for key in one).most_common()
    return [f"{loud} of {len(said)} ({100 * loud / len(said):.1f} %)", ", ".join(f"{key} {n}" for key, n in keys)]


def found(runs: Sequence[dict[str, float]], pairs: int, key: str, factor: float, add: float, count: int) -> float:
    """The share of comparisons that detect B's larger value of this metric."""
    chance, hits = random.Random(pairs), 0
    runs = [{name: run[name] for name in (*HEADLINE, DISTURBED) if name in run} for run in runs]
    for made in draws(runs, pairs, count, chance):
        flip = chance.randrange(2)
        changed = []
        for number, (first, second) in enumerate(made):
            sides = [dict(first), dict(second)]
            second_is_b = (number + flip) % 2 == 0
            sides[second_is_b][key] = sides[second_is_b][key] * factor + add
            changed.append((sides[0], sides[1]))
        hits += verdicts(changed, flip).get(key) in ("slower", "more")
    return hits / count


def tables(runs: Sequence[dict[str, float]], count: int = 2000) -> list[str]:
    """Both studies as Markdown lines."""
    disturbed = sum(bool(run[DISTURBED]) for run in runs)
    lines = [
        f"{len(runs)} recorded runs; called disturbed: {disturbed} ({100 * disturbed / len(runs):.1f} %)",
        *("", "## False alarms: an arm against itself", ""),
        "| pairs | every stretch of neighbours | by metric | drawn at random | by metric | other metrics "
        "| drawn at random, disturbed pairs too |",
        "|---|---|---|---|---|---|---|",
    ]
    for pairs in (4, 6, 8, 12):
        lines.append(f"| {pairs} | {' | '.join(false_alarms(runs, pairs, count))} |")
    lines += ["", "## Found: the second arm's values made larger, share of comparisons", ""]
    asked = [("train/train_time_s", factor, 0) for factor in (1.02, 1.05, 1.1)] + [("infer/infer_time_s", 1.05, 0)]
    asked += [("train/peak_rss_mib", 1, mib) for mib in (16, 64)]
    asked = [one for one in asked if all(one[0] in run for run in runs)]
    names = [f"{key} {f'+{100 * (factor - 1):.0f} %' if factor > 1 else f'+{add} MiB'}" for key, factor, add in asked]
    lines += [f"| pairs | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for pairs in (4, 6, 8, 12):
        shares = [found(runs, pairs, key, factor, add, count // 4) for key, factor, add in asked]
        lines.append(f"| {pairs} | {' | '.join(f'{100 * share:.0f} %' for share in shares)} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("csv", type=Path, help="comparison.csv of the recorded runs")
    parser.add_argument("--draws", type=int, default=2000, help="random comparisons for each number of pairs")
    given = parser.parse_args()
    runs = read_runs(given.csv)
    if len(runs) < LEAST:
        sys.exit(f"error: {given.csv}: {len(runs)} finished runs; at least {LEAST} are needed")
    print("\n".join(tables(runs, given.draws)))


if __name__ == "__main__":
    main()
