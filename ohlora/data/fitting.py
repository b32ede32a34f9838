"""Do the token ids fit the model: its embeddings, and the number of tokens that it reads?"""

from __future__ import annotations

from pathlib import Path

from ohlora.config.schema import ModelConfig
from ohlora.data.tokens import Tokens
from ohlora.errors import UserError
from ohlora.files import read_json


def require_fit(tokens: Tokens, folder: Path, model: ModelConfig) -> None:
    """Check all ids of a run before anything is loaded.

    Raises:
        UserError: an id beyond the embeddings, BOS twice, or a prompt longer than the model reads.
    """
    config = read_json(folder / "config.json") if (folder / "config.json").is_file() else {}
    config = config.get("text_config", config)
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
    twice = [row for row, ids in sequences if len(ids) > 1 and ids[0] == ids[1] == config.get("bos_token_id", -1)]
    if twice:
        problems.append(
            f"model.name={model.name}: row {twice[0]} begins with BOS twice; the template and the tokenizer both "
            "add it: "
            "take it out of model.prompt_template or of the chat template"
        )
    long = [(row, len(ids)) for row, ids in tokens.prompts if reads and len(ids) > reads]
    if long:
        row, length = max(long, key=lambda pair: pair[1])
        problems.append(
            f"data: the prompt of row {row} has {length} tokens, and {model.name} reads at most {reads}; shorten it"
        )
    if problems:
        raise UserError(problems)
