"""What a run will feed its model: the longest row, the batch, the prompt with its answer, in tokens."""

from __future__ import annotations

from dataclasses import dataclass

from ohlora.config.schema import Config
from ohlora.data import tokens as token_files
from ohlora.data.rows import run_rows
from ohlora.data.tokens import IGNORED
from ohlora.errors import UserError
from ohlora.models.folder import model_folder

TOKENS_PER_CHARACTER = 1.0  # of Korean text, on the safe side of what the candidates' tokenizers make of it (0.4-1.0)
FRAME_TOKENS = 24  # the prompt template or the chat turns around a question, BOS and EOS


@dataclass(frozen=True)
class Work:
    """Sizes in tokens; `loss_row` are those of a row that carry loss.

    `is_varied`: rows differ in length. `exact`: counted on the tokenised rows; otherwise guessed from their characters.
    """

    batch: int
    row: int
    loss_row: int
    prompt: int
    answer: int
    is_varied: bool
    exact: bool

    @property
    def positions(self) -> int:
        """Positions of the largest batch that may come: as many of the longest rows as it takes."""
        return self.batch * self.row


def work_of(config: Config) -> Work:
    """The sizes of this run. Counted where its rows were tokenised before, else guessed from their text."""
    try:
        rows = run_rows(config)
    except UserError:
        rows = None
    path = token_files.tokens_path(config, model_folder(config), rows) if rows else None
    if path and path.is_file():
        return counted(token_files.load(path), config)
    longest = config.trainer.max_length
    if rows is None:  # nothing is known of the data: as long as rows may be
        answer = config.generation.max_new_tokens
        return Work(config.trainer.batch_size, longest, longest, longest, answer, True, False)

    def guessed(lengths: list[int]) -> int:
        return min(longest, round(max(lengths, default=0) * TOKENS_PER_CHARACTER) + FRAME_TOKENS)

    return Work(
        batch=min(config.trainer.batch_size, max(1, len(rows.train))),
        row=guessed([len(row.question) + len(row.response) for row in rows.train]),
        loss_row=guessed([len(row.response) for row in rows.train]),
        prompt=guessed([len(row.question) for row in rows.prompts]),
        answer=config.generation.max_new_tokens,
        is_varied=varied([len(row.question) + len(row.response) for row in rows.train]),
        exact=False,
    )


def varied(lengths: list[int]) -> bool:
    """Do rows differ in length, by more than a tenth?"""
    return max(lengths, default=0) > 1.1 * min(lengths, default=0)


def counted(tokens: token_files.Tokens, config: Config) -> Work:
    """The same of rows that are tokenised."""
    return Work(
        batch=min(config.trainer.batch_size, max(1, len(tokens.train))),
        row=max((len(example.input_ids) for example in tokens.train), default=0),
        loss_row=max((sum(label != IGNORED for label in example.labels) for example in tokens.train), default=0),
        prompt=max((len(ids) for _, ids in tokens.prompts), default=0),
        answer=config.generation.max_new_tokens,
        is_varied=varied([len(example.input_ids) for example in tokens.train]),
        exact=True,
    )
