"""Drawn answers depend on their seed and on nothing else; stop texts end them; what has a fault is asked again.

Run: python -m pytest tests/integration/test_drawing.py
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from ohlora.config.schema import DecodingConfig
from ohlora.data.rows import Row
from ohlora.errors import Unsupported
from ohlora.generation.batches import BatchGenerator
from ohlora.generation.choice import draw
from ohlora.generation.stopping import StopTexts
from ohlora.records.samples import Sample, read_samples
from ohlora.tasks.asking import answer_rows

PROMPTS = [[2, *range(100, 100 + length)] for length in (3, 11, 5, 90, 4, 7)]
ROWS = [Row(f"q{i}", "test", "", "질문", "") for i in range(len(PROMPTS))]
SAMPLE = DecodingConfig("sample", do_sample=True, temperature=0.9, top_p=0.95, top_k=50)


class Tokenizer:
    """Each token is a word of its own, so that texts are seen across the borders of tokens."""

    all_special_ids = (1, 6)

    def convert_tokens_to_ids(self, text: str) -> int:
        return {"<eos>": 1, "<end_of_turn>": 6}.get(text, 3)

    def decode(self, ids: list[int], skip_special_tokens: bool) -> str:
        return "".join(f"<{token}>" for token in ids if token not in self.all_special_ids)


def load(folder: Path) -> Any:
    return transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, local_files_only=True
    ).eval()  # fmt: skip


def generator(model: Any, decoding: DecodingConfig, size: str = "auto", **other: Any) -> BatchGenerator:
    stops = StopTexts(decoding.stop, Tokenizer())
    given: dict[str, Any] = {"by_generate": False, "decoding": decoding, "stops": stops, **other}
    return BatchGenerator(model, 0, 16, [1], 0, size=size, **given)


@pytest.mark.parametrize("name", ["gemma3", "qwen2", "rwkv"])
def test_the_batch_does_not_decide_what_is_drawn(tiny_model: Callable[[str], Path], name: str) -> None:
    model = load(tiny_model(name))
    seeds = list(range(len(PROMPTS)))
    first = generator(model, SAMPLE, "1")(PROMPTS, seeds=seeds)
    assert generator(model, SAMPLE, "4")(PROMPTS, seeds=seeds) == first
    assert generator(model, SAMPLE)(PROMPTS[::-1], seeds=seeds[::-1]) == first[::-1]
    if name != "rwkv":
        assert generator(model, SAMPLE, by_generate=True)(PROMPTS, seeds=seeds) == first
    other = generator(model, SAMPLE)(PROMPTS, seeds=[seed + 100 for seed in seeds])
    assert all(a != b for a, b in zip(first, other, strict=True))
    cold = DecodingConfig(do_sample=True, temperature=1e-6)
    assert generator(model, cold)(PROMPTS, seeds=seeds) == generator(model, DecodingConfig())(PROMPTS)


def test_a_draw_has_the_probabilities_of_the_logits() -> None:
    logits = torch.log(torch.tensor([[0.5, 0.3, 0.15, 0.05]])).repeat(20_000, 1)
    uniform = torch.rand(20_000, generator=torch.Generator().manual_seed(1))
    shares = {t: n / 20_000 for t, n in Counter(draw(logits, 0, 1.0, uniform).tolist()).items()}
    assert [shares[i] for i in range(4)] == pytest.approx([0.5, 0.3, 0.15, 0.05], abs=0.01)
    assert set(draw(logits, 2, 1.0, uniform).tolist()) == {0, 1}
    assert set(draw(logits, 0, 0.79, uniform).tolist()) == {0, 1}  # 0.5 alone is not 0.79; 0.8 is
    assert set(draw(logits, 3, 0.99, uniform).tolist()) == {0, 1, 2}


def test_a_penalty_is_that_of_generate(tiny_model: Callable[[str], Path]) -> None:
    model = load(tiny_model("gemma3"))
    penalised = DecodingConfig(repetition_penalty=1.7)
    found = generator(model, penalised)(PROMPTS)
    assert found != generator(model, DecodingConfig())(PROMPTS)
    for prompt, ids in zip(PROMPTS, found, strict=True):
        own = model.generate(
            torch.tensor([prompt]), max_new_tokens=16, do_sample=False, repetition_penalty=1.7, eos_token_id=1
        )  # fmt: skip
        assert own[0, len(prompt) :].tolist() == ids


def test_beams_are_those_of_generate(tiny_model: Callable[[str], Path]) -> None:
    model = load(tiny_model("gemma3"))
    asked = generator(model, DecodingConfig("beam", num_beams=3))
    assert asked.in_effect()["generation"]["num_beams"] == 3 and asked.in_effect()["generation_batch"] == 1
    for prompt, ids in zip(PROMPTS, asked(PROMPTS), strict=True):
        own = model.generate(torch.tensor([prompt]), max_new_tokens=16, do_sample=False, num_beams=3, eos_token_id=1)
        assert own[0, len(prompt) :].tolist() == ids
    with pytest.raises(Unsupported, match="keeps a state that beams would mix"):
        generator(load(tiny_model("rwkv")), DecodingConfig("beam", num_beams=3))


@pytest.mark.parametrize("by_generate", [False, True])
def test_a_stop_text_ends_an_answer(tiny_model: Callable[[str], Path], by_generate: bool) -> None:
    model = load(tiny_model("gemma3"))
    free = generator(model, DecodingConfig())(PROMPTS)
    stop = f"{free[0][3]}><{free[0][4]}"  # across the border of the fourth and the fifth token
    asked = generator(model, DecodingConfig(stop=[stop]), by_generate=by_generate)
    samples = answer_rows(asked, ROWS, PROMPTS, 42).samples
    text = Tokenizer().decode(free[0], True)
    assert samples[0].answer == text[: text.index(stop)] and samples[0].ended
    assert stop not in "".join(sample.answer for sample in samples)
    ids = asked(PROMPTS[:1])[0]  # no more tokens than the text needs
    assert stop in Tokenizer().decode(ids, True) and stop not in Tokenizer().decode(ids[:-1], True)
    assert StopTexts(["<end_of_turn>", "끝"], Tokenizer()).ids == [6]  # decoding would leave it out of the text


def test_an_answer_with_a_fault_is_asked_for_again(tiny_model: Callable[[str], Path]) -> None:
    model = load(tiny_model("gemma3"))
    again = DecodingConfig("sample", do_sample=True, retries=2)
    seen: list[int] = []
    answers = answer_rows(generator(model, again), ROWS, PROMPTS, 42, seen.append)
    assert answers.samples == answer_rows(generator(model, again, "2"), ROWS, PROMPTS, 42).samples
    first = answer_rows(generator(model, DecodingConfig("sample", do_sample=True)), ROWS, PROMPTS, 42)
    for kept, once in zip(answers.samples, first.samples, strict=True):
        if kept.retries is None:
            assert kept == once
        else:  # a random model never ends within 16 tokens
            assert once.ended is False and "cut_off" in kept.retries[0]["reasons"]
            assert once.answer in {kept.answer, kept.retries[0]["answer"]}
    assert any(sample.retries and len(sample.retries) == 2 for sample in answers.samples)
    assert answers.generated > first.generated and seen[-1] == len(ROWS)


def test_a_run_draws_the_same_answers_for_the_same_seed(tiny_model: Callable[[str], Path], tmp_path: Path) -> None:
    command = [
        sys.executable, "-m", "ohlora.run", "-m", "task=infer", "generation=natural", "decoding=sample", "seed=1,2",
        "generation.batch=1,3", "decoding.retries=1", "decoding.temperature=3", "decoding.top_k=0", "decoding.top_p=1",
        "generation.prompts=4", "generation.max_new_tokens=16", "tracking=none", "model=local", "study=drawn",
        "model.accept_license=true", "model.dtype=float32", "launch.threads=1", "launch.warm=true",
        f"model.path={tiny_model('gemma3')}",
    ]  # fmt: skip
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    found: dict[str, list[list[Sample]]] = {"seed=1": [], "seed=2": []}
    for path in (tmp_path / "outputs" / "drawn").glob("*/result.json"):
        run = json.loads(path.read_text())
        assert run["effective"]["infer"]["generation"]["temperature"] == 3
        seed = next(seed for seed in found if seed in run["arm"])
        found[seed].append(read_samples(path.parent / "attempt-1" / "samples" / "infer.jsonl"))
    (first, same), (other, same_other) = found.values()
    assert len(first) == 4 and [first, other] == [same, same_other] and first != other
    assert any(sample.retries and sample.retries[0]["reasons"] for sample in first)
