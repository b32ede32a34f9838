"""How far is the estimate of peak memory off? Real runs over models, ranks, batches, lengths and settings.

python benchmarks/fit.py outputs/fit-estimate            every case; resumes; writes fit.csv and fit.md
                                                         (accepts the Gemma terms for the embedded model)
python benchmarks/fit.py outputs/fit-estimate --others outputs/unsloth_comparison    also runs of other studies
python benchmarks/fit.py --summary experiments/fit-estimate/fit.csv                  summarise a table

The estimate is judged only on runs that no term was fitted on; the others show the quality of the fit.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ohlora.estimate.fit import ERROR
from ohlora.report.markdown import markdown

MODELS = ("gemma3-270m", "smollm2-135m-instruct")
# (rank, batch, words per row): one value changed at a time, then the corners.
SIZES = (
    (16, 1, 12),
    (64, 1, 12),
    (128, 1, 12),
    (16, 8, 12),
    (64, 8, 12),
    (16, 1, 80),
    (16, 4, 80),
    (64, 4, 80),
    (64, 2, 160),
)
SETTINGS = (
    "backend=unsloth",
    "model.dtype=float32",
    "trainer.loss=nll",
    "trainer.gradient_checkpointing=standard",
    "model.attention=eager",
    "lora.quantization=nf4",
    "lora=dora",
)
STEPS = 3  # the optimizer's state exists from the second step on
HEADER = ("case", "phase", "dtype", "tokens per step", "estimated MiB", "measured MiB", "error %", "fitted on")


@dataclass(frozen=True)
class Case:
    """One run: the name of its folder, its settings, and whether terms of the estimate were fitted on it."""

    name: str
    words: int
    overrides: tuple[str, ...]
    is_fitted: bool = True


def list_cases() -> list[Case]:
    """Every size for both models, and every setting at one size; SmolLM2's settings were not run for the fit."""
    found = []
    for model in MODELS:
        for rank, batch, words in SIZES:
            sized: tuple[str, ...] = (
                f"model={model}",
                f"lora.rank={rank}",
                f"lora.alpha={rank}",
                f"trainer.batch_size={batch}",
            )
            found.append(Case(f"{model}-r{rank}-b{batch}-w{words}", words, sized))
        for setting in SETTINGS:
            sized = (setting, f"model={model}", "lora.rank=16", "lora.alpha=16", "trainer.batch_size=4")
            is_fitted = model == MODELS[0] or setting == "backend=unsloth"
            found.append(Case(f"{model}-{setting.replace('=', '-')}", 80, sized, is_fitted))
    return found


