"""Answers of the model in training to a few validation prompts, untimed: what training does, beside its loss."""

from __future__ import annotations

from textwrap import shorten
from typing import Any

from ohlora.backends import Backend, Loaded
from ohlora.data.tokens import Tokens
from ohlora.records.samples import write_samples
from ohlora.tasks.asking import answer_rows, make_generator
from ohlora.tasks.job import Job
from ohlora.tasks.loading import SAMPLE_TOKENS

SHOWN = 60  # characters of a question or answer on screen


def write_answers(job: Job, made: Backend, loaded: Loaded, tokens: Tokens, step: int | None = None) -> dict[str, Any]:
    """Answer the first `trainer.samples` validation prompts to their natural end; return the settings in effect.

    Into samples/train-<step>.jsonl, and one answer on screen; without a step, after training, into samples/train.jsonl.
    Leaves the model in the mode for inference.
    """
    examples = tokens.validation[: job.config.trainer.samples]
    if not examples:
        return {}
    by_id = {row.id: row for row in job.plan.run_rows.validation}
    rows = [by_id[example.id] for example in examples]
    made.set_mode(loaded, "infer")
    advance = job.advance
    if step is None:
        job.stage("answering", total=len(rows), unit="prompt")
    generator = make_generator(job, made, loaded, tokens, SAMPLE_TOKENS)
    prompts, seed = [example.prompt for example in examples], job.config.seed
    samples = answer_rows(generator, rows, prompts, seed, advance if step is None else _ignore).samples
    name = "train" if step is None else f"train-{step}"
    write_samples(job.attempt / "samples" / f"{name}.jsonl", samples)
    if step is not None:
        question, answer = (shorten(text, SHOWN, placeholder="…") for text in (samples[0].question, samples[0].answer))
        job.note(f"step {step}: {question} → {answer or '(an empty answer)'}")
    return generator.in_effect()


def _ignore(done: int) -> None:
    """The bar counts steps meanwhile."""
