"""Tokenise rows once; every arm gets the same arrays of token ids and labels."""

from __future__ import annotations

import contextlib
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

from ohlora.config.choices import PromptFormat
from ohlora.config.schema import ModelConfig
from ohlora.data.rows import Row
from ohlora.data.run_rows import RunRows
from ohlora.errors import UserError
from ohlora.files import read_json, sha256_of, write_json
from ohlora.models.folder import tokenizer_hash

ENCODING = 2  # increase it when the same text would give other ids
IGNORED = -100  # label of a position without loss
CHAT_DATE = datetime(2026, 1, 1, 12)  # the fixed date for chat templates that print today's date
LIBRARIES = ("transformers", "tokenizers", "jinja2", "sentencepiece", "tiktoken")  # they decide the ids
PLAIN_TEMPLATE = "질문: {prompt}\n답변:\n"  # if the model defines none


@dataclass(frozen=True)
class Example:
    """One tokenised pair. `labels` has the length of `input_ids`, -100 on the prompt; the last id is a stop token."""

    id: str
    input_ids: list[int]
    labels: list[int]


@dataclass(frozen=True)
class Tokens:
    """All arrays of a run. `prompts` are (row id, ids); `stop_ids` end an answer; `hash` covers everything.

    `chat_date`: the date that the chat template printed, if any.
    """

    train: list[Example]
    validation: list[Example]
    prompts: list[tuple[str, list[int]]]
    stop_ids: list[int]
    pad_id: int
    truncated: list[str]
    hash: str
    chat_date: str | None = None


def tokens_path(outputs: Path, model: ModelConfig, folder: Path, max_length: int, rows: RunRows) -> Path:
    """The token file of these rows; its name is a hash of everything that decides the tokens."""
    key = sha256_of(
        [
            ENCODING,
            _versions(),
            tokenizer_hash(folder),
            model.prompt_format.value,
            model.prompt_template,
            max_length,
            [[asdict(row) for row in part] for part in (rows.train, rows.validation, rows.prompts)],
        ]
    )
    return outputs / ".tokens" / f"{key[:20]}.json"


def encode(tokenizer: Any, rows: RunRows, model: ModelConfig, max_length: int, stop_ids: list[int]) -> Tokens:
    """Tokenise with the plain tokenizer of the model folder, not with one that a back end has changed."""
    eos = tokenizer.eos_token_id
    if eos is None:
        raise UserError(
            f"model.name={model.name}: its tokenizer has no EOS token, so answers would never end; set "
            "eos_token in tokenizer_config.json, or use another model"
        )
    stop_ids = sorted({eos, *stop_ids})
    truncated: list[str] = []

    def example(row: Row) -> Example:
        prompt, response = pair_ids(tokenizer, row, model, stop_ids)
        ids = prompt + response
        if len(ids) > max_length:
            truncated.append(row.id)
            ids = ids[:max_length]
        return Example(row.id, ids, ([IGNORED] * len(prompt) + response)[: len(ids)])

    train = [example(row) for row in rows.train]
    validation = [example(row) for row in rows.validation]
    silent = [e.id for e in train + validation if all(label == IGNORED for label in e.labels)]
    if silent:
        raise UserError(
            f"trainer.max_length={max_length}: cuts off the whole response in row "
            f"{', '.join(silent[:5])}; give a larger value"
        )
    prompts = [(row.id, prompt_ids(tokenizer, row, model)) for row in rows.prompts]
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else eos  # padding never has loss
    body = [[asdict(e) for e in train], [asdict(e) for e in validation], prompts, stop_ids, pad]
    date = f"{CHAT_DATE:%Y-%m-%d}" if is_chat(tokenizer, model) and _prints_date(tokenizer) else None
    return Tokens(train, validation, prompts, stop_ids, pad, truncated, sha256_of(body), date)


def is_chat(tokenizer: Any, model: ModelConfig) -> bool:
    """Do prompts use the tokenizer's chat template? As configured, by default if the tokenizer has one."""
    if model.prompt_format is PromptFormat.auto:
        return bool(getattr(tokenizer, "chat_template", None))
    return model.prompt_format is PromptFormat.chat


def prompt_ids(tokenizer: Any, row: Row, model: ModelConfig) -> list[int]:
    """Token ids of the prompt, including BOS if the model has one."""
    if not is_chat(tokenizer, model):
        text = (model.prompt_template or PLAIN_TEMPLATE).replace("{prompt}", row.question)
        ids: list[int] = tokenizer(text)["input_ids"]
        ends = bool(ids) and ids[-1] == tokenizer.eos_token_id and not text.endswith(tokenizer.eos_token)
        return ids[:-1] if ends else ids  # some tokenizers add EOS to every text, but the answer follows here
    return _chat(tokenizer, [{"role": "user", "content": row.question}], answer_follows=True)


def pair_ids(tokenizer: Any, row: Row, model: ModelConfig, stop_ids: list[int]) -> tuple[list[int], list[int]]:
    """(prompt ids, response ids). The response ends with the first stop token, so that the model learns to stop."""
    prompt = prompt_ids(tokenizer, row, model)
    response: list[int] = tokenizer(row.response, add_special_tokens=False)["input_ids"]
    if is_chat(tokenizer, model):
        turns = [{"role": "user", "content": row.question}, {"role": "assistant", "content": row.response}]
        whole = _chat(tokenizer, turns, answer_follows=False)
        if whole[: len(prompt)] == prompt:
            response = whole[len(prompt) :]
    for position, token in enumerate(response):
        if token in stop_ids:
            return prompt, response[: position + 1]
    return prompt, [*response, tokenizer.eos_token_id]


def save_tokens(tokens: Tokens, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, asdict(tokens))


def load_tokens(path: Path) -> Tokens:
    raw = read_json(path)
    raw["train"] = [Example(**e) for e in raw["train"]]
    raw["validation"] = [Example(**e) for e in raw["validation"]]
    raw["prompts"] = [(row, ids) for row, ids in raw["prompts"]]
    return Tokens(**raw)


@lru_cache
def _versions() -> dict[str, str]:
    """The installed versions of the tokenising libraries."""
    found = {}
    for name in LIBRARIES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def _prints_date(tokenizer: Any) -> bool:
    return "strftime_now" in str(tokenizer.chat_template)


def _chat(tokenizer: Any, turns: list[dict[str, str]], *, answer_follows: bool) -> list[int]:
    if not getattr(tokenizer, "chat_template", None):
        raise UserError(
            "model.prompt_format=chat: this tokenizer has no chat template; give model.prompt_format=plain and "
            "model.prompt_template"
        )
    encoded = tokenizer.apply_chat_template(
        turns,
        add_generation_prompt=answer_follows,
        tokenize=True,
        return_dict=True,
        strftime_now=CHAT_DATE.strftime,  # instead of today, so that tokens do not change from day to day
        enable_thinking=False,  # where supported: Qwen 3 would use up a short answer's tokens for thinking
    )
    ids: list[int] = encoded["input_ids"]
    return ids
