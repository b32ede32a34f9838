"""Fixtures of all tests: the command line in this process or in a real one, and tiny models of the real classes."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import checkout
import forked
import pytest

CHAT_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<start_of_turn>{{ 'model' if m.role == 'assistant' else m.role }}\n"
    "{{ m.content }}<end_of_turn>\n{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)


# Before a child's command: it is forked from a process that has its libraries, see forked.py.
FORKED = [sys.executable, "-I", "-S", str(Path(__file__).with_name("forked.py"))]
PREFIX = f"launch.prefix=[{','.join(FORKED)}]"


def pytest_configure(config: pytest.Config) -> None:
    """A folder that all test processes share; one thread each, since they share the cores too."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if not hasattr(config, "workerinput"):
        os.environ[forked.FOLDER] = tempfile.mkdtemp(prefix="ohlora-tests-")
        os.environ[forked.OWNER] = json.dumps([os.getpid(), forked.import_env()])


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        shutil.rmtree(os.environ.pop(forked.FOLDER))  # the fork servers end with it


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """A test marked `alone` waits until the other test processes are between two tests, and they wait for it."""
    folder = os.environ[forked.FOLDER]
    with open(f"{folder}/door", "w") as door, open(f"{folder}/room", "w") as room:  # noqa: PTH123
        fcntl.flock(door, fcntl.LOCK_EX)  # nobody passes who waits behind one that wants the room for itself
        fcntl.flock(room, fcntl.LOCK_EX if item.get_closest_marker("alone") else fcntl.LOCK_SH)
        fcntl.flock(door, fcntl.LOCK_UN)
        return (yield)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """GPU tests run where there is a GPU."""
    marked = [item for item in items if item.get_closest_marker("gpu")]  # keywords hold the folders' names too
    if not marked:
        return
    import torch

    if not torch.cuda.is_available():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="no CUDA device here"))


@pytest.fixture(scope="session", autouse=True)
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The checkout's results, models and MLflow store are out of reach; gives the file that names what touched them."""
    touched, before = tmp_path_factory.mktemp("guard") / "touched.txt", Path.cwd()
    checkout.guard(touched)
    os.chdir(tmp_path_factory.mktemp("nowhere"))  # where fixtures of a whole session or module begin
    yield touched
    os.chdir(before)
    del os.environ[checkout.TOUCHED]


