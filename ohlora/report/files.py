"""The files of a report: its Markdown, the page with the same text, its plots, and one line per run as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ohlora.files import write_atomic
from ohlora.report.markdown import escape_markdown
from ohlora.report.page import MARKER, render_page
from ohlora.report.plots.svg import standalone


@dataclass(frozen=True)
class Plot:
    """One drawing: the name of its file without `.svg`, its caption, the SVG text."""

    name: str
    caption: str
    svg: str


def write_document(
    out: Path, title: str, text: str, plots: Sequence[Plot], lang: str, ending: str = "", page_ending: str | None = None
) -> None:
    """Write `out`.md, `out`.html and each plot beside them. The plots stand at the text's MARKER.

    `ending` is HTML that ends both, without an empty line in it; `page_ending` replaces it in the page.
    """
    for plot in plots:
        write_atomic(out.with_name(f"{plot.name}.svg"), standalone(plot.svg))
    images = "\n\n".join(f"![{plot.caption}]({plot.name}.svg)" for plot in plots)
    write_atomic(out.with_suffix(".md"), text.replace(MARKER, images) + ending)
    drawn = [(plot.caption, plot.svg) for plot in plots]
    last = ending if page_ending is None else page_ending
    write_atomic(
        out.with_suffix(".html"), render_page(f"# {escape_markdown(title)}\n\n{text}", drawn, title, lang, last)
    )


def format_csv(rows: Sequence[Mapping[str, object]], first: Sequence[str]) -> str:
    """The columns `first`, then all others by their names."""
    others = sorted({key for row in rows for key in row}.difference(first))
    out = io.StringIO()
    writer = csv.DictWriter(out, [*first, *others], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()
