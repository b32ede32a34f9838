"""python -m ohlora.run task=inspect_data data=file data.path=my.csv: the data as the model will see them.

Writes rows.jsonl, tokens.jsonl, notes.json and data.html into the run's folder.
"""

from __future__ import annotations

from collections import Counter
from statistics import median
from typing import Any

from ohlora.config.choices import Overlong
from ohlora.data.findings import Finding, find_all
from ohlora.data.fitting import require_fit
from ohlora.data.notes import Notes
from ohlora.data.rows import Row
from ohlora.data.run_rows import RunRows
from ohlora.data.template_checks import check_template
from ohlora.data.tokens import IGNORED, Example, Tokens, encode, load_tokenizer
from ohlora.files import encode_json, write_atomic, write_json
from ohlora.report.data_page import write_data_page
from ohlora.tasks.job import Job

SHOWN = 5  # findings of one kind on screen


def run(job: Job) -> None:
    """Tokenise every row as training would, and write what was read into the folder of the run."""
    config, plan = job.config, job.plan
    rows, notes = plan.rows, plan.files.notes(config.data)
    job.stage("tokenising")
    tokenizer, stop_ids = load_tokenizer(plan.model_folder, config.model)
    for note in check_template(tokenizer, config.model, plan.model_folder, stop_ids):
        job.note(f"model.name={config.model.name}: {note}")
    asked = [row for row in rows if not row.response]
    answered = [row for row in rows if row.response]
    tokens = encode(
        tokenizer, RunRows(answered, [], asked), config.model, config.trainer.max_length, stop_ids,
        config.data.train_on, config.data.overlong,
    )  # fmt: skip
    require_fit(tokens, plan.model_folder, config.model)
    _note_long_rows(rows, tokens, config.data.overlong, config.trainer.max_length, notes)
    job.stage("comparing rows")
    findings = find_all(rows)
    examples = {example.id: example for example in tokens.train}
    examples |= {name: Example(name, ids, [IGNORED] * len(ids)) for name, ids in tokens.prompts}
    kept = [row for row in rows if row.id in examples]
    folder = job.attempt.parent
    _write_lines(folder / "rows.jsonl", [_describe(row, examples[row.id]) for row in kept])
    _write_lines(
        folder / "tokens.jsonl",
        [{"id": r.id, "ids": examples[r.id].input_ids, "labels": examples[r.id].labels} for r in kept],
    )
    write_json(folder / "notes.json", {**notes.record(), "findings": [vars(one) for one in findings]})
    write_data_page(folder / "data.html", tokenizer, kept, examples, notes, findings, config.report.lang.value)
    for line in summarise(kept, examples, notes, findings):
        job.note(line)


def summarise(rows: list[Row], examples: dict[str, Example], notes: Notes, findings: list[Finding]) -> list[str]:
    """The lines on screen: counts, lengths in tokens, notes, findings."""
    splits = Counter(row.split for row in rows)
    lines = ["rows: " + ", ".join(f"{count} {split}" for split, count in sorted(splits.items()))]
    categories = Counter(row.category for row in rows if row.category)
    if categories:
        lines.append("categories: " + ", ".join(f"{name} {count}" for name, count in categories.most_common()))
    lengths = sorted(len(examples[row.id].input_ids) for row in rows)
    if lengths:
        high = lengths[min(len(lengths) - 1, int(0.95 * len(lengths)))]
        lines.append(f"tokens of a row: {lengths[0]} to {lengths[-1]}, median {median(lengths):g}, 95 % up to {high}")
    lines += notes.lines()
    for kind, count in Counter(one.kind for one in findings).items():
        shown = "; ".join(one.text for one in findings if one.kind == kind)[:300]
        lines.append(f"{kind.replace('_', ' ')}: {count} ({shown}{' …' if count > SHOWN else ''})")
    return lines


def _note_long_rows(rows: list[Row], tokens: Tokens, overlong: Overlong, longest: int, notes: Notes) -> None:
    long = [row for row in rows if row.id in set(tokens.truncated)]
    if long:
        kind = notes.dropped if overlong is Overlong.drop else notes.cut
        done = "left out" if overlong is Overlong.drop else "cut, with their end-of-answer token"
        kind[f"rows of more than {longest} tokens {done}"] = [row.place for row in long]


def _describe(row: Row, example: Example) -> dict[str, Any]:
    return {
        "id": row.id,
        "split": row.split,
        "prompt": row.prompt,
        "response": row.response,
        "memory": row.memory,
        "source_line": row.line,
        "tokens": len(example.input_ids),
        "loss_tokens": sum(label != IGNORED for label in example.labels),
        **({"source_file": row.file} if row.file else {}),
        **({"category": row.category} if row.category else {}),
        **({"system": row.system} if row.system else {}),
        **({"history": [vars(turn) for turn in row.history]} if row.history else {}),
        **({"checks": dict(row.checks)} if row.checks else {}),
    }


def _write_lines(path: Any, values: list[dict[str, Any]]) -> None:
    write_atomic(path, "".join(encode_json(value) + "\n" for value in values))
