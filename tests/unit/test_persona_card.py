"""The persona card: what it says, what an answer must hold, and the one message that each kind of mistake in it gets.

Run: python -m pytest tests/unit/test_persona_card.py
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from ohlora.config.compose import compose_config, compose_single
from ohlora.config.identity import run_id
from ohlora.config.schema import PersonaConfig, SayingConfig
from ohlora.errors import UserError
from ohlora.persona.card import list_facts, load_card, names_number, refuses, says_unknown, states_fact
from ohlora.persona.problems import find_card_problems
from ohlora.planning.plan import to_plain
from ohlora.planning.validate import validate

CARD = load_card()
MINE = """defaults: [ohlora, _self_]
name: mine
called: [미나]
speech_level: banmal
facts:
  name: {says: 내 이름은 미나야., contains: [미나], asks: [이름이 뭐야]}
  food: null
"""


def compose_mine(folder: Path, text: str) -> PersonaConfig:
    (folder / "persona").mkdir()
    (folder / "persona" / "mine.yaml").write_text(text, "utf-8")
    return validate(compose_single(["persona=mine"], config_dir=str(folder)).node).persona


def test_the_shipped_card_has_no_fault() -> None:
    assert len(list_facts(CARD)) == 24 and not list(find_card_problems(CARD))


@pytest.mark.parametrize(
    ("key", "answer", "right"),
    [
        ("name", "저는 오로라예요", True),
        ("name", "저는 로라예요", False),
        ("base", "lora로 배웠어요", True),
        ("birthday", "생일은 12월이에요", False),
    ],
)
def test_an_answer_states_a_fact(key: str, answer: str, right: bool) -> None:
    assert states_fact(CARD, key, answer) is right


def test_a_fact_that_the_card_has_not_is_an_error() -> None:
    with pytest.raises(UserError, match="checks.fact=birthdya: choose from .*did you mean birthday.*persona=ohlora"):
        states_fact(CARD, "birthdya", "")


def test_refusals_numbers_and_what_one_cannot_know() -> None:
    assert refuses(CARD, "그건 도와드릴 수 없어요.") and not refuses(CARD, "어렵지 않아요, 이렇게 만들어요.")
    assert says_unknown(CARD, "저도 몰라요.") and not says_unknown(CARD, "비가 올지도 몰라요.")
    assert names_number(CARD, "self_harm", "109로 전화해요.") and not names_number(CARD, "self_harm", "119")
    with pytest.raises(UserError, match="persona.numbers.fire: persona=ohlora names no number"):
        names_number(CARD, "fire", "119")


def test_a_persona_of_ones_own_starts_from_the_shipped_one(tmp_path: Path) -> None:
    mine = compose_mine(tmp_path, MINE)
    assert (mine.name, mine.called, mine.speech_level.value) == ("mine", ["미나"], "banmal")
    assert mine.memory_keys == CARD.memory_keys and set(list_facts(CARD)) - set(list_facts(mine)) == {"food"}
    assert states_fact(mine, "name", "나 미나야") and not states_fact(mine, "name", "오로라예요")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("banmal", "banmall", "persona/mine.yaml: persona.speech_level=banmall: must be haeyo | formal | banmal"),
        ("speech_level:", "speech_lvl:", r"persona.speech_lvl: this key does not exist \(did you mean persona.speech"),
        ("{says:", "{sayz:", "persona/mine.yaml: persona.facts.name.sayz: this key does not exist"),
        ("[미나]\nspeech", "[]\nspeech", "persona.called=.*needs a name; give 'persona.called="),
        ("food: null", "name: null", "mine.yaml: line 7: the key name of the block that begins in line 6 stands twice"),
        ("called: [미나]", "called: [미나", "mine.yaml: line .*: this is not YAML"),
    ],
)
def test_a_mistake_in_a_file_is_said_with_its_place(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in MINE
    with pytest.raises(UserError, match=said) as raised:
        compose_mine(tmp_path, MINE.replace(old, new))
    assert len(raised.value.problems) == 1


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"called": ["미나"]}, "does not hold 미나, the first of persona.called"),
        ({"facts": {"a": SayingConfig("귤", ["배"], [])}}, "persona.facts.a.contains: none of 배 is in its own `says`"),
        ({"facts": {"a": SayingConfig("귤", [], [])}}, "persona.facts.a.contains=.*at least one word"),
        ({"facts": {"a": SayingConfig(" ", ["귤"], [])}}, "persona.facts.a.says: a value is required"),
        (
            {"facts": {"a": SayingConfig("귤", ["귤"], ["뭐 먹어"]), "b": SayingConfig("배", ["배"], ["뭐  먹어?"])}},
            "persona.facts.b.asks: '뭐  먹어.' also stands in persona.facts.a.asks with another answer",
        ),
        ({"refusals": {"a": SayingConfig("좋아요", [], ["야"])}}, "persona.refusals.a.says=좋아요: holds none of"),
        ({"memory_keys": ["이름", "이름"]}, "persona.memory_keys: 이름 stands twice"),
        ({"memory_keys": ["이:름"]}, "persona.memory_keys: '이:름': a key has no brackets"),
        ({"forget_key": "이름"}, "persona.forget_key=이름: is also in persona.memory_keys"),
        ({"numbers": {"self_harm": "call"}}, "persona.numbers.self_harm=call: must be a telephone number"),
    ],
)
def test_a_wrong_card_is_refused(changed: dict[str, Any], said: str) -> None:
    problems = "\n".join(find_card_problems(dataclasses.replace(CARD, **changed)))
    with pytest.raises(UserError, match=said):
        raise UserError(problems)
    assert "(persona/ohlora.yaml)" in problems


def test_a_key_of_a_fact_that_no_fact_has_is_refused() -> None:
    with pytest.raises(UserError, match=r"persona.facts.food.sayz: this key does not exist \(did you mean .*food.says"):
        validate(compose_config(["persona=ohlora", "+persona.facts.food.sayz=1"]))


def test_another_card_is_another_run(tmp_path: Path) -> None:
    compose_mine(tmp_path, MINE)
    own = compose_single(["persona=mine"], config_dir=str(tmp_path)).node
    assert run_id(to_plain(own), "arm", 0) != run_id(to_plain(compose_config([])), "arm", 0)
