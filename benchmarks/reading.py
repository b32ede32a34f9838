"""python benchmarks/reading.py: 20,000 rows read and tokenised, as rows per second, ratios and peak memory.

Every line of the table is a fresh process. The time of tokenising is compared with one call of the tokenizer on the
same texts in the same process, which neither keeps text apart from control tokens nor makes labels. Run it where the
embedded model is prepared.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from ohlora.config.schema import DataConfig
from ohlora.data.rows import load_rows
from ohlora.measure.device import cpu_name

COUNTS = (1_000, 5_000, 20_000)
FORMATS = ("jsonl", "csv", "parquet", "xlsx")
KIB_PER_MIB = 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split(": ", 1)[1])
    parser.add_argument("--model", type=Path, default=Path("models/gemma3-270m"), help="folder with a tokenizer")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", nargs=2, metavar=("FILE", "COUNT"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(Path(given.one[0]), int(given.one[1]), given.model)))
        return
    print(
        f"Device: CPU ({cpu_name()}, {os.cpu_count()} cores). {given.rounds} rounds, medians; the peak is above that "
        "of the process before it reads.\n"
    )
    print("| rows | file | read, rows/s | tokenise, rows/s | tokenise / plain call | peak, MiB |")
    print("| ---: | --- | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as folder:
        for count, kind in [*((count, FORMATS[0]) for count in COUNTS), *((COUNTS[-1], kind) for kind in FORMATS[1:])]:
            path = write_rows(Path(folder), kind, count)
            found = [run_once(path, count, given.model) for _ in range(given.rounds)]
            middle = {key: median(one[key] for one in found) for key in found[0]}
            print(
                f"| {count:,} | {kind} | {count / middle['read_s']:,.0f} | {count / middle['tokenise_s']:,.0f} | "
                f"{middle['tokenise_s'] / middle['plain_s']:.2f} | {middle['peak_mib']:.0f} |",
                flush=True,
            )


def run_once(path: Path, count: int, model: Path) -> dict[str, float]:
    command = [sys.executable, __file__, "--model", str(model), "--one", str(path), str(count)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "HF_HUB_OFFLINE": "1"})
    return dict(json.loads(ran.stdout.splitlines()[-1]))


def measure(path: Path, count: int, model: Path) -> dict[str, float]:
    """Seconds and MiB of reading and tokenising one file, in this process."""
    from ohlora.config.schema import ModelConfig
    from ohlora.data.run_rows import RunRows
    from ohlora.data.tokens import encode, load_tokenizer

    option = ModelConfig(name=model.name)
    tokenizer, stop_ids = load_tokenizer(model, option)
    tokenizer("warm")
    before = peak_mib()
    started = time.perf_counter()
    rows = load_rows(DataConfig("file", "auto", str(path)))
    read = time.perf_counter()
    tokens = encode(tokenizer, RunRows(rows, [], []), option, 512, stop_ids)
    done = time.perf_counter()
    peak = peak_mib()
    assert len(rows) == len(tokens.train) == count
    texts = [f"{row.question}\n{row.response}" for row in rows]
    plain = time.perf_counter()
    tokenizer(texts)
    plain_s = time.perf_counter() - plain
    return {"read_s": read - started, "tokenise_s": done - read, "plain_s": plain_s, "peak_mib": peak - before}


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIB_PER_MIB


def write_rows(folder: Path, kind: str, count: int) -> Path:
    """`count` rows made of the packaged ones, each with a number of its own."""
    shipped = load_rows(DataConfig("ohlora", "csv"))
    rows: list[dict[str, Any]] = []
    for number in range(count):
        row = shipped[number % len(shipped)]
        rows.append({
            "prompt": f"{row.question} ({number})", "response": row.response or "네.", "split": "train",
            "category": row.category,
        })  # fmt: skip
    path = folder / f"rows-{count}.{kind}"
    if kind == "csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    elif kind == "jsonl":
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    elif kind == "parquet":
        import pyarrow
        from pyarrow import parquet

        parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    else:
        from openpyxl import Workbook

        book = Workbook(write_only=True)
        sheet = book.create_sheet()
        for line in (list(rows[0]), *(list(row.values()) for row in rows)):
            sheet.append(line)
        book.save(path)
    return path


if __name__ == "__main__":
    main()
