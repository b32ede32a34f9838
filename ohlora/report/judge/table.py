"""The table of all rules: both shares, their difference, and what became better or worse."""

from __future__ import annotations

from ohlora.records.judgement import EVERY_RULE, Judgement, RuleResult
from ohlora.report.judge.labels import (
    aim_text,
    count_text,
    name_rule,
    name_sides,
    points,
    share_text,
)
from ohlora.report.markdown import NO_VALUE, escape_markdown, markdown
from ohlora.report.words.comparison import say


def build_rules_table(judgement: Judgement) -> str:
    """A row per rule, 'every rule' and verdicts in bold; '' without rules. The aim's column only if there is one."""
    lang, rules = judgement.lang, judgement.rules
    has_aims = any(one.aim for one in rules)
    names = [escape_markdown(name) for name in name_sides(judgement)]
    columns = [say(lang, f"j.{code}") for code in ("difference", "changes", "verdict", *(["aim"] if has_aims else []))]
    header = [say(lang, "j.rule"), say(lang, "j.count"), *names, *columns]
    return markdown(header, [_row(one, lang)[: len(header)] for one in rules]) if rules else ""


def _row(result: RuleResult, lang: str) -> list[str]:
    name, verdict = escape_markdown(name_rule(result.rule, lang)), say(lang, f"j.{result.verdict}")
    measured = bool(result.first.of or result.second.of)
    return [
        f"**{name}**" if result.rule == EVERY_RULE else name,
        count_text(result),
        share_text(result.first),
        share_text(result.second),
        _difference(result),
        f"{result.better} / {result.worse} / {result.same}" if measured else NO_VALUE,
        NO_VALUE if not measured else verdict if result.verdict == "none" else f"**{verdict}**",
        aim_text(result, lang),
    ]


def _difference(result: RuleResult) -> str:
    """'+50 (+43 … +57)': a dash between signs would be read as one."""
    if result.difference is None:
        return NO_VALUE
    text = points(result.difference)
    if result.low is None or result.high is None:
        return text
    return f"{text} ({points(result.low)} … {points(result.high)})"
