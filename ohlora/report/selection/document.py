"""selection.md: the user's table, the choice, the ranking and its weights, plots, estimates, failures, answers."""

from __future__ import annotations

from collections.abc import Iterator

from ohlora.report.markdown import NO_VALUE
from ohlora.report.page import MARKER
from ohlora.report.selection.choice import Machine, against, choice
from ohlora.report.selection.grades import MANY
from ohlora.report.selection.rows import NOT_RUN, Entry
from ohlora.report.selection.study import Study
from ohlora.report.selection.tables import (
    defects_table,
    estimates_table,
    ranking_table,
    together,
    user_table,
    weights_table,
)
from ohlora.report.words.comparison import say


def document(study: Study) -> str:
    """The report down to the answers, as Markdown; the plots go where MARKER stands."""
    lang = study.lang
    parts = [user_table(study), "", *(f"- {text}" for text in known(study)), ""]
    for made in study.machines:
        parts += [f"## {_on(say(lang, 's.choice'), made, study)}", "", choice(made, lang), ""]
        said = against(made, lang)
        parts += [f"### {say(lang, 's.against')}", "", *(f"- {text}" for text in said), ""] if said else []
    parts += [MARKER, ""]
    for made in study.machines:
        if made.rows:
            parts += [f"## {_on(say(lang, 's.ranking'), made, study)}", "", ranking_table(made, lang), ""]
            parts += [say(lang, "s.method"), "", f"### {say(lang, 's.weights')}", "", weights_table(made, lang), ""]
            parts += [*_exchange(made, lang)]
            left_out = ", ".join(say(lang, f"s.{figure}") for figure in made.ranking.left_out)
            parts += [say(lang, "s.left_out", figures=left_out), ""] if left_out else []
    for code, table in (("defects", defects_table(study)), ("estimates", estimates_table(study))):
        parts += [f"## {say(lang, f's.{code}')}", "", table, ""] if table else []
    lost = failures(study)
    parts += [f"## {say(lang, 's.unmeasured')}", "", *lost, ""] if lost else []
    unused = study.unusable()
    parts += [f"## {say(lang, 'unreadable')}", "", *(f"- {text}" for text in unused), ""] if unused else []
    parts += [f"## {say(lang, 'hardware')}", "", *_hardware(study), ""]
    return "\n".join(parts)


def known(study: Study) -> list[str]:
    """What a reader must know of the table."""
    lang = study.lang
    found = [say(lang, "s.none")] if not any(made.rows for made in study.machines) else []
    names = [made.name for made in study.machines]
    found += [say(lang, "s.several", names="; ".join(names))] if len(names) > 1 else []
    hashes = {result.hashes["questions"] for result in study.results if "questions" in result.hashes}
    found += [say(lang, "s.other_questions")] if len(hashes) > 1 else []
    found += list(_settings(study))
    found += [say(lang, code) for code in ("s.base", "s.tokenizers", "s.usable_means")]
    if any(result.device.get("type") == "cpu" for result in study.results):
        found.append(say(lang, "cpu"))
    if study.grades_file and not all(entry.grade for made in study.machines for _, entry in made.rows):
        found.append(say(lang, "s.grades_hint", path=study.grades_file))
    found += [say(lang, "s.grades_wrong", problem=text) for text in study.grades_wrong[:MANY]]
    if study.grades_unknown:
        found.append(say(lang, "s.grades_unknown", names=", ".join(study.grades_unknown)))
    return found


def failures(study: Study) -> list[str]:
    """One line for what was not measured, with its whole reason; ranks with the same one together."""
    lines = []
    for candidate in study.candidates:
        for entries in together(candidate):
            ended = _ended(entries[0], study.lang)
            if not ended:
                continue
            where = f" ({candidate.machine})" if len(study.machines) > 1 else ""
            ranks = ", ".join(entry.rank for entry in entries)
            lines.append(f"- **{candidate.model}**, {say(study.lang, 's.rank')} {ranks}{where}: {ended}")
    return lines


def _ended(entry: Entry, lang: str) -> str:
    """How an entry ended and why, '' where every planned run of it is there and one finished."""
    if entry.runs and entry.missing:
        lost = f"{say(lang, NOT_RUN)}: {entry.missing}/{entry.missing + len(entry.runs)}"
        return lost if entry.finished else f"{entry.status}: {_why(entry)}; {lost}"
    if entry.finished:
        return ""
    return f"{entry.status}: {_why(entry)}" if entry.runs else say(lang, NOT_RUN)


def _why(entry: Entry) -> str:
    return "; ".join(part for part in (entry.reason.get("code"), entry.reason.get("text")) if part)


def _settings(study: Study) -> Iterator[str]:
    run = next((result for made in study.machines for _, e in made.rows for result in e.results), None)
    trainer, generation = ((run.requested.get(key) or {}) if run else {} for key in ("trainer", "generation"))
    if run is None or not {"epochs", "batch_size"} <= set(trainer):
        return
    steps = trainer.get("max_steps")
    length = say(study.lang, "steps", n=steps) if steps else say(study.lang, "epochs", n=f"{trainer['epochs']:g}")
    yield say(
        study.lang,
        "s.settings",
        prompts=f"{run.metrics.get('infer/prompts', generation.get('prompts') or 0):g}",
        new=generation.get("max_new_tokens", NO_VALUE),
        rows=trainer.get("train_rows") or NO_VALUE,
        eval_rows=trainer.get("eval_rows") or NO_VALUE,
        length=length,
        batch=trainer["batch_size"],
        answers=f"{run.metrics.get('quality/answers', 0):g}",
    )


def _exchange(made: Machine, lang: str) -> Iterator[str]:
    """What the weights say, as an exchange of one part for another."""
    weights = made.ranking.weights
    if {"quality", "memory", "time"} <= set(weights):
        lost = {part: f"{90 * weights[part] / weights['quality']:.0f} %" for part in ("memory", "time")}
        yield from (say(lang, "s.exchange", **lost), "")


def _on(title: str, made: Machine, study: Study) -> str:
    return f"{title}: {made.name}" if len(study.machines) > 1 else title


def _hardware(study: Study) -> Iterator[str]:
    """What the runs ran on and with, and each model's whole name, every distinct value once."""
    for made in study.machines:
        runs = [result for candidate in made.candidates for result in candidate.results]
        versions = sorted({f"{key} {value}" for run in runs for key, value in run.versions.items()})
        yield f"- {made.name}: {', '.join(versions) or NO_VALUE}"
    labels = {candidate.model: candidate.fact("label", "label") for candidate in study.candidates}
    yield from (f"- {model}: {label}" for model, label in labels.items() if label)
