"""Tokenizers rebuilt from a GGUF's own fields, because transformers reads these GGUFs wrongly."""

from __future__ import annotations

from typing import Any

SPECIAL = 3  # a token type in a GGUF: never produced from text


def gemma(fields: Any) -> Any:
    """Gemma's, with the merges rebuilt from the scores and BOS added by a template.

    transformers reads it as Unigram without BOS: "capital" -> c·ap·it·al, and the model writes nonsense.
    """
    from tokenizers import processors
    from transformers import GemmaTokenizer
    from transformers.tokenization_utils_tokenizers import generate_merges

    pieces = fields["tokenizer.ggml.tokens"].contents()
    scores = fields["tokenizer.ggml.scores"].contents()
    vocab = {piece: index for index, piece in enumerate(pieces)}
    tokenizer = GemmaTokenizer(vocab=vocab, merges=generate_merges(vocab, dict(zip(pieces, scores, strict=True))))
    bos = tokenizer.bos_token
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A", pair=f"{bos} $A {bos} $B", special_tokens=[(bos, tokenizer.bos_token_id)]
    )
    return tokenizer


def smollm(fields: Any) -> Any:
    """SmolLM's byte-level BPE: every digit is a token; <|im_end|> ends answers and is also the padding.

    transformers reads its EOS as <|im_start|>, finds no PAD, and joins a digit with the space before it.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    pieces = fields["tokenizer.ggml.tokens"].contents()
    merges = [tuple(merge.split(" ")) for merge in fields["tokenizer.ggml.merges"].contents()]
    vocab = {piece: index for index, piece in enumerate(pieces)}
    unknown = pieces[fields["tokenizer.ggml.unknown_token_id"].contents()]
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges, unk_token=unknown))
    digits = pre_tokenizers.Digits(individual_digits=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    kinds = fields["tokenizer.ggml.token_type"].contents()
    special = [piece for piece, kind in zip(pieces, kinds, strict=True) if kind == SPECIAL]
    tokenizer.add_special_tokens([AddedToken(piece, special=True, normalized=False) for piece in special])
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
