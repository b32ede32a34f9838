"""Tokenizers and templates that would spoil a training are found before it; those of every architecture pass.

Run: python -m pytest tests/integration/test_template_checks.py
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tiny_models import CHATML, TINY

from ohlora.config.compose import compose_config
from ohlora.config.schema import ModelConfig
from ohlora.data.fitting import find_vocabulary_note, require_fit
from ohlora.data.rows import Row
from ohlora.data.run_rows import RunRows
from ohlora.data.template_checks import check_template, find_template_problems, turn_ends
from ohlora.data.tokens import encode, load_tokenizer
from ohlora.errors import UserError
from ohlora.models.checks import check_loadable
from ohlora.planning.validate import validate

END = 258  # <|im_end|>
ROW = Row("1", "train", "", "안녕?", "반가워요!")


def option(*more: str) -> ModelConfig:
    return validate(compose_config(["model=local", "model.path=nowhere", *more])).model


@pytest.fixture
def load(tiny_model: Callable[[str], Path]) -> Callable:
    from transformers import AutoTokenizer

    return lambda name: AutoTokenizer.from_pretrained(tiny_model(name))


@pytest.mark.parametrize("name", TINY)
def test_good_ones_pass(tiny_model: Callable[[str], Path], name: str) -> None:
    folder = tiny_model(name)
    tokenizer, stop_ids = load_tokenizer(folder, option())
    for setting in (option(), option("model.prompt_format=plain")):
        assert check_template(tokenizer, setting, folder, stop_ids) == []
    tokens = encode(tokenizer, RunRows([ROW], [], [ROW]), option(), 128, stop_ids)
    assert tokens.stop_ids == sorted({tokenizer.eos_token_id, *stop_ids})
    require_fit(tokens, folder, option())


TURN = "{{ bos_token }}{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
BROKEN = {
    "drops the answer": (CHATML.replace("{{ m.content }}", "{{ m.content if m.role != 'assistant' }}"), "the answer"),
    "drops the question": (CHATML.replace("{{ m.content }}", "{{ m.content if m.role != 'user' }}"), "the question"),
    "BOS twice": ("{{ bos_token }}" + TURN, r"begins with BOS \(<\|endoftext\|>\) twice: its chat template"),
    "fails": ("{{ raise_exception('no turns') }}", r"fails on a question and an answer \(no turns\)"),
    "end is no token": (CHATML.replace("im_end", "im_over"), r"ends an answer with <\|im_over\|>, which is no token"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_templates(load: Callable, kind: str) -> None:
    tokenizer = load("qwen2")
    tokenizer.chat_template, said = BROKEN[kind]
    with pytest.raises(UserError, match=said) as raised:
        check_template(tokenizer, option(), Path("nowhere"), [])
    assert len(raised.value.problems) == 1
    assert find_template_problems(tokenizer, option("model.prompt_format=plain")) == []


def test_templates_of_text_are_not_broken(load: Callable) -> None:
    """`<|user|>` in Zephyr's template is no token, and its answers end with EOS."""
    tokenizer = load("qwen2")
    tokenizer.chat_template = "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}{{ eos_token }}\n{% endfor %}"
    assert find_template_problems(tokenizer, option()) == [] and turn_ends(tokenizer, option()) == [END]


def test_no_template_for_chat(load: Callable) -> None:
    with pytest.raises(UserError, match="this tokenizer has no chat template; give model.prompt_format=plain"):
        check_template(load("gpt_neox"), option("model.prompt_format=chat"), Path("nowhere"), [])


def test_a_plain_template_with_its_own_bos(load: Callable) -> None:
    setting = option("model.prompt_format=plain", "model.prompt_template='<bos>{prompt}'")
    (said,) = find_template_problems(load("gemma3"), setting)
    assert "BOS (<bos>) twice: model.prompt_template writes it and the tokenizer adds it" in said


def test_turn_tokens_that_are_split(tiny_tokenizer: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    raw = json.loads((tiny_tokenizer / "tokenizer.json").read_text())
    turns = ("<start_of_turn>", "<end_of_turn>")
    raw["added_tokens"] = [token for token in raw["added_tokens"] if token["content"] not in turns]
    AutoTokenizer.from_pretrained(tiny_tokenizer).save_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_text(json.dumps(raw))
    described = json.loads((tmp_path / "tokenizer_config.json").read_text())
    described = {key: value for key, value in described.items() if "special_tokens" not in key}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(described))
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    found = find_template_problems(tokenizer, option())
    assert len(found) == 2 and "<start_of_turn>, which is token 5 of the vocabulary" in found[0]
    written = option("model.prompt_format=plain", "model.prompt_template='<start_of_turn>{prompt}'")
    assert len(find_template_problems(tokenizer, written)) == 1
    assert find_template_problems(tokenizer, option("model.prompt_format=plain")) == []


def test_the_end_of_a_turn_stops_answers(load: Callable) -> None:
    """A chat model whose EOS is another token, and whose generation_config.json does not name its end of turn."""
    tokenizer = load("qwen2")
    tokenizer.eos_token = "<|endoftext|>"
    (note,) = check_template(tokenizer, option(), Path("nowhere"), [])
    assert note.startswith(f"answers also end at <|im_end|> ({END})")
    assert check_template(tokenizer, option(), Path("nowhere"), [END]) == []
    tokens = encode(tokenizer, RunRows([ROW], [], [ROW]), option(), 128, [])
    assert tokens.stop_ids == [256, END] and tokens.train[0].input_ids[-1] == END


def test_more_tokens_than_embeddings(tiny_model: Callable[[str], Path], tmp_path: Path) -> None:
    """The bigger vocabulary is said; only an id that occurs, or padding, is refused."""
    import shutil

    folder = shutil.copytree(tiny_model("gemma3"), tmp_path / "m")
    tokenizer, stop_ids = load_tokenizer(folder, option())
    assert find_vocabulary_note(tokenizer, folder) == ""
    tokenizer.add_tokens(["오로라"])
    assert "has 265 tokens and its embeddings have 264 rows" in find_vocabulary_note(tokenizer, folder)

    def fit(row: Row, **changed: Any) -> None:
        tokens = encode(tokenizer, RunRows([row], [], [row]), option(), 128, stop_ids)
        require_fit(replace(tokens, **changed), folder, option())

    fit(ROW)
    with pytest.raises(UserError, match="gives token 264 in row 1, but the embeddings have only 264 rows"):
        fit(replace(ROW, response="저는 오로라"))
    with pytest.raises(UserError, match="its PAD token is 264, but the embeddings have only 264 rows"):
        fit(ROW, pad_id=264)


def test_prepare_finds_it_too(tiny_model: Callable[[str], Path], tmp_path: Path) -> None:
    import shutil

    folder = shutil.copytree(tiny_model("qwen2"), tmp_path / "m")
    setting = option(f"model.path={folder}")
    assert not any("chat template" in note for note in check_loadable(setting, folder))
    (folder / "chat_template.jinja").write_text(BROKEN["drops the answer"][0])
    with pytest.raises(UserError, match="its chat template leaves out the answer"):
        check_loadable(setting, folder)
