"""The embedded models for real: made once, whole or not at all, under their terms, and they speak."""

from __future__ import annotations

import json
import signal
import sys
import time
from pathlib import Path

import pytest
from conftest import PREFIX, run_cli, started

from ohlora.models.folder import MARKER, is_prepared

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory whose model was interrupted in the middle, then prepared."""
    cwd = tmp_path_factory.mktemp("embedded")
    ask = ("task=prepare", "model.accept_license=true")
    with started(sys.executable, "-m", "ohlora.run", *ask, PREFIX, cwd=cwd) as process:
        assert process.stderr
        for line in process.stderr:
            if "dequantising" in line:
                break
        process.send_signal(signal.SIGKILL)
    assert not (cwd / "models" / "gemma3-270m").exists()
    time.sleep(0.5)  # the orphan has gone by now and with it its lock
    ran = run_cli(*ask, cwd=cwd)
    assert ran.code == 0, ran.err
    assert (cwd / "models" / "gemma3-270m" / "NOTICE").read_text().startswith("Gemma is provided under and subject to")
    return cwd


@pytest.fixture(scope="module")
def smol(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory with SmolLM2 in it, whose licence nobody has to accept."""
    cwd = tmp_path_factory.mktemp("smol")
    ran = run_cli("task=prepare", "model=smollm2-135m-instruct", cwd=cwd)
    assert ran.code == 0, ran.err
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
    turn = tokenizer("<start_of_turn>user\nhi<end_of_turn>\n")["input_ids"]
    assert turn == [2, 105, 2364, 107, 2202, 106, 107]
    assert tokenizer.decode(turn, skip_special_tokens=True) == "user\nhi\n"


def test_prepared_is_prepared(home: Path) -> None:
    before = (home / "models" / "gemma3-270m" / "model.safetensors").stat().st_mtime_ns
    ran = run_cli("task=prepare", "model.accept_license=true", cwd=home)
    assert ran.code == 0
    assert (home / "models" / "gemma3-270m" / "model.safetensors").stat().st_mtime_ns == before


@pytest.mark.parametrize("backend", ["hf", "unsloth"])
def test_it_learns_and_speaks(home: Path, backend: str) -> None:
    arguments = ["task=train", f"backend={backend}", "trainer=smoke", "trainer.max_steps=6", "tracking=none"]
    arguments.append("model.accept_license=true")
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


def test_smollm2_is_whole_and_ends_its_answers(smol: Path) -> None:
    from transformers import AutoTokenizer, GenerationConfig

    folder = smol / "models" / "smollm2-135m-instruct"
    assert is_prepared(folder)
    marker = json.loads((folder / MARKER).read_text())
    assert (marker["quantisation"], marker["licence"]) == ("dequantised from Q4_1", "apache-2.0")
    assert "Apache License" in (folder / "LICENSE").read_text() and "Q4_1" in (folder / "NOTICE").read_text()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    special = (tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token, tokenizer.unk_token)
    assert special == ("<|im_start|>", "<|im_end|>", "<|im_end|>", "<|endoftext|>")
    settings = GenerationConfig.from_pretrained(folder)
    assert settings.eos_token_id == tokenizer.eos_token_id == settings.pad_token_id == 2


def test_the_tokenizer_is_smollms(smol: Path) -> None:
    """Digits stand alone, blanks before them too: transformers' own reading of the GGUF joins one blank to a digit."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(smol / "models" / "smollm2-135m-instruct")
    for text, pieces in (
        ("The capital of France is", ["The", "Ġcapital", "Ġof", "ĠFrance", "Ġis"]),
        ("x   42", ["x", "ĠĠĠ", "4", "2"]),
        ("a\n\n<|im_end|>", ["a", "ĊĊ", "<|im_end|>"]),
    ):
        assert tokenizer.convert_ids_to_tokens(tokenizer(text)["input_ids"]) == pieces
    korean = tokenizer("오로라는 따뜻해요")["input_ids"]
    assert tokenizer.decode(korean) == "오로라는 따뜻해요"


def test_smollm2s_facts_are_its_options(smol: Path) -> None:
    """Its option says size and shape before the weights are there."""
    from ohlora.config.compose import compose_config
    from ohlora.models.weights import parameters_m
    from ohlora.planning.validate import validate

    model = validate(compose_config(["model=smollm2-135m-instruct"])).model
    folder = smol / "models" / "smollm2-135m-instruct"
    read = json.loads((folder / "config.json").read_text())
    assert model.shape and model.context == read["max_position_embeddings"]
    assert parameters_m(folder) == model.params_m and [model.architecture] == read["architectures"]
    keys = {"layers": "num_hidden_layers", "heads": "num_attention_heads", "kv_heads": "num_key_value_heads"}
    keys["tied_embeddings"] = "tie_word_embeddings"
    assert all(read[keys.get(key, key)] == value for key, value in vars(model.shape).items())


@pytest.mark.parametrize("backend", ["hf", "unsloth"])
def test_smollm2_knows_france(smol: Path, backend: str) -> None:
    ask = ("task=infer", "model=smollm2-135m-instruct", f"backend={backend}", "generation=natural", "tracking=none")
    ran = run_cli(*ask, 'generation.ask=["What is the capital of France?"]', cwd=smol)
    assert ran.code == 0, ran.err
    assert "A: The capital of France is Paris." in ran.out
