"""The front is what nothing beats, it is drawn and named, and no name hides another."""

from __future__ import annotations

import sys
from itertools import combinations
from math import inf, nan
from typing import Any
from xml.etree import ElementTree

import pytest

from ohlora.report.plots.pareto import ParetoPoint, front, pareto_plot
from ohlora.report.words.comparison import say

SVG = "{http://www.w3.org/2000/svg}"
POINTS = [
    ParetoPoint("small", "small r16", 1000, 8.0, 0),
    ParetoPoint("small", "small r32", 1100, 7.5, 1),
    ParetoPoint("large <b>", "large <b> r16", 5000, 20.0, 0),
    ParetoPoint("middle", "middle r16", 3000, 15.0, 0),
    ParetoPoint("lost", "lost r16", nan, 15.0, 0),
    ParetoPoint("lost", "lost r32", 100, inf, 0),
]


def texts(svg: str) -> list[str]:
    return ["".join(node.itertext()) for node in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def groups(svg: str, name: str) -> list[ElementTree.Element]:
    nodes = ElementTree.fromstring(svg).iter(f"{SVG}g")
    return [node for node in nodes if node.get("id", "").split("-", 1)[-1].startswith(name)]


def test_the_front() -> None:
    assert front([(1, 1), (2, 2), (2, 1.5), (3, 2), (0.5, 0.5)]) == [True, True, False, False, True]
    assert front([(1, 1), (1, 1)]) == [True, True]  # two that are equal: neither beats the other
    assert front([]) == []


def test_only_what_nothing_beats_is_named_and_filled() -> None:
    svg = pareto_plot(POINTS, "memory (MiB)", "Quality against memory")
    said = texts(svg)
    assert {"small r16", "middle r16", "large <b> r16", "memory (MiB)"} <= set(said)
    assert "small r32" not in said and "lost" not in said
    assert len(groups(svg, "front")) == 1 and len(groups(svg, "point-")) == 4
    styles = [next(use for use in group.iter(f"{SVG}use")).get("style", "") for group in groups(svg, "point-")]
    assert ["fill: none" in style or "fill-opacity: 0" in style for style in styles] == [False, True, False, False]
    assert 'aria-label="Quality against memory"' in svg
    assert svg == pareto_plot(POINTS, "memory (MiB)", "Quality against memory")


def test_a_name_in_the_svg_is_text() -> None:
    assert "<b>" not in pareto_plot(POINTS, "x", "t")


@pytest.mark.parametrize("points", [[], POINTS[:1], [POINTS[0], POINTS[0]], POINTS[4:]])
def test_odd_data_still_make_a_plot(points: list[ParetoPoint]) -> None:
    svg = pareto_plot(points, "x", "t", "ko")
    assert len(groups(svg, "point-")) == sum(point.name.startswith("small") for point in points)
    assert (say("ko", "plot.nothing") in texts(svg)) is (not groups(svg, "point-"))


def test_costs_that_are_far_apart_stand_on_a_logarithmic_axis() -> None:
    far = [ParetoPoint("a", "a", 100, 1.0), ParetoPoint("b", "b", 10_000, 2.0)]
    assert {"200", "1,000", "5,000"} <= set(texts(pareto_plot(far, "x", "t")))


def test_no_name_hides_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eighteen on the front, three ranks of a model close together."""
    module = sys.modules["ohlora.report.plots.pareto"]
    original = module.label_points  # type: ignore[attr-defined]
    placed: list[Any] = []

    def label_points(axes: Any, named: Any, points: Any) -> Any:
        texts = original(axes, named, points)
        placed.extend(text.get_window_extent() for text in texts)
        room = axes.get_window_extent().padded(1)
        assert all(room.x0 <= box.x0 and box.x1 <= room.x1 and room.y0 <= box.y0 <= box.y1 <= room.y1 for box in placed)
        return texts

    monkeypatch.setattr(module, "label_points", label_points)
    points = [
        ParetoPoint(f"model-{m}-1.3b", f"model-{m}-1.3b r{rank}", 1000 + 900 * m + 60 * i, 5 + 2.5 * m + 0.5 * i, i)
        for m in range(6)
        for i, rank in enumerate((16, 32, 64))
    ]
    pareto_plot(points, "x", "t")
    assert len(placed) == 18
    assert not [(one, other) for one, other in combinations(placed, 2) if one.overlaps(other)]
