"""The tables of the report that chooses a model, each as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from ohlora.models.licences import LICENCES
from ohlora.report.comparison.labels import memory_text
from ohlora.report.markdown import NO_VALUE, table
from ohlora.report.selection.candidates import Candidate, ModelGroup
from ohlora.report.selection.choice import format_figure
from ohlora.report.selection.ranking import FACTORS
from ohlora.report.selection.selection import MachineRanking, ModelSelection
from ohlora.report.words.comparison import say

SHORT = 90  # characters of a reason in the table; the full reason follows further down
SHARES = ("empty", "repeated", "wrong_language", "never_ending", "usable")
COLUMNS = (
    "model", "params", "licence", "infer_memory", "infer_time", "rank", "train_memory", "train_time", "bits",
    "eval_loss", "chrf", "usable", "grade",
)  # fmt: skip


def build_user_table(selection: ModelSelection) -> str:
    """One row per candidate, measured models first; ranks that did not start for the same reason share a row."""
    several = len(selection.machines) > 1
    header = ["machine"] * several + [f"s.{column}" for column in COLUMNS]
    rows = []
    for group in sorted(selection.models, key=lambda one: not any(entry.finished for entry in one.candidates)):
        for place, alike in enumerate(join_alike(group)):
            cells = [*_model_cells(group, alike[0], place == 0, selection.lang), *_rank_cells(alike)]
            rows.append([group.machine] * several + cells)
    return table(selection.lang, header, rows)


def build_ranking_table(machine: MachineRanking, lang: str) -> str:
    parts = list(machine.ranking.weights)
    header = ["s.place", "s.model", "s.rank", "s.score", *(f"s.part.{part}" for part in parts)]
    rows = []
    for one in machine.ranking.scores:
        candidate = machine.finished[one.index]
        scores = [f"{score:.3f}" for score in (one.score, *(one.parts[part] for part in parts))]
        rows.append([str(one.place), candidate.model, candidate.rank, *scores])
    return table(lang, header, rows)


def build_weights_table(machine: MachineRanking, lang: str) -> str:
    """Each weight with its reason, and who wins when it is doubled or halved."""
    header = ("s.part", "s.made_of", "s.weight", "why", "s.doubled", "s.halved")
    winners = [score.index for score in machine.ranking.winners]
    rows = []
    for part, weight in machine.ranking.weights.items():
        figures = ", ".join(say(lang, f"s.{figure}") for figure in machine.ranking.figures[part])
        then = [machine.changed[part][factor] for factor in FACTORS]
        names = ["; ".join(machine.candidate_name(i, lang) for i in found) for found in then]
        cells = [say(lang, "s.same") if found == winners else text for found, text in zip(then, names, strict=True)]
        rows.append([say(lang, f"s.part.{part}"), figures, f"{weight:.2f}", say(lang, f"s.why.{part}"), *cells])
    return table(lang, header, rows)


def build_defects_table(selection: ModelSelection) -> str:
    """Shares of answers by defect, and the other counts of answers; '' if no answers were judged."""
    texts = {f"{share}_share": "{:.0f} %" for share in SHARES} | {"chrf": "{:.1f}", "usable_chrf": "{:.1f}"}
    texts |= {"distinct_1": "{:.2f}", "distinct_2": "{:.2f}"}
    rows = []
    for one in selection.candidates:
        if any(key.startswith("quality/") for key in one.metrics):
            cells = [_number(one.metrics, f"quality/{key}", text) for key, text in texts.items()]
            rows.append([selection.with_machine(one.model, one.machine), one.rank, *cells])
    header = ("model", "rank", *(key.removesuffix("_share") for key in texts))
    return table(selection.lang, [f"s.{code}" for code in header], rows) if rows else ""


def join_alike(group: ModelGroup) -> list[list[Candidate]]:
    """Candidates by row: measured ones alone, those that ended alike without any number together."""

    def key(candidate: Candidate) -> tuple[str, ...]:
        measured = any(name.startswith(("train/", "eval/", "quality/")) for name in candidate.metrics)
        own = candidate.rank if candidate.finished or measured else ""
        return candidate.status, candidate.reason.get("code", ""), candidate.reason.get("text", ""), own

    return [list(alike) for _, alike in groupby(group.candidates, key)]


def _model_cells(group: ModelGroup, candidate: Candidate, is_first: bool, lang: str) -> list[str]:
    """The model's own cells, in its first row; a candidate that did not finish has its reason beside the name."""
    cells = [""] * 5
    if is_first:
        base = candidate.inference
        cells = [
            f"**{group.model}**",
            _params(group.params_m),
            _licence(group.licence, lang),
            memory_text(base, "infer"),
            _number(base, "infer/infer_time_s", f"{{:.1f}} s (n={len(group.timed)})"),
        ]
    if not candidate.finished:
        reason = " ".join((candidate.reason.get("text") or "").split())
        short = reason if len(reason) <= SHORT else f"{reason[: SHORT - 1]}…"
        status = say(lang, f"status.{candidate.status}")
        cells[0] = f"{cells[0]} ({': '.join(filter(None, (status, short)))})".strip()
    return cells


def _rank_cells(alike: Sequence[Candidate]) -> list[str]:
    metrics, figures, grade = alike[0].metrics, alike[0].figures, alike[0].grade
    return [
        ", ".join(one.rank for one in alike),
        memory_text(metrics, "train"),
        _number(metrics, "train/train_time_s", "{:.1f} s"),
        format_figure("bits", figures["bits"]) if "bits" in figures else NO_VALUE,
        _number(metrics, "eval/eval_loss", "{:.3f}"),
        _number(metrics, "quality/chrf", "{:.1f}"),
        _number(metrics, "quality/usable_share", "{:.0f} %"),
        "" if grade is None else f"{grade:g}",
    ]


def _number(metrics: dict[str, float], key: str, text: str) -> str:
    """The metric in this format; shares in percent."""
    value = metrics.get(key)
    return NO_VALUE if value is None else text.format(100 * value if key.endswith("_share") else value)


def _params(millions: float | None) -> str:
    if millions is None:
        return NO_VALUE
    return f"{millions / 1000:.2f} B" if millions >= 1000 else f"{millions:.0f} M"


def _licence(tag: str, lang: str) -> str:
    """The licence's tag, marked where its use is restricted or not known."""
    licence, name = LICENCES.get(tag), say(lang, "s.unknown") if tag == "unknown" else tag
    return f"{name} (!)" if licence is None or licence.restrictions else name
