"""A row becomes token ids, by the chat template or a plain one; its text never becomes a control token."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from ohlora.config.choices import PromptFormat, TrainOn
from ohlora.config.schema import ModelConfig
from ohlora.data.rows import Row
from ohlora.data.shapes import ASSISTANT, SYSTEM, USER
from ohlora.errors import UserError

IGNORED = -100  # label of a position without loss
CHAT_DATE = datetime(2026, 1, 1, 12)  # the fixed date for chat templates that print today's date
PLAIN_TEMPLATE = "질문: {prompt}\n답변:\n"  # if the model defines none
MARK = "\ue000{}\ue001"  # stands for a text while a template is rendered; from a private area of Unicode
NO_TEMPLATE = (
    "model.prompt_format=chat: this tokenizer has no chat template; give model.prompt_format=plain and "
    "model.prompt_template"
)

Messages = list[dict[str, str]]


@dataclass(frozen=True)
class Format:
    """How rows are written for one model.

    `stop_ids`: tokens that end an answer, in order; `train_on`: the assistant turns that carry loss.
    """

    tokenizer: Any
    model: ModelConfig
    stop_ids: list[int]
    train_on: TrainOn = TrainOn.all

    @property
    def is_chat(self) -> bool:
        return is_chat(self.tokenizer, self.model)


def is_chat(tokenizer: Any, model: ModelConfig) -> bool:
    """Do prompts use the tokenizer's chat template? As configured, by default if the tokenizer has one."""
    if model.prompt_format is PromptFormat.auto:
        return bool(getattr(tokenizer, "chat_template", None))
    return model.prompt_format is PromptFormat.chat


def encode_prompt(style: Format, row: Row) -> list[int]:
    """Token ids up to where the answer begins, including BOS if the model has one."""
    if style.is_chat:
        return _chat(style, _messages(row), answer_follows=True)
    return _plain(style, row)[0]


def encode_answered(style: Format, row: Row) -> tuple[list[int], list[int]]:
    """(ids, labels) of the row with its answer, which ends with a stop token; labels are -100 where no loss is."""
    if style.is_chat:
        return _chat_answered(style, row)
    prompt, labels = _plain(style, row)
    answer = [*_text(style, row.response), style.tokenizer.eos_token_id]
    answer = _until_stop(answer, style.stop_ids)
    return prompt + answer, labels + answer


def supports_system(tokenizer: Any) -> bool:
    """Does the chat template show a system message?"""
    turns = [{"role": SYSTEM, "content": MARK.format(0)}, {"role": USER, "content": MARK.format(1)}]
    try:
        return MARK.format(0) in tokenizer.apply_chat_template(turns, tokenize=False, **RENDERING)
    except Exception:  # templates raise jinja's own errors
        return False


def _messages(row: Row) -> Messages:
    turns = [{"role": turn.role, "content": turn.text} for turn in row.history]
    system = [{"role": SYSTEM, "content": row.system}] if row.system else []
    return [*system, *turns, {"role": USER, "content": row.question}]


def _chat_answered(style: Format, row: Row) -> tuple[list[int], list[int]]:
    turns = [*_messages(row), {"role": ASSISTANT, "content": row.response}]
    answered = [at for at, turn in enumerate(turns) if turn["role"] == ASSISTANT]
    if style.train_on is TrainOn.last:
        answered = answered[-1:]
    whole = _chat(style, turns, answer_follows=False)
    labels = [IGNORED] * len(whole)
    ids = whole
    for at in answered:
        prompt = _chat(style, turns[:at], answer_follows=True)
        if whole[: len(prompt)] == prompt:
            answer = _until_stop(whole[len(prompt) :], style.stop_ids)
        elif at == len(turns) - 1:  # the template writes an answered turn otherwise: as it will be asked
            answer, ids = _text(style, turns[at]["content"]), prompt
            labels = [IGNORED] * len(prompt)
        else:
            raise UserError(
                f"data: {row.place}: the chat template rewrites earlier turns, so their loss cannot be placed; give "
                "data.train_on=last"
            )
        if at == len(turns) - 1:
            answer = answer if answer[-1:] and answer[-1] in style.stop_ids else [*answer, style.tokenizer.eos_token_id]
            return ids[: len(prompt)] + answer, labels[: len(prompt)] + answer
        labels[len(prompt) : len(prompt) + len(answer)] = answer
    raise AssertionError("the last turn is an answer")


