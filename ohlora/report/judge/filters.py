"""Filters of the answers that need no script: three lists to choose from, and CSS rules that read what is chosen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path

from ohlora.records.judgement import JudgedPrompt, Judgement
from ohlora.report.judge.labels import name_category, name_rule, name_sides
from ohlora.report.markdown import NO_VALUE
from ohlora.report.plots.svg import clean
from ohlora.report.words.comparison import say

CHANGES = ("worse", "better", "same")
Choices = list[tuple[str, str]]  # (class, text)


@dataclass(frozen=True)
class Filters:
    """What can be chosen: categories in the order of the data, and each (side, rule) that an answer breaks."""

    categories: list[str]
    broken: list[tuple[int, str]]

    def class_names(self, prompt: JudgedPrompt, lang: str) -> list[str]:
        """What a question is found by; positions, not names, which are the user's."""
        found = dict.fromkeys(_list_broken(prompt))
        return [
            f"c-{prompt.change}",
            f"k-{self.categories.index(name_category(prompt, lang))}",
            *(f"b-{self.broken.index(one)}" for one in found),
        ]


def find_filters(judgement: Judgement) -> Filters:
    """The choices that this judgement's questions offer; rules in the order of the table, the second side first."""
    categories = dict.fromkeys(name_category(prompt, judgement.lang) for prompt in judgement.prompts)
    broken = {found for prompt in judgement.prompts for found in _list_broken(prompt)}
    place = {result.rule: i for i, result in enumerate(judgement.rules)}
    return Filters(list(categories), sorted(broken, key=lambda one: (place.get(one[1], len(place)), one[1], -one[0])))


def _list_broken(prompt: JudgedPrompt) -> Iterator[tuple[int, str]]:
    yield from ((answer.side, finding.rule) for answer in prompt.answers for finding in answer.broken)


def build_filters(judgement: Judgement) -> str:
    """The style sheet and the lists, to stand before the questions."""
    lang, filters, sides = judgement.lang, find_filters(judgement), name_sides(judgement)
    categories = [(f"k-{i}", name or NO_VALUE) for i, name in enumerate(filters.categories)]
    choices = {
        "change": [(f"c-{one}", say(lang, f"j.{one}")) for one in CHANGES if _is_there(judgement, one)],
        "category": categories if len(categories) > 1 else [],
        "rule": [
            (f"b-{i}", f"{name_rule(rule, lang)} ({say(lang, 'j.filter.by', side=sides[side])})")
            for i, (side, rule) in enumerate(filters.broken)
        ],
    }
    found = {name: options for name, options in choices.items() if options}
    rules = "\n".join(rule for name, options in found.items() for rule in _hiding(name, options))
    lists = "\n".join(_select(name, options, lang) for name, options in found.items())
    css = Path(__file__).with_name("answers.css").read_text("utf-8")
    label = escape(say(lang, "j.filter"))
    group = f'<div class="filters" role="group" aria-label="{label}">\n{lists}\n</div>'
    return f"<style>\n{css}{rules}\n</style>\n{group}"


def _is_there(judgement: Judgement, change: str) -> bool:
    return any(prompt.change == change for prompt in judgement.prompts)


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
