"""From both sides' answers to a judgement: findings of every answer, one result a rule, verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from ohlora.config.schema import PersonaConfig
from ohlora.data.rows import Row
from ohlora.judge.probe import judge_probe, read_probe
from ohlora.judge.rules import Answered, find_rules
from ohlora.judge.statistics import estimate_difference, estimate_share, mcnemar
from ohlora.measure.statistics import ALPHA, holm
from ohlora.records.judgement import (
    EVERY_RULE,
    RULES,
    Aim,
    Change,
    Family,
    Finding,
    JudgedAnswer,
    JudgedPrompt,
    RuleResult,
    Verdict,
)
from ohlora.records.samples import Sample

AIMS: dict[str, Aim] = {
    "fact": Aim(0.9),
    "memory_written": Aim(0.7),
    "nothing_written": Aim(0.9, above=True),
    "refuses": Aim(0.9),
    "ends": Aim(0.95, above=True),
    "not_empty": Aim(1.0),
    "not_repeated": Aim(0.95, above=True),
    "language": Aim(0.98, above=True),
}
SIDES = (0, 1)


@dataclass(frozen=True)
class SideAnswers:
    """One side's answers with one seed (None: greedy), those to the probe's questions included."""

    side: int
    seed: int | None
    samples: list[Sample]


def judge_answers(
    rows: Sequence[Row], given: Sequence[SideAnswers], persona: PersonaConfig, training: Sequence[Row]
) -> tuple[list[JudgedPrompt], list[RuleResult]]:
    """The judged questions, those of the data first, and the results: keeps_every_rule, then each rule by its order.

    `given` has every side and seed once; each holds an answer to every row and to the probe.
    """
    judged: dict[str, list[JudgedAnswer]] = {row.id: [] for row in [*rows, *read_probe()]}
    for one in given:
        samples = {sample.id: sample for sample in one.samples}
        answers = [Answered(row, samples[row.id].answer, samples[row.id].ended) for row in rows]
        found = dict(zip((row.id for row in rows), find_rules(answers, persona, training), strict=True))
        found |= {row.id: [judge_probe(row, samples[row.id].answer)] for row in read_probe()}
        for number, findings in found.items():
            sample = samples[number]
            judged[number].append(JudgedAnswer(one.side, sample.answer, one.seed, sample.ended, findings))
    prompts = [_make_prompt(row, judged[row.id], "rule") for row in rows]
    prompts += [_make_prompt(row, judged[row.id], "probe") for row in read_probe()]
    return prompts, _make_results(prompts)


def _make_prompt(row: Row, answers: list[JudgedAnswer], family: Family) -> JudgedPrompt:
    first, second = (fmean(not a.broken for a in answers if a.side == side) for side in SIDES)
    change: Change = "better" if second > first else "worse" if second < first else "same"
    return JudgedPrompt(
        row.id,
        row.prompt,
        change,
        sorted(answers, key=lambda answer: answer.side),
        row.category,
        row.memory,
        row.system,
        [(turn.role, turn.text) for turn in row.history],
        row.response,
        family,
    )


def _make_results(prompts: Sequence[JudgedPrompt]) -> list[RuleResult]:
    results = []
    for rule in RULES:
        family: Family = "probe" if rule.startswith("probe_") else "rule"
        sides = [_collect(rule, [p for p in prompts if p.family == family], side) for side in SIDES]
        if rule in AIMS or any(sides):
            results.append(_compare(rule, family, *sides))
    corrected = holm({one.rule: one.p for one in results if one.p is not None})
    return [_decide(one, corrected.get(one.rule)) for one in results]


Kept = Mapping[str, list[bool]]  # question -> whether each of its answers kept the rule


def _collect(rule: str, prompts: Sequence[JudgedPrompt], side: int) -> Kept:
    """The questions where the rule applies to an answer of this side."""
    found: dict[str, list[bool]] = {}
    for prompt in prompts:
        for answer in prompt.answers:
            if answer.side == side:
                kept = _kept(rule, answer.findings)
                if kept is not None:
                    found.setdefault(prompt.id, []).append(kept)
    return found


def _kept(rule: str, findings: Sequence[Finding]) -> bool | None:
    if rule == EVERY_RULE:
        return all(finding.kept for finding in findings) if findings else None
    mine = [finding.kept for finding in findings if finding.rule == rule]
    return all(mine) if mine else None


def _compare(rule: str, family: Family, first: Kept, second: Kept) -> RuleResult:
    """Shares over all answers; the difference over questions where the rule applies on both sides."""
    before, after = (estimate_share(list(side.values())) for side in (first, second))
    both = [number for number in first if number in second]
    if not both:
        return RuleResult(rule, before, after, 0, 0, 0, "none", aim=AIMS.get(rule), family=family)
    changes = [fmean(second[number]) - fmean(first[number]) for number in both]
    better, worse = sum(change > 0 for change in changes), sum(change < 0 for change in changes)
    difference, low, high = estimate_difference([first[n] for n in both], [second[n] for n in both])
    return RuleResult(
        rule, before, after, better, worse, len(both) - better - worse, "none", difference, low, high,
        mcnemar(better, worse), aim=AIMS.get(rule), family=family,
    )  # fmt: skip


def _decide(result: RuleResult, p: float | None) -> RuleResult:
    """The verdict after Holm's correction."""
    verdict: Verdict = "none"
    if p is not None and p < ALPHA and result.better != result.worse:
        verdict = "better" if result.better > result.worse else "worse"
    return replace(result, p_holm=p, verdict=verdict)
