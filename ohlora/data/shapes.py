"""A record of any usual shape becomes a conversation: pairs of columns, Alpaca, ShareGPT, messages."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from ohlora.data.notes import Notes, Place
from ohlora.data.texts import clean_text

USER, ASSISTANT, SYSTEM = "user", "assistant", "system"
ROLES = {
    "user": USER, "human": USER, "사용자": USER, "assistant": ASSISTANT, "gpt": ASSISTANT, "model": ASSISTANT,
    "bot": ASSISTANT, "chatgpt": ASSISTANT, "system": SYSTEM,
}  # fmt: skip
TURN_COLUMNS = ("messages", "conversations", "conversation", "dialogue", "turns")
PROMPTS = ("prompt", "question", "instruction", "input", "query", "user", "q", "질문", "사용자", "입력", "프롬프트")
RESPONSES = ("response", "answer", "output", "completion", "assistant", "reply", "a", "답변", "응답", "대답", "출력")
SYSTEMS = ("system", "system_prompt")


@dataclass(frozen=True)
class Turn:
    """One utterance of a conversation. `role`: user or assistant."""

    role: str
    text: str


@dataclass(frozen=True)
class Shape:
    """Where a file's texts stand: a column of turns, or a prompt column (with a second part, Alpaca's input) and a
    response column."""

    turns: str | None = None
    prompt: str | None = None
    second: str | None = None
    response: str | None = None
    system: str | None = None


@dataclass(frozen=True)
class Conversation:
    """The texts of one record. `response` is '' where it ends with a user turn."""

    prompt: str
    response: str
    system: str = ""
    history: tuple[Turn, ...] = ()


def find_shape(have: set[str], prompt: str, response: str) -> Shape | None:
    """The shape of records with these columns; the two named columns come first. None if there is no usual one."""
    system = next((name for name in SYSTEMS if name in have), None)
    if prompt in have and response in have:
        return Shape(prompt=prompt, response=response, system=system)
    turns = next((name for name in TURN_COLUMNS if name in have), None)
    if turns:
        return Shape(turns=turns, system=system)
    lower = {name.lower(): name for name in have}
    asked = prompt if prompt in have else next((lower[name] for name in PROMPTS if name in lower), None)
    answered = response if response in have else next((lower[name] for name in RESPONSES if name in lower), None)
    if not asked or not answered:
        return None
    second = lower.get("input") if asked.lower() == "instruction" else None
    return Shape(prompt=asked, second=second, response=answered, system=system)


def read_conversation(cells: dict[str, Any], shape: Shape, place: Place, notes: Notes) -> Conversation:
    """The conversation of one record.

    Raises:
        ValueError: what is wrong with it, without its place.
    """
    system = clean_text(cells.get(shape.system), shape.system, place, notes) if shape.system else ""
    if shape.turns is None:
        assert shape.prompt and shape.response
        prompt = clean_text(cells.get(shape.prompt), shape.prompt, place, notes)
        second = clean_text(cells.get(shape.second), shape.second, place, notes) if shape.second else ""
        response = clean_text(cells.get(shape.response), shape.response, place, notes)
        return Conversation("\n\n".join(part for part in (prompt, second) if part), response, system)
    return _read_turns(cells.get(shape.turns), shape.turns, system, place, notes)


def _read_turns(value: Any, column: str, system: str, place: Place, notes: Notes) -> Conversation:
    if isinstance(value, str) and value.strip().startswith("["):  # a CSV cell
        try:
            value = json.loads(value)
        except ValueError as error:
            raise ValueError(f"{column} is not JSON ({error})") from None
    if not isinstance(value, list) or not value:
        raise ValueError(f'{column} must be a list such as [{{"role": "user", "content": "…"}}, …]')
    turns: list[Turn] = []
    for number, turn in enumerate(value, 1):
        role, text = _read_turn(turn, f"{column}[{number}]", place, notes)
        if role == SYSTEM:
            if turns:
                raise ValueError(f"{column}[{number}]: a system text must come first")
            system = "\n\n".join(part for part in (system, text) if part)
        elif not turns and role == ASSISTANT:
            notes.dropped["answers before the first question left out"].append(place)
        elif turns and turns[-1].role == role:
            raise ValueError(f"{column}[{number}]: two {role} turns in a row; they must alternate")
        elif not text:
            raise ValueError(f"{column}[{number}] is empty")
        else:
            turns.append(Turn(role, text))
    if not turns:
        raise ValueError(f"{column} has no user turn")
    response = turns.pop().text if turns[-1].role == ASSISTANT else ""
    return Conversation(turns[-1].text, response, system, tuple(turns[:-1]))


def _read_turn(turn: Any, key: str, place: Place, notes: Notes) -> tuple[str, str]:
    if not isinstance(turn, dict):
        raise ValueError(f'{key} must be an object such as {{"role": "user", "content": "…"}}')
    said = turn.get("role", turn.get("from"))
    role = ROLES.get(str(said).strip().lower())
    if role is None:
        raise ValueError(f"{key}: role {said!r}; choose from user, assistant, system")
    content = turn.get("content", turn.get("value"))
    if isinstance(content, list):  # parts, as in OpenAI's API
        if any(not isinstance(part, dict) or part.get("type") != "text" for part in content):
            raise ValueError(f"{key}: only text can be trained on, no images or tool calls")
        content = "\n".join(str(part.get("text", "")) for part in content)
    return role, clean_text(content, key, place, notes)
