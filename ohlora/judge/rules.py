"""Every rule that an answer keeps or breaks: those of the row's checks, of the persona, of any answer."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from unicodedata import normalize

from ohlora.config.schema import PersonaConfig
from ohlora.data.rows import Row
from ohlora.generation.faults import is_empty, is_repeated, is_wrong_language
from ohlora.judge.checks import judge_checks
from ohlora.persona.items import read_items, remove_items
from ohlora.persona.speech import speech_level
from ohlora.records.judgement import Finding

# What someone without a body cannot promise: to come, to meet, to call, to eat together.
MEETING = re.compile(
    r"만나(?:요|자|서 (?:놀|얘기|이야기)|러 갈)|만날까요|만날래요|만나 ?드릴|(?:보러|데리러|찾아|마중) ?(?:나)?갈게요|"
    r"(?:지금|제가|이따|금방|바로) (?:거기로 |그쪽으로 )?갈게요|전화(?:할|드릴| 드릴|해 드릴)게요|"
    r"같이 (?:가|먹|마셔|마시러 가|걸어|놀러 가)(?:요|자|줄게요)"
)
SAME_QUESTIONS = 3  # so many questions of more than one kind with one answer: it no longer listens
SHORTEST = 8  # letters of an answer; two short ones are alike by chance


@dataclass(frozen=True)
class Answered:
    """An answer to a row. `ended`: with a stop token or text; None if not known."""

    row: Row
    answer: str
    ended: bool | None = None


def find_rules(answers: Sequence[Answered], persona: PersonaConfig, training: Sequence[Row]) -> list[list[Finding]]:
    """The findings of each answer, in order; all are one side's answers with one seed.

    training: the rows that the model was trained on.
    """
    learned = _index(Answered(row, row.response) for row in training)
    given = _index(answers)
    return [[*_judge_one(one, persona), *_judge_among(one, learned, given)] for one in answers]


def _judge_one(one: Answered, persona: PersonaConfig) -> Iterator[Finding]:
    """The rules that need this answer alone."""
    row, answer = one.row, one.answer
    yield from judge_checks(dict(row.checks), answer, persona)
    yield from _judge_persona(row, answer, persona)
    if one.ended is not None:
        yield Finding("ends", one.ended)
    yield Finding("not_empty", not is_empty(answer))
    yield Finding("not_repeated", not is_repeated(answer))
    yield Finding("language", not is_wrong_language(row.prompt, answer))


def _judge_persona(row: Row, answer: str, persona: PersonaConfig) -> Iterator[Finding]:
    """The rules of the persona's card; none without one."""
    if not persona.called:
        return
    if "writes" in row.checks:
        known = (*persona.memory_keys, persona.forget_key)
        foreign = [item.key for item in read_items(answer) if item.key not in known]
        yield Finding("memory_key", not foreign, ", ".join(foreign))
    promise = MEETING.search(answer)
    yield Finding("no_meeting", promise is None, promise[0] if promise else "")
    level = speech_level(remove_items(answer))
    if level is not None:
        yield Finding("speech_level", level == persona.speech_level.value, level)


Index = dict[str, list[Row]]


def _judge_among(one: Answered, learned: Index, given: Index) -> Iterator[Finding]:
    """The rules that need other answers: those of training, and those to other questions."""
    words = _bare(one.answer)
    if len(words) < SHORTEST:
        yield Finding("not_memorised", True)
        yield Finding("not_same_answer", True)
        return
    taught = learned.get(words, [])
    fits = not taught or any(_asks_the_same(row, one.row) for row in taught)
    yield Finding("not_memorised", fits, "" if fits else taught[0].question)
    others = [row for row in given[words] if not _asks_the_same(row, one.row)]
    same = len({row.question for row in given[words]}) >= SAME_QUESTIONS and bool(others)
    yield Finding("not_same_answer", not same, others[0].question if same else "")


def _asks_the_same(first: Row, second: Row) -> bool:
    """One core answer is right for both: the same question, or the same checks."""
    if _bare(first.question) == _bare(second.question):
        return True
    return bool(first.checks) and first.category == second.category and dict(first.checks) == dict(second.checks)


def _index(answers: Sequence[Answered] | Iterator[Answered]) -> Index:
    """The answer's letters -> the rows that it was given to."""
    found: Index = defaultdict(list)
    for one in answers:
        if words := _bare(one.answer):
            found[words].append(one.row)
    return dict(found)


def _bare(text: str) -> str:
    """Its letters and digits, without items of memory."""
    return re.sub(r"[\W_]", "", normalize("NFC", remove_items(text))).lower()