def _until_stop(ids: list[int], stop_ids: list[int]) -> list[int]:
    """Up to the first stop token, that one included."""
    end = next((at for at, token in enumerate(ids) if token in stop_ids), len(ids))
    return ids[: end + 1]


RENDERING: dict[str, Any] = {
    "strftime_now": CHAT_DATE.strftime,  # instead of today, so that tokens do not change from day to day
    "enable_thinking": False,  # where supported: Qwen 3 would use up a short answer's tokens for thinking
}


def _chat(style: Format, turns: Messages, *, answer_follows: bool) -> list[int]:
    tokenizer = style.tokenizer
    if not getattr(tokenizer, "chat_template", None):
        raise UserError(NO_TEMPLATE)
    if turns[0]["role"] == SYSTEM and not supports_system(tokenizer):
        folded = f"{turns[0]['content']}\n\n{turns[1]['content']}"
        turns = [{**turns[1], "content": folded}, *turns[2:]]
    if not any(_holds_control(tokenizer, turn["content"]) for turn in turns):
        encoded = tokenizer.apply_chat_template(
            turns, add_generation_prompt=answer_follows, tokenize=True, return_dict=True, **RENDERING
        )
        ids: list[int] = encoded["input_ids"]
        return ids
    marked = [{**turn, "content": MARK.format(number)} for number, turn in enumerate(turns)]
    rendered = tokenizer.apply_chat_template(marked, add_generation_prompt=answer_follows, tokenize=False, **RENDERING)
    return _fill(tokenizer, rendered, [turn["content"] for turn in turns])


def _plain(style: Format, row: Row) -> tuple[list[int], list[int]]:
    """(ids, labels) of everything before the answer. Each earlier pair ends with EOS, as an answer does."""
    tokenizer, template = style.tokenizer, style.model.prompt_template or PLAIN_TEMPLATE
    turns = [turn.text for turn in row.history] + [row.question]
    turns[0] = f"{row.system}\n\n{turns[0]}" if row.system else turns[0]
    ids: list[int] = []
    labels: list[int] = []
    for at, text in enumerate(turns):
        if at % 2:
            answer = [*_text(style, text), tokenizer.eos_token_id]
            ids += answer
            labels += answer if style.train_on is TrainOn.all else [IGNORED] * len(answer)
            continue
        asked = _fill_plain(tokenizer, template, text, first=at == 0)
        ids += asked
        labels += [IGNORED] * len(asked)
    return ids, labels


def _fill_plain(tokenizer: Any, template: str, text: str, first: bool) -> list[int]:
    if _holds_control(tokenizer, text):
        before = tokenizer("", add_special_tokens=True)["input_ids"] if first else []
        bos = [token for token in before if token != tokenizer.eos_token_id or token == tokenizer.bos_token_id]
        return bos[:1] + _fill(tokenizer, template.replace("{prompt}", MARK.format(0)), [text])
    filled = template.replace("{prompt}", text)
    ids: list[int] = tokenizer(filled, add_special_tokens=first)["input_ids"]
    ends = bool(ids) and ids[-1] == tokenizer.eos_token_id and not filled.endswith(tokenizer.eos_token)
    return ids[:-1] if ends else ids  # some tokenizers add EOS to every text, but the answer follows here


def _fill(tokenizer: Any, rendered: str, texts: list[str]) -> list[int]:
    """The template's own parts with control tokens, and the texts in the places of their marks without."""
    ids: list[int] = []
    rest = rendered
    for number, text in enumerate(texts):
        before, found, rest = rest.partition(MARK.format(number))
        ids += tokenizer(before, add_special_tokens=False)["input_ids"] if before else []
        if found:
            ids += tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    return ids + (tokenizer(rest, add_special_tokens=False)["input_ids"] if rest else [])


def _text(style: Format, text: str) -> list[int]:
    """A text's ids, in which control tokens are ordinary text."""
    control = _holds_control(style.tokenizer, text)
    ids: list[int] = style.tokenizer(
        text, add_special_tokens=False, **({"split_special_tokens": True} if control else {})
    )["input_ids"]
    return ids


def _holds_control(tokenizer: Any, text: str) -> bool:
    """Is a special token written in this text?"""
    return _controls(tokenizer).search(text) is not None


@lru_cache(maxsize=4)
def _controls(tokenizer: Any) -> re.Pattern[str]:
    added = getattr(tokenizer, "added_tokens_decoder", {}).values()
    special = {str(token) for token in added if getattr(token, "special", False)} | set(tokenizer.all_special_tokens)
    return re.compile("|".join(re.escape(token) for token in special if token) or "(?!)")
