"""Do the token ids fit the model: its embeddings, and the number of tokens that it reads?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ohlora.config.schema import ModelConfig
from ohlora.errors import UserError
from ohlora.files import read_json

if TYPE_CHECKING:
    from ohlora.data.tokens import Tokens


def require_fit(tokens: Tokens, folder: Path, model: ModelConfig) -> None:
    """Check all ids of a run before anything is loaded.

    Raises:
        UserError: an id beyond the embeddings, BOS twice, or a prompt longer than the model reads.
    """
    config = _describe(folder)
    sequences = [(e.id, e.input_ids) for e in tokens.train + tokens.validation] + list(tokens.prompts)
    vocabulary, reads = config.get("vocab_size"), model.context or config.get("max_position_embeddings")
    problems = []
    beyond = [(row, max(ids)) for row, ids in sequences if vocabulary and ids and max(ids) >= vocabulary]
    if beyond:
        row, token = beyond[0]
        problems.append(
            f"model.name={model.name}: its tokenizer gives token {token} in row {row}, but the embeddings have only "
            f"{vocabulary} rows; tokens were added and the model was not resized: use the tokenizer that belongs to it"
        )
    elif vocabulary and tokens.pad_id >= vocabulary:
        problems.append(
            f"model.name={model.name}: its PAD token is {tokens.pad_id}, but the embeddings have only {vocabulary} "
            "rows; set pad_token to the EOS token in tokenizer_config.json"
        )
    twice = [row for row, ids in sequences if len(ids) > 1 and ids[0] == ids[1] == config.get("bos_token_id", -1)]
    if twice:
        problems.append(
            f"model.name={model.name}: row {twice[0]} begins with BOS twice; the template and the tokenizer both "
            "add it: take it out of model.prompt_template or of the chat template"
        )
    long = [(row, len(ids)) for row, ids in tokens.prompts if reads and len(ids) > reads]
    if long:
        row, length = max(long, key=lambda pair: pair[1])
        problems.append(
            f"data: the prompt of row {row} has {length} tokens, and {model.name} reads at most {reads}; shorten it"
        )
    if problems:
        raise UserError(problems)


def find_vocabulary_note(tokenizer: Any, folder: Path) -> str:
    """A tokenizer with more tokens than its embeddings have rows: harmless until a row holds one of them; '' if not."""
    rows, tokens = _describe(folder).get("vocab_size"), len(tokenizer)
    if not rows or tokens <= rows:
        return ""
    return (
        f"its tokenizer has {tokens} tokens and its embeddings have {rows} rows: rows that hold one of the others are "
        "refused"
    )


def _describe(folder: Path) -> dict[str, Any]:
    """The part of config.json that describes the language model; empty without one."""
    config = read_json(folder / "config.json") if (folder / "config.json").is_file() else {}
    found: dict[str, Any] = config.get("text_config", config)
    return found
