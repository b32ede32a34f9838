"""A matplotlib figure 720 px wide, and its SVG text: the same bytes for the same data, ready to stand inside a page."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from textwrap import TextWrapper
from typing import TYPE_CHECKING
from xml.etree import ElementTree

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 720  # px; one unit of the drawing is one px if the page has room
MARGIN = 16  # px around a plot in a file of its own
LINE = 18  # px from one line of text to the next
INK = "#010203"  # stands for the reader's text colour: dark on light, light on dark
QUIET = "#7d8590"  # visible on light and on dark grounds
# Distinct for colour-blind readers, on light and on dark grounds.
COLOURS = ("#2f86d1", "#d9711c", "#1a9d78", "#c0649c", "#8a6fd1", "#a08a1f")
MARKERS = "oDs^vP"
FONTS = (
    "system-ui, -apple-system, Segoe UI, Apple SD Gothic Neo, Malgun Gothic, Noto Sans KR, Noto Sans CJK KR, sans-serif"
)
XLINK = "{http://www.w3.org/1999/xlink}href"
STYLE = {
    "svg.fonttype": "none",  # text stays text: searchable, and in the reader's Korean fonts
    "svg.hashsalt": "ohlora",
    "text.parse_math": False,  # a '$' in an arm's name is a '$'
    "font.family": "DejaVu Sans",  # used to measure texts; wider than most fonts
    "font.size": 12,
    "figure.dpi": 72,
    "path.simplify_threshold": 1.0,  # px: a long run stays a small file
    "savefig.transparent": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": QUIET,
    "axes.titlesize": 12,
    "axes.titlelocation": "left",
    "axes.formatter.useoffset": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": QUIET,
    "grid.alpha": 0.2,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "legend.frameon": False,
    "legend.borderaxespad": 0,
    "legend.borderpad": 0.1,
    **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.labelcolor", "ytick.labelcolor"), INK),
    **dict.fromkeys(("xtick.labelsize", "ytick.labelsize"), 11),
}


@contextmanager
def drawing(height: float) -> Iterator[Figure]:
    """An empty figure of this height in px, laid out by matplotlib; the user's matplotlibrc does not count."""
    from matplotlib import style
    from matplotlib.figure import Figure

    with style.context(["default", STYLE]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # the reader's fonts have it
        yield Figure(figsize=(WIDTH / 72, height / 72), layout="constrained")


def svg_text(figure: Figure, label: str) -> str:
    """The figure from '<svg' on. Ids carry a hash of the drawing, so that several can stand in one page."""
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    root = ElementTree.fromstring(out.getvalue().encode())
    prefix = f"p{sha256(out.getvalue().encode()).hexdigest()[:10]}-"
    for node in root.iter():
        node.tag = node.tag.split("}")[-1]
        node.attrib = {("href" if key == XLINK else key): value for key, value in node.attrib.items()}
        for key, value in node.attrib.items():
            node.attrib[key] = _attribute(key, value, prefix)
    root[:] = [node for node in root if node.find("style") is None]  # its rule would hold for the whole page
    height = f"{72 * figure.get_figheight():g}"
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


def fold(text: str, chars: int, lines: int = 3) -> str:
    """The text, clean, wrapped to at most `lines` lines; cut text ends with an ellipsis."""
    text = "\n".join(TextWrapper(chars, max_lines=lines, placeholder="…").wrap(clean(text)))
    return f"\u200b{text}" if text.startswith("_") else text  # a legend leaves out a name that starts with '_'
