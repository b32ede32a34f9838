"""Tokenizers rebuilt from a GGUF's own fields, because transformers reads these GGUFs wrongly."""

from __future__ import annotations

from typing import Any

SPECIAL, WHOLE = 3, 4  # token types in a GGUF: control tokens, and text that is matched before any merge


def gemma(fields: Any) -> Any:
    """Gemma's, with the merges rebuilt from the scores, BOS added by a template, and its own tokens kept whole.

    transformers reads it as Unigram without BOS: "capital" -> c·ap·it·al, and the model writes nonsense. Without the
    token types `<start_of_turn>` becomes seven pieces instead of id 105.
    """
    from tokenizers import processors
    from transformers import GemmaTokenizer
    from transformers.tokenization_utils_tokenizers import generate_merges

    pieces = fields["tokenizer.ggml.tokens"].contents()
    scores = fields["tokenizer.ggml.scores"].contents()
    vocab = {piece: index for index, piece in enumerate(pieces)}
    tokenizer = GemmaTokenizer(vocab=vocab, merges=generate_merges(vocab, dict(zip(pieces, scores, strict=True))))
    tokenizer.backend_tokenizer.add_special_tokens(_added(fields, SPECIAL))
    tokenizer.backend_tokenizer.add_tokens(_added(fields, WHOLE))
    bos = tokenizer.bos_token
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A", pair=f"{bos} $A {bos} $B", special_tokens=[(bos, tokenizer.bos_token_id)]
    )
    return tokenizer


def smollm(fields: Any) -> Any:
    """SmolLM's byte-level BPE: every digit is a token; <|im_end|> ends answers and is also the padding.

    transformers reads its EOS as <|im_start|>, finds no PAD, and joins a digit with the space before it.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    pieces = fields["tokenizer.ggml.tokens"].contents()
    merges = [tuple(merge.split(" ")) for merge in fields["tokenizer.ggml.merges"].contents()]
    vocab = {piece: index for index, piece in enumerate(pieces)}
    unknown = pieces[fields["tokenizer.ggml.unknown_token_id"].contents()]
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges, unk_token=unknown))
    digits = pre_tokenizers.Digits(individual_digits=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(_added(fields, SPECIAL))
    end = pieces[fields["tokenizer.ggml.eos_token_id"].contents()]
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=pieces[fields["tokenizer.ggml.bos_token_id"].contents()],
        eos_token=end,
        pad_token=end,
        unk_token=unknown,
        chat_template=fields["tokenizer.chat_template"].contents(),
        model_max_length=fields["llama.context_length"].contents(),
        clean_up_tokenization_spaces=False,
        padding_side="right",
    )


def _added(fields: Any, kind: int) -> list[Any]:
    """The tokens of this type as they are added to a tokenizer: matched in the raw text, never split."""
    from tokenizers import AddedToken

    pieces, kinds = (fields[f"tokenizer.ggml.{name}"].contents() for name in ("tokens", "token_type"))
    return [
        AddedToken(piece, special=kind == SPECIAL, normalized=False)
        for piece, found in zip(pieces, kinds, strict=True)
        if found == kind
    ]
