"""A sheet 720 px wide to draw on, and its SVG text: the same bytes for the same data, ready to stand inside a page."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import TYPE_CHECKING
from unicodedata import east_asian_width
from xml.etree import ElementTree

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH = 720  # px; one unit of the drawing is one px where the page has room
MARGIN = 16  # px around a plot in a file of its own
LINE = 17  # px from one line of text to the next
INK = "#010203"  # stands for the reader's text colour: dark on light, light on dark
FONTS = (
    "system-ui, -apple-system, Segoe UI, Apple SD Gothic Neo, Malgun Gothic, Noto Sans KR, Noto Sans CJK KR, sans-serif"
)
XLINK = "{http://www.w3.org/1999/xlink}href"
STYLE = {
    "svg.fonttype": "none",  # text stays text: searchable, and Korean in the reader's fonts
    "svg.hashsalt": "ohlora",
    "text.parse_math": False,  # a '$' in an arm's name is a '$'
    "axes.unicode_minus": True,
    "font.family": "DejaVu Sans",
    "font.size": 12,
    "figure.dpi": 72,
    "savefig.transparent": True,
    **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK),
}


@contextmanager
def sheet(height: float) -> Iterator[Axes]:
    """A blank sheet measured in px from its upper left corner; whatever the user's matplotlibrc says."""
    from matplotlib import style
    from matplotlib.figure import Figure

    with style.context(["default", STYLE]):
        ground = Figure(figsize=(WIDTH / 72, height / 72)).add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(height, 0))
        ground.axis("off")
        yield ground


def panel(ground: Axes, left: float, top: float, width: float, height: float) -> Axes:
    """Axes on the sheet at these px: two thin spines, no frame."""
    figure = ground.figure
    total = ground.get_ylim()[0]
    axes = figure.add_axes((left / WIDTH, 1 - (top + height) / total, width / WIDTH, height / total))
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set(alpha=0.45, linewidth=1)
    axes.tick_params(length=3, width=1, labelsize=11)
    axes.grid(visible=True, axis="y", color=INK, alpha=0.1, linewidth=1)
    axes.set_axisbelow(True)
    return axes


def svg_text(ground: Axes, label: str) -> str:
    """The sheet from '<svg' on. Ids carry a hash of the drawing, so that several can stand in one page."""
    out = io.StringIO()
    figure = ground.get_figure(root=True)
    assert figure is not None
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # measured only; the reader's fonts have it
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(out, format="svg", metadata=nothing)
    root = ElementTree.fromstring(out.getvalue().encode())
    prefix = f"p{sha256(out.getvalue().encode()).hexdigest()[:10]}-"
    for node in root.iter():
        node.tag = node.tag.split("}")[-1]
        node.attrib = {("href" if key == XLINK else key): value for key, value in node.attrib.items()}
        for key, value in node.attrib.items():
            node.attrib[key] = _attribute(key, value, prefix)
    root[:] = [node for node in root if node.find("style") is None]  # its rule would hold for the whole page
    height = f"{ground.get_ylim()[0]:g}"
    root.attrib = {
        "xmlns": "http://www.w3.org/2000/svg",
        "width": str(WIDTH),
        "height": height,
        "viewBox": f"0 0 {WIDTH} {height}",
        "role": "img",
        "aria-label": label,
        "style": f"font-family: {FONTS}; stroke-linejoin: round; stroke-linecap: butt",
    }
    return ElementTree.tostring(root, encoding="unicode")


def _attribute(key: str, value: str, prefix: str) -> str:
    if key == "id":
        return prefix + value
    if key == "href":
        return f"#{prefix}{value[1:]}"
    value = re.sub(r"font-family: [^;]*;? ?", "", value).replace(INK, "currentColor")
    value = re.sub(r"font: ((?:\w+ )*[\d.]+px) [^;]*", rf"font: \1 {FONTS}", value)
    return value.replace("url(#", f"url(#{prefix}")


def standalone(svg: str) -> str:
    """A file of its own: on a white card with a margin, since what surrounds it is not known."""
    head, body = svg.split(">", 1)
    height = float(head.split('height="')[1].split('"')[0])
    wide, high = f"{WIDTH + 2 * MARGIN}", f"{height + 2 * MARGIN:g}"
    head = re.sub(r' width="[^"]*" height="[^"]*" viewBox="[^"]*"', "", head, count=1)
    head += f' width="{wide}" height="{high}" viewBox="-{MARGIN} -{MARGIN} {wide} {high}" color="#1f2328"'
    card = f'<rect x="-{MARGIN}" y="-{MARGIN}" width="{wide}" height="{high}" fill="#ffffff" />'
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{head}>{card}{body}\n'


def clean(text: str) -> str:
    """On one line, and without the characters that XML forbids."""
    return " ".join(re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text).split())


def text_width(text: str, size: float = 12) -> float:
    """About how many px a text takes; the reader's fonts are not known, Korean is twice as wide."""
    return size * sum(1.0 if east_asian_width(char) in "WF" else 0.58 for char in text)


def wrapped(text: str, width: float, size: float = 12, lines: int = 3) -> list[str]:
    """The text in lines that fit, broken at spaces, inside a word only where it must be; then cut with an ellipsis."""
    rows = [""]
    for word in clean(text).split(" "):
        if rows[-1] and text_width(f"{rows[-1]} {word}", size) > width:
            rows.append("")
        elif rows[-1]:
            rows[-1] += " "
        for char in word:
            if rows[-1] and text_width(rows[-1] + char, size) > width:
                rows.append("")
            rows[-1] += char
    return rows if len(rows) <= lines else [*rows[: lines - 1], rows[lines - 1].rstrip()[:-1] + "…"]
