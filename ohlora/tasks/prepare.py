"""python -m ohlora.run task=prepare model=gemma3-270m: weights, tokenizer and terms into `<models>/<name>`."""

from __future__ import annotations

from ohlora.models import adapters
from ohlora.models.folder import is_in_place
from ohlora.models.prepare import check_in_place, prepare
from ohlora.tasks.job import Job


def run(job: Job) -> None:
    """Make what this run lacks. A model's folder that is used where it lies is checked when that is what was asked."""
    config = job.config
    if not is_in_place(config):
        prepare(config, job)
    elif config.task.name == "prepare":
        check_in_place(config, job)
    adapters.fetch(config, job)