@pytest.fixture(autouse=True)
def own_folder(guarded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test works in a folder of its own; one that touched the checkout fails, whatever swallowed the error."""
    monkeypatch.chdir(tmp_path)
    yield
    if guarded.exists():
        told = guarded.read_text()
        guarded.unlink()
        pytest.fail(f"the checkout was touched: {told}", pytrace=False)


@dataclass
class Ran:
    code: int
    out: str
    err: str


@pytest.fixture
def ohlora(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """`python -m ohlora.run …` in this process, in an empty working directory."""
    monkeypatch.delenv("OHLORA_STUDY", raising=False)
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)

    accept_licences(tmp_path)

    def call(*arguments: str) -> Ran:
        from ohlora import run

        monkeypatch.delenv("OHLORA_STUDY", raising=False)
        monkeypatch.setattr(sys, "argv", ["ohlora", *arguments])
        code = run.main()
        printed = capsys.readouterr()
        return Ran(code, printed.out, printed.err)

    return call


def accept_licences(cwd: Path) -> None:
    """As after somebody has accepted every licence in this working directory."""
    from ohlora.models.acceptance import REMEMBERED
    from ohlora.models.licences import LICENCES

    (cwd / "models").mkdir(exist_ok=True)
    record = {
        tag: {"version": entry.version, "accepted": "2026-01-01", "how": "test"} for tag, entry in LICENCES.items()
    }
    (cwd / "models" / REMEMBERED).write_text(json.dumps(record))


def run_cli(
    *arguments: str,
    cwd: Path,
    env: dict[str, str] | None = None,
    timeout: float = 300,
    accepting: bool = True,
    cold: bool = False,
) -> Ran:
    """`python -m ohlora.run …` as a user runs it: a process of its own; licences are accepted unless told otherwise.

    `cold`: it and its children import everything anew; else they are forked from processes that have.
    """
    if accepting:
        accept_licences(cwd)
    whole = {**os.environ, "HF_HUB_OFFLINE": "1", **(env or {})}
    forking = [] if cold else FORKED
    arguments = arguments if cold or "launch.prefix" in " ".join(arguments) else (*arguments, PREFIX)
    done = subprocess.run(
        [*forking, sys.executable, "-m", "ohlora.run", *arguments],
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
    """A process that will be signalled: it takes SIGINT even where we were started with it ignored, as by `nohup`.

    Licences are accepted.
    """
    accept_licences(cwd)

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
def made_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database with its tables and nothing in them, which take seconds to make."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    folder = tmp_path_factory.mktemp("store")
    store = SqlAlchemyStore(f"sqlite:///{folder / 'mlflow.db'}", str(folder / "mlruns"))
    store.engine.dispose()
    return folder / "mlflow.db"


@pytest.fixture
def empty_store(own_folder: None, made_store: Path) -> None:
    """A copy of it in the test's folder, where a run looks for its store."""
    shutil.copy(made_store, "mlflow.db")


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


CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SIZES = {
    "vocab_size": 264, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 2,
    "max_position_embeddings": 1024,
}  # fmt: skip
GROUPED = {**SIZES, "num_key_value_heads": 1, "head_dim": 32}
GEMMA_IDS = {"bos_token_id": 2, "eos_token_id": 1, "pad_token_id": 0}
BYTES_IDS = {"bos_token_id": 256, "eos_token_id": 256}
# Name -> transformers' class without its ending, what its config is given, the folder's tokenizer.
TINY: dict[str, tuple[str, dict[str, Any], str]] = {
    "gemma": ("Gemma", {**GROUPED, **GEMMA_IDS}, "gemma"),
    "gemma2": ("Gemma2", {**GROUPED, **GEMMA_IDS, "sliding_window": 64}, "gemma"),
    "gemma3": ("Gemma3", {**GROUPED, **GEMMA_IDS, "sliding_window": 64}, "gemma"),
    "llama": ("Llama", {**GROUPED, **GEMMA_IDS}, "gemma"),
    "qwen2": ("Qwen2", {**SIZES, "num_key_value_heads": 1, "eos_token_id": 258}, "chatml"),
    "qwen3": ("Qwen3", {**GROUPED, "eos_token_id": 258}, "chatml"),
    "gpt_neox": ("GPTNeoX", {**SIZES, **BYTES_IDS}, "polyglot"),
    # Rescaled after every layer, as a real one is after every sixth.
    "rwkv": (
        "Rwkv",
        {"vocab_size": 264, "hidden_size": 64, "num_hidden_layers": 3, "rescale_every": 1, **BYTES_IDS},
        "polyglot",
    ),
}


def bytes_tokenizer(folder: Path, chat_template: str | None) -> None:
    """A byte-level tokenizer without BOS and PAD, as polyglot-ko's; with a template EOS is `<|im_end|>`, as Qwen's."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    end, specials = "<|endoftext|>", ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {piece: index for index, piece in enumerate([*alphabet, *specials])}
    made = Tokenizer(models.BPE(vocab=vocab, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens(specials)
    eos = "<|im_end|>" if chat_template else end
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=made, eos_token=eos, bos_token=end, unk_token=end)
    tokenizer.chat_template = chat_template
    tokenizer.save_pretrained(folder)


@pytest.fixture(scope="session")
def tiny_model(tiny_tokenizer: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A folder with a tiny random model of this architecture, one of TINY."""
    import torch
    import transformers

    made: dict[str, Path] = {}

    def make(name: str) -> Path:
        if name not in made:
            cls, sizes, tokenizer = TINY[name]
            config = getattr(transformers, f"{cls}TextConfig" if name == "gemma3" else f"{cls}Config")
            torch.manual_seed(0)
            folder = tmp_path_factory.mktemp(name)
            model = getattr(transformers, f"{cls}ForCausalLM")(config(**sizes))
            if tokenizer == "gemma":
                model.generation_config.eos_token_id = [1, 6]
                for path in tiny_tokenizer.iterdir():
                    shutil.copy(path, folder)
            else:
                bytes_tokenizer(folder, CHATML if tokenizer == "chatml" else None)
            model.save_pretrained(folder)
            made[name] = folder
        return made[name]

    return make


@pytest.fixture
def read_json() -> Callable[[Path], dict]:
    return lambda path: json.loads(path.read_text("utf-8"))
