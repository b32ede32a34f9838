"""Token ids and labels: the prompt masked, the end of an answer learned, the same for plain and chat prompts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ohlora.config.compose import compose_config
from ohlora.config.schema import Config, DataConfig
from ohlora.data.rows import Row
from ohlora.data.run_rows import RunRows
from ohlora.data.shapes import Turn
from ohlora.data.tokens import IGNORED, encode, load_tokens, save_tokens, tokens_path
from ohlora.errors import UserError
from ohlora.planning.validate import validate

ROW = Row("1", "train", "greeting", "안녕?", "반가워요!", "[이름: 민수]")
ROW_TURNS = (Turn("user", "심심해"), Turn("assistant", "끝말잇기 할래요?"))
EOS, END_OF_TURN = 1, 6


@pytest.fixture(scope="module")
def tokenizer(tiny_tokenizer: Path):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny_tokenizer)


def config(*overrides: str) -> Config:
    return validate(compose_config(list(overrides)))


def one(tokenizer, setting: Config, stop_ids: list[int]):
    return encode(tokenizer, RunRows([ROW], [], [ROW]), setting.model, setting.trainer.max_length, stop_ids)


def one_row(tokenizer, setting: Config, row: Row):
    rows, length = RunRows([row], [], [row]), setting.trainer.max_length
    return encode(tokenizer, rows, setting.model, length, [EOS, END_OF_TURN], setting.data.train_on)


def test_plain_prompts(tokenizer) -> None:
    tokens = one(tokenizer, config(), [])
    (example,) = tokens.train
    learned = [token for token in example.labels if token != IGNORED]
    assert example.input_ids[0] == tokenizer.bos_token_id
    assert learned[-1] == EOS and tokenizer.decode(learned[:-1]) == "반가워요!"
    asked = example.input_ids[: example.labels.count(IGNORED)]
    assert tokenizer.decode(asked, skip_special_tokens=True) == "질문: [이름: 민수] 안녕?\n답변:\n"
    assert tokens.prompts == [("1", asked)] and tokens.stop_ids == [EOS]


def test_chat_prompts_end_with_the_end_of_turn(tokenizer) -> None:
    tokens = one(tokenizer, config("model=gemma2-2b-it"), [EOS, END_OF_TURN])
    (example,) = tokens.train
    learned = [token for token in example.labels if token != IGNORED]
    assert learned[-1] == END_OF_TURN and tokenizer.decode(learned[:-1]) == "반가워요!"
    assert example.input_ids.count(tokenizer.bos_token_id) == 1
    assert tokenizer.decode(tokens.prompts[0][1]).endswith("<start_of_turn>model\n")
    assert tokens.prompts[0][1] == example.input_ids[: example.labels.count(IGNORED)]


def test_long_rows_are_cut_and_named(tokenizer) -> None:
    whole = len(one(tokenizer, config(), []).train[0].input_ids)
    setting = config(f"trainer.max_length={whole - 2}")
    tokens = one(tokenizer, setting, [])
    assert tokens.truncated == ["1"] and len(tokens.train[0].input_ids) == whole - 2
    with pytest.raises(UserError, match="trainer.max_length=8: cuts off the whole response in row 1"):
        one(tokenizer, config("trainer.max_length=8"), [])


def test_no_chat_template_is_said(tokenizer) -> None:
    import copy

    plain = copy.deepcopy(tokenizer)
    plain.chat_template = None
    with pytest.raises(UserError, match="give model.prompt_format=plain"):
        one(plain, config("model=gemma2-2b-it"), [])


def test_the_file_is_named_by_what_decides_it(tokenizer, tiny_tokenizer: Path, tmp_path: Path) -> None:
    rows = RunRows([ROW], [], [ROW])
    other = RunRows([replace(ROW, response="x")], [], [ROW])
    model = config().model
    path = tokens_path(tmp_path, model, tiny_tokenizer, 128, rows, DataConfig())
    assert path != tokens_path(tmp_path, model, tiny_tokenizer, 128, other, DataConfig())
    assert path != tokens_path(tmp_path, model, tiny_tokenizer, 99, rows, DataConfig())
    tokens = encode(tokenizer, rows, model, 128, [])
    save_tokens(tokens, path)
    assert load_tokens(path) == tokens
    assert json.loads(path.read_text())["hash"] == tokens.hash


def test_control_tokens_in_a_row_are_text(tokenizer) -> None:
    """`<end_of_turn>` written by a person ends nothing, in a question, an answer and an earlier turn."""
    said = f"끝은 {tokenizer.eos_token} 이야"
    for setting in (config(), config("model=gemma2-2b-it")):
        row = replace(ROW, prompt=said, response=said, history=(Turn("user", said), Turn("assistant", said)))
        (example,) = one_row(tokenizer, setting, row).train
        ends = example.input_ids.count(tokenizer.eos_token_id)
        (plain,) = one_row(tokenizer, setting, replace(row, prompt="a", response="b", history=ROW_TURNS)).train
        assert ends == plain.input_ids.count(tokenizer.eos_token_id)
        assert said in tokenizer.decode(example.input_ids)


def test_every_answer_of_a_conversation_carries_loss_or_the_last(tokenizer) -> None:
    row = replace(ROW, history=ROW_TURNS)
    for name in ([], ["model=gemma2-2b-it"]):
        (every,) = one_row(tokenizer, config(*name), row).train
        (last,) = one_row(tokenizer, config(*name, "data.train_on=last"), row).train
        assert every.input_ids == last.input_ids and every.prompt == last.prompt
        learnt = [tokenizer.decode([i for i in e.labels if i != IGNORED]) for e in (every, last)]
        assert ROW_TURNS[1].text in learnt[0] and ROW_TURNS[1].text not in learnt[1]
        assert all(ROW.response in text for text in learnt)
