"""The recipe search of README.md, by its written rules: run after run through the public command, and a table.

    python experiments/recipe/search.py                  every stage; a later call resumes it
    python experiments/recipe/search.py --report         the table again from the finished runs

Words after `--` are overrides for every run, such as `-- launch.threads=2`.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from statistics import stdev

from ohlora.data.rows import PACKAGED
from ohlora.files import read_jsonl, sha256_file, sha256_of, write_atomic
from ohlora.measure.statistics import estimate_mean
from ohlora.records.layout import attempts
from ohlora.records.result import Result, find_result
from ohlora.report.markdown import markdown
from ohlora.report.reading import name_machine

HERE = Path(__file__).parent
SEARCH_SHARE, SEARCH_EPOCHS, SEED = 0.25, 2, 42
RATES = [1e-4, 3e-4, 1e-3, 3e-3]
RATE_STEP = 3.0  # a best rate at an end of the grid adds one more beyond it
NOISE_SEEDS = [43, 44]
LEAST_GAIN = 0.01  # nats/token; a factor must gain this, and twice the standard deviation over seeds
# One change each; of those that share a group only the best is combined with others.
FACTORS = {
    "rank 16": ("adapter", ["lora=r16"]),
    "alpha 128": ("adapter", ["lora.alpha=128"]),
    "rsLoRA": ("adapter", ["lora=rslora"]),
    "DoRA": ("adapter", ["lora=dora"]),
    "dropout 0.1": ("dropout", ["lora.dropout=0.1"]),
    "batch 16": ("batch", ["trainer.batch_size=16"]),
    "NEFTune 5": ("noise", ["trainer.neftune_alpha=5"]),
}
MOST_EPOCHS = 4
TEST_SEEDS = [1, 2, 3, 4, 5]
ALWAYS = ["task=train", "tracking=none", "trainer.samples=0", "trainer.eval_rows=null", "trainer.train_rows=null"]
# SFTConfig's defaults in TRL 1.14.2, with the same adapter: r=64 on every linear layer.
DEFAULTS = [
    "trainer=persona", "lora=r64", "trainer.learning_rate=2e-5", "trainer.batch_size=8", "trainer.schedule=linear",
    "trainer.warmup_ratio=0.0", "trainer.max_length=1024",
]  # fmt: skip


@dataclass
class Search:
    """Runs each setting once; `lines` is the table. `report`: start nothing, stop at the first run that is missing."""

    out: Path
    extra: list[str]
    report: bool
    lines: list[list[str]] = field(default_factory=list)
    decisions: list[str] = field(default_factory=list)
    machines: set[str] = field(default_factory=set)

    def run(self, stage: str, name: str, overrides: Sequence[str]) -> Result | None:
        """The result of these settings, from an earlier call if it finished; None if the run failed."""
        overrides = keep_last(overrides)
        folder = self.folder(stage, name, overrides)
        found = find_result(folder)
        if found is None or found.status != "finished":
            if self.report:
                raise SystemExit(f"{folder}: has not finished; call search.py without --report to go on")
            print(f"\n== {stage}: {name}", file=sys.stderr, flush=True)
            command = [sys.executable, "-m", "ohlora.run", *ALWAYS, *overrides, *self.extra, f"hydra.run.dir={folder}"]
            code = subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode
            found = find_result(folder)
            if found is None or code == 130:  # bad input, or stopped by hand: the same for all that follow
                raise SystemExit(code)
        loss = found.metrics.get("eval/eval_loss", float("nan")) if found else float("nan")
        if found and found.device:
            self.machines.add(name_machine(found.device))
        cost = self._cost(found) if found else ["", ""]
        self.lines.append([stage, name, f"{loss:.4f}" if isfinite(loss) else "failed", *cost])
        return found if isfinite(loss) else None

    def folder(self, stage: str, name: str, overrides: Sequence[str]) -> Path:
        """Its name has a hash of the settings and of the rows: with others it is another run."""
        digest = sha256_of([keep_last(overrides), self.extra, sha256_file(PACKAGED)])[:8]
        return self.out / f"{stage}-{name.replace(' ', '-')}-{digest}"

    def _cost(self, result: Result) -> list[str]:
        step, of = (result.metrics.get(f"train/{key}", 0) for key in ("best_step", "train_steps"))
        return [f"{step:.0f} of {of:.0f}", f"{result.metrics.get('train/train_time_s', 0):.0f}"]

    def decide(self, text: str) -> None:
        self.decisions.append(text)
        print(text, file=sys.stderr, flush=True)


def keep_last(overrides: Sequence[str]) -> list[str]:
    """Each key once, with its last value: Hydra refuses a group that is chosen twice."""
    return list({override.split("=")[0]: override for override in overrides}.values())


def loss_of(result: Result) -> float:
    return result.metrics["eval/eval_loss"]


def search_rate(search: Search, base: list[str]) -> tuple[list[str], Result]:
    """The reference recipe at its best learning rate."""
    found: dict[float, Result] = {}
    waiting = list(RATES)
    extended: set[float] = set()
    while waiting:
        for rate in waiting:
            result = search.run("rate", f"{rate:g}", [*base, f"trainer.learning_rate={rate:g}"])
            if result:
                found[rate] = result
        best = min(found, key=lambda rate: loss_of(found[rate]))
        beyond = {min(found): best / RATE_STEP, max(found): best * RATE_STEP}.get(best)
        waiting = [beyond] if beyond and not extended else []
        extended |= set(waiting)
    search.decide(f"Learning rate: {best:g} (validation loss {loss_of(found[best]):.4f}).")
    return [*base, f"trainer.learning_rate={best:g}"], found[best]


def search_factors(search: Search, base: list[str], reference: Result) -> list[str]:
    """The overrides that gain more than the noise, alone or together."""
    others = [search.run("noise", f"seed {seed}", [*base, f"seed={seed}"]) for seed in NOISE_SEEDS]
    noise = stdev([loss_of(reference), *(loss_of(other) for other in others if other)])
    needed = max(LEAST_GAIN, 2 * noise)
    search.decide(f"Noise: standard deviation {noise:.4f} over seeds; a factor must gain {needed:.4f}.")
    gains = {}
    for name, (_, overrides) in FACTORS.items():
        result = search.run("factor", name, [*base, *overrides])
        if result and loss_of(reference) - loss_of(result) > needed:
            gains[name] = loss_of(reference) - loss_of(result)
    groups: dict[str, str] = {}
    for name in sorted(gains, key=lambda name: -gains[name]):
        groups.setdefault(FACTORS[name][0], name)
    kept = list(groups.values())
    if len(kept) > 1:
        together = search.run("factor", "together", [*base, *(o for name in kept for o in FACTORS[name][1])])
        if not together or loss_of(reference) - loss_of(together) < gains[kept[0]]:
            kept = kept[:1]
    search.decide(f"Factors kept: {', '.join(kept) or 'none'}.")
    return [override for name in kept for override in FACTORS[name][1]]


def search_epochs(search: Search, recipe: list[str], share: float) -> int:
    """The epoch with the lowest validation loss, on the share of the rows that the test uses."""
    settings = [*recipe, f"trainer.epochs={MOST_EPOCHS}", f"trainer.train_share={share}", "trainer.patience=1"]
    result = search.run("epochs", f"up to {MOST_EPOCHS}", settings)
    if result is None:
        raise SystemExit("the run that chooses the epochs failed; see its folder")
    folder = search.folder("epochs", f"up to {MOST_EPOCHS}", settings)
    curve = {
        line["step"]: float(line["value"])
        for line in read_jsonl(attempts(folder)[-1] / "metrics.jsonl")
        if line["key"] == "eval/eval_loss" and line["step"]
    }
    epochs = 1 + list(curve).index(min(curve, key=lambda step: curve[step]))
    said = ", ".join(f"{value:.4f}" for value in curve.values())
    search.decide(f"Epochs: {epochs} (validation loss after each: {said}).")
    return epochs


def run_test(search: Search, recipe: list[str], epochs: int, share: float) -> None:
    """Defaults against the recipe on the test split, the last adapter of both: nothing is chosen by the test rows."""
    swapped = swap_splits(search.out)
    data = [f"data={swapped.suffix[1:]}", f"data.path={swapped}"]
    same = [f"trainer.epochs={epochs}", f"trainer.train_share={share}", "trainer.keep=last", "trainer.patience=null"]
    saved = []
    for seed in TEST_SEEDS:
        pair = [
            search.run("test", f"{name} seed {seed}", [*settings, *data, *same, f"seed={seed}"])
            for name, settings in (("defaults", DEFAULTS), ("recipe", recipe))
        ]
        if pair[0] and pair[1]:
            saved.append(loss_of(pair[0]) - loss_of(pair[1]))
    if len(saved) < len(TEST_SEEDS):
        search.decide(f"Test: {len(saved)} of {len(TEST_SEEDS)} pairs finished; no verdict.")
        return
    found = estimate_mean(saved)
    low, high = found.interval or (float("nan"), float("nan"))
    verdict = "the recipe is better" if low > 0 else "no difference shown" if high > 0 else "the defaults are better"
    search.decide(f"Test: the recipe saves {found.mean:.4f} nats/token ({low:.4f} to {high:.4f}): {verdict}.")


def swap_splits(out: Path) -> Path:
    """The shipped rows with the splits test and validation exchanged: the eval loss is then that of the test rows."""
    other = {"test": "validation", "validation": "test"}
    text, path = PACKAGED.read_text("utf-8"), out / f"test-split{PACKAGED.suffix}"
    if PACKAGED.suffix == ".csv":
        rows = list(csv.DictReader(io.StringIO(text)))
        into = io.StringIO()
        writer = csv.DictWriter(into, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({**row, "split": other.get(row["split"], row["split"])} for row in rows)
        swapped = into.getvalue()
    else:
        lines = [json.loads(line) for line in text.splitlines() if line.strip()]
        changed = [{**line, "split": other.get(line["split"], line["split"])} for line in lines]
        swapped = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in changed)
    if not path.is_file() or path.read_text("utf-8") != swapped:
        write_atomic(path, swapped)
    return path


def write_table(search: Search) -> None:
    header = ["stage", "setting", "eval loss (nats/token)", "best step", "training (s)"]
    head = ["# Recipe search: runs and decisions", f"Measured on {'; '.join(sorted(search.machines))}."]
    parts = [*head, "\n".join(f"- {text}" for text in search.decisions)]
    write_atomic(HERE / "search.md", "\n\n".join([*parts, markdown(header, search.lines)]) + "\n")
    print(f"{HERE / 'search.md'}", file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("outputs/recipe"), help="where the runs are")
    parser.add_argument("--final-share", type=float, default=0.5, help="share of the training rows in the test")
    parser.add_argument("--report", action="store_true", help="start no run")
    own, extra = (sys.argv[1:], [])
    if "--" in own:
        own, extra = own[: own.index("--")], own[own.index("--") + 1 :]
    given = parser.parse_args(own)
    given.out.mkdir(parents=True, exist_ok=True)
    search = Search(given.out.resolve(), extra, given.report)
    try:
        base = ["trainer=persona", "lora=r64"]
        small = [f"trainer.epochs={SEARCH_EPOCHS}", f"trainer.train_share={SEARCH_SHARE}", f"seed={SEED}"]
        tuned, reference = search_rate(search, [*base, *small, "trainer.patience=null"])
        factors = search_factors(search, tuned, reference)
        recipe = [*base, tuned[-1], *factors]
        search.decide(f"Recipe: {' '.join(recipe)}")
        epochs = search_epochs(search, [*recipe, f"seed={SEED}"], given.final_share)
        run_test(search, recipe, epochs, given.final_share)
        if given.report:
            write_table(search)
    finally:
        if search.lines and not given.report:  # also of a search that was stopped
            write_table(search)


if __name__ == "__main__":
    main()
