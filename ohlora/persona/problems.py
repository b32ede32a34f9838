"""What is wrong with a persona card: what its types cannot express. Reads the card alone, no model and no rows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from ohlora.config.schema import PersonaConfig, SayingConfig
from ohlora.errors import choose_from
from ohlora.persona.card import holds_any, list_facts, list_refusals

BRACKETS = re.compile(r"[\[\]:：\n]")
NONE = "none"  # persona=none: nobody
PASTE = """'persona.called=["미나"]'"""


def find_card_problems(card: PersonaConfig) -> Iterator[str]:
    """One line per problem, with the key and the file where it stands; none for persona=none and for no persona."""
    if card.name in ("", NONE):
        return
    yield from (f"{problem} (persona/{card.name}.yaml)" for problem in _problems(card))


def find_unknown_facts(card: PersonaConfig, asked: Iterable[str]) -> Iterator[str]:
    """The facts that rows ask for and this card does not have."""
    facts = list_facts(card)
    for key in sorted(set(asked) - set(facts)):
        yield (
            f"{choose_from('checks.fact', key, facts)} (the facts of persona={card.name}); add persona.facts.{key}, or "
            "give persona=none to judge without a card"
        )


def _problems(card: PersonaConfig) -> Iterator[str]:
    yield from _names(card)
    facts, refusals = list_facts(card), list_refusals(card)
    for key, fact in facts.items():
        yield from _saying(f"persona.facts.{key}", fact)
        if not fact.contains:
            yield f"persona.facts.{key}.contains=[]: list at least one word that a right answer holds"
        elif not holds_any(fact.says, fact.contains):
            yield f"persona.facts.{key}.contains: none of {', '.join(fact.contains)} is in its own `says`: {fact.says}"
    for key, refusal in refusals.items():
        yield from _saying(f"persona.refusals.{key}", refusal)
        if not holds_any(refusal.says, refusal.contains or card.refusal_forms):
            yield (
                f"persona.refusals.{key}.says={refusal.says}: holds none of persona.refusal_forms "
                f"({', '.join(card.refusal_forms)}), so judgement would not know it as a refusal; change either"
            )
    yield from _contradictions(facts, refusals)
    yield from _memory(card)
    for key, number in card.numbers.items():
        if not re.fullmatch(r"[0-9][0-9 -]*", number):
            yield f'persona.numbers.{key}={number}: must be a telephone number in quotes, such as "109"'


def _names(card: PersonaConfig) -> Iterator[str]:
    called = [name for name in card.called if name.strip()]
    if not called:
        yield f"persona.called={card.called}: a persona needs a name; give {PASTE}"
        return
    name = list_facts(card).get("name")
    if name is not None and called[0] not in name.says:
        yield (
            f"persona.facts.name.says={name.says}: does not hold {called[0]}, the first of persona.called; "
            "name it there"
        )


def _saying(key: str, saying: SayingConfig) -> Iterator[str]:
    if not str(saying.says).strip() or str(saying.says) == "???":
        yield f"{key}.says: a value is required: the sentence that is said"
    if any(not word.strip() for word in saying.contains):
        yield f"{key}.contains: an empty text is in every answer; remove it"
    if any(not question.strip() for question in saying.asks):
        yield f"{key}.asks: a question is empty; remove it"


def _contradictions(facts: dict[str, SayingConfig], refusals: dict[str, SayingConfig]) -> Iterator[str]:
    """One question with two answers: a model that is asked it cannot do right."""
    asked: dict[str, tuple[str, str]] = {}
    sayings = [(f"facts.{k}", v) for k, v in facts.items()] + [(f"refusals.{k}", v) for k, v in refusals.items()]
    for key, saying in sayings:
        for question in saying.asks:
            plain = re.sub(r"[\W_]", "", question).lower()
            first, says = asked.setdefault(plain, (key, saying.says))
            if says != saying.says:
                yield (
                    f"persona.{key}.asks: {question!r} also stands in persona.{first}.asks with another answer; "
                    "a question has one answer: remove it from one of them"
                )


def _memory(card: PersonaConfig) -> Iterator[str]:
    for key in card.memory_keys:
        if BRACKETS.search(key) or key != key.strip() or not key:
            yield f"persona.memory_keys: {key!r}: a key has no brackets, colons, line breaks or outer blanks"
    for key in sorted({key for key in card.memory_keys if card.memory_keys.count(key) > 1}):
        yield f"persona.memory_keys: {key} stands twice; remove one"
    if card.forget_key in card.memory_keys:
        yield f"persona.forget_key={card.forget_key}: is also in persona.memory_keys; rename one"
    if not card.forget_key.strip() or BRACKETS.search(card.forget_key):
        yield f"persona.forget_key={card.forget_key!r}: must be a word without brackets and colons"