def write_rows(words: int, path: Path) -> None:
    """Question–answer pairs of equal length, one third of it the question."""
    question, answer = "오늘 날씨가 좋아서 걸었어", "그래, 나도 같이 걷고 싶어"
    with path.open("w", encoding="utf-8") as file:
        for number in range(40):
            pair = {
                "prompt": " ".join((question.split() * words)[: words // 3]) + f" {number}",
                "response": " ".join((answer.split() * words)[: words - words // 3]),
                "split": "validation" if number % 10 == 9 else "train",
            }
            file.write(json.dumps(pair, ensure_ascii=False) + "\n")


def run_case(case: Case, out: Path) -> Path:
    """Run the case unless an earlier call did; return its result."""
    folder = out / case.name
    if not (folder / "result.json").is_file():
        data = out / f"rows-{case.words}.jsonl"
        write_rows(case.words, data)
        command = [sys.executable, "-m", "ohlora.run", *case.overrides, "data=jsonl", f"data.path={data}"]
        command += ["tracking=none", f"trainer.max_steps={STEPS}", "trainer.train_rows=30", "trainer.eval_rows=1"]
        command += [
            "trainer.samples=0",
            "trainer.max_length=2048",
            "generation.prompts=3",
            "preflight=off",
            "model.accept_license=gemma",
        ]
        done = subprocess.run([*command, f"hydra.run.dir={folder}"], check=False, stdout=subprocess.DEVNULL)
        if not (folder / "result.json").is_file():
            sys.exit(f"error: {case.name} left no result (exit code {done.returncode})")
    return folder / "result.json"


def read_figures(name: str, path: Path, is_fitted: bool) -> Iterator[list[str]]:
    """A table row per phase: estimated, measured, error."""
    result = json.loads(path.read_text("utf-8"))
    metrics = result["metrics"]
    for phase in ("infer", "train"):
        estimated = metrics.get(f"estimate/{phase}/peak_mib")
        measured = metrics.get(f"{phase}/peak_vram_mib", metrics.get(f"{phase}/peak_rss_mib"))
        if estimated and measured:
            tokens, steps = (metrics.get(f"train/train_{key}", 0) for key in ("tokens", "steps"))
            work = f"{tokens / steps:.0f}" if phase == "train" and steps else ""
            sizes = f"{estimated:.0f}", f"{measured:.0f}", f"{100 * (estimated / measured - 1):.1f}"
            yield [name, phase, result["effective"]["dtype"], work, *sizes, "yes" if is_fitted else "no"]


def read_study(folder: Path) -> Iterator[list[str]]:
    """The rows of another study's runs. The terms were fitted on the model selection of both models on a CPU."""
    for path in sorted(folder.glob("*/result.json")):
        result = json.loads(path.read_text("utf-8"))
        fitted_study = result["task"] == "selection" and result["device"].get("type") == "cpu"
        is_fitted = fitted_study and result["model"].get("name") in MODELS
        yield from read_figures(f"{folder.name} {result['run_id']}", path, is_fitted)


def summarise(lines: Sequence[dict[str, str]]) -> str:
    """The errors on runs that no term was fitted on, and separately on the others."""
    texts = []
    for fitted, title in (("no", "Judged, on runs that no term was fitted on"), ("yes", "Fit, no judgement")):
        for phase, word in (("train", "fine-tuning"), ("infer", "inference")):
            own = [line for line in lines if line["fitted on"] == fitted and line["phase"] == phase]
            errors = [abs(float(line["error %"])) for line in own]
            if errors:
                sizes = f"error at most {max(errors):.1f} %, mean {sum(errors) / len(errors):.1f} %"
                within = sum(error <= 100 * ERROR for error in errors)
                texts.append(f"{title}: {word}: {len(errors)} figures; {sizes}; {within} within {100 * ERROR:.0f} %")
            elif fitted == "no":
                texts.append(f"{title}: {word}: none")
    return "\n".join(f"- {text}" for text in texts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, nargs="?", help="folder of the runs and of fit.csv and fit.md")
    parser.add_argument("--others", type=Path, nargs="*", default=[], help="folders of other studies")
    parser.add_argument("--summary", type=Path, help="a fit.csv; nothing is run")
    given = parser.parse_args()
    if given.summary:
        with given.summary.open(encoding="utf-8", newline="") as file:
            print(summarise(list(csv.DictReader(file))))
        return
    if given.out is None:
        parser.error("give the folder of the runs, or --summary")
    out: Path = given.out
    out.mkdir(parents=True, exist_ok=True)
    lines: list[list[str]] = []
    todo = list_cases()
    for number, case in enumerate(todo, 1):
        print(f"[{number}/{len(todo)}] {case.name}", file=sys.stderr, flush=True)
        lines += read_figures(case.name, run_case(case, out), case.is_fitted)
    for folder in given.others:
        lines += read_study(folder)
    with (out / "fit.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([HEADER, *lines])
    summary = summarise([dict(zip(HEADER, line, strict=True)) for line in lines])
    (out / "fit.md").write_text(f"{markdown(HEADER, lines)}\n\n{summary}\n", "utf-8")
    print(summary)


if __name__ == "__main__":
    main()
