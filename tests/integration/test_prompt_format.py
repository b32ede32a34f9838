"""model.prompt_format=auto: the chat template where the tokenizer has one, else a plain prompt; never an early end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ohlora.config.compose import compose_config
from ohlora.config.schema import Config
from ohlora.data.rows import Row
from ohlora.data.run_rows import RunRows
from ohlora.data.tokens import IGNORED, Tokens, encode
from ohlora.planning.validate import validate

ROW = Row("1", "train", "greeting", "안녕?", "반가워요!", "")


def config(*more: str) -> Config:
    return validate(compose_config(["model=local", "model.path=nowhere", *more]))


def tokens_of(tokenizer, setting: Config) -> Tokens:
    return encode(tokenizer, RunRows([ROW], [], [ROW]), setting.model, setting.trainer.max_length, [])


def parts(tokenizer, tokens: Tokens) -> tuple[str, str]:
    """What is asked and what is learned, special tokens included."""
    (example,) = tokens.train
    asked = [i for i, label in zip(example.input_ids, example.labels, strict=True) if label == IGNORED]
    assert tokens.prompts == [("1", asked)]
    return tokenizer.decode(asked), tokenizer.decode([label for label in example.labels if label != IGNORED])


@pytest.fixture
def load(tiny_model: Callable[[str], Path]) -> Callable:
    from transformers import AutoTokenizer

    return lambda name: AutoTokenizer.from_pretrained(tiny_model(name))


def test_chat_where_there_is_a_template(load: Callable) -> None:
    tokenizer = load("qwen2")
    asked, learned = parts(tokenizer, tokens_of(tokenizer, config()))
    assert asked == "<|im_start|>user\n안녕?<|im_end|>\n<|im_start|>assistant\n" and learned == "반가워요!<|im_end|>"


def test_plain_where_there_is_none(load: Callable) -> None:
    """No BOS is added, and EOS is taken for padding: polyglot-ko has neither."""
    tokenizer = load("gpt_neox")
    tokenizer.bos_token = None
    tokens = tokens_of(tokenizer, config())
    assert parts(tokenizer, tokens) == ("질문: 안녕?\n답변:\n", "반가워요!<|endoftext|>")
    assert tokens.pad_id == tokenizer.eos_token_id == tokens.stop_ids[0]
    own = config("model.prompt_template='Q: {prompt} A:'")
    assert parts(tokenizer, tokens_of(tokenizer, own))[0] == "Q: 안녕? A:"


def test_plain_where_it_is_asked_for(load: Callable) -> None:
    tokenizer = load("qwen2")
    asked, _ = parts(
        tokenizer, tokens_of(tokenizer, config("model.prompt_format=plain", "model.prompt_template='{prompt}'"))
    )
    assert asked == "안녕?"


def test_a_tokenizer_that_ends_every_text(load: Callable) -> None:
    from tokenizers import processors

    tokenizer = load("gpt_neox")
    end = tokenizer.eos_token
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {end}", special_tokens=[(end, tokenizer.eos_token_id)]
    )
    assert tokenizer("안녕")["input_ids"][-1] == tokenizer.eos_token_id
    assert parts(tokenizer, tokens_of(tokenizer, config())) == ("질문: 안녕?\n답변:\n", f"반가워요!{end}")
