"""One HTML file that loads nothing, shows what users wrote as text, and puts the plots where they were asked for."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from ohlora.report.page import MARKER, render_page
from ohlora.report.plots.loss import loss_curves

PLOTS = [("Loss <b>", loss_curves({"a": [(1, 2.0), (2, 1.0)]}, {})), ("Two", "<svg></svg>")]
VOID = {"meta", "link", "br", "hr", "img"}


class Reader(HTMLParser):
    """What a browser would see: elements in order, the text, and whether all that opens also closes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def tags(self) -> list[str]:
        return [tag for tag, _ in self.elements]


def read(markdown: str, plots: list[tuple[str, str]] | None = None, title: str = "T", lang: str = "en") -> Reader:
    reader = Reader(render_page(markdown, plots or [], title, lang))
    assert not reader.open
    return reader


def test_a_whole_document() -> None:
    html = render_page("# 안녕\n\n| a | b |\n| --- | ---: |\n| 1 | 2 |\n", PLOTS, "표 <1>", "ko")
    reader = Reader(html)
    assert html.startswith("<!DOCTYPE html>") and reader.elements[0] == ("html", {"lang": "ko"})
    assert "표 <1>" in reader.texts and "안녕" in reader.texts
    assert [tag for tag in reader.tags if tag in ("h1", "table", "td", "th")] == ["h1", "table", "th", "th", "td", "td"]
    assert ("div", {"class": "wide", "tabindex": "0"}) in reader.elements
    fonts = ("Malgun Gothic", "Apple SD Gothic Neo", "Noto Sans KR")
    for said in (*fonts, "prefers-color-scheme: dark", "@media print", "tabular-nums"):
        assert said in html
    assert "position:" not in html


def test_nothing_is_loaded_from_anywhere() -> None:
    markdown = (
        "![pixel](https://evil.example/x.png) [link](https://example.com) <https://example.com/auto>\n\n"
        "![ref][r]\n\n[r]: http://evil.example/y.png\n\n[bad](javascript:alert(1)) [data](data:text/html,x)\n"
    )
    reader = read(markdown, PLOTS)
    loads = {"src", "srcset", "poster", "data", "action", "background", "xlink:href", "style"}
    for tag, attributes in reader.elements:
        assert tag not in {"script", "img", "iframe", "object", "embed", "video", "audio", "base", "form", "image"}
        for key, value in attributes.items():
            assert not (key in loads and ("http" in (value or "") or "//" in (value or "")))
            assert not key.startswith("on")
            if key == "href":
                allowed = {"a": ("http://", "https://"), "link": ("data:,",), "use": ("#",)}[tag]
                assert (value or "").startswith(allowed)
    assert sum(tag == "a" for tag in reader.tags) == 4
    html = render_page(markdown, PLOTS, "T", "en")
    assert "@import" not in html and "url(http" not in html and "url(//" not in html
    assert "default-src 'none'" in html


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        "| arm |\n| --- |\n| <img src=x onerror=alert(1)> |",
        "> **NOT COMPARABLE** <iframe src='https://evil.example'></iframe>",
        "```\n</code></pre><script>x</script>\n```",
        "</main></body><style>*{}</style>",
        '``` "><script>\nx\n```',
        "<!-- a comment -->",
    ],
)
def test_html_in_the_markdown_is_shown_not_obeyed(hostile: str) -> None:
    reader = read(hostile)
    assert not {"script", "img", "iframe"} & set(reader.tags)
    assert reader.tags.count("style") == 1 and reader.tags.count("main") == 1


def test_titles_and_captions_are_text() -> None:
    reader = read("x", PLOTS, title="</title><script>", lang='en"><script>')
    assert "script" not in reader.tags and "b" not in reader.tags
    assert "</title><script>" in reader.texts and "Loss <b>" in reader.texts


@pytest.mark.parametrize("line", [MARKER, f"  {MARKER}  "])
@pytest.mark.parametrize("before", ["# One\n\nText\n\n", "# One\n", "Text\n", "- item\n", "| a |\n| --- |\n| 1 |\n"])
def test_the_plots_take_the_markers_place(before: str, line: str) -> None:
    reader = read(f"{before}{line}\n## After\n", PLOTS)
    assert reader.tags.count("figure") == 2 and reader.tags.count("svg") == 2
    assert reader.tags.index("figure") < reader.tags.index("h2")
    assert not any("plots --" in text for text in reader.texts)


def test_without_a_marker_they_come_last_and_a_second_marker_vanishes() -> None:
    assert read("# One\n\n## Two\n", PLOTS).tags.index("figure") > read("# One\n\n## Two\n").tags.index("h2")
    twice = read(f"{MARKER}\n\n# One\n\n{MARKER}\n", PLOTS)
    assert twice.tags.count("figure") == 2 and not any("plots --" in text for text in twice.texts)
    assert "figure" not in read(f"a\n\n{MARKER}\n").tags


def test_an_inline_marker_is_not_the_marker() -> None:
    reader = read(f"a {MARKER} b\n\n| {MARKER} |\n| --- |\n\n## Two", PLOTS)
    assert reader.tags.index("figure") > reader.tags.index("h2")


@pytest.mark.parametrize(
    ("quote", "loud"),
    [
        ("> **NOT COMPARABLE**: the batches differ", True),
        ("> **NOT COMPARABLE: the batches differ**", True),
        ("> **비교 불가**: 배치가 다릅니다", True),
        ("> **비교 불가:** 배치가 다릅니다", True),
        ("> Not so: **NOT COMPARABLE**", False),
        ("> **Note**: fine", False),
        ("> NOT COMPARABLE", False),
    ],
)
def test_what_is_not_comparable_is_loud(quote: str, loud: bool) -> None:
    quotes = [attributes for tag, attributes in read(quote).elements if tag == "blockquote"]
    assert quotes == ([{"class": "alarm", "role": "alert"}] if loud else [{}])
