"""Rows made from any card, and the shipped rows that fit it, through the command that writes them.

Run: python -m pytest tests/unit/test_persona_generate.py
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from ohlora.config.schema import DataConfig, SayingConfig
from ohlora.data.rows import Row, load_rows
from ohlora.errors import UserError
from ohlora.persona.__main__ import main
from ohlora.persona.card import list_facts, load_card, refuses, states_fact
from ohlora.persona.generate import call_name, list_unasked, render_rows

CARD = load_card()
HAEYO = """defaults: [ohlora, _self_]
name: mine
called: [미나]
facts:
  name: {says: 제 이름은 미나예요., contains: [미나], asks: [이름이 뭐야, 누구세요, 뭐라고 불러]}
  name_origin: null
  likes_colour: {says: 저는 노랑을 좋아해요., contains: [노랑]}
"""
BANMAL = """name: mine
called: [봄]
speech_level: banmal
facts:
  name: {says: 나는 봄이야., contains: [봄], asks: [이름이 뭐야]}
"""


def write(folder: Path, text: str, *more: str) -> list[Row]:
    (folder / "persona").mkdir(exist_ok=True)
    (folder / "persona" / "mine.yaml").write_text(text, "utf-8")
    out = folder / "rows.jsonl"
    assert main(["persona=mine", f"--config-dir={folder}", f"--out={out}", *more]) == 0
    return load_rows(DataConfig("jsonl", "jsonl", str(out)))


def test_every_row_of_the_shipped_card_passes_its_check() -> None:
    rows = render_rows(CARD)
    prompts = [row["messages"][0]["content"] for row in rows]
    assert len(set(prompts)) == len(rows) > 300
    for row in rows:
        answer, checks = row["messages"][1]["content"], row["checks"]
        assert states_fact(CARD, checks["fact"], answer) if "fact" in checks else refuses(CARD, answer)
    for split, least in (("train", 8), ("validation", 1), ("test", 1)):
        told = [row["checks"].get("fact") for row in rows if row["split"] == split]
        assert all(told.count(fact) >= least for fact in list_facts(CARD)), split


def test_a_held_out_question_is_not_taught(tmp_path: Path) -> None:
    rows = [row for row in write(tmp_path, HAEYO) if row.checks.get("fact") == "name"]
    taught = {row.prompt for row in rows if row.split == "train"}
    assert taught == {
        f"{opening}{ask}" for ask in ("이름이 뭐야", "누구세요") for opening in ("", "미나야, ", "있잖아, ")
    }
    assert {row.prompt for row in rows if row.split != "train"} == {"근데 뭐라고 불러", "그나저나 뭐라고 불러"}


def test_the_command_says_what_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = write(tmp_path, BANMAL)
    said = capsys.readouterr().out
    assert [row.prompt for row in rows] == [
        "이름이 뭐야",
        "봄아, 이름이 뭐야",
        "있잖아, 이름이 뭐야",
        "근데 이름이 뭐야",
        "그나저나 이름이 뭐야",
    ]
    assert "5 rows of persona=mine (3 train, 1 validation, 1 test)" in said and "only facts and refusals" in said
    write(tmp_path, HAEYO + "  pet: {says: 고양이랑 살아요., contains: [고양이]}\n")
    said = capsys.readouterr().out
    assert "no row for facts.pet: no question in asks" in said
    assert "facts.animal, facts.dream still name the shipped persona" in said


def test_shipped_rows_join_that_contradict_nothing(tmp_path: Path) -> None:
    rows = [row for row in write(tmp_path, HAEYO, "--with-shipped") if row.id.startswith("shipped-")]
    assert len(rows) > 1000 and {"memory_write", "follow_up", "crisis"} <= {row.category for row in rows}
    texts = ["\n".join([row.prompt, row.response, *(turn.text for turn in row.history)]) for row in rows]
    assert not [text for text in texts if any(word in text for word in ("오로라", "LoRA", "초록"))]
    assert any("시티팝" in text for text in texts), "a fact that both cards share may stay"
    assert any(row.history for row in rows) and any(row.checks.get("writes") for row in rows)


def test_wrong_cards_write_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "rows.jsonl"
    (tmp_path / "persona").mkdir()
    file = tmp_path / "persona" / "mine.yaml"
    for text, more, said in (
        (BANMAL, ["--with-shipped"], "persona.speech_level=banmal: the shipped rows speak haeyo"),
        (
            BANMAL.replace("banmal", "haeyo"),
            [],
            "facts.name.says=나는 봄이야.: speaks banmal, persona.speech_level is haeyo",
        ),
        (BANMAL.replace(", asks: [이름이 뭐야]", ""), [], "no fact and no refusal has a question"),
        (BANMAL.replace("called: [봄]", "called: [여름]"), [], "does not hold 여름"),
    ):
        file.write_text(text, "utf-8")
        assert main(["persona=mine", f"--config-dir={tmp_path}", f"--out={out}", *more]) == 2
        assert said in capsys.readouterr().err and not out.exists()
    file.write_text(BANMAL, "utf-8")
    assert main(["persona=mine", f"--config-dir={tmp_path}", f"--out={tmp_path / 'no' / 'x.jsonl'}"]) == 2
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "called"), [("미나", "미나야"), ("봄", "봄아"), ("Oh-LoRA", "Oh-LoRA")])
def test_a_name_is_called(name: str, called: str) -> None:
    assert call_name(name) == called


def test_one_question_of_two_refusals_gives_one_row() -> None:
    same = SayingConfig("하지 않을게요.", [], ["야"])
    card = dataclasses.replace(CARD, facts={}, refusals={"a": same, "b": same})
    assert len(render_rows(card)) == 5 and not list_unasked(card)


def test_a_card_without_questions_is_refused() -> None:
    with pytest.raises(UserError, match="persona=ohlora: no fact and no refusal has a question"):
        render_rows(dataclasses.replace(CARD, facts={}, refusals={}))
