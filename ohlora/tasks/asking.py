"""Ask a loaded model the questions of rows, as `decoding` says, and again where an answer has a fault."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from ohlora.backends import Backend, Loaded
from ohlora.config.schema import DecodingConfig
from ohlora.data.conversations import Format, encode_prompt
from ohlora.data.rows import Row
from ohlora.data.tokens import Tokens
from ohlora.generation.batches import AUTO, BatchGenerator
from ohlora.generation.choice import seed_of
from ohlora.generation.faults import find_faults
from ohlora.generation.stopping import StopTexts
from ohlora.planning.plan import Plan
from ohlora.records.samples import Sample
from ohlora.tasks.job import Job


def encode_prompts(plan: Plan, rows: Sequence[Row]) -> list[list[int]]:
    """Use the plain tokenizer of the model folder, as for all token ids, not one that a back end has changed."""
    from transformers import AutoTokenizer

    model = plan.config.model
    tokenizer = AutoTokenizer.from_pretrained(
        plan.model_folder, local_files_only=True, trust_remote_code=model.remote_code is not None
    )
    style = Format(tokenizer, model, [])
    return [encode_prompt(style, row) for row in rows]


@dataclass(frozen=True)
class Answers:
    """`samples` in the order of the rows; `generated`: new tokens, those of answers that were not kept included."""

    samples: list[Sample]
    generated: int


def make_generator(
    job: Job, made: Backend, loaded: Loaded, tokens: Tokens, max_new: int, *,
    min_new: int = 0, size: str = AUTO, decoding: DecodingConfig | None = None,
) -> BatchGenerator:  # fmt: skip
    """For a model that this back end loaded; says on screen when a batch has to be halved.

    decoding: None means the run's.
    """

    def report(size: int) -> None:
        job.note(f"out of memory: {size} prompts at once from here (generation.batch={size})")

    chosen = decoding or job.config.decoding
    return BatchGenerator(
        loaded.model, min_new, max_new, tokens.stop_ids, tokens.pad_id,
        size=size, by_generate=made.has_own_kernels(loaded), on_shortage=report,
        decoding=chosen, stops=StopTexts(chosen.stop, loaded.tokenizer),
    )  # fmt: skip


def answer_rows(
    generator: BatchGenerator, rows: Sequence[Row], prompts: Sequence[list[int]], seed: int,
    advance: Callable[[int], object] = lambda done: None,
) -> Answers:  # fmt: skip
    """The answers to the rows, whose prompts are given as token ids. `advance` is told how many are answered.

    An answer with a fault of `decoding.retry_on` is asked for again, at most `decoding.retries` times, with a seed of
    its own; the one with the fewest faults is kept, of equals the last.
    """
    decoding = generator.decoding
    tries: list[list[_Try]] = [[] for _ in rows]
    waiting, generated = list(range(len(rows))), 0
    for attempt in range(decoding.retries + 1):
        seeds = [seed_of(seed, rows[i].id, attempt) for i in waiting]
        report = partial(_report, advance, len(rows) - len(waiting))
        found = generator([prompts[i] for i in waiting], report, seeds)
        for i, ids in zip(waiting, found, strict=True):
            generated += len(ids)
            tries[i].append(_judge_try(generator, rows[i], ids))
        waiting = [i for i in waiting if tries[i][-1].faults]
        if not waiting:
            break
    return Answers([_keep_one(row, made) for row, made in zip(rows, tries, strict=True)], generated)


def _report(advance: Callable[[int], object], before: int, done: int) -> None:
    advance(before + done)


@dataclass(frozen=True)
class _Try:
    answer: str
    ended: bool
    faults: list[str]


def _judge_try(generator: BatchGenerator, row: Row, ids: list[int]) -> _Try:
    answer, ended = read_answer(generator.stops, generator.stop_ids, ids)
    decoding = generator.decoding
    faults = find_faults(row.question, answer, ended, decoding.retry_on) if decoding.retries else []
    return _Try(answer, ended, [fault.value for fault in faults])


def read_answer(stops: StopTexts, stop_ids: Sequence[int], ids: list[int]) -> tuple[str, bool]:
    """The answer as text, and whether it ended by itself: with a stop token or a stop text, not at the length limit."""
    text, stop = stops.decode(ids)
    return text, stop is not None or (bool(ids) and ids[-1] in stop_ids)


def make_sample(row: Row, answer: str, ended: bool, retries: list[dict[str, Any]] | None = None) -> Sample:
    """The answer beside its row."""
    return Sample(row.id, row.question, row.response, answer, ended, row.category or None, retries)


def _keep_one(row: Row, tries: list[_Try]) -> Sample:
    kept = min(reversed(tries), key=lambda one: len(one.faults))
    others = [{"reasons": one.faults, "answer": one.answer} for one in tries if one is not kept]
    return make_sample(row, kept.answer, kept.ended, others or None)
