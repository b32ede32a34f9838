"""The embedded model for real: made once, whole or not at all, under Gemma's terms, and it speaks."""

from __future__ import annotations

import json
import signal
import sys
import time
from pathlib import Path

import pytest
from conftest import run_cli, started

from ohlora.models.folder import MARKER, is_prepared

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory whose model was interrupted in the middle, then prepared."""
    cwd = tmp_path_factory.mktemp("embedded")
    with started(sys.executable, "-m", "ohlora.run", "task=prepare", cwd=cwd) as process:
        assert process.stderr
        for line in process.stderr:
            if "dequantising" in line:
                break
        process.send_signal(signal.SIGKILL)
    assert not (cwd / "models" / "gemma3-270m").exists()
    time.sleep(0.5)  # the orphan has gone by now and with it its lock
    ran = run_cli("task=prepare", cwd=cwd)
    assert ran.code == 0, ran.err
    assert "Gemma is provided under and subject to the Gemma Terms of Use" in ran.err
    return cwd


def test_the_folder_is_whole_and_carries_the_terms(home: Path) -> None:
    folder = home / "models" / "gemma3-270m"
    assert is_prepared(folder)
    assert not list((home / "models").glob(".*.partial"))
    names = {path.name for path in folder.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "GEMMA_TERMS.html", "NOTICE", MARKER} <= names
    marker = json.loads((folder / MARKER).read_text())
    assert (marker["source"], marker["quantisation"], marker["licence"]) == (
        "embedded",
        "dequantised from Q4_K_M",
        "gemma",
    )


def test_the_tokenizer_is_gemmas(home: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(home / "models" / "gemma3-270m")
    pieces = tokenizer.convert_ids_to_tokens(tokenizer("The capital of France is")["input_ids"])
    assert pieces == ["<bos>", "The", "▁capital", "▁of", "▁France", "▁is"]
    korean = tokenizer("오로라는 따뜻해요")["input_ids"]
    assert tokenizer.decode(korean, skip_special_tokens=True) == "오로라는 따뜻해요"


def test_prepared_is_prepared(home: Path) -> None:
    before = (home / "models" / "gemma3-270m" / "model.safetensors").stat().st_mtime_ns
    ran = run_cli("task=prepare", cwd=home)
    assert ran.code == 0
    assert (home / "models" / "gemma3-270m" / "model.safetensors").stat().st_mtime_ns == before


@pytest.mark.parametrize("backend", ["hf", "unsloth"])
def test_it_learns_and_speaks(home: Path, backend: str) -> None:
    arguments = ["task=train", f"backend={backend}", "trainer=smoke", "trainer.max_steps=6", "tracking=none"]
    ran = run_cli(*arguments, f"hydra.run.dir={backend}", cwd=home)
    assert ran.code == 0, ran.err
    result = json.loads((home / backend / "result.json").read_text())
    lines = [json.loads(line) for line in (home / backend / "attempt-1" / "metrics.jsonl").read_text().splitlines()]
    losses = [line["value"] for line in lines if line["key"] == "train/loss"]
    assert losses[0] < 6 and result["metrics"]["eval/eval_loss"] < losses[0]
    assert result["model"]["label"] == "gemma-3-270m (base), dequantised from Q4_K_M"
    adapter = home / backend / "attempt-1" / "adapter"
    assert (adapter / "GEMMA_TERMS.html").is_file() and (adapter / "NOTICE").is_file()


def test_both_back_ends_learned_the_same(home: Path) -> None:
    hf, unsloth = (json.loads((home / name / "result.json").read_text()) for name in ("hf", "unsloth"))
    for key in ("tokens", "batches", "adapter_init"):
        assert hf["hashes"][key] == unsloth["hashes"][key]
    assert hf["metrics"]["eval/eval_loss"] == pytest.approx(unsloth["metrics"]["eval/eval_loss"], rel=1e-3)
