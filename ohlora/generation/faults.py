"""What is wrong with one answer, by its text alone: the reasons to ask again (`decoding.retry_on`), and judged rules.

Pure functions. The shares in a result (`quality/…`, ohlora/measure/quality.py) are looser in what they call repeated,
and compare languages with a reference.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from ohlora.config.choices import Fault
from ohlora.measure.quality import FOREIGN_SCRIPT, OWN_SCRIPT, count_scripts, has_loop

PHRASE_WORDS, PHRASE_TIMES = 3, 3  # the same three words in a row, in three places
SENTENCE_WORDS = 2  # a sentence of fewer words may come twice: "네! 네!"
KOREAN = 0.25  # a question with this share of Hangul among its letters is Korean: "LoRA가 뭐야?" has 0.43
SENTENCE = re.compile(r"[.!?…。！？~\n]+")
HANGUL = "HANGUL"


def find_faults(question: str, answer: str, ended: bool | None, among: Sequence[Fault] = tuple(Fault)) -> list[Fault]:
    """The faults of an answer, in the order of `among`. `ended`: not at the length limit; None if unknown."""
    return [fault for fault in among if _has(fault, question, answer, ended)]


def _has(fault: Fault, question: str, answer: str, ended: bool | None) -> bool:
    if fault is Fault.empty:
        return is_empty(answer)
    if fault is Fault.repeated:
        return is_repeated(answer)
    if fault is Fault.wrong_language:
        return is_wrong_language(question, answer)
    return ended is False


def is_empty(answer: str) -> bool:
    """Does it contain neither a letter nor a digit?"""
    return not any(character.isalnum() for character in answer)


def is_repeated(answer: str) -> bool:
    """The same three words in three places, the same sentence twice, or the same characters again and again."""
    words = _words(answer)
    phrases = Counter(tuple(words[i : i + PHRASE_WORDS]) for i in range(len(words) - PHRASE_WORDS + 1))
    if max(phrases.values(), default=0) >= PHRASE_TIMES:
        return True
    sentences = Counter(tuple(_words(part)) for part in SENTENCE.split(answer))
    if any(count > 1 and len(sentence) >= SENTENCE_WORDS for sentence, count in sentences.items()):
        return True
    return has_loop(answer)


def is_wrong_language(question: str, answer: str) -> bool:
    """To a Korean question: too few letters in Hangul, or too many of a script that is neither Latin nor asked with.

    To other questions no answer is in the wrong language.
    """
    asked, said = count_scripts(question), count_scripts(answer)
    if not said or asked[HANGUL] < KOREAN * asked.total() or not asked:
        return False
    total, known = said.total(), {HANGUL, "LATIN", *asked}
    foreign = sum(count for script, count in said.items() if script not in known)
    return said[HANGUL] < OWN_SCRIPT * total or foreign > FOREIGN_SCRIPT * total


def _words(text: str) -> list[str]:
    """Its words without punctuation, in lower case."""
    bare = (re.sub(r"^\W+|\W+$", "", word).lower() for word in text.split())
    return [word for word in bare if word]
