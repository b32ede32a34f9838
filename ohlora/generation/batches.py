"""Answers to many prompts at once: by length, padded on the left, each leaving the batch when it has ended."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from ohlora.config.schema import DecodingConfig
from ohlora.errors import Unsupported
from ohlora.generation.choice import Chooser
from ohlora.generation.decoding import configure, drop_own_settings, greedy, in_effect, is_greedy
from ohlora.generation.stopping import StopTexts
from ohlora.measure.shortage import is_out_of_memory

AUTO = "auto"
MOST_PROMPTS = 32  # prompts at once with generation.batch=auto; more gains little, since the LM head then limits
NEEDED = ("attention_mask", "position_ids", "past_key_values", "logits_to_keep")  # arguments of a model that can do it


class BatchGenerator:
    """Decoding of batches. In float32 the answers are those of one prompt at a time.

    size: prompts at once, or AUTO; a model that cannot leave out padding (RWKV) gets one at a time, as do beams.
    by_generate: use the model's `generate`, replaced by a back end's kernels, in which all rows wait for the longest.
    on_shortage: called with the smaller size when a batch was out of memory.

    Raises:
        Unsupported: beams of a model whose state `generate` does not hand on from beam to beam (RWKV).
    """

    def __init__(
        self, model: Any, min_new: int, max_new: int, stop_ids: list[int], pad_id: int, *,
        size: str, by_generate: bool, on_shortage: Callable[[int], object] = lambda size: None,
        decoding: DecodingConfig | None = None, stops: StopTexts | None = None,
    ) -> None:  # fmt: skip
        self.decoding, self.stops = decoding or DecodingConfig(), stops or StopTexts([], None)
        stop_ids = sorted({*stop_ids, *self.stops.ids})
        self.model, self.by_generate, self.on_shortage = model, by_generate, on_shortage
        self.min_new, self.max_new, self.stop_ids, self.pad_id = min_new, max_new, stop_ids, pad_id
        self.device = next(model.parameters()).device
        base = model.get_base_model() if hasattr(model, "get_base_model") else model
        taken = inspect.signature(base.forward).parameters
        pads, beams = all(name in taken for name in NEEDED), self.decoding.num_beams
        if beams > 1 and not pads:
            name = type(base).__name__
            raise Unsupported(
                "no_beams", f"decoding.num_beams={beams}: {name} keeps a state that beams would mix; give num_beams=1"
            )
        self.size = 1 if beams > 1 or not pads else MOST_PROMPTS if size == AUTO else int(size)
        self.settings = configure(self.decoding, min_new, max_new, stop_ids, pad_id)
        self.plain = greedy(min_new, max_new, stop_ids, pad_id)
        self.dropped = drop_own_settings(model)

    def in_effect(self) -> dict[str, Any]:
        """The generation settings in effect, the batch size among them, and those of the model's that were ignored."""
        return {
            "generation": in_effect(self.settings),
            "generation_dropped": self.dropped,
            "generation_batch": self.size,
            **({"stop": self.decoding.stop} if self.decoding.stop else {}),
        }

    def __call__(
        self,
        prompts: list[list[int]],
        advance: Callable[[int], object] = lambda done: None,
        seeds: Sequence[int] = (),
    ) -> list[list[int]]:
        """The new ids of each prompt's answer, in the order of the prompts. `advance` is told how many are done.

        seeds: one for each prompt, if tokens are drawn.
        """
        import torch

        assert len(seeds) == len(prompts) or not self.decoding.do_sample
        seeds = seeds or [0] * len(prompts)
        answers: dict[int, list[int]] = {}
        waiting = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
        while waiting:
            taken = waiting[-self.size :]  # the longest first: what does not fit is found at once
            try:
                with torch.inference_mode():
                    found = self._answer([prompts[i] for i in taken], [seeds[i] for i in taken])
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

    def _answer(self, prompts: list[list[int]], seeds: list[int]) -> list[list[int]]:
        import torch

        width = max(map(len, prompts))
        ids = torch.tensor([[self.pad_id] * (width - len(p)) + p for p in prompts], device=self.device)
        mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts], device=self.device)
        chooser = Chooser(self.decoding, ids, mask, seeds, self.max_new)
        if self.by_generate or self.size == 1:
            return [self._cut(row) for row in self._generate(ids, mask, chooser)[:, width:].tolist()]
        return self._by_steps(ids, mask, chooser)

    def _generate(self, ids: Any, mask: Any, chooser: Chooser) -> Any:
        """By the model's own `generate`; our choice of tokens is one of its processors, save greedy and beams."""
        from transformers import LogitsProcessorList, StoppingCriteriaList

        settings, processors, criteria = self.settings, LogitsProcessorList(), StoppingCriteriaList()
        if self.decoding.num_beams == 1:
            if not is_greedy(self.decoding):
                settings = self.plain
                processors.append(chooser.as_processor())
            if self.stops.texts:
                criteria.append(self.stops.as_criterion(ids.shape[1]))
        return self.model.generate(
            input_ids=ids, attention_mask=mask, generation_config=settings, logits_processor=processors,
            stopping_criteria=criteria,
        )  # fmt: skip

    def _by_steps(self, ids: Any, mask: Any, chooser: Chooser) -> list[list[int]]:
        """One token a step for every row that has not ended; ended rows are dropped with their part of the cache."""
        import torch
        from transformers import DynamicCache

        base = self.model.get_base_model() if hasattr(self.model, "get_base_model") else self.model
        cache, stop_ids = DynamicCache(config=base.config), torch.tensor(self.stop_ids, device=self.device)
        positions, rows = (mask.cumsum(1) - 1).clamp(min=0), list(range(len(ids)))
        answers: list[list[int]] = [[] for _ in rows]
        answered = ids[:, :0]  # the answers so far of the rows that have not ended
        for step in range(self.max_new):
            logits = self.model(
                input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True,
                logits_to_keep=1,
            ).logits[:, -1].float()  # fmt: skip
            if step < self.min_new:
                logits[:, stop_ids] = -torch.inf
            ids = chooser(rows, answered, logits).unsqueeze(1)
            answered = torch.cat([answered, ids], dim=1)
            for row, token in zip(rows, ids[:, 0].tolist(), strict=True):
                answers[row].append(token)
            ended = torch.isin(ids[:, 0], stop_ids).tolist()
            left = [i for i, row in enumerate(rows) if not ended[i] and not self.stops.is_in(answers[row])]
            if not left:
                break
            if len(left) < len(rows):
                rows = [rows[i] for i in left]
                ids, mask, positions, answered = ids[left], mask[left], positions[left], answered[left]
                cache.batch_select_indices(torch.tensor(left, device=self.device))
            mask = torch.cat([mask, mask.new_ones(len(rows), 1)], dim=1)
            positions = positions[:, -1:] + 1
        return answers

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
