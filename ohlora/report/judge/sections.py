"""The three questions of the judge's page, answered: did it help, what broke, what did it cost."""

from __future__ import annotations

from collections.abc import Iterator

from ohlora.records.judgement import BASE, EVERY_RULE, JudgedPrompt, Judgement, RuleResult
from ohlora.report.judge.labels import (
    difference_text,
    mention_sides,
    name_rule,
    p_text,
    share_text,
)
from ohlora.report.markdown import escape_markdown, items, markdown, number
from ohlora.report.words.comparison import WORDS, say

MEMORISED = "not_memorised"
SHOWN = 8  # questions that a sentence names
VERDICTS = {"better": "j.yes", "worse": "j.no", "none": "j.unclear"}
WHICH = {"better": "j.which.better", "worse": "j.which.worse", "none": "j.unclear"}


def describe_gain(judgement: Judgement) -> str:
    """The verdict in one sentence, what was kept more often, and which aims are reached."""
    lang, (first, second) = judgement.lang, mention_sides(judgement)
    result = judgement.every_rule
    if result is None or not result.second.of:
        return say(lang, "j.not_judged")
    code = (VERDICTS if judgement.sides[0].kind == BASE else WHICH)[result.verdict]
    shares = say(
        lang, "j.shares", first=first, second=second, first_share=share_text(result.first),
        second_share=share_text(result.second), difference=difference_text(result, lang),
        questions=result.better + result.worse + result.same, better=result.better, worse=result.worse,
        same=result.same, p="" if result.p is None else say(lang, "j.p", p=p_text(result.p)),
    )  # fmt: skip
    parts = [f"{say(lang, code, first=first, second=second)} {shares}"]
    improved = [one for one in _others(judgement) if one.verdict == "better"]
    parts += [say(lang, "j.improved", rules=_names(improved, lang))] if improved else []
    return "\n\n".join([*parts, *_aims(judgement, second)])


def describe_damage(judgement: Judgement) -> str:
    """The rules that became worse, memorised answers, and what was forgotten."""
    lang, (first, second) = judgement.lang, mention_sides(judgement)
    worse = [one for one in judgement.rules if one.verdict == "worse"]
    lines = [
        say(
            lang, "j.got_worse", rule=name_rule(one.rule, lang), first_share=share_text(one.first),
            second_share=share_text(one.second), difference=difference_text(one, lang), better=one.better,
            worse=one.worse,
        )
        for one in worse
    ]  # fmt: skip
    fell = [one for one in _others(judgement) if _has_fallen(one)]
    parts = [items(lines) if lines else say(lang, "j.nothing_broke")]
    parts += [say(lang, "j.fell", rules=_names(fell, lang))] if fell else []
    parts += _memorised(judgement, first, second)
    return "\n\n".join([*parts, *_forgotten(judgement, first, second)])


def describe_cost(judgement: Judgement) -> str:
    """Minutes and MiB of the fine-tuning, with the device; and the with/without table where a comparison exists."""
    lang, cost, parts = judgement.lang, judgement.cost, []
    if cost.train_minutes is not None:
        parts.append(say(lang, "j.minutes", value=number(cost.train_minutes)))
    if cost.peak_mib is not None:
        parts.append(say(lang, "j.peak", value=f"{cost.peak_mib:,.0f}", kind=escape_markdown(cost.memory) or "—"))
    if parts and cost.device:
        parts.append(say(lang, "j.on", device=escape_markdown(cost.device)))
    said = say(lang, "j.cost_of", second=mention_sides(judgement)[1], parts=", ".join(parts))
    found = [said if parts else say(lang, "j.no_cost")]
    if cost.table:
        name = cost.comparison.replace("`", "'")
        found += [say(lang, "j.comparison", name=name), markdown(cost.table[0], cost.table[1:])]
    return "\n\n".join(found)


def describe_method(judgement: Judgement) -> str:
    """What was asked, how it was answered, how the numbers are read."""
    lang, sides = judgement.lang, judgement.sides
    asked = sum(prompt.family == "rule" for prompt in judgement.prompts)
    seeds = say(lang, "j.seeds", seeds=", ".join(map(str, judgement.seeds))) if judgement.seeds else ""
    form = f"j.form.{judgement.form}"
    named = [
        f"{name} ({escape_markdown(side.source)})" if side.source and side.source != side.name else name
        for name, side in zip(mention_sides(judgement), sides, strict=True)
    ]
    lines = [
        say(lang, "j.sides", first=named[0], second=named[1]),
        say(lang, "j.model", model=escape_markdown(judgement.model), device=escape_markdown(judgement.device)),
        say(
            lang, "j.asked_base" if sides[0].kind == BASE else "j.asked", count=asked,
            split=judgement.split.replace("`", "'"), decoding=escape_markdown(judgement.decoding), seeds=seeds,
            form=say(lang, form) if form in WORDS else escape_markdown(judgement.form),
        ),
        say(lang, "j.reading"),
    ]  # fmt: skip
    for method in judgement.statistics:
        code = f"j.method.{method}"
        lines.append(say(lang, code) if code in WORDS else escape_markdown(method))
    return items([*lines, *map(escape_markdown, judgement.notes)])


