"""The size of a run's inputs in tokens: the longest row, the batch, the prompt with its answer."""

from __future__ import annotations

from dataclasses import dataclass

from ohlora.config.schema import GenerationConfig, TrainerConfig
from ohlora.data.run_rows import RunRows
from ohlora.data.tokens import IGNORED, Tokens
from ohlora.generation.batches import AUTO, MOST_PROMPTS

TOKENS_PER_CHARACTER = 1.0  # for Korean text, a safe value for the candidates' tokenizers (0.4-1.0)
FRAME_TOKENS = 24  # the prompt template or chat turns around a question, BOS and EOS


@dataclass(frozen=True)
class Work:
    """Sizes in tokens; `loss_row` counts the tokens of a row that have loss.

    prompts_at_once: answered together, at most.

    `is_varied`: rows differ in length. `exact`: counted in the tokenised rows, not guessed from characters.
    """

    batch: int
    row: int
    loss_row: int
    prompt: int
    answer: int
    is_varied: bool
    exact: bool
    prompts_at_once: int = 1

    @property
    def positions(self) -> int:
        """Positions of the largest possible batch: a full batch of the longest rows."""
        return self.batch * self.row


def guess_work(rows: RunRows | None, trainer: TrainerConfig, generation: GenerationConfig) -> Work:
    """Guess the sizes from the text of the rows; without rows use the maximum length."""
    longest, answer = trainer.max_length, generation.max_new_tokens
    if rows is None:
        return Work(trainer.batch_size, longest, longest, longest, answer, True, False)

    def guessed(lengths: list[int]) -> int:
        return min(longest, round(max(lengths, default=0) * TOKENS_PER_CHARACTER) + FRAME_TOKENS)

    return Work(
        batch=min(trainer.batch_size, max(1, len(rows.train))),
        row=guessed([row.asked_characters + len(row.response) for row in rows.train]),
        loss_row=guessed([row.asked_characters * bool(row.history) + len(row.response) for row in rows.train]),
        prompt=guessed([row.asked_characters for row in rows.prompts]),
        answer=answer,
        is_varied=is_varied([row.asked_characters + len(row.response) for row in rows.train]),
        exact=False,
        prompts_at_once=_prompts_at_once(generation, len(rows.prompts)),
    )


def _prompts_at_once(generation: GenerationConfig, prompts: int) -> int:
    return max(1, min(MOST_PROMPTS if generation.batch == AUTO else int(generation.batch), prompts))


def is_varied(lengths: list[int]) -> bool:
    """Do the rows differ in length by more than a tenth?"""
    return max(lengths, default=0) > 1.1 * min(lengths, default=0)


def count_work(tokens: Tokens, trainer: TrainerConfig, generation: GenerationConfig) -> Work:
    """Count the sizes in the tokenised rows."""
    return Work(
        batch=min(trainer.batch_size, max(1, len(tokens.train))),
        row=max((len(example.input_ids) for example in tokens.train), default=0),
        loss_row=max((sum(label != IGNORED for label in example.labels) for example in tokens.train), default=0),
        prompt=max((len(ids) for _, ids in tokens.prompts), default=0),
        answer=generation.max_new_tokens,
        is_varied=is_varied([len(example.input_ids) for example in tokens.train]),
        exact=True,
        prompts_at_once=_prompts_at_once(generation, len(tokens.prompts)),
    )
