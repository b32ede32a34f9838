"""The tables of the report that chooses a model, each as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from ohlora.models.licences import LICENCES
from ohlora.report.comparison.estimates import estimate_rows
from ohlora.report.comparison.headline import memory_key
from ohlora.report.markdown import NO_VALUE, markdown
from ohlora.report.selection.choice import Machine, figure_text
from ohlora.report.selection.ranking import FACTORS, PARTS
from ohlora.report.selection.rows import Candidate, Entry
from ohlora.report.selection.study import Study
from ohlora.report.words.comparison import say

SHORT = 90  # characters of a reason in the table; all of it stands further down
SHARES = ("empty", "repeated", "wrong_language", "never_ending", "usable")
TABLE = (
    "model", "params", "licence", "infer_memory", "infer_time", "rank", "train_memory", "train_time", "bits",
    "eval_loss", "chrf", "usable", "grade",
)  # fmt: skip


def user_table(study: Study) -> str:
    """One row per model and rank, what was measured first; ranks that did not start for one reason share a row."""
    several = len(study.machines) > 1
    header = [say(study.lang, "machine")] * several + [say(study.lang, f"s.{column}") for column in TABLE]
    rows = []
    for candidate in sorted(study.candidates, key=lambda one: not any(entry.finished for entry in one.entries)):
        for place, entries in enumerate(together(candidate)):
            cells = [*_model_cells(candidate, entries, place == 0), *_rank_cells(candidate, entries)]
            rows.append([candidate.machine] * several + cells)
    return markdown(header, rows)


def ranking_table(made: Machine, lang: str) -> str:
    parts = list(made.ranking.weights)
    header = ["s.place", "s.model", "s.rank", "s.score", *(f"s.part.{part}" for part in parts)]
    rows = []
    for row in made.ranking.rows:
        entry = made.rows[row.index][1]
        scores = [f"{row.score:.3f}", *(f"{row.parts[part]:.3f}" for part in parts)]
        rows.append([str(row.place), entry.model, entry.rank, *scores])
    return markdown([say(lang, code) for code in header], rows)


def weights_table(made: Machine, lang: str) -> str:
    """Each weight with its reason, and who wins when it is doubled or halved."""
    header = [say(lang, code) for code in ("s.part", "s.made_of", "s.weight", "why", "s.doubled", "s.halved")]
    winners = [row.index for row in made.ranking.winners]
    rows = []
    for part, weight in made.ranking.weights.items():
        figures = [say(lang, f"s.{figure}") for figure in PARTS[part] if figure in made.ranking.figures[part]]
        then = [made.changed[part][factor] for factor in FACTORS]
        cells = [
            say(lang, "s.same") if found == winners else "; ".join(made.named(i, lang) for i in found) for found in then
        ]
        rows.append(
            [say(lang, f"s.part.{part}"), ", ".join(figures), f"{weight:.2f}", say(lang, f"s.why.{part}"), *cells]
        )
    return markdown(header, rows)


def defects_table(study: Study) -> str:
    header = ["s.model", "s.rank", *(f"s.{share}" for share in SHARES), "s.chrf", "s.usable_chrf"]
    header += ["s.distinct_1", "s.distinct_2"]
    rows = []
    for candidate in study.candidates:
        for entry in candidate.entries:
            found = {key.removeprefix("quality/"): v for key, v in entry.metrics.items() if key.startswith("quality/")}
            if found:
                shares = [found.get(f"{share}_share") for share in SHARES]
                cells = [NO_VALUE if share is None else f"{100 * share:.0f} %" for share in shares]
                digits = {"chrf": 1, "usable_chrf": 1, "distinct_1": 2, "distinct_2": 2}
                cells += [f"{found[key]:.{d}f}" if key in found else NO_VALUE for key, d in digits.items()]
                rows.append([_where(candidate, study), entry.rank, *cells])
    return markdown([say(study.lang, code) for code in header], rows) if rows else ""


def estimates_table(study: Study) -> str:
    """What was estimated before the run beside what was measured in it, phase by phase."""
    header = [say(study.lang, f"s.{code}") for code in ("model", "rank")]
    header += [say(study.lang, code) for code in ("phase", "estimated", "measured")]
    rows: list[list[str]] = []
    for candidate in study.candidates:
        for entry in candidate.entries:
            rows += [
                [_where(candidate, study), entry.rank, *cells] for cells in estimate_rows(entry.metrics, study.lang)
            ]
    return markdown([*header, say(study.lang, "error")], rows) if rows else ""


def together(candidate: Candidate) -> list[list[Entry]]:
    """Entries in rows: alone where something was measured, together where they ended the same without a number."""

    def key(entry: Entry) -> tuple[str, ...]:
        measured = any(name.startswith(("train/", "eval/", "quality/")) for name in entry.metrics)
        own = entry.rank if entry.finished or measured else ""
        return entry.status, entry.reason.get("code", ""), entry.reason.get("text", ""), own

    return [list(group) for _, group in groupby(candidate.entries, key)]


def _model_cells(candidate: Candidate, entries: Sequence[Entry], is_first: bool) -> list[str]:
    """The model's own cells, once; a row that did not finish says why beside its name."""
    entry, cells = entries[0], [""] * 5
    if is_first:
        base, n = candidate.inference
        key, seconds = memory_key(base, "infer"), base.get("infer/infer_time_s")
        cells = [
            f"**{candidate.model}**",
            _params(candidate.params_m),
            _licence(candidate.licence),
            _memory(base, key),
            NO_VALUE if seconds is None else f"{seconds:.1f} s (n={n})",
        ]
    if not entry.finished:
        reason = " ".join((entry.reason.get("text") or "").split())
        short = reason if len(reason) <= SHORT else f"{reason[: SHORT - 1]}…"
        cells[0] = f"{cells[0]} ({': '.join(part for part in (entry.status, short) if part)})".strip()
    return cells


def _rank_cells(candidate: Candidate, entries: Sequence[Entry]) -> list[str]:
    entry, metrics = entries[0], entries[0].metrics
    figures = candidate.figures(entry)
    seconds, loss, usable = (metrics.get(k) for k in ("train/train_time_s", "eval/eval_loss", "quality/usable_share"))
    chrf = metrics.get("quality/chrf")
    return [
        ", ".join(one.rank for one in entries),
        _memory(metrics, memory_key(metrics, "train")),
        NO_VALUE if seconds is None else f"{seconds:.1f} s",
        figure_text("bits", figures["bits"]) if "bits" in figures else NO_VALUE,
        NO_VALUE if loss is None else f"{loss:.3f}",
        NO_VALUE if chrf is None else f"{chrf:.1f}",
        NO_VALUE if usable is None else f"{100 * usable:.0f} %",
        "" if entry.grade is None else f"{entry.grade:g}",
    ]


def _memory(metrics: dict[str, float], key: str | None) -> str:
    return NO_VALUE if key is None else f"{metrics[key]:,.0f} MiB{'' if 'vram' in key else ' RSS'}"


def _params(millions: float | None) -> str:
    if millions is None:
        return NO_VALUE
    return f"{millions / 1000:.2f} B" if millions >= 1000 else f"{millions:.0f} M"


def _licence(tag: str) -> str:
    known_one = LICENCES.get(tag)
    return f"{tag} (!)" if known_one is None or known_one.restrictions else tag


def _where(candidate: Candidate, study: Study) -> str:
    return f"{candidate.model} ({candidate.machine})" if len(study.machines) > 1 else candidate.model
