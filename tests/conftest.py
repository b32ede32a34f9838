"""Fixtures of all tests: the command line in this process or in a real one, and tiny models of the real classes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

CHAT_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<start_of_turn>{{ 'model' if m.role == 'assistant' else m.role }}\n"
    "{{ m.content }}<end_of_turn>\n{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """GPU tests run where there is a GPU."""
    if not any("gpu" in item.keywords for item in items):
        return
    import torch

    if not torch.cuda.is_available():
        for item in items:
            if "gpu" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="no CUDA device here"))


@dataclass
class Ran:
    code: int
    out: str
    err: str


@pytest.fixture
def ohlora(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """`python -m ohlora.run …` in this process, in an empty working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OHLORA_STUDY", raising=False)
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)

    def call(*arguments: str) -> Ran:
        from ohlora import run

        monkeypatch.delenv("OHLORA_STUDY", raising=False)
        monkeypatch.setattr(sys, "argv", ["ohlora", *arguments])
        code = run.main()
        printed = capsys.readouterr()
        return Ran(code, printed.out, printed.err)

    return call


def run_cli(*arguments: str, cwd: Path, env: dict[str, str] | None = None, timeout: float = 300) -> Ran:
    """`python -m ohlora.run …` as a user runs it: a process of its own."""
    whole = {**os.environ, "HF_HUB_OFFLINE": "1", **(env or {})}
    done = subprocess.run(
        [sys.executable, "-m", "ohlora.run", *arguments],
        cwd=cwd,
        env=whole,
        timeout=timeout,
        capture_output=True,
        text=True,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


@contextlib.contextmanager
def started(*command: str, cwd: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that will be signalled: it takes SIGINT even where we were started with it ignored, as by `nohup`."""

    def take_sigint() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    pipe = subprocess.PIPE
    process = subprocess.Popen(command, cwd=cwd, stdout=pipe, stderr=pipe, text=True, preexec_fn=take_sigint)  # noqa: PLW1509
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def tiny_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small Gemma tokenizer: byte fallback, BOS, turns and a chat template."""
    from tokenizers import processors
    from transformers import GemmaTokenizer

    vocab = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "<start_of_turn>", "<end_of_turn>"]
    vocab += ["▁", *(f"<0x{value:02X}>" for value in range(256))]
    tokenizer = GemmaTokenizer(vocab={piece: index for index, piece in enumerate(vocab)}, merges=[])
    tokenizer.add_special_tokens({"additional_special_tokens": ["<start_of_turn>", "<end_of_turn>"]})
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<bos> $A", special_tokens=[("<bos>", tokenizer.bos_token_id)]
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    folder = tmp_path_factory.mktemp("tokenizer")
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_model(tiny_tokenizer: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A folder with a tiny random model of this architecture: gemma2 or gemma3."""
    import shutil

    import torch
    from transformers import Gemma2Config, Gemma2ForCausalLM, Gemma3ForCausalLM, Gemma3TextConfig

    made: dict[str, Path] = {}
    sizes = {
        "vocab_size": 264, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 2,
        "num_key_value_heads": 1, "head_dim": 32, "max_position_embeddings": 1024, "sliding_window": 64,
        "bos_token_id": 2, "eos_token_id": 1, "pad_token_id": 0,
    }  # fmt: skip
    classes = {"gemma2": (Gemma2Config, Gemma2ForCausalLM), "gemma3": (Gemma3TextConfig, Gemma3ForCausalLM)}

    def make(name: str) -> Path:
        if name not in made:
            config, cls = classes[name]
            torch.manual_seed(0)
            folder = tmp_path_factory.mktemp(name)
            model = cls(config(**sizes))
            model.generation_config.eos_token_id = [1, 6]
            model.save_pretrained(folder)
            for path in tiny_tokenizer.iterdir():
                shutil.copy(path, folder)
            made[name] = folder
        return made[name]

    return make


@pytest.fixture
def read_json() -> Callable[[Path], dict]:
    return lambda path: json.loads(path.read_text("utf-8"))
