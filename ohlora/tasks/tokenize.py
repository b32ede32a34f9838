"""Tokenise a run's rows once with the plain tokenizer; all arms share the token file."""

from __future__ import annotations

from ohlora.config.choices import Overlong
from ohlora.data.fitting import require_fit
from ohlora.data.template_checks import check_template
from ohlora.data.tokens import encode, load_tokenizer, save_tokens
from ohlora.tasks.job import Job


def run(job: Job) -> None:
    """Write the token file, unless another run has done so."""
    config, folder = job.config, job.plan.model_folder
    if job.plan.tokens_path.is_file():
        return
    job.stage("tokenising")
    tokenizer, stop_ids = load_tokenizer(folder, config.model)
    for note in check_template(tokenizer, config.model, folder, stop_ids):
        job.note(f"model.name={config.model.name}: {note}")
    tokens = encode(
        tokenizer, job.plan.run_rows, config.model, config.trainer.max_length, stop_ids, config.data.train_on,
        config.data.overlong,
    )  # fmt: skip
    for line in job.plan.files.notes(config.data).lines():
        job.note(f"data: {line}")
    if tokens.truncated:
        done = "left out" if config.data.overlong is Overlong.drop else "cut, each with its end-of-answer token"
        job.note(
            f"data: {len(tokens.truncated)} rows longer than trainer.max_length={config.trainer.max_length}: {done}"
        )
    require_fit(tokens, folder, config.model)
    save_tokens(tokens, job.plan.tokens_path)
