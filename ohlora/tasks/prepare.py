"""python -m ohlora.run task=prepare model=gemma3-270m: weights, tokenizer and terms into `<models>/<name>`."""

from __future__ import annotations

from ohlora.job import Job
from ohlora.models.folder import model_folder
from ohlora.models.prepare import prepare


def run(job: Job) -> None:
    """Make the model's folder unless it is there and whole. A folder given by `model.path` is the user's own."""
    folder = model_folder(job.config) if job.config.model.path else prepare(job.config, job.stage)
    job.record.effective["folder"] = str(folder)
