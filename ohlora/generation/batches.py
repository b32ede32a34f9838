"""Greedy answers to many prompts at once: by length, padded on the left, each leaving the batch when it has ended."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

from ohlora.generation.decoding import drop_own_settings, greedy, in_effect
from ohlora.measure.shortage import is_out_of_memory

AUTO = "auto"
MOST_PROMPTS = 32  # prompts at once with generation.batch=auto; more gains little, since the LM head then limits
NEEDED = ("attention_mask", "position_ids", "past_key_values", "logits_to_keep")  # arguments of a model that can do it


class BatchGenerator:
    """Greedy decoding of batches. In float32 the answers are those of one prompt at a time.

    size: prompts at once, or AUTO; a model that cannot leave out padding (RWKV) gets one at a time.
    by_generate: use the model's `generate`, replaced by a back end's kernels, in which all rows wait for the longest.
    on_shortage: called with the smaller size when a batch was out of memory.
    """

    def __init__(
        self, model: Any, min_new: int, max_new: int, stop_ids: list[int], pad_id: int, *,
        size: str, by_generate: bool, on_shortage: Callable[[int], object] = lambda size: None,
    ) -> None:  # fmt: skip
        self.model, self.by_generate, self.on_shortage = model, by_generate, on_shortage
        self.min_new, self.max_new, self.stop_ids, self.pad_id = min_new, max_new, stop_ids, pad_id
        self.device = next(model.parameters()).device
        base = model.get_base_model() if hasattr(model, "get_base_model") else model
        taken = inspect.signature(base.forward).parameters
        self.size = 1 if any(name not in taken for name in NEEDED) else MOST_PROMPTS if size == AUTO else int(size)
        self.settings = greedy(min_new, max_new, stop_ids, pad_id)
        self.dropped = drop_own_settings(model)

    def in_effect(self) -> dict[str, Any]:
        """The generation settings in effect, the batch size among them, and those of the model's that were ignored."""
        return {
            "generation": in_effect(self.settings),
            "generation_dropped": self.dropped,
            "generation_batch": self.size,
        }

    def __call__(
        self, prompts: list[list[int]], advance: Callable[[int], object] = lambda done: None
    ) -> list[list[int]]:
        """The new ids of each prompt's answer, in the order of the prompts. `advance` is told how many are done."""
        import torch

        answers: dict[int, list[int]] = {}
        waiting = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
        while waiting:
            taken = waiting[-self.size :]  # the longest first: what does not fit is found at once
            try:
                with torch.inference_mode():
                    found = self._answer([prompts[i] for i in taken])
            except Exception as error:
                if not is_out_of_memory(error) or len(taken) == 1:
                    raise
                self.size = len(taken) // 2
                self.on_shortage(self.size)
                continue
            answers |= dict(zip(taken, found, strict=True))
            del waiting[-len(taken) :]
            advance(len(answers))
        return [answers[i] for i in range(len(prompts))]

    def _answer(self, prompts: list[list[int]]) -> list[list[int]]:
        import torch

        width = max(map(len, prompts))
        ids = torch.tensor([[self.pad_id] * (width - len(p)) + p for p in prompts], device=self.device)
        mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts], device=self.device)
        if self.by_generate or self.size == 1:
            output = self.model.generate(input_ids=ids, attention_mask=mask, generation_config=self.settings)
            return [self._cut(row) for row in output[:, width:].tolist()]
        answers: list[list[int]] = [[] for _ in prompts]
        for rows, chosen in self._steps(ids, mask):
            for row, token in zip(rows, chosen, strict=True):
                answers[row].append(token)
        return answers

    def _steps(self, ids: Any, mask: Any) -> Iterator[tuple[list[int], list[int]]]:
        """(rows, their next tokens) of each step; rows that have ended are dropped with their part of the cache."""
        import torch
        from transformers import DynamicCache

        base = self.model.get_base_model() if hasattr(self.model, "get_base_model") else self.model
        cache, stops = DynamicCache(config=base.config), torch.tensor(self.stop_ids, device=self.device)
        positions, rows = (mask.cumsum(1) - 1).clamp(min=0), list(range(len(ids)))
        for step in range(self.max_new):
            logits = self.model(
                input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True,
                logits_to_keep=1,
            ).logits[:, -1].float()  # fmt: skip
            if step < self.min_new:
                logits[:, stops] = -torch.inf
            ids = logits.argmax(1, keepdim=True)
            yield rows, ids[:, 0].tolist()
            left = (~torch.isin(ids[:, 0], stops)).nonzero()[:, 0]
            if not len(left):
                return
            if len(left) < len(rows):
                rows = [rows[i] for i in left.tolist()]
                ids, mask, positions = ids[left], mask[left], positions[left]
                cache.batch_select_indices(left)
            mask = torch.cat([mask, mask.new_ones(len(rows), 1)], dim=1)
            positions = positions[:, -1:] + 1

    def _cut(self, ids: list[int]) -> list[int]:
        """Up to its first stop token; `generate` fills the rest."""
        end = next((i for i, token in enumerate(ids) if token in self.stop_ids), len(ids))
        return ids[: end + 1]


def merge_adapter(model: Any) -> bool:
    """Add the adapter's product to the weights in memory, for faster answers; False where there is none, or 4 bits.

    The files of the adapter stay as they are.
    """
    quantised = any(type(module).__name__ == "Linear4bit" for module in model.modules())
    if quantised or not hasattr(model, "merge_adapter"):
        return False
    model.merge_adapter()
    return True
