"""The plots say what the data say, stay readable for odd data, and are the same bytes for the same data."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from math import inf, nan
from pathlib import Path
from xml.etree import ElementTree

import pytest

from ohlora.report.plots.loss import loss_curves
from ohlora.report.plots.memory import MemoryPoint, memory_timeline
from ohlora.report.plots.ratios import RatioRow, ratio_intervals, ratio_ticks
from ohlora.report.plots.svg import drawing, fold, standalone
from ohlora.report.words.comparison import say

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = 'a<script>alert(1)</script> & $x^2$ ]]> \x00\x1b "q" id="b"'
LINE = [(1, 3.0), (2, 2.5), (3, 2.25), (4, 2.0)]
MEMORY = [
    MemoryPoint(1e9 + t, process, phase, mib)
    for t, process, phase, mib in [
        (0, "infer", "load", 100.0), (5, "infer", "load", 900.0), (6, "infer", "infer", 950.0),
        (20, "infer", "infer", 1234.0), (50, "train", "load", 900.0), (60, "train", "train", 2000.0),
        (80, "train", "eval", 1500.0), (90, "train", "train", 2345.0), (95, "train", "train", 2345.0),
    ]
]  # fmt: skip
ROWS = [
    RatioRow("time", 0.82, 0.78, 0.86, "faster", "better"),
    RatioRow("memory", 1.11, 1.06, 1.17, "more", "worse"),
    RatioRow("short", 0.93, None, None, "no verdict", "none"),
    RatioRow("loss", 1.02, 0.9, 1.1, "not comparable", "void"),
]


def by_id(svg: str, name: str) -> list[ElementTree.Element]:
    """The groups whose id ends in '-name'; parsing them proves that the SVG is XML."""
    return [
        node for node in ElementTree.fromstring(svg).iter(f"{SVG}g") if node.get("id", "").split("-", 1)[1:] == [name]
    ]


def texts(svg: str) -> list[str]:
    return ["".join(node.itertext()) for node in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def path(svg: str, name: str) -> str:
    (group,) = by_id(svg, name)
    return " ".join(node.get("d", "") for node in group.findall(f"{SVG}path"))


def style(svg: str, name: str) -> str:
    (group,) = by_id(svg, name)
    return next(node.get("style", "") for node in group.iter(f"{SVG}path"))


def every() -> list[str]:
    return [
        loss_curves({"backend=hf": LINE, "backend=unsloth": LINE}, {"backend=hf": [(4, 2.1)]}),
        memory_timeline({"backend=hf": MEMORY, "backend=unsloth": MEMORY}),
        ratio_intervals(ROWS),
    ]


def test_the_same_data_give_the_same_bytes_and_ids_never_collide() -> None:
    plots = every()
    assert plots == every()
    code = "import test_plots, hashlib; print(hashlib.sha256(''.join(test_plots.every()).encode()).hexdigest())"
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); {code}"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == hashlib.sha256("".join(plots).encode()).hexdigest()
    ids = [node.get("id") for svg in plots for node in ElementTree.fromstring(svg).iter() if node.get("id")]
    assert len(ids) == len(set(ids))
    for svg in plots:  # and each reference finds its target
        root = ElementTree.fromstring(svg)
        own = {node.get("id") for node in root.iter()}
        used = [value for node in root.iter() for key, value in node.attrib.items() if key in ("href", "clip-path")]
        assert used and all(value.removeprefix("url(").strip("#)") in own for value in used)


def test_a_plot_can_stand_inside_a_page() -> None:
    for svg in every():
        assert svg.startswith("<svg") and svg.endswith("</svg>")
        assert "<style" not in svg and "DejaVu" not in svg and "#010203" not in svg and "currentColor" in svg
        assert [line for line in svg.replace("http://www.w3.org/2000/svg", "").split('"') if "http" in line] == []
        file = standalone(svg)
        root = ElementTree.fromstring(file.encode())
        assert file.startswith("<?xml") and root.find(f"{SVG}rect") is not None
        assert root.get("viewBox", "").split()[2:] == [root.get("width"), root.get("height")]


def test_curves_that_coincide_are_both_there() -> None:
    svg = loss_curves({"backend=hf": LINE, "backend=unsloth": list(LINE)}, {})
    assert path(svg, "loss-0") == path(svg, "loss-1") != ""
    wide, dashed = style(svg, "loss-0"), style(svg, "loss-1")
    assert "stroke-dasharray" not in wide and "stroke-opacity" in wide
    assert "stroke-dasharray" in dashed and "stroke-opacity" not in dashed
    assert say("en", "plot.coincide") in texts(svg)
    assert say("en", "plot.coincide") not in texts(loss_curves({"a": LINE, "b": LINE[:3]}, {}))
    assert "stroke-dasharray" not in style(loss_curves({"a": LINE}, {}), "loss-0")


@pytest.mark.parametrize("bad", [nan, inf, -inf])
def test_what_is_not_finite_is_a_gap_and_a_cross(bad: float) -> None:
    svg = loss_curves({"a": [(1, 3.0), (2, 2.5), (3, bad), (4, 2.0), (5, bad)]}, {"a": [(4, bad), (5, 2.0)]})
    assert path(svg, "loss-0").count("M") == 2 and path(svg, "loss-0").count("L") == 1
    (group,) = by_id(svg, "loss-0")
    assert len(list(group.iter(f"{SVG}use"))) == 1  # step 4 stands alone: a dot
    (lost,) = by_id(svg, "loss-0-not-finite")
    assert len(list(lost.iter(f"{SVG}use"))) == 3  # two of training, one of evaluation
    (seen,) = by_id(svg, "eval-0")
    assert len(list(seen.iter(f"{SVG}use"))) == 1
    assert (
        say("en", "plot.not_finite") in texts(svg)
        and "nan" not in svg.replace(say("en", "plot.not_finite"), "").lower()
    )


def points(svg: str, name: str) -> int:
    """How many markers the groups of this name have."""
    return sum(len(list(group.iter(f"{SVG}use"))) for group in by_id(svg, name))


def test_no_data_at_all_is_said() -> None:
    for svg in (loss_curves({}, {}), memory_timeline({}), ratio_intervals([])):
        assert say("en", "plot.nothing") in texts(svg)


def test_an_arm_without_steps_stands_in_the_key_alone() -> None:
    svg = loss_curves({"a": []}, {"b": [(0, 1.0)]})
    assert {"a", "b"} <= set(texts(svg)) and path(svg, "loss-0") == path(svg, "loss-1") == ""
    assert (points(svg, "eval-0"), points(svg, "eval-1")) == (0, 1)


def test_where_nothing_is_finite_only_a_cross_stands() -> None:
    svg = loss_curves({"a": [(1, nan)]}, {"a": [(1, inf)]})
    assert points(svg, "loss-0-not-finite") == 1 and say("en", "plot.not_finite") in texts(svg)
    assert path(svg, "loss-0") == "" and points(svg, "eval-0") == 0


def test_losses_of_any_size_are_drawn() -> None:
    svg = loss_curves({"a": [(1, 1e300), (2, 1e-300)]}, {})
    assert path(svg, "loss-0").count("L") == 1 and "1e300" in texts(svg)


def test_nine_arms_are_nine_curves() -> None:
    svg = loss_curves({str(i): LINE for i in range(9)}, {})
    assert len({path(svg, f"loss-{i}") for i in range(9)}) == 1 and path(svg, "loss-8").count("L") == len(LINE) - 1
    assert {str(i) for i in range(9)} <= set(texts(svg)) and not by_id(svg, "loss-9")


def test_memory_that_is_not_finite_is_not_drawn() -> None:
    svg = memory_timeline({"a": [MemoryPoint(nan, "infer", "load", nan)], "b": [MemoryPoint(0, "x", "y", inf)]})
    assert {"a", "b", "not measured"} <= set(texts(svg))
    drawn = [f"memory-{row}-{column}" for row in range(2) for column in range(2)]
    assert [path(svg, name) for name in drawn if by_id(svg, name)] == [""]
    assert not any(word in text for text in texts(svg) for word in ("nan", "inf", "peak"))


def test_only_ratios_above_zero_are_points() -> None:
    ratios = (nan, inf, -inf, 0.0, -1.0, 1e-9, 1e9)
    svg = ratio_intervals([RatioRow("a", r, r, r, "", "void") for r in ratios])
    assert [bool(by_id(svg, f"ratio-{i}")) for i in range(len(ratios))] == [False] * 5 + [True] * 2
    said = texts(svg)
    assert said.count("— (—–—)") == 3 and "1.0e+09× (1.0e+09–1.0e+09)" in said  # what is not finite has no number


def test_what_users_wrote_is_text() -> None:
    row = RatioRow(HOSTILE, 1.0, None, None, HOSTILE, "void")
    memory = memory_timeline({HOSTILE: [MemoryPoint(0, HOSTILE, HOSTILE, 1.0), MemoryPoint(9, HOSTILE, HOSTILE, 1.0)]})
    for svg in (loss_curves({HOSTILE: LINE}, {HOSTILE: LINE}), memory, ratio_intervals([row])):
        assert "<script" not in svg
        said = " ".join(texts(svg))
        assert "script>alert(1)" in said.replace(" ", "") and "$x^2$" in said
        assert 'id="b"' in said.replace(" ", "")


def test_a_name_that_matplotlib_would_leave_out_is_in_the_key() -> None:
    assert "\u200b_arm" in texts(loss_curves({"_arm": LINE}, {}))


def test_memory_panels() -> None:
    svg = memory_timeline({"backend=hf": MEMORY, "backend=unsloth": [p for p in MEMORY if p.process == "infer"]})
    assert all(by_id(svg, f"memory-{name}") for name in ("0-0", "0-1", "1-0"))
    assert not by_id(svg, "memory-1-1")
    said = texts(svg)
    assert said.count("not measured") == 1
    assert said.count("peak 1,234 MiB") == 2 and said.count("peak 2,345 MiB") == 1
    for words in ("backend=hf", "Inference process", "Fine-tuning process", "load", "inference", "training"):
        assert words in said


def test_a_long_run_stays_small_and_keeps_its_peak() -> None:
    noise = [
        MemoryPoint(1e9 + i / 50, "train", "train", 9000.0 if i == 12345 else i * 7919 % 1000) for i in range(30_000)
    ]
    svg = memory_timeline({"a": noise})
    assert len(svg) < 100_000 and "peak 9,000 MiB" in texts(svg)


def test_ratio_rows() -> None:
    svg = ratio_intervals(ROWS)
    said = texts(svg)
    for words in ("time", "0.820× (0.780–0.860)", "faster", "more", "no verdict", "not comparable", "1×", "0.8×"):
        assert words in said
    assert [bool(by_id(svg, f"interval-{i}")) for i in range(4)] == [True, True, False, True]
    assert all(by_id(svg, f"ratio-{i}") for i in range(4))
    assert say("en", "plot.hollow") in said
    assert "fill-opacity: 0" in ElementTree.tostring(by_id(svg, "ratio-2")[0], encoding="unicode")
    assert "fill-opacity: 0" not in ElementTree.tostring(by_id(svg, "ratio-0")[0], encoding="unicode")
    assert say("en", "plot.hollow") not in texts(
        ratio_intervals([*ROWS[:2], RatioRow("x", 1, None, None, "void", "void")])
    )


@pytest.mark.parametrize("low", [0.001, 0.1, 0.3, 0.5, 0.8, 0.93, 0.999, 1.0])
@pytest.mark.parametrize("high", [1.0, 1.001, 1.06, 1.3, 2.1, 3.9, 8, 400])
def test_ticks_are_few_and_hold_all(low: float, high: float) -> None:
    ticks = ratio_ticks([low, high])
    assert 3 <= len(ticks) <= 9 and 1 in ticks and ticks[0] <= low and ticks[-1] >= high
    assert ticks == sorted(set(ticks)) and ticks[0] > 0


def test_ticks_of_absurd_ratios() -> None:
    assert ratio_ticks([1e-300, 1e300]) == [10.0**power for power in range(-4, 5)]


def test_korean() -> None:
    row = RatioRow("추론 시간", 1.0, None, None, "판정 없음", "none")
    plots = [
        loss_curves({"가": LINE}, {}, "ko"),
        memory_timeline({"가": MEMORY}, "ko"),
        ratio_intervals([row], "ko"),
    ]
    said = " ".join(text for svg in plots for text in texts(svg))
    for words in ("손실", "최적화 스텝", "메모리", "추론 프로세스", "학습", "최대 2,345 MiB", "판정 없음", "로그 눈금"):
        assert words in said
    assert [ElementTree.fromstring(svg).get("aria-label") for svg in plots] == [
        say("ko", "plot.loss_title"), say("ko", "plot.memory_title"), say("ko", "plot.ratio_title")
    ]  # fmt: skip


def test_folding() -> None:
    name = "backend=unsloth trainer.gradient_checkpointing=unsloth trainer.optimizer=adamw_8bit"
    for chars in (12, 30, 60):
        lines = fold(name, chars, lines=99).split("\n")
        assert all(len(line) <= chars for line in lines)
        assert "".join(lines).replace(" ", "") == name.replace(" ", "")
    assert fold(name, 12, lines=2).endswith("…") and fold(name, 12, lines=2).count("\n") == 1
    assert fold("", 12) == "" and fold("a\nb\x00", 12) == "a b\ufffd"


def test_korean_has_room_without_a_korean_font() -> None:
    """The layout measures a letter that the font lacks at least as wide as Korean fonts draw it: one em."""
    with drawing(100) as figure:
        text = figure.text(0, 0, "메모리", size=12)
        assert text.get_window_extent().width >= 3 * 12


def test_importing_loads_nothing_heavy() -> None:
    heavy = ("matplotlib", "numpy", "markdown_it", "adjustText")
    modules = "ohlora.report.comparison.plots, ohlora.report.selection.write"
    code = f"import sys, {modules}; print([m for m in {heavy} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
