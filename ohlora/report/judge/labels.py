"""Names and numbers of the judge's page."""

from __future__ import annotations

from ohlora.records.judgement import BASE, JudgedPrompt, Judgement, RuleResult, Share
from ohlora.report.markdown import NO_VALUE, escape_markdown
from ohlora.report.plots.svg import clean
from ohlora.report.words.comparison import WORDS, say

MINUS, PERCENT = "−", "\u00a0%"  # no line break before the sign


def name_sides(judgement: Judgement) -> tuple[str, str]:
    """What the two sides are called. 'base model' is only said of one: two adapters go by their names."""
    lang, (first, second) = judgement.lang, judgement.sides
    if first.kind == BASE:
        return say(lang, "j.base"), say(lang, "j.tuned")
    return clean(first.name), clean(second.name)


def mention_sides(judgement: Judgement) -> tuple[str, str]:
    """The same within a sentence, as Markdown: 'the base model'."""
    lang, (first, second) = judgement.lang, judgement.sides
    if first.kind == BASE:
        return say(lang, "j.the_base"), say(lang, "j.the_tuned")
    return escape_markdown(first.name), escape_markdown(second.name)


def name_rule(rule: str, lang: str) -> str:
    """The rule's name; a rule that this version does not know keeps its code."""
    code = f"j.rule.{rule}"
    return say(lang, code) if code in WORDS else clean(rule).replace("_", " ")


def name_category(prompt: JudgedPrompt, lang: str) -> str:
    """The row's category; the probe has none of the data's."""
    return f"{say(lang, 'j.forgotten')} ({prompt.category})" if prompt.family == "probe" else prompt.category


def percent(value: float | None) -> str:
    """'93.5 %'; whole numbers without decimals. Only nothing is 0 % and only all are 100 %."""
    if value is None:
        return NO_VALUE
    shown = 100 * value if value in (0, 1) else min(max(100 * value, 0.1), 99.9)
    return f"{shown:.1f}".removesuffix(".0") + PERCENT


def points(value: float) -> str:
    """A difference of shares in percentage points, with its sign: '+4.2'; never '-0'."""
    text = f"{100 * value:+.1f}".removesuffix(".0")
    return "0" if float(text) == 0 else text.replace("-", MINUS)


def share_text(share: Share, with_count: bool = False) -> str:
    """'93.5 % (88–97 %)', with_count: '93.5 % (29/31; 88–97 %)'."""
    if share.value is None:
        return NO_VALUE
    parts = [f"{share.kept}/{share.of}"] if with_count else []
    if share.low is not None and share.high is not None:
        parts.append(f"{100 * share.low:.0f}–{100 * share.high:.0f}{PERCENT}")
    return percent(share.value) + (f" ({'; '.join(parts)})" if parts else "")


def count_text(result: RuleResult) -> str:
    """To how many answers of each side the rule applies: '16', or '14 / 16' where they differ."""
    counts = dict.fromkeys((result.first.of, result.second.of))
    return " / ".join(map(str, counts))


def difference_text(result: RuleResult, lang: str) -> str:
    """'+50 points (95 % interval +43 to +57)'."""
    if result.difference is None:
        return NO_VALUE
    text = say(lang, "j.points", value=points(result.difference))
    if result.low is None or result.high is None:
        return text
    interval = say(lang, "j.interval", low=points(result.low), high=points(result.high))
    return f"{text} ({interval})"


def p_text(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def aim_text(result: RuleResult, lang: str) -> str:
    """'✓ reached (≥ 90 %)'; without answers there is nothing to reach."""
    aim, value = result.aim, result.second.value
    if aim is None:
        return ""
    bound = percent(aim.share) if aim.share >= 1 else f"{'>' if aim.above else '≥'} {percent(aim.share)}"
    if value is None:
        return f"{NO_VALUE} ({bound})"
    return f"{say(lang, 'j.reached' if aim.is_reached(value) else 'j.missed')} ({bound})"
