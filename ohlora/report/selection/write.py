"""The report that chooses a model, written from result files alone.

python -m ohlora.report outputs/model_selection --weights quality=0.6,memory=0.2,time=0.2 --grades grades.csv
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ohlora.config.identity import slug
from ohlora.files import write_atomic, write_json
from ohlora.report.comparison.plots import Plot
from ohlora.report.page import MARKER, page
from ohlora.report.plots import ENGLISH, KOREAN, ParetoPoint, pareto_plot, standalone
from ohlora.report.selection.answers import answers_html, answers_markdown
from ohlora.report.selection.choice import Machine, against, choice
from ohlora.report.selection.document import document, failures, known
from ohlora.report.selection.grades import FILE, read_grades, usable_grades, write_template
from ohlora.report.selection.record import as_csv, as_dict
from ohlora.report.selection.rows import Entry
from ohlora.report.selection.study import Study, read_study
from ohlora.report.selection.tables import user_table
from ohlora.report.words.comparison import say

ENDED = "</main>"  # of the page: the answers go before it


def write_selection(
    folders: list[Path],
    lang: str | None = None,
    out: Path | None = None,
    weights: Mapping[str, float] | None = None,
    grades: Path | None = None,
) -> tuple[int, str]:
    """Write selection.md, .html, .csv, .json and the plots into `out`, by default the first folder.

    `weights` replace the usual ones. `grades` None takes what can be used of grades.csv in `out`, says what cannot, and
    adds the rows that it lacks, to be filled in. Returns (exit code, what is printed).

    Raises:
        UserError: there is no run of this task in the folders; or `grades` holds something that is no grade.
    """
    out = out or folders[0]
    own = out / FILE
    wrong: list[str] = []
    given = read_grades(grades) if grades else None
    if not grades and own.is_file():
        given, wrong = usable_grades(own)
    study = replace(read_study(folders, lang, weights, given), grades_file="" if grades else FILE, grades_wrong=wrong)
    out.mkdir(parents=True, exist_ok=True)
    if not grades:
        finished = [(entry.model, entry.rank) for made in study.machines for _, entry in made.rows]
        write_template(own, list(dict.fromkeys(finished)))
    _write(study, out)
    return study.exit_code(), f"{printed(study)}\n\n{out / 'selection.md'}"


def printed(study: Study) -> str:
    """The table, the choice and what speaks against it, for the terminal."""
    parts = [user_table(study), ""]
    for made in study.machines:
        where = f"{made.name}: " if len(study.machines) > 1 else ""
        parts += [f"{where}{choice(made, study.lang)}", *(f"- {text}" for text in against(made, study.lang)), ""]
    said = [*failures(study), *(f"- {text}" for text in [*known(study), *study.unusable()])]
    return "\n".join([*parts, *(line for line in said if line not in parts)])


def _write(study: Study, out: Path) -> None:
    lang, text, plots = study.lang, document(study), _plots(study)
    shown = "\n\n".join(f"![{plot.caption}]({plot.name}.svg)" for plot in plots)
    for plot in plots:
        write_atomic(out / f"{plot.name}.svg", standalone(plot.svg))
    answers = _best(study)
    heading, hint = say(lang, "s.answers"), say(lang, "s.shown_ranks")
    folded = f"## {heading}\n\n{hint}\n\n{answers_markdown(answers, lang)}" if answers else ""
    write_atomic(out / "selection.md", f"{text.replace(MARKER, shown)}\n{folded}")
    title = f"{say(lang, 's.title')}: {', '.join(held.folder.name for held in study.held)}"
    ending = f"\n## {heading}\n\n{hint}\n" if answers else ""
    html = page(f"# {title}\n\n{text}{ending}", [(plot.caption, plot.svg) for plot in plots], title, lang)
    start, end = html.rsplit(ENDED, 1)
    write_atomic(out / "selection.html", f"{start}{answers_html(answers, lang)}{ENDED}{end}")
    write_atomic(out / "selection.csv", as_csv(study))
    write_json(out / "selection.json", as_dict(study))


def _best(study: Study) -> list[Entry]:
    """Whose answers are shown: of each model its best rank; on several machines each says where it ran."""
    several = len(study.machines) > 1
    found = []
    for made in study.machines:
        for entry in made.best_entries():
            found.append(replace(entry, model=f"{entry.model} ({made.name})") if several else entry)
    return found


def _plots(study: Study) -> list[Plot]:
    """Quality against each cost of fine-tuning, one drawing per machine and cost."""
    words = KOREAN if study.lang == "ko" else ENGLISH
    axes = {
        "memory": (words.pareto_memory, words.pareto_memory_title),
        "time": (words.pareto_time, words.pareto_time_title),
    }
    found = []
    for made in study.machines:
        suffix = f"-{slug(made.name)}" if len(study.machines) > 1 else ""
        where = f" ({made.name})" if suffix else ""
        for cost, (axis, title) in axes.items():
            points = _points(made, f"train_{cost}")
            if points:
                svg = pareto_plot(points, axis, title, words)
                found.append(Plot(f"pareto-{cost}{suffix}", f"{title}{where}", svg))
    return found


def _points(made: Machine, cost: str) -> list[ParetoPoint]:
    """The finished rows that have both numbers; the marker grows with the rank."""
    ranks = sorted({entry.number for _, entry in made.rows})
    return [
        ParetoPoint(entry.model, entry.name, figures[cost], figures["usable_chrf"], ranks.index(entry.number))
        for (_, entry), figures in zip(made.rows, made.figures, strict=True)
        if cost in figures and "usable_chrf" in figures
    ]
