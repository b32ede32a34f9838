"""The rows of one run, selected from all rows of its file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from ohlora.config.choices import Keep, Split
from ohlora.config.schema import GenerationConfig, TrainerConfig
from ohlora.data.rows import Row
from ohlora.data.shares import select_share
from ohlora.errors import UserError


@dataclass(frozen=True)
class RunRows:
    """Rows for training, for evaluation, and as prompts."""

    train: list[Row]
    validation: list[Row]
    prompts: list[Row]


def select_rows(
    rows: list[Row],
    manifest: str | None,
    trainer: TrainerConfig,
    generation: GenerationConfig,
    trains: bool,
    seed: int = 0,
) -> RunRows:
    """Select a run's rows for training, evaluation and prompts from all rows of its file.

    With `data.manifest` its ids come first, in its order, so that `trainer.train_rows=20` is the user's test.
    `seed` draws `trainer.train_share`.

    Raises:
        UserError: none for prompts; if `trains`: fewer rows than requested, none for training, or none for an eval
            loss that is needed.
    """
    listed = _manifest(manifest)
    hint = (
        f" in the list data.manifest={manifest}"
        if listed
        else " (without a split column a fifth is drawn for validation)"
    )
    by_id = {row.id: row for row in rows}
    train = [row for row in rows if row.split == "train"]
    held_out = [row for row in rows if row.split == "validation"]
    validation = [row for row in held_out if row.response]  # the others are asked, and have no loss
    if trainer.train_rows is not None:
        chosen = [by_id[i] for i in listed.get("train", [])]
        wanted = trainer.train_rows if trains else min(trainer.train_rows, len(chosen or train))
        train = _first("trainer.train_rows", chosen or train, wanted, hint)
    if trainer.eval_rows is not None:
        chosen = [by_id[i] for i in listed.get("validation", [])]
        wanted = trainer.eval_rows if trains else min(trainer.eval_rows, len(chosen or validation))
        validation = _first("trainer.eval_rows", chosen or validation, wanted, hint)
        held_out = validation
    if trains and not train:
        raise UserError("data: no row has split train, so there is nothing to train on")
    train = select_share(train, trainer.train_share, seed)
    needing = list_eval_settings(trainer) if trains and not any(row.response for row in validation) else []
    if needing:
        raise UserError(
            f"{needing[0]}: needs the loss of validation rows, and the data have none with an answer; add rows with "
            "split validation, or remove " + ", ".join(setting.split("=")[0] for setting in needing)
        )
    prompts = _prompts(rows, train + held_out, generation)
    if not prompts:
        raise UserError("data: no row has split train or validation; give generation.split=test to use others")
    return RunRows(train, validation, prompts)


def list_eval_settings(trainer: TrainerConfig) -> list[str]:
    """The settings that need an eval loss, each as key=value."""
    found = ["trainer.keep=best"] if trainer.keep is Keep.best else []
    found += [f"trainer.patience={trainer.patience}"] if trainer.patience is not None else []
    return found + ([f"trainer.eval_every={trainer.eval_every}"] if trainer.eval_every is not None else [])


def select_held_out(rows: list[Row], count: int | None) -> list[Row]:
    """The first `count` rows of split test (null: all of them), or of split validation if there is no test row.

    Raises:
        UserError: every row is used for training.
    """
    for split in (Split.test.value, Split.validation.value):
        found = [row for row in rows if row.split == split]
        if found:
            return found[:count]
    raise UserError("data: no row has split test or validation, so the fine-tuned model has no new questions to answer")


def _prompts(rows: list[Row], used: list[Row], generation: GenerationConfig) -> list[Row]:
    if generation.ask:
        return [Row(f"ask-{n}", "test", "", text, "") for n, text in enumerate(generation.ask, 1)]
    split = generation.split
    if split is not None:
        used = [row for row in rows if row.split == split.value]
        if not used:
            have = sorted({row.split for row in rows})  # train before validation
            raise UserError(
                f"generation.split={split.value}: the data have no such rows; give generation.split={have[-1]}"
            )
    return used[: generation.prompts] if generation.prompts else used


def _first(key: str, rows: list[Row], count: int, hint: str) -> list[Row]:
    if count > len(rows):
        raise UserError(f"{key}={count}: there are only {len(rows)} such rows{hint}; null uses all of them")
    return rows[:count]


def _manifest(name: str | None) -> dict[str, list[str]]:
    if name is None:
        return {}
    path = Path(__file__).with_name(f"{name}.json")
    try:
        listed: dict[str, list[str]] = json.loads(path.read_text("utf-8"))
        return listed
    except OSError:
        raise UserError(f"data.manifest={name}: unknown list of ids; the shipped one is unsloth_test") from None
