"""python -m ohlora.run task=prepare model=gemma3-270m: weights, tokenizer and terms into `<models>/<name>`."""

from __future__ import annotations

from ohlora.models import adapters
from ohlora.models.prepare import check_in_place, prepare
from ohlora.models.retokenise import renew
from ohlora.planning.plan import AGAINST
from ohlora.tasks.job import Job


def run(job: Job) -> None:
    """Prepare what this run lacks. A model folder used in place is only checked, and only with task=prepare."""
    model = job.plan.model
    if not model.is_in_place:
        prepare(model, job)
        if job.config.task.name == "prepare":  # not in the middle of other runs
            renew(model, job)
    elif job.config.task.name == "prepare":
        check_in_place(model, job)
    adapters.fetch(job.config.adapter, model, job)
    adapters.require_fit(job.config.adapter, model, job.plan.adapter_folder)
    adapters.fetch(job.config.judge.against, model, job, AGAINST)
    adapters.require_fit(job.config.judge.against, model, job.plan.against_folder, AGAINST)
