"""make bench: our training and inference against scripts that use the libraries alone, on this machine.

    python benchmarks/speed.py experiments/speed --rounds 3

Every round runs every contender once, in turn forwards and backwards; a run that the machine disturbed is repeated and
left out (docs/disturbance.md). Ratios are those of one round. Needs the prepared model gemma3-270m. A CPU only.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from overhead import measured

from ohlora.config.compose import compose_config
from ohlora.files import read_json, write_atomic, write_json
from ohlora.measure.device import describe
from ohlora.measure.disturbance import DisturbanceWatch, Ticks, reasons
from ohlora.measure.statistics import compare_pairs
from ohlora.planning.plan import plan_run
from ohlora.report.markdown import markdown
from ohlora.report.provenance import code_version

HERE = Path(__file__).resolve().parent
SEEN = ("wall_s", "processors", "others_cpu_share", "stolen_share", "swapped_in_mib")
REDO = 2  # repeats of a disturbed run, at most
TRAIN, INFER, SWEEP = "train_s", "infer_s", "job_s"
OURS = ["device=cpu", "model.dtype=bfloat16", "tracking=none"]
TASKS = {TRAIN: ["task=train", "trainer.eval_rows=0", "trainer.samples=0"], INFER: ["task=infer", "generation=timed"]}
TASKS[SWEEP] = ["-m", *TASKS[TRAIN], "trainer.speed=fast", "trainer.learning_rate=1e-4,2e-4,3e-4"]


@dataclass(frozen=True)
class Contender:
    """A command, and whether its figures come from its last line of output or from our result.json."""

    name: str
    group: str
    command: list[str]
    ours: bool


def bare(name: str, *flags: str, rows: str = "rows.json") -> Contender:
    command = [sys.executable, str(HERE / "bare_sft.py"), "MODEL", "bare", rows, "--dtype", "bfloat16", *flags]
    return Contender(name, TRAIN, command, False)


def ours(name: str, group: str, *overrides: str) -> Contender:
    command = [sys.executable, "-m", "ohlora.run", *TASKS[group], *OURS, "models=MODELS", *overrides]
    return Contender(name, group, command, True)


# The first of each group is the baseline of its ratios.
CONTENDERS = [
    bare("bare TRL, its defaults (checkpointing)", "--checkpointing"),
    bare("bare TRL, checkpointing off"),
    bare("bare Unsloth, checkpointing off", "--unsloth"),
    ours("ours, equal settings, hf", TRAIN),
    ours("ours, equal settings, Unsloth", TRAIN, "backend=unsloth"),
    ours("ours, trainer.speed=fast, hf", TRAIN, "trainer.speed=fast"),
    ours("ours, trainer.speed=fast, Unsloth", TRAIN, "trainer.speed=fast", "backend=unsloth"),
    Contender(
        "a generate loop, one by one", INFER,
        [sys.executable, str(HERE / "bare_generate.py"), "MODEL", "prompts.json"], False,
    ),
    Contender(
        "transformers' continuous batching", INFER,
        [sys.executable, str(HERE / "bare_generate.py"), "MODEL", "prompts.json", "--continuous"], False,
    ),
    ours("ours, one by one", INFER),
    ours("ours, generation.batch=8", INFER, "generation.batch=8"),
    ours("ours, generation.batch=auto", INFER, "generation.batch=auto"),
    ours("a job in a sweep", SWEEP),
    ours("a job in a sweep, launch.warm=true", SWEEP, "launch.warm=true"),
]  # fmt: skip
# How the gain changes: flags of the script, overrides of ours; FILE is a table of rows of twice the length.
GROWTH = {
    "rank 16": (["--rank", "16"], ["lora=r16"]),
    "batch 8": (["--batch", "8"], ["trainer.batch_size=8"]),
    "60 rows": ([], ["trainer.train_rows=60", "data.manifest=null"]),
    "rows of twice the length": ([], ["data=csv", "data.path=FILE", "trainer.max_length=1024"]),
}


def grown() -> list[Contender]:
    """Bare TRL without checkpointing and ours, for each change."""
    found = []
    for name, (flags, overrides) in GROWTH.items():
        found.append(bare(f"{name}: bare TRL", *flags, rows=f"{name}.json"))
        found.append(ours(f"{name}: fast", TRAIN, "trainer.speed=fast", *overrides))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split(": ", 1)[1].splitlines()[0])
    parser.add_argument("folder", type=Path, help="where speed.md and speed.json are written")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--growth-rounds", type=int, default=2)
    parser.add_argument(
        "--only", choices=["train", "infer", "sweep"], help="measure these anew, keep the other runs of speed.json"
    )
    parser.add_argument("--models", type=Path, default=Path("models"), help="where gemma3-270m was prepared")
    given = parser.parse_args()
    model = (given.models / "gemma3-270m").resolve()
    if not (model / "config.json").is_file():
        sys.exit(f"error: {model} is missing; run: python -m ohlora.run task=prepare")
    group, file = {"train": TRAIN, "infer": INFER, "sweep": SWEEP}.get(given.only), given.folder / "speed.json"
    device = describe("cpu")
    runs = _read_others(file, group, device) if group else []
    with tempfile.TemporaryDirectory() as folder:
        cwd, commit = Path(folder), code_version()["commit"]
        _write_inputs(cwd)
        whole = [(number, one) for number in range(given.rounds) for one in CONTENDERS[:: 1 if number % 2 == 0 else -1]]
        planned = [*whole, *((number, one) for number in range(given.growth_rounds) for one in grown())]
        planned = [(number, one) for number, one in planned if group in (None, one.group)]
        for count, (number, contender) in enumerate(planned, 1):
            runs.append(
                {"round": number, "code": commit, "date": time.strftime("%Y-%m-%d"), **_run(contender, model, cwd)}
            )
            _write(given.folder, {"device": device, "runs": runs})  # a contender that fails later loses no other
            print(f"[{count}/{len(planned)}] {contender.name}: {_said(runs[-1])}", flush=True)
    text = write_table({"device": device, "runs": runs})
    write_atomic(given.folder / "speed.md", text)
    print(f"\n{text}")


def _write(folder: Path, record: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "speed.json", record)


def _read_others(file: Path, group: str, device: dict[str, Any]) -> list[dict[str, Any]]:
    """The stored runs of the other group, which must be of this machine."""
    if not file.is_file():
        sys.exit(f"error: {file} is missing; run it without --only first")
    stored = read_json(file)
    if stored["device"]["name"] != device["name"]:
        sys.exit(f"error: {file} was measured on {stored['device']['name']}; run it without --only")
    return [run for run in stored["runs"] if run["group"] != group]


def _write_inputs(cwd: Path) -> None:
    """Our rows as text for every script, in TRL's prompt-completion format, and the table of longer rows."""
    plan = plan_run(compose_config([]))
    template = plan.config.model.prompt_template or ""
    with (cwd / "double.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "split", "prompt", "response"])
        for row in [*plan.run_rows.train, *plan.run_rows.validation]:
            split = "train" if row in plan.run_rows.train else "validation"
            writer.writerow([row.id, split, f"{row.question} {row.question}", f"{row.response} {row.response}"])
    rows_of = {"rows": [], **{name: overrides for name, (_, overrides) in GROWTH.items()}}
    for name, overrides in rows_of.items():
        given = [one.replace("FILE", str(cwd / "double.csv")) for one in overrides]
        rows = plan_run(compose_config(given)).run_rows.train
        texts = [{"prompt": template.replace("{prompt}", row.question), "completion": row.response} for row in rows]
        (cwd / f"{name}.json").write_text(json.dumps(texts, ensure_ascii=False), "utf-8")
    questions = [template.replace("{prompt}", row.question) for row in plan.run_rows.prompts]
    (cwd / "prompts.json").write_text(json.dumps(questions, ensure_ascii=False), "utf-8")


def _run(contender: Contender, model: Path, cwd: Path) -> dict[str, Any]:
    """Its figures; a disturbed run is repeated, and says so if the last repeat was disturbed too."""
    places = {
        "MODEL": str(model),
        "models=MODELS": f"models={model.parent}",
        "data.path=FILE": f"data.path={cwd}/double.csv",
    }
    command = [places.get(part, part) for part in contender.command]
    for repeats in range(1 + REDO):  # noqa: B007  how often it was repeated
        study = str(time.monotonic_ns())
        watch = DisturbanceWatch()
        watch.enter("command")
        wall, peak, out = measured([*command, *([f"study={study}"] if contender.ours else [])], cwd)
        watch.leave("command", Ticks(0))
        if contender.group == SWEEP:
            found = _read_sweep(cwd / "outputs" / study)
        else:
            found = _read_result(cwd / "outputs" / study) if contender.ours else json.loads(out.splitlines()[-1])
        # The threads' waiting and pauses are not those of the command here; what others used and the host took are.
        seen = watch.records()["command"]
        disturbed = reasons({key: seen[key] for key in SEEN if key in seen})
        if not disturbed:
            break
    return {"name": contender.name, "group": contender.group, "wall_s": wall, "peak_mib": peak, "repeats": repeats,
            "disturbed": disturbed, **found}  # fmt: skip


def _read_result(study: Path) -> dict[str, Any]:
    (path,) = study.glob("*/result.json")
    result = json.loads(path.read_text("utf-8"))
    m = result["metrics"]
    found = {"import_s": m["load/import_s"]}
    if "train/train_time_s" in m:
        return found | {
            TRAIN: m["train/train_time_s"],
            "first_loss": result["parity"]["losses"][0],
            "last_loss": m["train/train_loss"],
            "tflop": m["train/train_tflop"],
            "peak_gflops": m["train/matmul_peak_gflops"],
        }
    (samples,) = path.parent.glob("attempt-*/samples/infer.jsonl")
    answers = [json.loads(line)["answer"] for line in samples.read_text("utf-8").splitlines()]
    return found | {INFER: m["infer/infer_time_s"], "answers": answers}


def _read_sweep(study: Path) -> dict[str, Any]:
    """Seconds of a job after the first, from the end of the one before it, besides its optimizer steps."""
    jobs = sorted((read_json(path) for path in study.glob("*/result.json")), key=lambda job: job["timings"]["ended"])
    ends = [job["timings"]["ended"] for job in jobs]
    taken = [after - before for before, after in pairwise(ends)]
    later = [job["metrics"] for job in jobs[1:]]
    besides = median(s - m["train/train_time_s"] for s, m in zip(taken, later, strict=True))
    return {SWEEP: besides, "import_s": median(m["load/import_s"] for m in later)}


def _said(run: dict[str, Any]) -> str:
    disturbed = f", disturbed: {', '.join(run['disturbed'])}" if run["disturbed"] else ""
    return f"{run[run['group']]:.1f} s ({run['wall_s']:.1f} s in all), {run['peak_mib']:,.0f} MiB{disturbed}"


def write_table(record: dict[str, Any]) -> str:
    """The tables in Markdown, from the runs alone. Disturbed runs are left out of every figure."""
    device, (commits, dates) = (
        record["device"],
        (sorted({run[key] for run in record["runs"]}) for key in ("code", "date")),
    )
    lines = [
        "# Speed",
        "",
        f"Device: {device['name']}, {', '.join(dates)}; code {', '.join(commits)}. Written by `make bench`;"
        " ratios are geometric means over rounds, with 95 % paired intervals; below 1 is faster or less.",
        "",
        "## Training",
        "",
        "gemma3-270m in bfloat16, rank 64, 20 pairs × 2 epochs, batch 2. Seconds are the sum of the optimizer steps.",
        "",
        *_training(record["runs"]),
        "",
        "## How it changes",
        "",
        "One change each, `trainer.speed=fast` (hf) against bare TRL with checkpointing off.",
        "",
        *_growth(record["runs"]),
        "",
        "## Inference",
        "",
        "25 prompts × 40 tokens, greedy, bfloat16.",
        "",
        *_inference(record["runs"]),
        "",
        "## Start-up",
        "",
        "Seconds of a command, or of a job in a sweep, besides its optimizer steps or answers: processes, imports, "
        "tokens, weights; of ours also the record of the run.",
        "",
        *_start_up(record["runs"]),
        "",
    ]
    kept_out = [run for run in record["runs"] if run["disturbed"]]
    lines += [f"Left out as disturbed: {len(kept_out)} of {len(record['runs'])} runs.", ""]
    return "\n".join(lines)


def _training(runs: list[dict[str, Any]]) -> list[str]:
    names = [one.name for one in CONTENDERS if one.group == TRAIN]
    some = next(run for run in runs if "tflop" in run)  # the same rows for all
    peak = median(run["peak_gflops"] for run in runs if "peak_gflops" in run)

    def cells(name: str, own: Runs) -> list[str]:
        seconds = _median(own, TRAIN)
        return [
            f"{seconds:.1f}", *(_ratio(runs, baseline, name, TRAIN) for baseline in names[:2]),
            f"{some['tflop'] * 1000 / (seconds * peak):.2f}", f"{_median(own, 'wall_s'):.1f}",
            f"{_median(own, 'peak_mib'):,.0f}", *(f"{_median(own, key):.4f}" for key in ("first_loss", "last_loss")),
        ]  # fmt: skip

    header = ["", "s", "ratio to defaults", "ratio to checkpointing off", "share", "whole command, s", "peak MiB",
              "first loss", "last loss"]  # fmt: skip
    return [
        f"Share: of this processor's measured matmul speed, {peak:,.0f} GFLOP/s in bfloat16, reached with the least "
        f"work that the training needs ({some['tflop']:.2f} TFLOP).",
        "",
        _table(runs, header, names, cells),
    ]


def _growth(runs: list[dict[str, Any]]) -> list[str]:
    def cells(name: str, script: Runs) -> list[str]:
        change, which = name.removesuffix(": bare TRL"), name.replace("bare TRL", "fast")
        fast = _undisturbed(runs, which)
        if not fast:
            return [change, "disturbed"]
        return [
            change, f"{_median(script, TRAIN):.1f}", f"{_median(fast, TRAIN):.1f}", _ratio(runs, name, which, TRAIN),
            f"{_median(script, 'peak_mib'):,.0f}", f"{_median(fast, 'peak_mib'):,.0f}",
        ]  # fmt: skip

    header = ["", "bare TRL, s", "fast, s", "ratio", "peak MiB, bare", "peak MiB, fast"]
    return [_table(runs, header, [f"{name}: bare TRL" for name in GROWTH], cells, named=False)]


def _inference(runs: list[dict[str, Any]]) -> list[str]:
    names = [one.name for one in CONTENDERS if one.group == INFER]
    expected = next(iter(_undisturbed(runs, names[0]).values()), {}).get("answers", [])

    def cells(name: str, own: Runs) -> list[str]:
        answers = next(iter(own.values()))["answers"]
        assert len(answers) == len(expected), f"{name} answered {len(answers)} prompts, not {len(expected)}"
        same = sum(a == b for a, b in zip(answers, expected, strict=True))
        return [
            f"{_median(own, INFER):.1f}", _ratio(runs, names[0], name, INFER, digits=3),
            f"{_median(own, 'wall_s'):.1f}", f"{_median(own, 'peak_mib'):,.0f}", f"{same} of {len(answers)}",
        ]  # fmt: skip

    header = ["", "s", "ratio to the loop", "whole command, s", "peak MiB", "the same answers as the loop"]
    return [_table(runs, header, names, cells)]


def _start_up(runs: list[dict[str, Any]]) -> list[str]:
    def cells(name: str, own: Runs) -> list[str]:
        group = next(iter(own.values()))["group"]
        seconds = median(r[SWEEP] if group == SWEEP else r["wall_s"] - r[group] for r in own.values())
        return [
            f"{seconds:.1f}",
            *([f"{_median(own, 'import_s'):.1f}"] if "import_s" in next(iter(own.values())) else []),
        ]

    return [_table(runs, ["", "s", "until the libraries are imported, s"], [one.name for one in CONTENDERS], cells)]


Runs = dict[int, dict[str, Any]]  # round -> run


def _table(
    runs: list[dict[str, Any]], header: list[str], names: list[str], cells: Callable[[str, Runs], list[str]],
    named: bool = True,
) -> str:  # fmt: skip
    """A row for each of these names, with the `cells` of its undisturbed runs."""
    rows = []
    for name in names:
        own = _undisturbed(runs, name)
        rows.append([*([name] if named else []), *cells(name, own)] if own else [name, "all disturbed"])
    return markdown(header, [[*row, *[""] * (len(header) - len(row))] for row in rows])


def _undisturbed(runs: list[dict[str, Any]], name: str) -> Runs:
    return {run["round"]: run for run in runs if run["name"] == name and not run["disturbed"]}


def _median(own: Runs, key: str) -> float:
    return median(run[key] for run in own.values())


def _ratio(runs: list[dict[str, Any]], baseline: str, name: str, key: str, digits: int = 2) -> str:
    """The ratio over the rounds in which neither was disturbed, with its interval."""
    theirs, own = _undisturbed(runs, baseline), _undisturbed(runs, name)
    rounds = sorted(set(theirs) & set(own))
    if baseline == name or not rounds:
        return "1" if baseline == name else "–"
    found = compare_pairs([theirs[r][key] for r in rounds], [own[r][key] for r in rounds])
    interval = f" ({found.interval[0]:.{digits}f}–{found.interval[1]:.{digits}f})" if found.interval else ""
    return f"{found.ratio:.{digits}f}{interval}"


if __name__ == "__main__":
    main()
