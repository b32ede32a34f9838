"""Filters of the answers that need no script: three lists to choose from, and CSS rules that read what is chosen."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path

from ohlora.records.judgement import JudgedPrompt, Judgement
from ohlora.report.judge.labels import name_category, name_rule, name_sides
from ohlora.report.plots.svg import clean
from ohlora.report.words.comparison import say

CHANGES = ("worse", "better", "same")
Choices = list[tuple[str, str]]  # (class, text)


def class_names(prompt: JudgedPrompt, judgement: Judgement) -> list[str]:
    """What the filters tell a question by; positions, not names, which are the user's."""
    categories, rules = list_categories(judgement), list_broken_rules(judgement)
    broken = {(answer.side, finding.rule) for answer in prompt.answers for finding in answer.broken}
    return [
        f"c-{prompt.change}",
        f"k-{categories.index(name_category(prompt, judgement.lang))}",
        *(f"b{side}-{rules.index(rule)}" for side, rule in sorted(broken)),
    ]


def list_categories(judgement: Judgement) -> list[str]:
    return list(dict.fromkeys(name_category(prompt, judgement.lang) for prompt in judgement.prompts))


def list_broken_rules(judgement: Judgement) -> list[str]:
    """The rules that an answer breaks, in the order of the table; those that are not in it last."""
    broken = dict.fromkeys(f.rule for prompt in judgement.prompts for one in prompt.answers for f in one.broken)
    known = [result.rule for result in judgement.rules]
    return sorted(broken, key=lambda rule: known.index(rule) if rule in known else len(known))


def build_filters(judgement: Judgement) -> str:
    """The style sheet and the lists, before the questions; the number of questions shown stands in `<output>` after."""
    lang = judgement.lang
    changes = [(f"c-{change}", say(lang, f"j.{change}")) for change in CHANGES]
    categories = [(f"k-{i}", name) for i, name in enumerate(list_categories(judgement))]
    css = Path(__file__).with_name("answers.css").read_text("utf-8")
    choices = {"change": changes, "category": categories if len(categories) > 1 else [], "rule": _rules(judgement)}
    found = {name: options for name, options in choices.items() if options}
    rules = "\n".join(rule for name, options in found.items() for rule in _hiding(name, options))
    lists = "\n".join(_select(name, options, lang) for name, options in found.items())
    return f'<style>\n{css}{rules}\n</style>\n<div class="filters" role="group">\n{lists}\n</div>'


def _rules(judgement: Judgement) -> Choices:
    lang, sides = judgement.lang, name_sides(judgement)
    return [
        (f"b{side}-{i}", f"{name_rule(rule, lang)} ({say(lang, 'j.filter.by', side=sides[side])})")
        for i, rule in enumerate(list_broken_rules(judgement))
        for side in (1, 0)
        if _is_broken(judgement, side, rule)
    ]


def _is_broken(judgement: Judgement, side: int, rule: str) -> bool:
    return any(
        answer.side == side and finding.rule == rule
        for prompt in judgement.prompts
        for answer in prompt.answers
        for finding in answer.broken
    )


def _hiding(name: str, options: Choices) -> Iterator[str]:
    """One rule per choice: hide the questions of another class."""
    for code, _ in options:
        chosen = f'main:has(#filter-{name} option[value="{code}"]:checked)'
        yield f"{chosen} .case:not(.{code}) {{ display: none; }}"


def _select(name: str, options: Choices, lang: str) -> str:
    everything = f'<option value="">{escape(say(lang, "j.filter.all"))}</option>'
    listed = "".join(f'<option value="{code}">{escape(clean(text))}</option>' for code, text in options)
    label = escape(say(lang, f"j.filter.{name}"))
    return f'<label>{label} <select id="filter-{name}" autocomplete="off">{everything}{listed}</select></label>'
