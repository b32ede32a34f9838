"""How far is the estimate of peak memory off? Real runs over models, ranks, batches, lengths and settings.

python benchmarks/fit.py outputs/fit-estimate            every case; goes on where it stopped; fit.csv and fit.md
                                                         (accepts the Gemma terms for the embedded model)
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from ohlora.report.markdown import markdown

MODELS = ("gemma3-270m", "smollm2-135m-instruct")
# (rank, batch, words in a row): one at a time from the middle, then the corners.
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
STEPS = 3  # the optimizer's state is there from the second on


@dataclass(frozen=True)
class Case:
    """One run: a name for its folder, and what is asked of it."""

    name: str
    words: int
    overrides: tuple[str, ...]


def cases() -> list[Case]:
    """Every size for both models, and every setting at one size."""
    found = []
    for model in MODELS:
        for rank, batch, words in SIZES:
            sized = (f"model={model}", f"lora.rank={rank}", f"lora.alpha={rank}", f"trainer.batch_size={batch}")
            found.append(Case(f"{model}-r{rank}-b{batch}-w{words}", words, sized))
        for setting in SETTINGS:
            sized = (setting, f"model={model}", "lora.rank=16", "lora.alpha=16", "trainer.batch_size=4")
            found.append(Case(f"{model}-{setting.replace('=', '-')}", 80, sized))
    return found


def rows(words: int, path: Path) -> None:
    """Pairs of one length, a third of it question."""
    question, answer = "오늘 날씨가 좋아서 걸었어", "그래, 나도 같이 걷고 싶어"
    with path.open("w", encoding="utf-8") as file:
        for number in range(40):
            pair = {
                "prompt": " ".join((question.split() * words)[: words // 3]) + f" {number}",
                "response": " ".join((answer.split() * words)[: words - words // 3]),
                "split": "validation" if number % 10 == 9 else "train",
            }
            file.write(json.dumps(pair, ensure_ascii=False) + "\n")


def run(case: Case, out: Path) -> Path:
    """The case's result; made unless an earlier call has."""
    folder = out / case.name
    if not (folder / "result.json").is_file():
        data = out / f"rows-{case.words}.jsonl"
        rows(case.words, data)
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


def line(case: Case, path: Path) -> list[list[object]]:
    """A row for each phase: what was estimated, what was measured, and the error."""
    result = json.loads(path.read_text("utf-8"))
    found: list[list[object]] = []
    for phase in ("infer", "train"):
        estimated, measured = (
            result["metrics"].get(key) for key in (f"estimate/{phase}/peak_mib", f"{phase}/peak_rss_mib")
        )
        if estimated and measured:
            tokens = result["metrics"].get("train/train_tokens", 0)
            dtype, error = result["effective"]["dtype"], estimated / measured - 1
            found.append([case.name, phase, dtype, tokens, round(estimated), round(measured), round(100 * error, 1)])
    return found or [[case.name, result["status"], (result["reason"] or {}).get("text", ""), "", "", "", ""]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder of the runs and of fit.csv and fit.md")
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    header = ["case", "phase", "dtype", "tokens trained on", "estimated MiB", "measured MiB", "error %"]
    lines: list[list[object]] = []
    todo = cases()
    for number, case in enumerate(todo, 1):
        print(f"[{number}/{len(todo)}] {case.name}", file=sys.stderr, flush=True)
        lines += line(case, run(case, out))
        with (out / "fit.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([header, *lines])
    errors = [abs(float(str(entry[6]))) for entry in lines if entry[6] != ""]
    text = markdown(header, [[str(cell) for cell in entry] for entry in lines])
    text += f"\n\n{len(errors)} figures; error at most {max(errors):.1f} %, mean {sum(errors) / len(errors):.1f} %\n"
    (out / "fit.md").write_text(text, "utf-8")
    print(text)


if __name__ == "__main__":
    main()
