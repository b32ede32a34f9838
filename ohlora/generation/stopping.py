"""Stop texts: an answer ends where one begins, wherever the borders of its tokens are, and never shows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def cut_text(text: str, stops: Sequence[str]) -> tuple[str, str | None]:
    """The text up to its first stop text, and that stop text; the longer one where two begin at the same place."""
    found = [(text.index(stop), -len(stop), stop) for stop in stops if stop in text]
    if not found:
        return text, None
    place, _, stop = min(found)
    return text[:place], stop


class StopTexts:
    """The stop texts of a run, looked for in the decoded answer.

    One that is a special token of the tokenizer (`<end_of_turn>`), which decoding leaves out, is among `ids` instead.
    """

    def __init__(self, texts: Sequence[str], tokenizer: Any) -> None:
        special = set(getattr(tokenizer, "all_special_ids", ()))
        known = {text: tokenizer.convert_tokens_to_ids(text) for text in texts} if special else {}
        self.ids = [known[text] for text in texts if known.get(text) in special]
        self.texts = [text for text in texts if known.get(text) not in special]
        self.tokenizer = tokenizer

    def decode(self, ids: list[int]) -> tuple[str, str | None]:
        """The answer as text, without blanks around it, and the stop text that ended it."""
        text, stop = cut_text(str(self.tokenizer.decode(ids, skip_special_tokens=True)), self.texts)
        return text.strip(), stop

    def is_in(self, ids: list[int]) -> bool:
        """Does an answer with these tokens hold a stop text?"""
        if not self.texts:
            return False
        text = self.tokenizer.decode(ids, skip_special_tokens=True)
        return any(stop in text for stop in self.texts)

    def as_criterion(self, width: int) -> Any:
        """The same inside a model's own `generate`, for prompts of this width."""
        import torch

        def stop(input_ids: Any, scores: Any, **_: Any) -> Any:
            found = [self.is_in(row) for row in input_ids[:, width:].tolist()]
            return torch.tensor(found, dtype=torch.bool, device=input_ids.device)

        return stop
