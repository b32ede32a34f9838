"""A model that is like polyglot-ko (no chat template, no PAD, EOS `<|endoftext|>`) learns to stop by itself.

Run: python -m pytest tests/integration/test_stops.py
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Ran

from ohlora.data.tokens import IGNORED
from ohlora.files import read_jsonl
from ohlora.training.batches import Collator

EOS = 256
# Of unlike length, so that batches are padded; the last fifth is validation.
ROWS = [("a", "one"), ("bb", "two, too"), ("c", "three of them"), ("dd", "4"), ("e", "five")]
TRAINED = ROWS[:4]
LONGEST = 24  # new tokens at most; the longest answer has 13 bytes


@pytest.fixture(scope="module")
def teachable(tiny_model: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with larger frozen weights at both ends: with those it was made with no logit stands out."""
    from transformers import GPTNeoXForCausalLM

    folder = tmp_path_factory.mktemp("teachable") / "model"
    shutil.copytree(tiny_model("gpt_neox"), folder)
    model = GPTNeoXForCausalLM.from_pretrained(folder)
    model.gpt_neox.embed_in.weight.data *= 25
    model.lm_head.weight.data *= 25
    model.save_pretrained(folder)
    return folder


@pytest.fixture
def taught(ohlora: Callable[..., Ran], teachable: Path, tmp_path: Path) -> tuple[Callable[..., dict[str, Any]], Path]:
    """A function that runs a task on these rows in this process and gives its result; the folder of its run."""
    rows = tmp_path / "rows.jsonl"
    lines = [
        {"prompt": prompt, "response": answer, "split": "train" if (prompt, answer) in TRAINED else "validation"}
        for prompt, answer in ROWS
    ]
    rows.write_text("".join(json.dumps(line) + "\n" for line in lines))
    fixed = [
        "backend=hf", "launch.isolate=false", "tracking=none", "model=local", f"model.path={teachable}",
        "model.accept_license=true", "model.prompt_format=plain", "model.prompt_template='Q: {prompt}\nA: '",
        "data=jsonl", f"data.path={rows}", "generation=natural", "generation.split=train",
        "generation.prompts=4", f"generation.max_new_tokens={LONGEST}", "trainer=sft", "trainer.samples=0",
        "model.dtype=float32",
    ]  # fmt: skip

    def run(folder: str, *arguments: str) -> dict[str, Any]:
        ran = ohlora(*fixed, *arguments, f"hydra.run.dir={tmp_path / folder}")
        assert ran.code == 0, ran.err
        read: dict[str, Any] = json.loads((tmp_path / folder / "result.json").read_text())
        return read

    return run, tmp_path


def answers(folder: Path) -> list[str]:
    return [line["answer"] for line in read_jsonl(folder / "attempt-1" / "samples" / "infer.jsonl")]


def test_it_learns_to_stop(taught: tuple[Callable[..., dict[str, Any]], Path]) -> None:
    run, folder = taught
    untrained = run("untrained", "task=infer")
    assert untrained["metrics"]["infer/generated_tokens"] == len(TRAINED) * LONGEST, "a random model stops at the limit"
    learned = run(
        "trained", "task=train", "trainer.epochs=40", "trainer.eval_rows=0", "trainer.batch_size=4",
        "trainer.learning_rate=1e-2", "lora=r64",
    )  # fmt: skip
    assert learned["metrics"]["train/train_loss"] < 0.1 < learned["parity"]["losses"][0]
    trained = run("answering", "task=infer", f"adapter={folder / 'trained'}", "lora=r64")
    assert answers(folder / "answering") == [answer for _, answer in TRAINED]
    said = sum(len(answer) + 1 for _, answer in TRAINED)  # a token a byte, and EOS
    assert trained["metrics"]["infer/generated_tokens"] == said < len(TRAINED) * LONGEST


def test_the_end_is_learned_once_a_row_though_padding_has_its_id(
    taught: tuple[Callable[..., dict[str, Any]], Path],
) -> None:
    run, folder = taught
    run("short", "task=train", "trainer.max_steps=1", "lora=r16")
    (file,) = (folder / "outputs" / ".tokens").glob("*.json")
    tokens = json.loads(file.read_text())
    assert tokens["pad_id"] == EOS and tokens["stop_ids"] == [EOS]
    rows = tokens["train"]
    assert len(rows) == len(TRAINED)
    for row in rows:
        assert row["labels"].count(EOS) == row["input_ids"].count(EOS) == 1
        assert row["labels"][-1] == row["input_ids"][-1] == EOS
    batch = Collator(tokens["pad_id"])([{key: row[key] for key in ("input_ids", "labels")} for row in rows])
    padded = batch["attention_mask"] == 0
    assert padded.any() and (batch["input_ids"][padded] == EOS).all() and (batch["labels"][padded] == IGNORED).all()
    assert ((batch["labels"] == EOS).sum(dim=1) == 1).all()