def _others(judgement: Judgement) -> list[RuleResult]:
    return [one for one in judgement.rules if one.rule != EVERY_RULE]


def _has_fallen(result: RuleResult) -> bool:
    """Kept less often without a verdict; the probe has its own paragraph."""
    return result.family == "rule" and result.verdict == "none" and (result.difference or 0) < 0


def _names(results: list[RuleResult], lang: str) -> str:
    return "; ".join(
        f"{name_rule(one.rule, lang)} ({share_text(one.first)} → {share_text(one.second)})" for one in results
    )


def _aims(judgement: Judgement, second: str) -> Iterator[str]:
    """How many aims the second side reaches, which it does not, and which were not measured."""
    lang = judgement.lang
    aimed = [(one, one.aim, one.second.value) for one in judgement.rules if one.aim]
    missed = [one for one, aim, value in aimed if value is not None and not aim.is_reached(value)]
    unmeasured = [name_rule(one.rule, lang) for one, _, value in aimed if value is None]
    if aimed:
        reached = len(aimed) - len(missed) - len(unmeasured)
        parts = [say(lang, "j.aims", second=second, reached=reached, all=len(aimed))]
        names = "; ".join(f"{name_rule(one.rule, lang)} ({share_text(one.second)})" for one in missed)
        parts += [say(lang, "j.aims_missed", rules=names)] if missed else []
        parts += [say(lang, "j.aims_unmeasured", rules="; ".join(unmeasured))] if unmeasured else []
        yield " ".join(parts)


def _memorised(judgement: Judgement, first: str, second: str) -> Iterator[str]:
    lang = judgement.lang
    result = next((one for one in judgement.rules if one.rule == MEMORISED), None)
    if result is None or not result.second.of:
        return
    count = result.first.of - result.first.kept
    of_first = say(lang, "j.memorised_first", first=first, count=count, all=result.first.of) if result.first.of else ""
    lost = result.second.of - result.second.kept
    yield say(lang, "j.memorised", second=second, count=lost, all=result.second.of, first_part=of_first)
    lines = (
        f"{escape_markdown(prompt.prompt)}: “{escape_markdown(answer.text)}”"
        for prompt in judgement.prompts
        for answer in prompt.answers
        if answer.side == 1 and any(finding.rule == MEMORISED for finding in answer.broken)
    )
    found = list(dict.fromkeys(lines))  # once, however many seeds gave it
    more = [say(lang, "j.more", count=len(found) - SHOWN)] if len(found) > SHOWN else []
    if found:
        yield items([*found[:SHOWN], *more])


def _forgotten(judgement: Judgement, first: str, second: str) -> Iterator[str]:
    """The probe of plain knowledge, and the questions that only the first side answers."""
    lang, probes = judgement.lang, [one for one in judgement.rules if one.family == "probe"]
    yield f"### {say(lang, 'j.forgotten')}"
    if not probes:
        yield say(lang, "j.no_probe")
        return
    yield items(
        say(
            lang, "j.probe", rule=name_rule(one.rule, lang), first=first, first_share=share_text(one.first, True),
            second=second, second_share=share_text(one.second, True), verdict=say(lang, f"j.{one.verdict}"),
        )
        for one in probes
    )  # fmt: skip
    lost = [prompt for prompt in judgement.prompts if prompt.family == "probe" and _only_first_is_right(prompt)]
    if lost:
        names = [escape_markdown(prompt.prompt) for prompt in lost[:SHOWN]]
        names += [say(lang, "j.more", count=len(lost) - SHOWN)] if len(lost) > SHOWN else []
        yield say(lang, "j.lost", first=first, second=second, questions="; ".join(names))


def _only_first_is_right(prompt: JudgedPrompt) -> bool:
    """Did the first side break nothing with any seed, and the second with every seed?"""
    broken = [[bool(one.broken) for one in prompt.answers if one.side == side] for side in (0, 1)]
    return bool(broken[0]) and not any(broken[0]) and bool(broken[1]) and all(broken[1])
