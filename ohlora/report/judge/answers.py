"""Every question with its whole conversation and both sides' answers, and the rules that each answer breaks.

HTML without an empty line, so that a Markdown viewer shows it too; what models and users wrote is shown as text.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from ohlora.records.judgement import Finding, JudgedAnswer, JudgedPrompt, Judgement
from ohlora.report.judge.filters import Filters, find_filters
from ohlora.report.judge.labels import name_category, name_rule, name_sides
from ohlora.report.plots.svg import clean
from ohlora.report.words.comparison import say

ORDER = {"worse": 0, "better": 1, "same": 2}


def list_cases(judgement: Judgement, is_open: bool) -> str:
    """A `<details>` per question, first those that became worse, then better; '' without questions."""
    filters = find_filters(judgement)
    prompts = sorted(judgement.prompts, key=lambda prompt: ORDER[prompt.change])  # else in the order of the data
    return "\n".join(_case(prompt, judgement, filters, is_open) for prompt in prompts)


def _case(prompt: JudgedPrompt, judgement: Judgement, filters: Filters, is_open: bool) -> str:
    lang = judgement.lang
    tags = [f'<span class="tag {prompt.change}">{_plain(say(lang, f"j.{prompt.change}"))}</span>']
    category = name_category(prompt, lang)
    tags += [f'<span class="tag">{_plain(category)}</span>'] if category else []
    names = name_sides(judgement)
    sides = "\n".join(
        _side(names[side], [answer for answer in prompt.answers if answer.side == side], lang) for side in (0, 1)
    )
    lines = [
        f'<details class="{" ".join(["case", *filters.class_names(prompt, lang)])}"{" open" if is_open else ""}>',
        f"<summary>{' '.join(tags)} {_plain(prompt.prompt)} <small>{_plain(prompt.id)}</small></summary>",
        f'<dl class="talk">\n{_conversation(prompt, lang)}\n</dl>',
        f'<div class="sides">\n{sides}\n</div>',
        "</details>",
    ]
    return "\n".join(lines)


def _conversation(prompt: JudgedPrompt, lang: str) -> str:
    """System text, earlier turns, memory and question in the order the model reads them; then the reference."""
    turns = [("system", prompt.system)] if prompt.system else []
    turns += [("assistant" if role == "assistant" else "user", text) for role, text in prompt.history]
    turns += [("memory", prompt.memory)] if prompt.memory else []
    turns += [("question", prompt.prompt)]
    turns += [("reference", prompt.reference)] if prompt.reference else []
    return "\n".join(
        f'<dt class="{role}">{_plain(say(lang, f"j.{role}"))}</dt><dd class="{role}">{_lines(text)}</dd>'
        for role, text in turns
    )


def _side(name: str, answers: Sequence[JudgedAnswer], lang: str) -> str:
    return "\n".join(
        ['<div class="side">', f"<h4>{_plain(name)}</h4>", *(_answer(one, lang) for one in answers), "</div>"]
    )


def _answer(answer: JudgedAnswer, lang: str) -> str:
    """The text, with its seed and how many rules it keeps; each broken rule with its evidence."""
    shown = _lines(answer.text) if clean(answer.text) else f"<em>{_plain(say(lang, 'j.empty'))}</em>"
    facts = [] if answer.seed is None else [say(lang, "j.seed", seed=answer.seed)]
    facts += [say(lang, "j.cut_off")] if answer.ended is False else []
    kept = len(answer.findings) - len(answer.broken)
    facts += [say(lang, "j.kept", kept=kept, all=len(answer.findings))] if answer.findings else []
    lines = [f"<blockquote>{shown}</blockquote>"]
    lines += [f'<p class="facts">{_plain(" · ".join(facts))}</p>'] if facts else []
    broken = "".join(f"<li>{_finding(one, lang)}</li>" for one in answer.broken)
    lines += [f'<ul class="broken">{broken}</ul>'] if broken else []
    return "\n".join(lines)


def _finding(finding: Finding, lang: str) -> str:
    evidence = f": {_plain(finding.evidence)}" if finding.evidence else ""
    return f"<strong>✗ {_plain(name_rule(finding.rule, lang))}</strong>{evidence}"


def _plain(text: str) -> str:
    return escape(clean(text))


def _lines(text: str) -> str:
    """Its lines kept, without an empty one: that would end the HTML block."""
    return "<br>".join(filter(None, map(_plain, text.splitlines())))
