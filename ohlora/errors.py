"""The two exceptions that users see: what is wrong, where, what is allowed, how to fix it."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(ValueError):
    """An error that the user can fix. Lists every problem found, one line each; never shown as a traceback."""

    def __init__(self, problems: str | Iterable[str]) -> None:
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(self.problems))

    def report(self) -> str:
        """The text to print: one line per problem, numbered when there are several."""
        if len(self.problems) == 1:
            return f"error: {self.problems[0]}"
        lines = [f"error: {len(self.problems)} problems"]
        return "\n".join(lines + [f"  {number}. {problem}" for number, problem in enumerate(self.problems, 1)])


class Unsupported(Exception):
    """The back end cannot run here; the run ends as `unsupported` and never falls back to another."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def suggest(word: str, allowed: Iterable[str]) -> str:
    """' (did you mean lora.rank?)' if a similar word is allowed, else an empty string."""
    close = get_close_matches(word, list(allowed), n=1, cutoff=0.6)
    return f" (did you mean {close[0]}?)" if close else ""


def choose_from(key: str, value: object, allowed: Iterable[str]) -> str:
    """'backend.name=foo: choose from hf, unsloth (did you mean …?)'."""
    options = list(allowed)
    return f"{key}={value}: choose from {', '.join(options)}{suggest(str(value), options)}"
