"""The built-in questions of plain knowledge, in Korean and English: what did fine-tuning make the model forget?"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from ohlora.data.rows import Row
from ohlora.files import read_jsonl
from ohlora.records.judgement import Finding

PROBE = Path(__file__).with_name("probe.jsonl")
ACCEPTED = "accepted"
# What a word of Latin letters or digits may touch in Korean: a particle; and never more of its own kind.
NUMBERED = re.compile(r"^\s*\d+[.)]\s", re.MULTILINE)
TOUCHES = r"(?<![A-Za-z0-9.,]){}(?![A-Za-z0-9]|[.,][0-9])"


@cache
def read_probe() -> tuple[Row, ...]:
    """The questions as rows of category 'ko' or 'en'; `checks` holds the accepted answers."""
    return tuple(
        Row(line["id"], "test", line["lang"], line["prompt"], line[ACCEPTED][0], checks={ACCEPTED: line[ACCEPTED]})
        for line in read_jsonl(PROBE)
    )


def judge_probe(row: Row, answer: str) -> Finding:
    """Right if it holds an accepted answer as a word of its own; upper and lower case are alike."""
    found = next((one for one in row.checks[ACCEPTED] if is_said(one, answer)), None)
    return Finding(f"probe_{row.category}", found is not None, found or "")


def is_said(word: str, answer: str) -> bool:
    """'7' is said in '7일이에요', not in '17일', '7.5' or as the number of a line; Hangul may stand inside a word."""
    answer = NUMBERED.sub("", answer)
    if not word.isascii():
        return word in answer
    if len(word) == 1 and word.isalpha():
        return re.search(TOUCHES.format(re.escape(word)), answer) is not None
    return re.search(TOUCHES.format(re.escape(word)), answer, re.IGNORECASE) is not None
