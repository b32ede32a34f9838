"""What a single run prints at its end: its table, its answers, its folder; or what went wrong."""

from __future__ import annotations

import sys
from pathlib import Path

from ohlora.records.judgement import FILE as JUDGEMENT
from ohlora.records.judgement import read_judgement
from ohlora.records.result import Result, Status
from ohlora.records.samples import read_samples
from ohlora.report.comparison.table import single_table
from ohlora.report.disturbances import describe_run
from ohlora.report.judge.write import summarise


def show_run(result: Result, attempt: Path) -> None:
    """Print the outcome to stdout, to stderr what disturbed it; or the failure, with the end of its output."""
    if result.status != Status.finished.value:
        reason = result.reason or {}
        print(f"error: {result.status}: {reason.get('text', '')}\n{reason.get('log', '')}".rstrip(), file=sys.stderr)
        print(f"see {attempt}", file=sys.stderr)
    elif result.task == "prepare":
        print(f"{result.model['label']}: {result.model['folder']}")
    elif result.task == "inspect_data":
        for name in ("data.html", "rows.jsonl", "tokens.jsonl", "notes.json"):
            print(attempt.parent / name)
    elif (attempt / JUDGEMENT).is_file():
        print(f"{summarise(read_judgement(attempt / JUDGEMENT))}\n\n{attempt / 'judge.html'}")
        if result.task == "final":
            ask = """'generation.ask=["너는 누구야?"]'"""
            print(f"\nAsk her: python -m ohlora.run task=infer adapter={attempt.parent} {ask}")
        _warn(result)
    else:
        if result.task in ("infer", "train"):
            print(answers(attempt / "samples" / f"{result.task}.jsonl"))
        print(f"{single_table(result)}\n\n{attempt}")
        _warn(result)


def _warn(result: Result) -> None:
    for line in describe_run(result):
        print(f"warning: the machine disturbed this run: {line}", file=sys.stderr)


def answers(path: Path) -> str:
    """The generated answers, each under its question."""
    samples = read_samples(path) if path.is_file() else []
    return "".join(f"Q: {s.question}\nA: {s.answer}\n\n" for s in samples).rstrip("\n") + ("\n" if samples else "")
