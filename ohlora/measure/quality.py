"""Automatic checks of free answers: similarity to the reference, empty, repeated, wrong language, never ending.

Pure functions; docs/result.md has every definition."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from math import log
from unicodedata import name, normalize

from ohlora.records.samples import Sample

# A loop after Holtzman et al. (2020): a phrase three times at the end.
LOOP_TIMES, LOOP_CHARACTERS = 3, 20  # in a row, and their total length; or a unit this long, twice
LONGEST_UNIT = 200  # in characters, to limit the search in long answers
PHRASE_WORDS, PHRASE_TIMES = 4, 3  # or the same four words in three places, as in a repetitive list
OWN_SCRIPT = 0.5  # minimum share of letters in the expected script; references of the persona set have 0.66
FOREIGN_SCRIPT = 0.1  # maximum share of a script that is in neither question nor reference


def quality(samples: Sequence[Sample]) -> dict[str, float]:
    """The 'quality/…' metrics of a model's answers to held-out questions, as far as they can be computed.

    chrF needs references; never-ending and usable need to know whether each answer ended.
    """
    if not samples:
        return {}
    found = {"answers": float(len(samples)), **_chrf(samples)}
    for key, is_defect in (("empty", is_empty), ("repeated", is_repeated), ("wrong_language", is_wrong_language)):
        found[f"{key}_share"] = _share([is_defect(sample) for sample in samples])
    if all(sample.ended is not None for sample in samples):
        found["never_ending_share"] = _share([sample.ended is False for sample in samples])
        found["usable_share"] = _share([not find_defects(sample) for sample in samples])
    for n in (1, 2):
        value = distinct([sample.answer for sample in samples], n)
        if value is not None:
            found[f"distinct_{n}"] = value
    return {f"quality/{key}": value for key, value in found.items()}


def find_defects(sample: Sample) -> list[str]:
    """Why an answer is not well-formed: 'empty', 'repeated', 'wrong_language', 'never_ending'; [] if it is."""
    seen = {
        "empty": is_empty(sample),
        "repeated": is_repeated(sample),
        "wrong_language": is_wrong_language(sample),
        "never_ending": sample.ended is False,
    }
    return [code for code, is_so in seen.items() if is_so]


def is_empty(sample: Sample) -> bool:
    """Does it contain neither a letter nor a digit?"""
    return not any(character.isalnum() for character in sample.answer)


def is_repeated(sample: Sample) -> bool:
    """A loop: the same characters repeated in a row, or the same words in several places."""
    return has_loop(sample.answer)


def has_loop(answer: str) -> bool:
    """The same, of a text."""
    words = _words(answer)
    text = " ".join(words) + " "  # so that the last unit ends like the others
    if any(_loops(text, unit) for unit in range(1, min(LONGEST_UNIT, len(text) // 2) + 1)):
        return True
    return max(_ngrams(words, PHRASE_WORDS).values(), default=0) >= PHRASE_TIMES


def is_wrong_language(sample: Sample) -> bool:
    """In another script than the reference (or the question, without a reference), or mixed with a foreign one.

    Latin never counts as foreign: names and terms use it. An answer without letters has no language.
    """
    letters = count_scripts(sample.answer)
    given = count_scripts(sample.reference) or count_scripts(sample.question)
    if not letters or not given:
        return False
    total, expected = letters.total(), given.most_common(1)[0][0]
    known = {"LATIN", *given, *count_scripts(sample.question)}
    foreign = sum(count for script, count in letters.items() if script not in known)
    return letters[expected] < OWN_SCRIPT * total or foreign > FOREIGN_SCRIPT * total


def count_scripts(text: str) -> Counter[str]:
    """The number of letters per script; full-width and compatibility forms count as their normal form."""
    letters = (character for character in normalize("NFKC", text) if character.isalpha())
    return Counter(name(letter, "UNNAMED").split()[0] for letter in letters)


def distinct(answers: Sequence[str], n: int) -> float | None:
    """Distinct word n-grams ÷ word n-grams, over all answers together (Li et al., 2016); None without n-grams."""
    found: Counter[tuple[str, ...]] = Counter()
    for answer in answers:
        found.update(_ngrams([word for word in map(_bare, _words(answer)) if word], n))
    return len(found) / found.total() if found else None


def bits_per_character(nats_per_token: float, tokens: int, references: Sequence[str]) -> float:
    """A loss that is comparable across tokenizers: nats per token would favour the one with shorter tokens.

    `tokens` is the number of tokens with loss in these references, including one stop token each.
    """
    return nats_per_token * tokens / (log(2) * sum(len(normalize("NFC", text)) for text in references))


def _chrf(samples: Sequence[Sample]) -> dict[str, float]:
    """chrF of the answers, and again with answers that are not well-formed counted as empty."""
    if not all(sample.reference for sample in samples):
        return {}
    from sacrebleu.metrics import CHRF

    chrf = CHRF()  # chrF2: characters up to six, no words, recall weighted double
    references = [normalize("NFC", sample.reference) for sample in samples]
    answers = [normalize("NFC", sample.answer) for sample in samples]
    found = {"chrf": float(chrf.corpus_score(answers, [references]).score)}
    if all(sample.ended is not None for sample in samples):
        kept = ["" if find_defects(sample) else answer for sample, answer in zip(samples, answers, strict=True)]
        found["usable_chrf"] = float(chrf.corpus_score(kept, [references]).score)
    return found


def _loops(text: str, unit: int) -> bool:
    """Does a part of the text repeat every `unit` characters for long enough?"""
    same = (a == b for a, b in zip(text, text[unit:], strict=False))
    stretch = unit + max((sum(1 for _ in run) for is_same, run in groupby(same) if is_same), default=0)
    return stretch >= max(LOOP_CHARACTERS, (LOOP_TIMES if unit < LOOP_CHARACTERS else 2) * unit)


def _share(flags: Sequence[bool]) -> float:
    return sum(flags) / len(flags)


def _words(text: str) -> list[str]:
    return normalize("NFC", text).split()


def _bare(word: str) -> str:
    """The word without punctuation around it, in lower case: '오로라!' is '오로라'."""
    return re.sub(r"^\W+|\W+$", "", word).lower()


def _ngrams(words: Sequence[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))
