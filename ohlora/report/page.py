"""Markdown and plots -> one HTML file that needs nothing else: no font, script or image is loaded from anywhere."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from pathlib import Path

MARKER = "<!-- plots -->"
MARKER_LINE = re.compile(rf"^ *{MARKER} *$", re.MULTILINE)
ALARM = re.compile(r"(\*\*|__)\s*(NOT COMPARABLE|비교 불가)")
# Tells the browser too: whatever the text holds, nothing is fetched and nothing runs.
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


def render_page(markdown: str, plots: Sequence[tuple[str, str]], title: str, lang: str, ending: str = "") -> str:
    """One HTML5 document. `plots` are (caption, SVG text); they replace the first line that is MARKER, else end it.

    The Markdown may hold what users wrote: its HTML is shown as text; an image becomes a link. The SVG and the
    `ending`, HTML after all else, are trusted.
    """
    before, *after = MARKER_LINE.split(markdown)
    figures = "".join(f"<figure>\n<figcaption>{escape(name)}</figcaption>\n{svg}\n</figure>\n" for name, svg in plots)
    css = Path(__file__).with_name("page.css").read_text("utf-8")
    body = _render(before) + figures + _render("".join(after)) + ending
    return PAGE.format(lang=escape(lang), policy=POLICY, title=escape(title), css=css, body=body)


def _render(markdown: str) -> str:
    """Markdown as HTML; a quote that says 'not comparable' is an alarm."""
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"]).disable("image")
    # A table wider than the screen scrolls by itself, also with the keyboard.
    parser.add_render_rule("table_open", lambda *_: '<div class="wide" tabindex="0">\n<table>\n')
    parser.add_render_rule("table_close", lambda *_: "</table>\n</div>\n")
    tokens = parser.parse(markdown)
    for i, token in enumerate(tokens[:-2]):
        if token.type == "blockquote_open" and ALARM.match(tokens[i + 2].content):
            token.attrSet("class", "alarm")
            token.attrSet("role", "alert")
    return str(parser.renderer.render(tokens, parser.options, {}))
