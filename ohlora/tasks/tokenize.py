"""Token ids and labels of a run's rows, made once by the plain tokenizer and shared by all arms."""

from __future__ import annotations

from ohlora.data import tokens as token_files
from ohlora.data.rows import run_rows
from ohlora.files import read_json
from ohlora.models.folder import model_folder
from ohlora.tasks.job import Job


def run(job: Job) -> None:
    """Write the token file unless another run has."""
    from transformers import AutoTokenizer

    config, folder = job.config, model_folder(job.config)
    selection = run_rows(config)
    path = token_files.tokens_path(config, folder, selection)
    if path.is_file():
        return
    job.stage("tokenising")
    tokenizer = AutoTokenizer.from_pretrained(
        folder, local_files_only=True, trust_remote_code=config.model.remote_code is not None
    )
    stops: int | list[int] = []
    if (folder / "generation_config.json").is_file():
        stops = read_json(folder / "generation_config.json").get("eos_token_id") or []
    tokens = token_files.encode(tokenizer, selection, config, [stops] if isinstance(stops, int) else stops)
    token_files.save(tokens, path)
