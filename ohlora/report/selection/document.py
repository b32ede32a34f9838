"""selection.md: the user's table, the choice, the ranking and its weights, plots, estimates, failures, answers."""

from __future__ import annotations

from collections.abc import Iterator

from ohlora.report.comparison.labels import describe_work
from ohlora.report.disturbances import list_disturbed
from ohlora.report.estimates import describe_estimates
from ohlora.report.markdown import NO_VALUE, items, section
from ohlora.report.page import MARKER
from ohlora.report.provenance import version_text
from ohlora.report.selection.candidates import NOT_RUN, Candidate
from ohlora.report.selection.choice import describe_choice, list_objections
from ohlora.report.selection.grades import MANY
from ohlora.report.selection.selection import MachineRanking, ModelSelection
from ohlora.report.selection.tables import (
    build_defects_table,
    build_ranking_table,
    build_user_table,
    build_weights_table,
    join_alike,
)
from ohlora.report.words.comparison import say


def compose_document(selection: ModelSelection) -> str:
    """The report down to the answers, as Markdown; the plots go where MARKER stands."""
    lang = selection.lang
    parts = [build_user_table(selection), items(list_notes(selection))]
    for machine in selection.machines:
        parts += [_heading(selection, machine, "s.choice"), describe_choice(machine, lang)]
        objections = list_objections(machine, lang)
        parts += [f"### {say(lang, 's.against')}", items(objections)] if objections else []
    parts.append(MARKER)
    for machine in selection.machines:
        if machine.finished:
            parts += [_heading(selection, machine, "s.ranking"), *_ranking(machine, lang)]
    parts += section(lang, "s.defects", build_defects_table(selection))
    named = [
        (selection.with_machine(one.name, one.machine), run) for one in selection.candidates for run in one.results
    ]
    parts += list_disturbed(named, lang, "disturbed_candidates", ("repeat", "s.model"))
    measured = [
        ([selection.with_machine(one.model, one.machine), one.rank], one.metrics, one.results)
        for one in selection.candidates
    ]
    parts += section(lang, "estimates", *describe_estimates(["s.model", "s.rank"], measured, lang))
    parts += section(lang, "s.unmeasured", items(list_failures(selection)))
    parts += section(lang, "unreadable", items(selection.unreadable()))
    parts += section(lang, "hardware", items(_hardware(selection)), say(lang, "written by", version=version_text()))
    return "\n\n".join(parts) + "\n"


def list_notes(selection: ModelSelection) -> list[str]:
    """What a reader must know about the table."""
    lang, results = selection.lang, selection.results
    found = [] if selection.finished else [say(lang, "s.none")]
    names = [machine.name for machine in selection.machines]
    found += [say(lang, "s.several", names="; ".join(names))] if len(names) > 1 else []
    questions = {result.hashes["questions"] for result in results if "questions" in result.hashes}
    found += [say(lang, "s.other_questions")] if len(questions) > 1 else []
    run = next((result for candidate in selection.finished for result in candidate.results), None)
    answers = f"{run.metrics.get('quality/answers', 0):g}" if run else ""
    found += [*filter(None, [describe_work(run, lang, "s.settings", answers=answers)])]
    found += [*(say(lang, code) for code in ("s.base", "s.tokenizers", "s.usable_means"))]
    if any(result.device.get("type") == "cpu" for result in results):
        found.append(say(lang, "cpu"))
    if selection.grades_file and not all(candidate.grade for candidate in selection.finished):
        found.append(say(lang, "s.grades_hint", path=selection.grades_file))
    found += [say(lang, "s.grades_wrong", problem=text) for text in selection.grades_wrong[:MANY]]
    if selection.grades_unknown:
        found.append(say(lang, "s.grades_unknown", names=", ".join(selection.grades_unknown)))
    return found


def list_failures(selection: ModelSelection) -> list[str]:
    """One line for each model that was not measured, with the full reason; ranks with the same reason share a line."""
    lines = []
    for group in selection.models:
        for alike in join_alike(group):
            ended = _describe_end(alike[0], selection.lang)
            if ended:
                ranks = ", ".join(candidate.rank for candidate in alike)
                where = selection.with_machine(f"{say(selection.lang, 's.rank')} {ranks}", group.machine)
                lines.append(f"**{group.model}**, {where}: {ended}")
    return lines


def _describe_end(candidate: Candidate, lang: str) -> str:
    """How a candidate ended and why; '' if no planned run is missing and one finished."""
    not_run = say(lang, f"status.{NOT_RUN}")
    if not candidate.results:
        return not_run
    reasons = filter(None, (candidate.reason.get("code"), candidate.reason.get("text")))
    status = say(lang, f"status.{candidate.status}")
    ended = [] if candidate.finished else [f"{status}: {'; '.join(reasons)}"]
    missing = [f"{not_run}: {candidate.missing}/{len(candidate.trials)}"] if candidate.missing else []
    return "; ".join([*ended, *missing])


def _ranking(machine: MachineRanking, lang: str) -> Iterator[str]:
    """The ranking, how it is made, and what its weights mean."""
    yield from (build_ranking_table(machine, lang), say(lang, "s.method"))
    yield from (f"### {say(lang, 's.weights')}", build_weights_table(machine, lang))
    weights = machine.ranking.weights
    if {"quality", "memory", "time"} <= set(weights):
        lost = {part: f"{90 * weights[part] / weights['quality']:.0f} %" for part in ("memory", "time")}
        yield say(lang, "s.exchange", **lost)
    if machine.ranking.left_out:
        yield say(lang, "s.left_out", figures=", ".join(say(lang, f"s.{one}") for one in machine.ranking.left_out))


def _hardware(selection: ModelSelection) -> Iterator[str]:
    """What the runs ran on and with, and each model's whole name, every distinct value once."""
    for machine in selection.machines:
        runs = [result for group in machine.models for result in group.results]
        versions = sorted({f"{key} {value}" for run in runs for key, value in run.versions.items()})
        yield f"{machine.name}: {', '.join(versions) or NO_VALUE}"
    labels = {group.model: group.fact("label", "label") for group in selection.models}
    yield from (f"{model}: {label}" for model, label in labels.items() if label)


def _heading(selection: ModelSelection, machine: MachineRanking, code: str) -> str:
    where = f": {machine.name}" if len(selection.machines) > 1 else ""
    return f"## {say(selection.lang, code)}{where}"
