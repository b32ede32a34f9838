"""Answers in batches are those of one prompt at a time, and evaluation in batches gives the value of single rows.

Run: python -m pytest tests/integration/test_batches.py
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tiny_models import TINY

from ohlora.data.tokens import IGNORED, Example, Tokens
from ohlora.generation.batches import BatchGenerator, merge_adapter
from ohlora.tasks.infer import Generator
from ohlora.training.evaluate import evaluate

PROMPTS = [[2, *range(100, 100 + length)] for length in (3, 11, 5, 90, 4, 7)]
PAD = 0


def load(folder: Path) -> Any:
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
    if hasattr(model.config, "rescale_every"):
        model.config.rescale_every = 0  # as every back end does
    return model.eval()


def single(model: Any, least: int, most: int, stops: list[int]) -> list[list[int]]:
    generate = Generator(model, Tokens([], [], [], stops, PAD, [], ""), "cpu", least, most)
    return [generate(prompt).ids for prompt in PROMPTS]


def batched(
    model: Any, least: int, most: int, stops: list[int], **other: Any
) -> tuple[list[list[int]], BatchGenerator]:
    generate = BatchGenerator(model, least, most, stops, PAD, **{"size": "auto", "by_generate": False, **other})
    return generate(PROMPTS), generate


@pytest.mark.parametrize("name", TINY)
def test_answers_are_those_of_single_prompts(tiny_model: Callable[[str], Path], name: str) -> None:
    """With a stop token that ends some of them early, and a prompt longer than the sliding window."""
    model = load(tiny_model(name))
    free = single(model, 0, 12, [1])
    stops = [1, free[0][5]]  # the first answer ends at its sixth token at the latest
    expected = single(model, 0, 12, stops)
    assert len({len(answer) for answer in expected}) > 1, "no answer ends before another"
    for size in ("auto", "4"):
        found, generate = batched(model, 0, 12, stops, size=size)
        assert found == expected
        assert generate.in_effect()["generation_batch"] == (1 if name == "rwkv" else {"auto": 32, "4": 4}[size])
    forced, _ = batched(model, 12, 12, stops)
    assert forced == single(model, 12, 12, stops) and all(len(answer) == 12 for answer in forced)
    own, _ = batched(model, 0, 12, stops, by_generate=True, size="1" if name == "rwkv" else "auto")
    assert own == expected


def test_a_batch_without_memory_is_halved(tiny_model: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    model = load(tiny_model("llama"))
    expected = single(model, 0, 6, [1])
    forward, told, done = type(model).forward, [], []

    @functools.wraps(forward)  # its signature is asked
    def limited(self: Any, input_ids: torch.Tensor, **rest: Any) -> Any:
        if len(input_ids) > 2:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:117] . DefaultCPUAllocator: can't allocate memory")
        return forward(self, input_ids=input_ids, **rest)

    monkeypatch.setattr(type(model), "forward", limited)
    generate = BatchGenerator(model, 0, 6, [1], PAD, size="auto", by_generate=False, on_shortage=told.append)
    assert generate(PROMPTS, done.append) == expected
    assert told == [3, 1]
    assert done == [1, 2, 3, 4, 5, 6]


def test_one_prompt_without_memory_is_an_error(
    tiny_model: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load(tiny_model("llama"))
    generate = BatchGenerator(model, 0, 6, [1], PAD, size="auto", by_generate=False)

    def none(*_: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(generate, "_answer", none)
    with pytest.raises(MemoryError):
        generate(PROMPTS)


def test_a_merged_adapter_answers_as_the_adapter(tiny_model: Callable[[str], Path]) -> None:
    import peft

    torch.manual_seed(0)
    lora = peft.LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False, task_type="CAUSAL_LM")
    model = peft.get_peft_model(load(tiny_model("llama")), lora).eval()
    before = {name: value.clone() for name, value in model.state_dict().items() if "lora_" in name}
    expected = single(model, 8, 8, [1])
    with model.disable_adapter():
        assert single(model, 8, 8, [1]) != expected  # the adapter matters
    assert merge_adapter(model)
    assert batched(model, 8, 8, [1])[0] == expected
    assert all(torch.equal(model.state_dict()[name], value) for name, value in before.items())
    assert not merge_adapter(load(tiny_model("llama")))


@pytest.mark.parametrize("name", TINY)
def test_evaluation_in_batches_is_that_of_single_rows(tiny_model: Callable[[str], Path], name: str) -> None:
    model = load(tiny_model(name))
    examples = []
    for number, (asked, answered) in enumerate([(3, 4), (12, 2), (3, 5), (4, 60), (9, 3), (1, 7)]):
        ids = [2, *((7 * number + k) % 200 + 20 for k in range(asked + answered - 1))]
        examples.append(Example(str(number), ids, [IGNORED] * asked + ids[asked:]))
    examples[5] = Example("5", examples[5].input_ids, examples[5].input_ids)  # loss on everything but the first
    total, count = 0.0, 0
    for example in examples:
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([example.input_ids])).logits[0, :-1].double()
        labels = torch.tensor(example.labels[1:])
        total += float(torch.nn.functional.cross_entropy(logits, labels, ignore_index=IGNORED, reduction="sum"))
        count += int((labels != IGNORED).sum())
    assert evaluate(model, examples) == pytest.approx(total / count, rel=1e-6)
    assert math.isfinite(total) and json.dumps(total)
