"""The page of task=inspect_data: a summary, the findings, and every row with the tokens that carry loss marked."""

from __future__ import annotations

from collections import Counter
from html import escape
from pathlib import Path
from typing import Any

from ohlora.data.findings import Finding
from ohlora.data.notes import Notes
from ohlora.data.rows import Row
from ohlora.data.tokens import IGNORED, Example
from ohlora.files import write_atomic
from ohlora.report.markdown import markdown as table
from ohlora.report.page import render_page

MOST_ROWS = 1000  # of a split on the page; rows.jsonl and tokens.jsonl hold all
WORDS: dict[str, dict[str, str]] = {
    "en": {
        "title": "What the model will learn from",
        "rows": "Rows",
        "split": "split",
        "count": "rows",
        "asked": "without answer",
        "tokens": "tokens",
        "loss": "tokens with loss",
        "notes": "What reading did",
        "findings": "Worth a look",
        "none": "Nothing.",
        "legend": "Marked tokens carry loss: the model learns to write them. The others it only reads.",
        "shown": "the first {shown} of {count} rows; rows.jsonl and tokens.jsonl hold all",
        "kind": "finding",
        "near_duplicate": "near-duplicate",
        "across_splits": "in two splits",
        "contradiction": "contradiction",
        "personal": "personal data",
    },
    "ko": {
        "title": "모델이 학습할 데이터",
        "rows": "행",
        "split": "분할",
        "count": "행 수",
        "asked": "답변 없음",
        "tokens": "토큰",
        "loss": "손실을 계산하는 토큰",
        "notes": "파일을 읽으며 한 일",
        "findings": "확인이 필요한 행",
        "none": "없음.",
        "legend": "표시된 토큰에만 손실을 계산합니다. 모델은 이 토큰을 쓰는 법을 배우고 나머지는 읽기만 합니다.",
        "shown": "{count}행 중 처음 {shown}행. 전체는 rows.jsonl과 tokens.jsonl에 있습니다",
        "kind": "종류",
        "near_duplicate": "거의 같은 질문",
        "across_splits": "두 분할에 걸침",
        "contradiction": "서로 다른 답변",
        "personal": "개인정보",
    },
}
STYLE = """<style>
.row { border-top: 1px solid color-mix(in srgb, currentColor 20%, transparent); padding: .5rem 0; }
.row { overflow-wrap: anywhere; }
.row small { opacity: .7; display: block; }
.row mark { background: color-mix(in srgb, #2b8a3e 28%, transparent); color: inherit; }
.row i { font-style: normal; border-right: 1px dotted color-mix(in srgb, currentColor 45%, transparent); }
summary { cursor: pointer; font-weight: 600; padding: .4rem 0; }
</style>
"""


def write_data_page(
    path: Path,
    tokenizer: Any,
    rows: list[Row],
    examples: dict[str, Example],
    notes: Notes,
    findings: list[Finding],
    lang: str,
) -> None:
    """Write one self-contained HTML file; texts of the rows are escaped."""
    words = WORDS[lang]
    splits = {row.split: [one for one in rows if one.split == row.split] for row in rows}
    parts = "".join(_show_split(name, part, tokenizer, examples, words) for name, part in splits.items())
    body = f"{STYLE}<h2>{words['rows']}</h2>\n<p>{words['legend']}</p>\n{parts}"
    write_atomic(path, render_page(_summary(splits, examples, notes, findings, words), [], words["title"], lang, body))


def _summary(
    splits: dict[str, list[Row]],
    examples: dict[str, Example],
    notes: Notes,
    findings: list[Finding],
    words: dict[str, str],
) -> str:
    lines = []
    for name, part in splits.items():
        used = [examples[row.id] for row in part]
        tokens = sum(len(example.input_ids) for example in used)
        loss = sum(label != IGNORED for example in used for label in example.labels)
        lines.append([name, f"{len(part):,}", f"{sum(not r.response for r in part):,}", f"{tokens:,}", f"{loss:,}"])
    counted = Counter(one.kind for one in findings)
    shown = [[words[one.kind], ", ".join(one.rows), one.text] for one in findings[:MOST_ROWS]]
    return "\n\n".join(
        [
            f"# {words['title']}",
            table([words["split"], words["count"], words["asked"], words["tokens"], words["loss"]], lines),
            f"## {words['notes']}",
            "\n".join(f"- {line}" for line in notes.lines()) or words["none"],
            f"## {words['findings']}",
            ", ".join(f"{words[kind]}: {count}" for kind, count in counted.items()) or words["none"],
            table([words["kind"], "id", ""], shown) if shown else "",
        ]
    )


def _show_split(name: str, rows: list[Row], tokenizer: Any, examples: dict[str, Example], words: dict[str, str]) -> str:
    more = f" ({words['shown'].format(shown=MOST_ROWS, count=len(rows))})" if len(rows) > MOST_ROWS else ""
    shown = "".join(_show_row(row, tokenizer, examples[row.id]) for row in rows[:MOST_ROWS])
    return f"<details open>\n<summary>{escape(name)}: {len(rows):,}{more}</summary>\n{shown}</details>\n"


def _show_row(row: Row, tokenizer: Any, example: Example) -> str:
    pieces = "".join(
        f"<mark><i>{escape(text)}</i></mark>" if has_loss else f"<i>{escape(text)}</i>"
        for text, has_loss in split_pieces(tokenizer, example)
    )
    about = " · ".join(part for part in (row.id, row.category, str(row.place)) if part)
    return f'<div class="row"><small>{escape(about)}</small>{pieces}</div>\n'


def split_pieces(tokenizer: Any, example: Example) -> list[tuple[str, bool]]:
    """(text, carries loss) of each token; tokens that are parts of one character stand together. A line break is ↵."""
    pieces: list[tuple[str, bool]] = []
    waiting: list[int] = []
    for token, label in zip(example.input_ids, example.labels, strict=True):
        waiting.append(token)
        text = tokenizer.decode(waiting)
        if "\ufffd" not in text or len(waiting) == 4:  # at most four bytes make a character
            pieces.append((text.replace("\n", "↵"), label != IGNORED))
            waiting = []
    if waiting:
        pieces.append((tokenizer.decode(waiting), example.labels[-1] != IGNORED))
    return pieces
