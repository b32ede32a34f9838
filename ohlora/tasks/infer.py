"""python -m ohlora.run task=infer adapter=<run>: answers, singly or in batches, timed alike in every back end."""

from __future__ import annotations

from statistics import median
from typing import Any

from ohlora.backends import Backend, Loaded
from ohlora.backends.effective import find_replaced_forwards
from ohlora.data.tokens import Tokens
from ohlora.files import sha256_of
from ohlora.generation.batches import merge_adapter
from ohlora.generation.decoding import drop_own_settings, greedy, in_effect, is_plain
from ohlora.generation.stopping import StopTexts
from ohlora.measure.clock import Clock
from ohlora.measure.quality import quality
from ohlora.records.samples import write_samples
from ohlora.tasks.asking import Answers, answer_rows, make_generator, make_sample, read_answer
from ohlora.tasks.job import Job
from ohlora.tasks.loading import load, record_memory


def run(job: Job) -> None:
    """Answer the run's prompts as `decoding` says; write samples/infer.jsonl and the `infer/…` metrics."""
    made, loaded, tokens, memory = load(job, "infer")
    config = job.config
    with memory.phase("infer"):
        if config.generation.batch == "1" and is_plain(config.decoding):
            answers, total, in_effect = _answer_singly(job, loaded, tokens)
        else:
            answers, total, in_effect = _answer_in_batches(job, made, loaded, tokens)
    samples = answers.samples
    job.metric("infer/infer_time_s", total)
    job.metric("infer/infer_tokens_per_s", answers.generated / total)
    job.metric("infer/prompts", len(samples))
    job.metric("infer/generated_tokens", answers.generated)
    job.record.hashes["prompts"] = sha256_of([ids for _, ids in tokens.prompts])
    job.record.effective[job.phase] |= {"patches": find_replaced_forwards(loaded.model), **in_effect}
    write_samples(job.attempt / "samples" / "infer.jsonl", samples)
    if config.task.name == "infer" and config.generation.min_new_tokens == 0:  # else no natural end
        for key, value in quality(samples).items():
            job.metric(key, value)
    record_memory(job, memory)


# The answers, the seconds for all of them, and the generation settings in effect.
Timed = tuple[Answers, float, dict[str, Any]]


def _answer_singly(job: Job, loaded: Loaded, tokens: Tokens) -> Timed:
    generation = job.config.generation
    device = job.record.effective["device"]
    generator = Generator(loaded.model, tokens, device, generation.min_new_tokens, generation.max_new_tokens)
    if generation.warmup:
        job.stage("warming up")
        by_length = sorted((ids for _, ids in tokens.prompts), key=len)
        first, longest = (generator(ids).seconds for ids in (by_length[0], by_length[-1]))
        job.metric("infer/infer_first_s", first)
        job.metric("infer/infer_warmup_s", first + longest)
    job.stage("answering", total=len(tokens.prompts), unit="prompt")
    answers = []
    for number, (_, ids) in enumerate(tokens.prompts, 1):
        answers.append(generator(ids))
        job.metric("infer/prompt_s", answers[-1].seconds, step=number)
        job.advance(number)
    generated = sum(len(answer.ids) for answer in answers)
    total = sum(answer.seconds for answer in answers)
    firsts = [answer.first_s for answer in answers if answer.first_s is not None]
    decoding = 0.0
    if len(firsts) == len(answers):
        job.metric("infer/infer_ttft_ms", 1000 * median(firsts))
        decoding = total - sum(firsts)
    if generated > len(answers) and decoding > 0:
        job.metric("infer/infer_decode_tokens_per_s", (generated - len(answers)) / decoding)
    stops = StopTexts([], loaded.tokenizer)
    pairs = zip(job.plan.run_rows.prompts, answers, strict=True)
    samples = [make_sample(row, *read_answer(stops, tokens.stop_ids, answer.ids)) for row, answer in pairs]
    return Answers(samples, generated), total, generator.in_effect()


def _answer_in_batches(job: Job, made: Backend, loaded: Loaded, tokens: Tokens) -> Timed:
    merged = merge_adapter(loaded.model)
    generation = job.config.generation
    generator = make_generator(
        job, made, loaded, tokens, generation.max_new_tokens, min_new=generation.min_new_tokens, size=generation.batch
    )
    if generation.warmup:
        job.stage("warming up")
        generator([min((ids for _, ids in tokens.prompts), key=len)], seeds=[0])
    clock = Clock(job.record.effective["device"])
    job.stage("answering", total=len(tokens.prompts), unit="prompt")
    started = clock.now()
    prompts = [ids for _, ids in tokens.prompts]
    answers = answer_rows(generator, job.plan.run_rows.prompts, prompts, job.config.seed, job.advance)
    return answers, clock.now() - started, {**generator.in_effect(), "adapter_merged": merged}


class Answer:
    """One generated answer: `ids` are the new tokens, `seconds` the time to the last one, `first_s` to the first
    (None if a replaced `generate` did not report it)."""

    def __init__(self, ids: list[int], seconds: float, first_s: float | None) -> None:
        self.ids, self.seconds, self.first_s = ids, seconds, first_s


class Generator:
    """Greedy generation with batch size 1, by the model's own `generate`, which a back end may have replaced."""

    def __init__(self, model: Any, tokens: Tokens, device: str, min_new: int, max_new: int) -> None:
        self.model, self.device, self.clock = model, device, Clock(device)
        self.settings = greedy(min_new, max_new, tokens.stop_ids, tokens.pad_id)
        self.dropped = drop_own_settings(model)

    def in_effect(self) -> dict[str, Any]:
        """The generation settings in effect, and those of the model's generation_config.json that were ignored."""
        return {"generation": in_effect(self.settings), "generation_dropped": self.dropped}

    def __call__(self, prompt: list[int]) -> Answer:
        import torch

        input_ids = torch.tensor([prompt], device=self.device)
        first = _FirstToken(self.clock)
        started = self.clock.now()
        with torch.inference_mode():
            output = self.model.generate(
                input_ids=input_ids,
                attention_mask=torch.ones_like(input_ids),
                generation_config=self.settings,
                stopping_criteria=[first],
            )
        seconds = self.clock.now() - started
        return Answer(output[0, len(prompt) :].tolist(), seconds, first.at - started if first.at else None)


class _FirstToken:
    """A stopping criterion that never stops: it records the time of the first token."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.at = clock, 0.0

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
        import torch

        if not self.at:
            self.at = self.clock.now()
        return torch.zeros(input_ids.shape[0], dtype=torch.bool, device=input_ids.device)
