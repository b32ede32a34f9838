"""python -m ohlora.run task=prepare model=gemma3-270m: weights, tokenizer and terms into `<models>/<name>`."""

from __future__ import annotations

from ohlora.job import Job
from ohlora.models.prepare import prepare


def run(job: Job) -> None:
    """Make the model's folder unless it is there and whole. A folder given by `model.path` is the user's own."""
    if not job.config.model.path:
        prepare(job.config, job.stage)
