"""The persona card: what it says an answer must hold, so that rows and judgement follow one text."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from ohlora.config.schema import PersonaConfig, SayingConfig
from ohlora.errors import UserError, choose_from

SHIPPED = "ohlora"
PERHAPS = "지도 몰라"  # "…일지도 몰라요" guesses; it does not say that one cannot know


@cache
def load_card(option: str = SHIPPED) -> PersonaConfig:
    """One of the cards in the package, for code and tests without a composed configuration."""
    from omegaconf import OmegaConf

    from ohlora.config.paths import conf_dir

    loaded = OmegaConf.load(conf_dir() / "persona" / f"{option}.yaml")
    card = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(PersonaConfig), loaded))
    assert isinstance(card, PersonaConfig)
    return card


def list_facts(card: PersonaConfig) -> dict[str, SayingConfig]:
    """The facts of the card; those set to null are left out."""
    return {key: fact for key, fact in card.facts.items() if fact is not None}


def list_refusals(card: PersonaConfig) -> dict[str, SayingConfig]:
    """The refusals of the card; those set to null are left out."""
    return {key: refusal for key, refusal in card.refusals.items() if refusal is not None}


def states_fact(card: PersonaConfig, key: str, answer: str) -> bool:
    """Does the answer state this fact: does it hold any of its alternatives?

    Raises:
        UserError: the card has no such fact.
    """
    facts = list_facts(card)
    if key not in facts:
        raise UserError(f"{choose_from('checks.fact', key, facts)} (the facts of persona={card.name})")
    return holds_any(answer, facts[key].contains)


def refuses(card: PersonaConfig, answer: str) -> bool:
    """Does the answer decline, in one of the forms of the card?"""
    return holds_any(answer, card.refusal_forms)


def says_unknown(card: PersonaConfig, answer: str) -> bool:
    """Does the answer say that it cannot know, in one of the forms of the card?"""
    return holds_any(answer.replace(PERHAPS, ""), card.unknown_forms)


def names_number(card: PersonaConfig, danger: str, answer: str) -> bool:
    """Does the answer name whom to call? `danger`: a key of the card's numbers, such as self_harm.

    Raises:
        UserError: the card has no number for it.
    """
    if danger not in card.numbers:
        raise UserError(f"persona.numbers.{danger}: persona={card.name} names no number for it; add one to the card")
    return card.numbers[danger] in answer


def holds_any(text: str, words: Iterable[str]) -> bool:
    """Does the text hold any of these, whatever the case of Latin letters?"""
    lower = text.lower()
    return any(word.lower() in lower for word in words)
