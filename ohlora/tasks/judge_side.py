"""One side of a judgement answers: the first (the base model, or judge.against), then in another process the second.

python -m ohlora.worker <attempt> --phase judge_first
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ohlora.config.tasks import JUDGE_SECOND
from ohlora.errors import UserError
from ohlora.files import sha256_of
from ohlora.generation.batches import merge_adapter
from ohlora.judge.probe import read_probe
from ohlora.planning.plan import Plan
from ohlora.records.samples import write_samples
from ohlora.tasks.asking import answer_rows, encode_prompts, make_generator
from ohlora.tasks.job import Job
from ohlora.tasks.loading import load, record_memory


def run(job: Job) -> None:
    """Answer the run's questions and those of the probe, once a seed; write samples/<phase>[-<seed>].jsonl."""
    plan, config = job.plan, job.config
    adapter = find_side_adapter(plan, job.attempt, job.phase == JUDGE_SECOND.name)
    job.plan = replace(plan, config=replace(config, adapter=str(adapter) if adapter else None))
    rows = [*plan.run_rows.prompts, *read_probe()]
    made, loaded, tokens, memory = load(job, "infer")
    merged = merge_adapter(loaded.model)
    generator = make_generator(
        job, made, loaded, tokens, config.generation.max_new_tokens, size=config.generation.batch
    )
    prompts = encode_prompts(plan, rows)
    with memory.phase(job.phase):
        for seed in list_seeds(plan):
            job.stage("answering" if seed is None else f"answering, seed {seed}", total=len(rows), unit="prompt")
            answers = answer_rows(generator, rows, prompts, config.seed if seed is None else seed, job.advance)
            write_samples(samples_path(job.attempt, job.phase, seed), answers.samples)
    job.record.effective[job.phase] |= {**generator.in_effect(), "adapter_merged": merged}
    job.record.hashes["questions"] = sha256_of(row.tokenised() for row in rows)
    record_memory(job, memory)


def find_side_adapter(plan: Plan, attempt: Path, second: bool) -> Path | None:
    """The adapter of a side; None for the base model.

    Raises:
        UserError: the phase train of this attempt has saved none.
    """
    if not second:
        return plan.against_folder
    if not plan.task.trains:
        return plan.adapter_folder
    adapter = attempt / "adapter"
    if not (adapter / "adapter_config.json").is_file():
        raise UserError(f"{adapter}: no adapter found; run the phase train of this attempt first")
    return adapter


def list_seeds(plan: Plan) -> list[int | None]:
    """The seeds of drawn answers; [None] for an answer without chance."""
    config = plan.config
    return [*config.judge.seeds] or [config.seed] if config.decoding.do_sample else [None]


def samples_path(attempt: Path, phase: str, seed: int | None) -> Path:
    return attempt / "samples" / (f"{phase}.jsonl" if seed is None else f"{phase}-{seed}.jsonl")
