"""The answers side by side, folded: per question the reference and what each model said, with its defects."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

from ohlora.measure.quality import defects
from ohlora.records.samples import Sample
from ohlora.report.markdown import markdown
from ohlora.report.plots.svg import clean
from ohlora.report.selection.rows import Entry
from ohlora.report.words.comparison import say

Row = tuple[str, str, str, str]  # model, rank, answer, defects


def questions(entries: Sequence[Entry]) -> list[tuple[Sample, list[tuple[Entry, Sample]]]]:
    """Each question, in the order asked, with every answer to it."""
    asked: dict[str, tuple[Sample, list[tuple[Entry, Sample]]]] = {}
    for entry in entries:
        for sample in entry.samples:
            asked.setdefault(f"{sample.id}\n{sample.question}", (sample, []))[1].append((entry, sample))
    return list(asked.values())


def answers_markdown(entries: Sequence[Entry], lang: str) -> str:
    """As `<details>` that a Markdown viewer folds; what models and users wrote is shown as text, never obeyed."""
    parts = []
    for first, answers in questions(entries):
        rows = [[_plain(cell) for cell in row] for row in _rows(first, answers, lang)]
        table = markdown(_header(lang), rows)
        parts.append(f"<details>\n<summary>{escape(clean(first.question))}</summary>\n\n{table}\n\n</details>\n")
    return "\n".join(parts)


def answers_html(entries: Sequence[Entry], lang: str) -> str:
    """The same for the page, which obeys no HTML in its Markdown."""
    parts = []
    for first, answers in questions(entries):
        head = "".join(f"<th>{escape(cell)}</th>" for cell in _header(lang))
        body = "".join(
            f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>\n" for row in _rows(first, answers, lang)
        )
        table = f'<div class="wide" tabindex="0">\n<table>\n<tr>{head}</tr>\n{body}</table>\n</div>'
        parts.append(f"<details>\n<summary>{escape(clean(first.question))}</summary>\n{table}\n</details>\n")
    return "".join(parts)


def _header(lang: str) -> list[str]:
    return [say(lang, code) for code in ("s.model", "s.rank", "s.answer", "s.defect")]


def _rows(first: Sample, answers: Sequence[tuple[Entry, Sample]], lang: str) -> list[Row]:
    rows: list[Row] = [(say(lang, "s.reference"), "", clean(first.reference), "")]
    for entry, sample in answers:
        found = ", ".join(say(lang, f"s.{defect}") for defect in defects(sample))
        rows.append((entry.model, entry.rank, clean(sample.answer), found))
    return rows


def _plain(text: str) -> str:
    """With nothing in it that Markdown or HTML would take for its own."""
    return re.sub(r"([\\`*_\[\]#~!])", r"\\\1", escape(text, quote=False))
