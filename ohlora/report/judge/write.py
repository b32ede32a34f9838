"""Write the page of a judgement, from its judge.json alone.

python -m ohlora.report outputs/runs/<run_id>
"""

from __future__ import annotations

from dataclasses import replace
from html import escape
from pathlib import Path

from ohlora.errors import UserError
from ohlora.records.judgement import BASE, FILE, Judgement, RuleResult, Share, read_judgement
from ohlora.records.layout import attempts
from ohlora.report.files import Plot, write_document
from ohlora.report.judge.answers import list_cases
from ohlora.report.judge.filters import build_filters
from ohlora.report.judge.labels import name_rule, name_sides, points
from ohlora.report.judge.sections import describe_cost, describe_damage, describe_gain, describe_method
from ohlora.report.judge.table import build_rules_table
from ohlora.report.markdown import NO_VALUE
from ohlora.report.page import MARKER
from ohlora.report.plots.shares import ShareRow, share_intervals
from ohlora.report.provenance import version_text
from ohlora.report.words.comparison import say


def find_judgement(folder: Path) -> Path | None:
    """The judge.json of an attempt, of a run directory (its newest attempt that has one), else None."""
    candidates = [folder / FILE, *(path / FILE for path in attempts(folder)[::-1])]
    return next((path for path in candidates if path.is_file()), None)


def write_judgement_page(folder: Path, lang: str | None = None, out: Path | None = None) -> str:
    """Write judge.md, judge.html and judge-shares.svg into `out`, by default beside judge.json; returns a summary.

    Raises:
        UserError: there is no judge.json in the folder, or it cannot be read.
    """
    path = find_judgement(folder)
    if path is None:
        raise UserError(f"{folder}: no {FILE} in it; give the folder of a run with task=judge or task=final")
    try:
        judgement = read_judgement(path)
    except ValueError as error:
        raise UserError(f"{error}; judge again with task=judge") from None
    judgement = replace(judgement, lang=lang or judgement.lang)
    out = out or path.parent
    out.mkdir(parents=True, exist_ok=True)
    _write_files(judgement, out)
    return f"{summarise(judgement)}\n\n{out / 'judge.html'}"


def summarise(judgement: Judgement) -> str:
    """The verdict, what broke and the cost, for the terminal."""
    return "\n\n".join(_answer_questions(judgement))


def compose_document(judgement: Judgement) -> str:
    """The page down to the answers, as Markdown; the plot goes where MARKER stands."""
    lang = judgement.lang
    parts = [
        *_answer_questions(judgement),
        f"## {say(lang, 'j.rules')}", build_rules_table(judgement), MARKER,
        f"## {say(lang, 'j.how')}", describe_method(judgement), say(lang, "written by", version=version_text()),
        f"## {say(lang, 'j.answers')}",
    ]  # fmt: skip
    return "\n\n".join(filter(None, parts)) + "\n"


def _answer_questions(judgement: Judgement) -> list[str]:
    """Did it help, what broke, what did it cost: each a heading and its answer."""
    helped = "j.helped" if judgement.sides[0].kind == BASE else "j.which"
    answers = {
        helped: describe_gain(judgement),
        "j.broke": describe_damage(judgement),
        "j.cost": describe_cost(judgement),
    }
    return [part for code, text in answers.items() for part in (f"## {say(judgement.lang, code)}", text)]


def _write_files(judgement: Judgement, out: Path) -> None:
    lang = judgement.lang
    first, second = name_sides(judgement)
    title = f"{say(lang, 'j.title')}: {say(lang, 'j.sides', first=first, second=second)}"
    text = compose_document(judgement)
    ending = page_ending = f"\n{escape(say(lang, 'j.no_answers'))}\n"
    if judgement.prompts:
        shown = f'<p class="shown">{escape(say(lang, "j.shown"))}</p>'
        ending = f"\n{list_cases(judgement, is_open=False)}\n"
        page_ending = f"{build_filters(judgement)}\n{list_cases(judgement, is_open=True)}\n{shown}\n"
    write_document(out / "judge", title, text, _plots(judgement), lang, ending, page_ending)


def _plots(judgement: Judgement) -> list[Plot]:
    rows = [_plot_row(one, judgement.lang) for one in judgement.rules if one.second.of or one.first.of]
    if not rows:
        return []
    first, second = name_sides(judgement)
    return [Plot("judge-shares", say(judgement.lang, "j.plot"), share_intervals(rows, first, second, judgement.lang))]


def _plot_row(result: RuleResult, lang: str) -> ShareRow:
    difference = NO_VALUE if result.difference is None else say(lang, "j.points", value=points(result.difference))
    verdict = say(lang, f"j.{result.verdict}")
    return ShareRow(
        name_rule(result.rule, lang), _percents(result.first), _percents(result.second), difference, verdict,
        result.verdict, 100 * result.aim.share if result.aim else None,
    )  # fmt: skip


def _percents(share: Share) -> tuple[float, float | None, float | None] | None:
    if share.value is None:
        return None
    low, high = (None if bound is None else 100 * bound for bound in (share.low, share.high))
    return 100 * share.value, low, high
