"""Tiny random models of the real classes, with tokenizers like theirs; made once for all tests of a process."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CHAT_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<start_of_turn>{{ 'model' if m.role == 'assistant' else m.role }}\n"
    "{{ m.content }}<end_of_turn>\n{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)


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
