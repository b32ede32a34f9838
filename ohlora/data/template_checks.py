"""Would this tokenizer and its template spoil a training? Found before a row is tokenised or a weight loaded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ohlora.config.schema import ModelConfig
from ohlora.data.conversations import MARK, NO_TEMPLATE, PLAIN_TEMPLATE, RENDERING, Format, encode_prompt, is_chat
from ohlora.data.fitting import find_vocabulary_note
from ohlora.data.rows import Row
from ohlora.data.shapes import ASSISTANT, USER
from ohlora.errors import UserError

# What templates write around turns: <|im_start|>, <start_of_turn>, </s>, [INST].
MARKER = re.compile(r"<\|[^|<>\s]{1,40}\|>|</?[A-Za-z]\w{0,40}>|\[/?[A-Z][A-Z_]{2,40}\]")
ASKED, ANSWERED = MARK.format(0), MARK.format(1)
PROBE = Row("probe", "train", "", "안녕?", "반가워요!")


def check_template(tokenizer: Any, model: ModelConfig, folder: Path, stop_ids: list[int]) -> list[str]:
    """Notes on a usable tokenizer; `stop_ids`: those of generation_config.json.

    Raises:
        UserError: with everything in the template that would spoil answers.
    """
    if found := find_template_problems(tokenizer, model):
        raise UserError(found)
    notes = [*find_template_notes(tokenizer, model, stop_ids), find_vocabulary_note(tokenizer, folder)]
    return [note for note in notes if note]


def find_template_problems(tokenizer: Any, model: ModelConfig) -> list[str]:
    """Everything in the prompt's template that would spoil answers; each message starts with the model's name."""
    key, chat = f"model.name={model.name}", is_chat(tokenizer, model)
    if chat and not getattr(tokenizer, "chat_template", None):
        return [NO_TEMPLATE]
    try:
        written = _render(tokenizer) if chat else model.prompt_template or PLAIN_TEMPLATE
    except Exception as error:  # templates raise jinja's own errors
        said = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        return [f"{key}: its chat template fails on a question and an answer ({said}); {_WAYS}"]
    found = [f"{key}: its chat template leaves out {part}; {_WAYS}" for part in _left_out(written) if chat]
    found += _split_tokens(tokenizer, written, key)
    if found:
        return found
    if chat and not turn_ends(tokenizer, model) and (end := MARKER.match(written.partition(ANSWERED)[2].lstrip())):
        pieces = len(tokenizer(end[0], add_special_tokens=False)["input_ids"])
        found.append(
            f"{key}: its chat template ends an answer with {end[0]}, which is no token of the tokenizer ({pieces} "
            f"pieces), so that it would appear in the answers; copy the tokenizer's files again, or {_WAYS}"
        )
    ids = encode_prompt(Format(tokenizer, model, []), PROBE)
    if len(ids) > 1 and ids[0] == ids[1] == tokenizer.bos_token_id:
        named = "its chat template" if chat else "model.prompt_template"
        writes = "writes it more than once" if chat else "writes it and the tokenizer adds it"
        found.append(f"{key}: a prompt begins with BOS ({tokenizer.bos_token}) twice: {named} {writes}; remove one")
    return found


def find_template_notes(tokenizer: Any, model: ModelConfig, stop_ids: list[int]) -> Iterator[str]:
    """What is done because of the template and a user should know. `stop_ids`: those of generation_config.json."""
    for token in turn_ends(tokenizer, model):
        if token not in {tokenizer.eos_token_id, *stop_ids}:
            named = tokenizer.convert_ids_to_tokens(token)
            yield (
                f"answers also end at {named} ({token}), the end of a turn in the chat template, which is neither "
                "EOS nor in generation_config.json"
            )


def turn_ends(tokenizer: Any, model: ModelConfig) -> list[int]:
    """The control token that the chat template writes after an answer; empty with a plain prompt or without one."""
    if not (is_chat(tokenizer, model) and getattr(tokenizer, "chat_template", None)):
        return []
    try:
        after = _render(tokenizer).partition(ANSWERED)[2]
    except Exception:  # reported by find_template_problems
        return []
    added = getattr(tokenizer, "added_tokens_decoder", {}).items()
    control = {token for token, piece in added if getattr(piece, "special", False)} | set(tokenizer.all_special_ids)
    ids = tokenizer(after, add_special_tokens=False)["input_ids"] if after else []
    return [token for token in ids if token in control and token != tokenizer.unk_token_id][:1]


_WAYS = "give model.prompt_format=plain, or correct the template"


def _render(tokenizer: Any) -> str:
    turns = [{"role": USER, "content": ASKED}, {"role": ASSISTANT, "content": ANSWERED}]
    return str(tokenizer.apply_chat_template(turns, tokenize=False, **RENDERING))


def _left_out(written: str) -> Iterator[str]:
    for mark, part in ((ASKED, "the question"), (ANSWERED, "the answer")):
        if mark not in written:
            yield part


def _split_tokens(tokenizer: Any, written: str, key: str) -> Iterator[str]:
    """Turn tokens that are in the vocabulary and yet are cut into pieces: the model was taught the one token.

    A marker that is in no vocabulary is text, as `<|user|>` in Zephyr's template.
    """
    for marker in dict.fromkeys(MARKER.findall(written)):
        whole = tokenizer.convert_tokens_to_ids(marker)
        if whole is None or (whole == tokenizer.unk_token_id and marker != tokenizer.unk_token):
            continue
        ids = tokenizer(marker, add_special_tokens=False)["input_ids"]
        if whole not in ids:
            yield (
                f"{key}: the template writes {marker}, which is token {whole} of the vocabulary, but the tokenizer "
                f"splits it into {len(ids)} pieces; copy the tokenizer's files again, or make it a special token"
            )
