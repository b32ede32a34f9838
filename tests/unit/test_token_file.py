"""Which token file a run reads: another tokenizer, another library is another file; a date in a template is fixed.

Run: python -m pytest tests/unit/test_token_file.py
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ohlora.config.compose import compose_config
from ohlora.config.schema import Config
from ohlora.data import tokens as token_files
from ohlora.data.rows import Row
from ohlora.data.run_rows import RunRows
from ohlora.models.folder import ADAPTER_CARD, MARKER, tokenizer_hash
from ohlora.planning.validate import validate

ROW = Row("1", "train", "greeting", "안녕?", "반가워요!", "")
DATED = (  # as Llama 3.1's
    "{%- if not date_string is defined %}{%- if strftime_now is defined %}"
    "{%- set date_string = strftime_now('%d %b %Y') %}{%- else %}{%- set date_string = '26 Jul 2024' %}"
    "{%- endif %}{%- endif %}Today Date: {{ date_string }}\n"
    "{% for m in messages %}<start_of_turn>{{ m.content }}<end_of_turn>{% endfor %}"
)


@pytest.fixture
def folder(tiny_tokenizer: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_tokenizer, tmp_path / "model"))


@pytest.fixture(autouse=True)
def fresh_versions() -> Iterator[None]:
    token_files._versions.cache_clear()
    yield
    token_files._versions.cache_clear()


def config(tmp_path: Path, *overrides: str) -> Config:
    return replace(validate(compose_config(list(overrides))), outputs=str(tmp_path))


@pytest.mark.parametrize(
    "name",
    [
        "vocab.json", "vocab.txt", "merges.txt", "added_tokens.json", "special_tokens_map.json", "tokenizer.model",
        "sentencepiece.bpe.model", "qwen.tiktoken", "chat_template.jinja", "chat_template.json", "tokenizer.json",
        "tokenizer_config.json", "generation_config.json", "config.json", "tokenization_own.py", "source.spm",
    ],
)  # fmt: skip
def test_every_file_of_a_tokenizer_counts(folder: Path, name: str) -> None:
    before = tokenizer_hash(folder)
    (folder / name).write_text("another")
    assert tokenizer_hash(folder) != before


@pytest.mark.parametrize(
    "name", ["README.md", "model.safetensors", "model.safetensors.index.json", MARKER, ADAPTER_CARD]
)
def test_what_decides_no_token_does_not_count(folder: Path, name: str) -> None:
    before = tokenizer_hash(folder)
    (folder / name).write_text("another")
    assert tokenizer_hash(folder) == before


@pytest.mark.parametrize("library", ["transformers", "tokenizers", "jinja2"])
def test_another_version_of_a_library_is_another_file(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    given = (tmp_path, config(tmp_path).model, folder, 128, RunRows([ROW], [], [ROW]), config(tmp_path).data)
    before = token_files.tokens_path(*given)
    right = token_files.metadata.version
    monkeypatch.setattr(token_files.metadata, "version", lambda name: "9" if name == library else right(name))
    assert token_files.tokens_path(*given) == before  # looked up once a process
    token_files._versions.cache_clear()
    assert token_files.tokens_path(*given) != before


def encoded(folder: Path, setting: Config, template: str | None) -> tuple[Any, token_files.Tokens]:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = template or tokenizer.chat_template
    return tokenizer, token_files.encode(tokenizer, RunRows([ROW], [], [ROW]), setting.model, 128, [])


def test_a_template_is_told_the_same_day_every_day(folder: Path, tmp_path: Path) -> None:
    setting = config(tmp_path, "model.prompt_format=chat")
    tokenizer, tokens = encoded(folder, setting, DATED)
    assert tokenizer.decode(tokens.prompts[0][1]).startswith("Today Date: 01 Jan 2026\n")
    assert tokens.chat_date == "2026-01-01"
    token_files.save_tokens(tokens, tmp_path / "tokens.json")
    assert token_files.load_tokens(tmp_path / "tokens.json") == tokens


def test_no_date_is_recorded_where_none_is_printed(folder: Path, tmp_path: Path) -> None:
    assert encoded(folder, config(tmp_path, "model.prompt_format=chat"), None)[1].chat_date is None
    assert encoded(folder, config(tmp_path, "model.prompt_format=plain"), DATED)[1].chat_date is None
