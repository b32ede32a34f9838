"""What a run will feed its model: the longest row, the batch, the prompt with its answer, in tokens."""

from __future__ import annotations

from dataclasses import dataclass

from ohlora.config.schema import GenerationConfig, TrainerConfig
from ohlora.data.rows import Selection
from ohlora.data.tokens import IGNORED, Tokens

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


def guess_work(rows: Selection | None, trainer: TrainerConfig, generation: GenerationConfig) -> Work:
    """Sizes from the text of the rows; as long as rows may be where nothing is known of them."""
    longest, answer = trainer.max_length, generation.max_new_tokens
    if rows is None:
        return Work(trainer.batch_size, longest, longest, longest, answer, True, False)

    def guessed(lengths: list[int]) -> int:
        return min(longest, round(max(lengths, default=0) * TOKENS_PER_CHARACTER) + FRAME_TOKENS)

    return Work(
        batch=min(trainer.batch_size, max(1, len(rows.train))),
        row=guessed([len(row.question) + len(row.response) for row in rows.train]),
        loss_row=guessed([len(row.response) for row in rows.train]),
        prompt=guessed([len(row.question) for row in rows.prompts]),
        answer=answer,
        is_varied=is_varied([len(row.question) + len(row.response) for row in rows.train]),
        exact=False,
    )


def is_varied(lengths: list[int]) -> bool:
    """Do rows differ in length, by more than a tenth?"""
    return max(lengths, default=0) > 1.1 * min(lengths, default=0)


def count_work(tokens: Tokens, trainer: TrainerConfig, generation: GenerationConfig) -> Work:
    """Sizes counted on the tokenised rows."""
    return Work(
        batch=min(trainer.batch_size, max(1, len(tokens.train))),
        row=max((len(example.input_ids) for example in tokens.train), default=0),
        loss_row=max((sum(label != IGNORED for label in example.labels) for example in tokens.train), default=0),
        prompt=max((len(ids) for _, ids in tokens.prompts), default=0),
        answer=generation.max_new_tokens,
        is_varied=is_varied([len(example.input_ids) for example in tokens.train]),
        exact=True,
    )
