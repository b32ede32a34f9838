"""trainer.speed=fast: the same updates from the same rows as TRL's SFTTrainer, with less work for each.

Only tokens with loss pass the LM head, once (`head_loss`); no metric is computed from the logits; rows of like length
share a batch inside an optimizer step; adapters' inputs are not converted twice. Imported only in a child, after torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from accelerate.data_loader import SeedableRandomSampler
from torch import Tensor
from torch.utils.data import RandomSampler
from transformers import Trainer, TrainingArguments

from ohlora.backends.effective import adapter_layers
from ohlora.training.compiling import compile_layers, require_compilable
from ohlora.training.head_loss import LogitScaling, head_loss


class FastTrainer(Trainer):
    """transformers' Trainer with our loss. `lengths`: tokens of each training row; `compiled`: the layers of its steps.

    Raises:
        Unsupported: they are to be compiled and cannot be.
    """

    def __init__(self, lengths: list[int], compiled: bool, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.lengths = lengths
        # The sum over the tokens with loss of all batches of a step, divided by their number, as in TRL.
        self.model_accepts_loss_kwargs = self._loss_shifts_labels = True
        base = self.model.get_base_model()
        self.compiled = compiled
        if compiled:
            require_compilable(base)
        self._decoder, self._head = base.base_model, base.get_output_embeddings()
        self._scaling = LogitScaling.of(base.config)

    def train(self, *given: Any, **named: Any) -> Any:
        share_inputs(self.model, self.accelerator.native_amp)
        try:
            with compile_layers(self._decoder, self.compiled):
                return super().train(*given, **named)
        finally:
            share_inputs(self.model, False)  # whatever follows may run outside autocast

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        assert not return_outputs and num_items_in_batch is not None, "the number of tokens with loss is needed"
        with self.accelerator.autocast():
            hidden = self._decoder(
                input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], use_cache=False
            ).last_hidden_state
            bias = getattr(self._head, "bias", None)
            loss = head_loss(hidden, inputs["labels"], self._head.weight, bias, self._scaling)
        return loss / num_items_in_batch

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        sampler = super()._get_train_sampler(train_dataset)
        if self.args.gradient_accumulation_steps == 1 or not isinstance(sampler, RandomSampler):
            return sampler
        step = self.args.train_batch_size * self.args.gradient_accumulation_steps
        return LengthsWithinSteps(sampler.data_source, self.lengths, step, self.args.data_seed)


def share_inputs(model: Any, shared: bool) -> None:
    """Under autocast: let adapters take their layer's input, instead of a float32 copy that autocast converts back.

    Not with DoRA, which computes norms in the precision of its input.
    """
    for layer in adapter_layers(model).values():
        layer.cast_input_dtype_enabled = not shared or bool(layer.lora_variant)


def fast_settings(settings: dict[str, Any]) -> TrainingArguments:
    """Those of TRL's settings that transformers knows, with batches in pinned memory on a GPU.

    Raises:
        ValueError: transformers refuses a value.
    """
    known = {f.name for f in fields(TrainingArguments)}
    settings = settings | {"dataloader_pin_memory": not settings["use_cpu"]}
    return TrainingArguments(**{key: value for key, value in settings.items() if key in known})


class LengthsWithinSteps(SeedableRandomSampler):
    """accelerate's random order of rows, sorted by length within each optimizer step of `step` rows."""

    def __init__(self, rows: Any, lengths: list[int], step: int, seed: int) -> None:
        super().__init__(rows, data_seed=seed)
        self.lengths, self.step = lengths, step

    def __iter__(self) -> Iterator[int]:
        order = list(super().__iter__())
        for first in range(0, len(order), self.step):
            yield from sorted(order[first : first + self.step], key=lambda row: self.lengths[row])
