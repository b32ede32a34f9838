"""Write the report that chooses a model, from result files alone.

python -m ohlora.report outputs/model_selection --weights quality=0.6,memory=0.2,time=0.2 --grades grades.csv
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ohlora.config.identity import slug
from ohlora.files import write_atomic, write_json
from ohlora.report.files import Plot, write_document
from ohlora.report.markdown import items
from ohlora.report.plots.pareto import ParetoPoint, pareto_plot
from ohlora.report.selection.answers import fold_answers
from ohlora.report.selection.choice import describe_choice, list_objections
from ohlora.report.selection.document import compose_document, list_failures, list_notes
from ohlora.report.selection.grades import FILE, find_grades, read_grades, write_template
from ohlora.report.selection.record import to_csv, to_dict
from ohlora.report.selection.selection import MachineRanking, ModelSelection, read_selection
from ohlora.report.selection.tables import build_user_table
from ohlora.report.words.comparison import say


def write_selection(
    folders: list[Path],
    lang: str | None = None,
    out: Path | None = None,
    weights: Mapping[str, float] | None = None,
    grades: Path | None = None,
) -> tuple[int, str]:
    """Write selection.md, .html, .csv, .json and the plots into `out`, by default the first folder.

    `weights` replace the usual ones. `grades` None takes what can be used of grades.csv in `out`, reports what cannot,
    and adds the rows that it lacks, to be filled in. Returns (exit code, what is printed).

    Raises:
        UserError: there is no run of this task in the folders; or `grades` holds something that is no grade.
    """
    out = out or folders[0]
    own = out / FILE
    wrong: list[str] = []
    given = read_grades(grades) if grades else None
    if not grades and own.is_file():
        given, wrong = find_grades(own)
    selection = read_selection(folders, lang, weights, given)
    selection = replace(selection, grades_file="" if grades else FILE, grades_wrong=wrong)
    out.mkdir(parents=True, exist_ok=True)
    if not grades:
        write_template(own, list(dict.fromkeys((one.model, one.rank) for one in selection.finished)))
    _write_files(selection, out)
    return selection.exit_code(), f"{_summarise(selection)}\n\n{out / 'selection.md'}"


def _summarise(selection: ModelSelection) -> str:
    """The table, the choice and what speaks against it, for the terminal."""
    lang, parts, objections = selection.lang, [build_user_table(selection), ""], []
    for machine in selection.machines:
        where = f"{machine.name}: " if len(selection.machines) > 1 else ""
        against = list_objections(machine, lang)
        parts += [f"{where}{describe_choice(machine, lang)}", *([items(against)] if against else []), ""]
        objections += against
    notes = [*list_failures(selection), *list_notes(selection), *selection.unreadable()]
    return "\n".join([*parts, items(text for text in notes if text not in objections)])


def _write_files(selection: ModelSelection, out: Path) -> None:
    lang, text, answers = selection.lang, compose_document(selection), fold_answers(selection)
    text += f"\n## {say(lang, 's.answers')}\n\n{say(lang, 's.shown_ranks')}\n" if answers else ""
    title = f"{say(lang, 's.title')}: {', '.join(source.folder.name for source in selection.folders)}"
    write_document(out / "selection", title, text, _plots(selection), lang, f"\n{answers}")
    write_atomic(out / "selection.csv", to_csv(selection))
    write_json(out / "selection.json", to_dict(selection))


def _plots(selection: ModelSelection) -> list[Plot]:
    """Quality against each cost of fine-tuning, one drawing per machine and cost."""
    lang, found = selection.lang, []
    for machine in selection.machines:
        suffix = f"-{slug(machine.name)}" if len(selection.machines) > 1 else ""
        for cost in ("memory", "time"):
            points = _points(machine, f"train_{cost}")
            if points:
                axis, title = (say(lang, f"plot.pareto_{cost}{part}") for part in ("", "_title"))
                caption = selection.with_machine(title, machine.name)
                found.append(Plot(f"pareto-{cost}{suffix}", caption, pareto_plot(points, axis, title, lang)))
    return found


def _points(machine: MachineRanking, cost: str) -> list[ParetoPoint]:
    """The finished candidates that have both numbers; the marker grows with the rank."""
    ranks = sorted({candidate.rank_number for candidate in machine.finished})
    return [
        ParetoPoint(one.model, one.name, one.figures[cost], one.figures["usable_chrf"], ranks.index(one.rank_number))
        for one in machine.finished
        if {cost, "usable_chrf"} <= set(one.figures)
    ]
