"""Memory items and speech level, read from texts as small models write them.

Run: python -m pytest tests/unit/test_persona_texts.py
"""

from __future__ import annotations

import pytest

from ohlora.persona.card import load_card
from ohlora.persona.items import Item, find_item_faults, read_items, remove_items
from ohlora.persona.speech import keeps_level, speech_level

KEYS = ("이름", "내일 일정")


@pytest.mark.parametrize(
    ("answer", "items"),
    [
        ("반가워요! [이름: 민수]", [Item("이름", "민수")]),
        ("반가워요! [ 이름 :민수 ]", [Item("이름", "민수")]),
        ("반가워요! [이름：민수]", [Item("이름", "민수")]),
        ("몇 시예요? [내일 일정: 10:30 면접]", [Item("내일 일정", "10:30 면접")]),
        ("[이름: 민수] [내일 일정: 시험]", [Item("이름", "민수"), Item("내일 일정", "시험")]),
        ("잊을게요. [삭제: 이름]", [Item("삭제", "이름")]),
        ("[이름:] [: 민수] [이름] 이름: 민수 [이름: 민수", []),
    ],
)
def test_items_are_read(answer: str, items: list[Item]) -> None:
    assert read_items(answer) == items


def test_items_are_removed() -> None:
    assert remove_items("반가워요! [이름: 민수]") == "반가워요!"
    assert remove_items("네 [이름: 민수] 반가워요") == "네 반가워요" and remove_items("[1] 네") == "[1] 네"


def test_faults_of_items() -> None:
    assert not find_item_faults("네! [이름: 민수]", KEYS, "삭제") and not find_item_faults("네!", KEYS, "삭제")
    assert not find_item_faults("네! [삭제: 이름]", KEYS, "삭제")
    assert find_item_faults("네! [기분: 좋음]", KEYS, "삭제") == ["[기분: 좋음] is about no known key"]
    assert find_item_faults("네! [삭제: 기분]", KEYS, "삭제") == ["[삭제: 기분] is about no known key"]
    assert find_item_faults("[이름: 민수] 네!", KEYS, "삭제") == ["[이름: 민수] is not at the end"]
    assert "2 items" in find_item_faults("[이름: 민수] [이름: 민지]", KEYS, "삭제")[0]


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("저는 오로라예요! 초록이요.", "haeyo"),
        ("그래도 좋죠 ㅎㅎ", "haeyo"),
        ("오로라예요 만나서 반가워요", "haeyo"),
        ("'가자!' 한마디부터요.", "haeyo"),
        ("마음이 따뜻하신가 봐요. [전공: 사회복지학]", "haeyo"),
        ("안녕하세요", "haeyo"),
        ("안녕하세요, 저는 미나입니다.", "formal"),
        ("뭘 도와 드릴까요? 편히 쉬십시오.", "mixed"),
        ("같이 갑시다. 괜찮습니까?", "formal"),
        ("내 이름은 미나야", "banmal"),
        ("밥 먹었어? 맛있겠다", "banmal"),
        ("그건 못 도와줘. 다른 얘기 하자", "banmal"),
        ("고마워요. 잘 자!", "mixed"),
        ("필요", None),
        ("I am fine.", None),
        ("", None),
    ],
)
def test_speech_level(text: str, level: str | None) -> None:
    assert speech_level(text) == level


def test_an_answer_keeps_to_the_level_of_the_card() -> None:
    card = load_card()
    assert keeps_level(card, "좋아요.") and keeps_level(card, "새벽!") and not keeps_level(card, "좋아.")
