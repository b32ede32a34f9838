"""Markdown and plots -> one HTML file that needs nothing else: no font, script or image is loaded from anywhere."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_block import StateBlock

MARKER = "<!-- plots -->"
ALARM = re.compile(r"(\*\*|__)\s*(NOT COMPARABLE|비교 불가)")
# Said to the browser as well: whatever slips into the text, nothing is fetched and nothing runs.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none'"
PAGE = """\
<!DOCTYPE html>
<html lang="{lang}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>
{css}</style>
</head>
<body>
<main>
{body}</main>
</body>
</html>
"""


def page(markdown: str, plots: Sequence[tuple[str, str]], title: str, lang: str, ending: str = "") -> str:
    """One HTML5 document. `plots` are (caption, SVG text); they go where MARKER stands on a line, else to the end.

    The Markdown may hold what users wrote: its HTML is shown, not obeyed; an image becomes a link. The SVG and the
    `ending`, HTML after all else, are trusted.
    """
    parser = _parser()
    tokens = parser.parse(markdown)
    for i, token in enumerate(tokens[:-2]):
        if token.type == "blockquote_open" and ALARM.match(tokens[i + 2].content):
            token.attrSet("class", "alarm")
            token.attrSet("role", "alert")
    places = [i for i, token in enumerate(tokens) if token.type == "plots"]
    place = places[0] if places else len(tokens)
    figures = "".join(f"<figure>\n<figcaption>{escape(name)}</figcaption>\n{svg}\n</figure>\n" for name, svg in plots)
    before, after = (parser.renderer.render(part, parser.options, {}) for part in (tokens[:place], tokens[place:]))
    css = Path(__file__).with_name("page.css").read_text("utf-8")
    body = before + figures + after + ending
    return PAGE.format(lang=escape(lang), policy=POLICY, title=escape(title), css=css, body=body)


def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"]).disable("image")
    parser.block.ruler.before("fence", "plots", _marker, {"alt": ["paragraph", "reference", "blockquote", "list"]})
    parser.add_render_rule("plots", lambda *_: "")
    # A table wider than the screen scrolls by itself; the keyboard reaches it too.
    parser.add_render_rule("table_open", lambda *_: '<div class="wide" tabindex="0">\n<table>\n')
    parser.add_render_rule("table_close", lambda *_: "</table>\n</div>\n")
    return parser


def _marker(state: StateBlock, line: int, end: int, silent: bool) -> bool:
    """The block rule for a line that is the marker and nothing else."""
    if state.is_code_block(line) or state.getLines(line, line + 1, state.blkIndent, False).strip() != MARKER:
        return False
    if not silent:
        state.push("plots", "", 0)
        state.line = line + 1
    return True
