"""Markdown: sections, tables, lists, and the numbers in them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ohlora.report.plots.svg import clean
from ohlora.report.words.comparison import say

NO_VALUE = "—"
MARKUP = re.compile(r"([\\`*_\[\]<>~|#&])")


def number(value: float | None) -> str:
    if value is None:
        return NO_VALUE
    return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"


def escape_markdown(text: str) -> str:
    """On one line, and shown as it is: what models and users wrote makes no markup."""
    return MARKUP.sub(r"\\\1", clean(text))


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def table(lang: str, codes: Iterable[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose columns are named by codes of `ohlora.report.words`."""
    return markdown([say(lang, code) for code in codes], rows)


def section(lang: str, code: str, *paragraphs: str) -> list[str]:
    """A heading with its paragraphs, to be joined by an empty line; nothing if all of them are empty."""
    return [f"## {say(lang, code)}", *filter(None, paragraphs)] if any(paragraphs) else []


def items(texts: Iterable[str]) -> str:
    return "\n".join(f"- {text}" for text in texts)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "/").split())
