"""python benchmarks/overhead.py: what our process adds to a bare transformers + PEFT + TRL script.

Both do the same training (20 pairs, 2 epochs, batch 2, rank 64, hf, CPU, float32) and save the adapter. Whole
commands are timed, interleaved; peak memory is that of the largest process. Needs the prepared embedded model.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

# Runs a command and prints the peak of its largest process in MiB as the last line on stderr.
WATCH = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:]).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024, file=sys.stderr)
sys.exit(code)
"""
HERE = Path(__file__).resolve().parent
OURS = ["task=train", "backend=hf", "device=cpu", "model.dtype=float32", "trainer.eval_rows=0", "trainer.samples=0"]


def measured(command: list[str], cwd: Path) -> tuple[float, float, str]:
    """(wall s, peak MiB of the largest process, stdout) of one command; raises if it fails."""
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", WATCH, *command], cwd=cwd, env=env, capture_output=True, text=True, check=False
    )
    wall = time.perf_counter() - started
    if done.returncode:
        sys.exit(f"error: {' '.join(command)} failed:\n{done.stderr}")
    return wall, float(done.stderr.split()[-1]), done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split(": ", 1)[1])
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--models", type=Path, default=Path("models"), help="where gemma3-270m was prepared")
    given = parser.parse_args()
    model = (given.models / "gemma3-270m").resolve()
    if not (model / "config.json").is_file():
        sys.exit(f"error: {model} is missing; run: python -m ohlora.run task=prepare")
    with tempfile.TemporaryDirectory() as folder:
        cwd = Path(folder)
        rows = cwd / "rows.json"
        rows.write_text(json.dumps(_rows(), ensure_ascii=False), "utf-8")
        bare = [sys.executable, str(HERE / "bare_sft.py"), str(model), str(cwd / "bare"), str(rows)]
        ours = [sys.executable, "-m", "ohlora.run", *OURS, f"models={model.parent}"]
        commands = {"bare": bare, "ours": [*ours, "tracking=none"], "ours + MLflow": ours}
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        measured(commands["ours + MLflow"], cwd)  # warm-up: tokens, database, file cache
        losses = ""
        for pair in range(given.pairs):
            for name in list(commands)[:: 1 if pair % 2 == 0 else -1]:
                wall, peak, out = measured(commands[name], cwd)
                taken[name].append((wall, peak))
                print(f"pair {pair + 1}: {name}: {wall:.1f} s, {peak:.0f} MiB")
                losses = out.splitlines()[-1] if name == "bare" else losses
        result = json.loads(max((cwd / "outputs/runs").glob("*/result.json")).read_text())
        print(f"bare: {losses}; ours: last loss {result['metrics']['train/train_loss']:.4f}")
    print(f"\n{given.pairs} pairs, medians\n\n| command | wall s | wall ratio | peak MiB | peak ratio |")
    print("| --- | --- | --- | --- | --- |")
    for name, values in taken.items():
        walls, peaks = ([value[k] / base[k] for value, base in zip(values, taken["bare"], strict=True)] for k in (0, 1))
        print(
            f"| {name} | {median(v[0] for v in values):.1f} | {median(walls):.3f} "
            f"| {median(v[1] for v in values):.0f} | {median(peaks):.3f} |"
        )


def _rows() -> list[dict[str, str]]:
    """The 20 training pairs as text, as TRL's prompt-completion format takes them."""
    from ohlora.config.compose import compose_config
    from ohlora.planning.plan import plan_run

    plan = plan_run(compose_config([]))
    template, rows = plan.config.model.prompt_template or "", plan.run_rows.train
    return [{"prompt": template.replace("{prompt}", row.question), "completion": row.response} for row in rows]


if __name__ == "__main__":
    main()
