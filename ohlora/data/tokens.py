"""Tokenise rows once; every arm gets the same arrays of token ids and labels."""

from __future__ import annotations

import contextlib
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

from ohlora.config.choices import Overlong, TrainOn
from ohlora.config.schema import DataConfig, ModelConfig
from ohlora.data.conversations import CHAT_DATE, IGNORED, Format, encode_answered, encode_prompt
from ohlora.data.rows import Row
from ohlora.data.run_rows import RunRows
from ohlora.data.template_checks import turn_ends
from ohlora.errors import UserError
from ohlora.files import read_json, sha256_of, write_json
from ohlora.models.folder import tokenizer_hash

ENCODING = 4  # increase it when the same text would give other ids
LIBRARIES = ("transformers", "tokenizers", "jinja2", "sentencepiece", "tiktoken")  # they decide the ids


@dataclass(frozen=True)
class Example:
    """One tokenised pair. `labels` has the length of `input_ids`, -100 on the prompt; the last id is a stop token."""

    id: str
    input_ids: list[int]
    labels: list[int]

    @property
    def prompt(self) -> list[int]:
        """The ids before the last answer: before the last tokens with loss in a row; all of a row without loss."""
        end = len(self.labels)
        while end and self.labels[end - 1] == IGNORED:
            end -= 1
        start = end
        while start and self.labels[start - 1] != IGNORED:
            start -= 1
        return self.input_ids[:start] if end else self.input_ids


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


def tokens_path(
    outputs: Path, model: ModelConfig, folder: Path, max_length: int, rows: RunRows, data: DataConfig
) -> Path:
    """The token file of these rows; its name is a hash of everything that decides the tokens."""
    key = sha256_of(
        [
            ENCODING,
            _versions(),
            tokenizer_hash(folder),
            model.prompt_format.value,
            model.prompt_template,
            max_length,
            data.train_on.value,
            data.overlong.value,
            [[row.tokenised() for row in part] for part in (rows.train, rows.validation, rows.prompts)],
        ]
    )
    return outputs / ".tokens" / f"{key[:20]}.json"


def load_tokenizer(folder: Path, model: ModelConfig) -> tuple[Any, list[int]]:
    """The plain tokenizer of a model folder, and the tokens that end an answer by its generation_config.json."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(
        folder, local_files_only=True, trust_remote_code=model.remote_code is not None
    )
    stops: int | list[int] = []
    if (folder / "generation_config.json").is_file():
        stops = read_json(folder / "generation_config.json").get("eos_token_id") or []
    return tokenizer, [stops] if isinstance(stops, int) else stops


def encode(
    tokenizer: Any,
    rows: RunRows,
    model: ModelConfig,
    max_length: int,
    stop_ids: list[int],
    train_on: TrainOn = TrainOn.all,
    overlong: Overlong = Overlong.cut,
) -> Tokens:
    """Tokenise with the plain tokenizer of the model folder, not with one that a back end has changed.

    Raises:
        UserError: no EOS token, or a row that does not fit and may not be cut or would lose its whole answer.
    """
    eos = tokenizer.eos_token_id
    if eos is None:
        raise UserError(
            f"model.name={model.name}: its tokenizer has no EOS token, so answers would never end; set "
            "eos_token in tokenizer_config.json, or use another model"
        )
    style = Format(tokenizer, model, sorted({eos, *stop_ids, *turn_ends(tokenizer, model)}), train_on)
    long: list[Row] = []

    def examples(part: list[Row]) -> list[Example]:
        found = []
        for row in part:
            ids, labels = encode_answered(style, row)
            if len(ids) > max_length:
                long.append(row)
                if overlong is Overlong.drop:
                    continue
                ids, labels = _cut(ids, max_length), _cut(labels, max_length)
            found.append(Example(row.id, ids, labels))
        return found

    train, validation = examples(rows.train), examples(rows.validation)
    _require_answers(train + validation, long, max_length, overlong)
    if rows.train and not train:
        raise UserError(f"trainer.max_length={max_length}: every training row is longer; give a larger value")
    prompts = [(row.id, encode_prompt(style, row)) for row in rows.prompts]
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else eos  # padding never has loss
    body = [[asdict(e) for e in train], [asdict(e) for e in validation], prompts, style.stop_ids, pad]
    date = f"{CHAT_DATE:%Y-%m-%d}" if style.is_chat and _prints_date(tokenizer) else None
    truncated = [row.id for row in long]
    return Tokens(train, validation, prompts, style.stop_ids, pad, truncated, sha256_of(body), date)


def _cut(ids: list[int], length: int) -> list[int]:
    """The first tokens and the last, which ends the answer."""
    return [*ids[: length - 1], ids[-1]]


def _require_answers(examples: list[Example], long: list[Row], max_length: int, overlong: Overlong) -> None:
    ways = "give a larger value, or data.overlong=drop to leave such rows out"
    if long and overlong is Overlong.error:
        places = ", ".join(str(row.place) for row in long[:5])
        raise UserError(f"trainer.max_length={max_length}: {len(long)} rows are longer ({places}); {ways}")
    silent = [e.id for e in examples if all(label == IGNORED for label in e.labels[:-1])]
    silent = [i for i in silent if i in {row.id for row in long}]
    if silent:
        raise UserError(
            f"trainer.max_length={max_length}: cuts off the whole response in row {', '.join(silent[:5])}; {ways}"
        )


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
