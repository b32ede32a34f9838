"""Markdown tables and the numbers in them."""

from __future__ import annotations

from collections.abc import Sequence

NO_VALUE = "—"


def number(value: float | None) -> str:
    if value is None:
        return NO_VALUE
    return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "/").split())
