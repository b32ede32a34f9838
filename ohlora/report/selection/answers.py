"""The answers side by side, folded: per question the reference and each candidate's answer, with its defects."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from ohlora.measure.quality import find_defects
from ohlora.records.samples import Sample
from ohlora.report.plots.svg import clean
from ohlora.report.selection.selection import ModelSelection
from ohlora.report.words.comparison import say


def fold_answers(selection: ModelSelection) -> str:
    """A `<details>` for each question, with the answers of each model's best candidate, '' where there are none.

    HTML without an empty line: a Markdown viewer folds it too, and what models and users wrote is shown as text.
    """
    lang = selection.lang
    asked: dict[str, tuple[Sample, list[list[str]]]] = {}
    for candidate in (one for machine in selection.machines for one in machine.best_of_each_model()):
        for sample in candidate.samples:
            reference = [say(lang, "s.reference"), "", sample.reference, ""]
            _, rows = asked.setdefault(f"{sample.id}\n{sample.question}", (sample, [reference]))
            model = selection.with_machine(candidate.model, candidate.machine)
            found = ", ".join(say(lang, f"s.{defect}") for defect in find_defects(sample))
            rows.append([model, candidate.rank, sample.answer, found])
    header = [say(lang, code) for code in ("s.model", "s.rank", "s.answer", "s.defect")]
    return "\n".join(_fold(sample.question, header, rows) for sample, rows in asked.values())


def _fold(question: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{_plain(cell)}</th>" for cell in header)
    body = "".join(f"<tr>{''.join(f'<td>{_plain(cell)}</td>' for cell in row)}</tr>\n" for row in rows)
    table = f'<div class="wide" tabindex="0">\n<table>\n<tr>{head}</tr>\n{body}</table>\n</div>'
    return f"<details>\n<summary>{_plain(question)}</summary>\n{table}\n</details>\n"


def _plain(text: str) -> str:
    """On one line: an empty one would end the HTML block."""
    return " ".join(escape(clean(text)).split())
