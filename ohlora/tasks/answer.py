"""The last phase of task=selection: the fine-tuned model answers held-out questions, and its answers are scored.

python -m ohlora.worker <attempt> --phase answer
"""

from __future__ import annotations

from math import isfinite

from ohlora.config.choices import TrainOn
from ohlora.data.rows import Row
from ohlora.data.shapes import ASSISTANT
from ohlora.data.tokens import IGNORED, Tokens
from ohlora.errors import UserError
from ohlora.files import read_json, sha256_of
from ohlora.generation.batches import merge_adapter
from ohlora.measure.quality import bits_per_character, quality
from ohlora.records.samples import write_samples
from ohlora.tasks.asking import answer_rows, encode_prompts, make_generator
from ohlora.tasks.job import Job
from ohlora.tasks.loading import load, record_memory


def run(job: Job) -> None:
    """Generate answers to their natural end; write samples/answer.jsonl and the `quality/…` metrics."""
    plan = job.plan
    adapter = job.attempt / "adapter"
    if not (adapter / "adapter_config.json").is_file():
        raise UserError(f"{adapter}: no adapter found; run the phase train of this attempt first")
    rows = plan.held_out
    made, loaded, tokens, memory = load(job, "infer", adapter)
    merged = merge_adapter(loaded.model)
    generator = make_generator(job, made, loaded, tokens, plan.config.generation.max_new_tokens)
    job.stage("answering", total=len(rows), unit="prompt")
    with memory.phase("answer"):
        samples = answer_rows(generator, rows, encode_prompts(plan, rows), plan.config.seed, job.advance).samples
    job.record.effective[job.phase] |= {**generator.in_effect(), "adapter_merged": merged}
    write_samples(job.attempt / "samples" / "answer.jsonl", samples)
    job.record.hashes["questions"] = sha256_of(row.tokenised() for row in rows)
    for key, value in (quality(samples) | _bits(job, tokens)).items():
        job.metric(key, value)
    record_memory(job, memory)


def _bits(job: Job, tokens: Tokens) -> dict[str, float]:
    """The evaluation loss of this attempt's training per character; absent if a row was cut or none evaluated."""
    rows = job.plan.run_rows.validation
    try:
        loss = float(read_json(job.attempt / "phases" / "train.json")["metrics"]["eval/eval_loss"])
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    if not rows or {row.id for row in rows} & set(tokens.truncated) or not isfinite(loss):
        return {}
    count = sum(label != IGNORED for example in tokens.validation for label in example.labels[1:])
    return {
        "eval/eval_bits_per_char": bits_per_character(
            loss, count, [_answers(row, job.config.data.train_on) for row in rows]
        )
    }


def _answers(row: Row, train_on: TrainOn) -> str:
    """All text of a row that has loss."""
    earlier = row.history if train_on is TrainOn.all else ()
    return "".join(turn.text for turn in earlier if turn.role == ASSISTANT) + row.response
