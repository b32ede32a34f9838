"""The speech level of a Korean text, told by the endings of its sentences (kiwipiepy finds the morphemes)."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from ohlora.config.schema import PersonaConfig
from ohlora.persona.items import remove_items

MIXED = "mixed"
QUOTED = re.compile(r"'[^'\n]*'|\"[^\"\n]*\"|‘[^’\n]*’|“[^”\n]*”|「[^」\n]*」")  # others' words have their own level
SENTENCE = re.compile(r"[.!?~…\n]+|[ㅋㅎㅠㅜ]{2,}")
HAEYO = ("요", "죠", "쥬", "뇨")
GREETING = "안녕하세요"  # said at every polite level
FORMAL = ("니다", "니까", "시오", "시다")


def speech_level(text: str) -> str | None:
    """haeyo (해요체), formal (합니다체), banmal (반말), or mixed. None: no sentence has an ending that tells, as in
    a list of nouns or in another language.

    Memory items and quoted words are left out.
    """
    plain = QUOTED.sub("그것", remove_items(text))
    told = plain.replace(GREETING, "")
    levels = {level for part in SENTENCE.split(told) for level in _list_levels(part.strip())}
    if not levels and told != plain:
        return "haeyo"
    return levels.pop() if len(levels) == 1 else MIXED if levels else None


def keeps_level(card: PersonaConfig, answer: str) -> bool:
    """Does the answer keep to the speech level of the card? One without any ending that tells does."""
    return speech_level(answer) in (None, card.speech_level.value)


def _list_levels(sentence: str) -> list[str]:
    """The level of every sentence ending in a text without punctuation; people leave it out."""
    if not re.search("[가-힣]", sentence):
        return []
    tokens = [token for token in _load_kiwi().tokenize(sentence) if token.tag[0] not in "SW"]
    found = []
    for token, after in zip(tokens, [*tokens[1:], None], strict=True):
        polite = after is not None and after.tag == "JX" and after.form.endswith("요")
        inside = (
            after is not None and not polite and (after.tag[0] in "JE" or after.tag == "VX")
        )  # "무서운가 봐요", "누가 먹느냐로"
        if token.tag == "EF" and not inside:
            found.append("haeyo" if polite else _name_level(token.form))
        elif token.tag == "JX" and token.form.endswith("요"):
            found.append("haeyo")  # a noun with 요: "초록이요"
    last = tokens[-1] if tokens else None
    if not found and last is not None and not last.tag.startswith("NN") and sentence.endswith(HAEYO):
        found.append("haeyo")  # "그럼요", "아니요"
    if not found and last is not None and last.tag == "JKV" and any(token.tag in ("JX", "JKS") for token in tokens):
        found.append("banmal")  # "내 이름은 미나야" is no call
    return found


def _name_level(ending: str) -> str:
    if ending.endswith(HAEYO):
        return "haeyo"
    return "formal" if ending.endswith(FORMAL) else "banmal"


@cache
def _load_kiwi() -> Any:
    """The analyser with its dictionary; loading takes about a second."""
    from kiwipiepy import Kiwi

    return Kiwi(num_workers=1)
