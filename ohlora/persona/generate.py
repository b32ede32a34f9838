"""Rows made from a card: its facts and refusals, each asked in several phrasings; nothing else (docs/persona.md)."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from ohlora.config.choices import SpeechLevel, Split
from ohlora.config.schema import PersonaConfig, SayingConfig
from ohlora.data.rows import Row
from ohlora.errors import UserError
from ohlora.persona.card import SHIPPED, holds_any, list_facts, list_refusals, load_card
from ohlora.persona.speech import keeps_level, speech_level

SHOWN = 5  # sentences of the wrong speech level
ENOUGH = 3  # with so many questions the last is held out; with fewer, only an opening is new there
OPENINGS = ("{ask}", "{call}, {ask}", "있잖아, {ask}")  # safe before any question or statement
HELD_OUT = {Split.validation: "근데 {ask}", Split.test: "그나저나 {ask}"}


def render_rows(card: PersonaConfig) -> list[dict[str, Any]]:
    """The rows of a card, as objects of a JSONL file, interleaved by category.

    Raises:
        UserError: a sentence of the card breaks its speech level, or no fact and no refusal has a question.
    """
    _check_levels(card)
    rows = [*_render(card, "facts", list_facts(card)), *_render(card, "refusals", list_refusals(card))]
    if not rows:
        raise UserError(f"persona={card.name}: no fact and no refusal has a question; list some in `asks`")
    seen: set[str] = set()
    fresh = []
    for row in rows:
        asked = re.sub(r"[\W_]", "", row["messages"][0]["content"])
        if asked not in seen:
            fresh.append(row)
        seen.add(asked)
    return [row for split in Split for row in interleave([row for row in fresh if row["split"] == split.value])]


def list_unasked(card: PersonaConfig) -> list[str]:
    """The facts and refusals without a question: no row is made of them."""
    return [key for key, saying in _list_sayings(card) if not saying.asks]


def list_other_names(card: PersonaConfig) -> list[str]:
    """The facts and refusals that name the shipped persona in the card of another."""
    names = [name for name in load_card(SHIPPED).called if name not in card.called]
    return [key for key, saying in _list_sayings(card) if holds_any(saying.says, names)]


def select_shipped(card: PersonaConfig, rows: list[Row]) -> list[Row]:
    """The rows of the shipped set that contradict nothing in another card: memory, follow-ups, small talk, help.

    Left out: rows about her, and rows with her name or with a word of a fact that `card` lacks or words otherwise.

    Raises:
        UserError: the card has another speech level than the shipped rows.
    """
    if card.speech_level is not SpeechLevel.haeyo:
        raise UserError(
            f"persona.speech_level={card.speech_level.value}: the shipped rows speak haeyo (해요체); "
            "leave --with-shipped out"
        )
    shipped, own = load_card(SHIPPED), list_facts(card)
    other = [fact for key, fact in list_facts(shipped).items() if own.get(key) != fact]
    words = [*shipped.called, *(word for fact in other for word in fact.contains)]
    return [row for row in rows if row.category not in ("facts", "refusals") and not holds_any(_text(row), words)]


def interleave(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row of every category first, then each category spread evenly, so that any first n rows are a fair part."""
    groups = defaultdict(list)
    for row in rows:
        groups[row["category"]].append(row)
    placed = []
    for name, group in groups.items():
        for index, row in enumerate(group):
            placed.append((index > 0, (index + 0.5) / len(group) if index else 0, name, index, row))
    return [row for *_, row in sorted(placed, key=lambda place: place[:4])]


def call_name(name: str) -> str:
    """The name as one calls somebody: 미나야, 봄아; a name that ends in no Hangul syllable stays as it is."""
    last = name[-1]
    if not "가" <= last <= "힣":
        return name
    return name + ("아" if (ord(last) - ord("가")) % 28 else "야")


def _list_sayings(card: PersonaConfig) -> list[tuple[str, SayingConfig]]:
    """Every fact and refusal with its key, such as facts.name."""
    facts, refusals = list_facts(card).items(), list_refusals(card).items()
    return [(f"facts.{key}", one) for key, one in facts] + [(f"refusals.{key}", one) for key, one in refusals]


def _check_levels(card: PersonaConfig) -> None:
    wrong = [
        f"persona.{key}.says={saying.says}: speaks {speech_level(saying.says)}, "
        f"persona.speech_level is {card.speech_level.value}"
        for key, saying in _list_sayings(card)
        if not keeps_level(card, saying.says)
    ]
    if wrong:
        raise UserError(wrong[:SHOWN] + ([f"… and {len(wrong) - SHOWN} more"] if len(wrong) > SHOWN else []))


def _render(card: PersonaConfig, group: str, sayings: dict[str, SayingConfig]) -> Iterator[dict[str, Any]]:
    for key, saying in sayings.items():
        checks = {"fact": key} if group == "facts" else {"refuses": True}
        for number, (split, ask) in enumerate(_list_prompts(card, saying.asks), 1):
            yield {
                "id": f"{group}-{key}-{number:03d}",
                "split": split.value,
                "category": group,
                "memory": "",
                "messages": [{"role": "user", "content": ask}, {"role": "assistant", "content": saying.says}],
                "checks": checks,
            }


def _list_prompts(card: PersonaConfig, asks: list[str]) -> Iterator[tuple[Split, str]]:
    taught = asks[:-1] if len(asks) >= ENOUGH else asks
    call = call_name(card.called[0])
    for ask in taught:
        for opening in OPENINGS:
            yield Split.train, opening.format(ask=ask, call=call)
    for split, opening in HELD_OUT.items():
        if asks:
            yield split, opening.format(ask=asks[-1])


def _text(row: Row) -> str:
    return "\n".join([row.prompt, row.response, *(turn.text for turn in row.history)])
