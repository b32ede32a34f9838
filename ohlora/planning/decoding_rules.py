"""The rules of `decoding.*`: what each value may be, and which of them a timed run accepts."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite

from ohlora.config.schema import Config, DecodingConfig
from ohlora.config.tasks import INFER, TASKS
from ohlora.generation.decoding import is_plain

SAMPLING = {"temperature": 1.0, "top_p": 1.0, "top_k": 0}  # each with the value that changes nothing


def decoding_problems(c: Config) -> Iterator[str]:
    """Every rule of the group that this configuration breaks."""
    found = [*_ranges(c.decoding), *_combinations(c.decoding)]
    yield from found
    if not found and not is_plain(c.decoding):
        yield from _timed(c)


def _ranges(d: DecodingConfig) -> Iterator[str]:
    if not (isfinite(d.temperature) and d.temperature > 0):
        yield f"decoding.temperature={d.temperature}: must be > 0; for the likeliest token give decoding=greedy"
    if not 0 < d.top_p <= 1:
        yield f"decoding.top_p={d.top_p}: must be > 0 and <= 1 (1: draw from all tokens)"
    if d.top_k < 0:
        yield f"decoding.top_k={d.top_k}: must be >= 0 (0: draw from all tokens)"
    if not (isfinite(d.repetition_penalty) and d.repetition_penalty > 0):
        yield f"decoding.repetition_penalty={d.repetition_penalty}: must be > 0 (1: no penalty)"
    if d.num_beams < 1:
        yield f"decoding.num_beams={d.num_beams}: must be >= 1 (1: no beam search)"
    if d.retries < 0:
        yield f"decoding.retries={d.retries}: must be >= 0"
    if any(not text for text in d.stop):
        yield "decoding.stop: an empty text would end every answer at once; remove it, or give stop=[] for none"


def _combinations(d: DecodingConfig) -> Iterator[str]:
    if d.do_sample and d.num_beams > 1:
        yield f"decoding.num_beams={d.num_beams}: beams are not drawn; give decoding.do_sample=false or num_beams=1"
    for key, neutral in SAMPLING.items():
        value = getattr(d, key)
        if not d.do_sample and value != neutral:
            yield f"decoding.{key}={value}: has no effect unless tokens are drawn; give decoding=sample, or {neutral:g}"
    if d.retries > 0 and not d.do_sample:
        yield (
            f"decoding.retries={d.retries}: decoding={d.name} would give the same answer again; give decoding=sample, "
            "or decoding.retries=0"
        )
    if d.retries > 0 and not d.retry_on:
        yield f"decoding.retry_on=[]: names no fault for decoding.retries={d.retries}; give decoding.retries=0"


def _timed(c: Config) -> Iterator[str]:
    """Timed runs do the same work in every arm: greedy, without retries or stop texts."""
    given = ", ".join(_asked(c.decoding))
    only = "only decoding=greedy can be timed, without retries or stop texts"
    task = TASKS.get(c.task.name)
    if c.compare.arms:
        yield f"{given}: compare.arms compares times, and {only}; give decoding=greedy"
    elif task is None or INFER not in task.phases:
        return
    elif c.task.name != "infer":
        yield f"{given}: task={c.task.name} times its answers, and {only}; give task=infer, or decoding=greedy"
    elif c.generation.min_new_tokens > 0:
        by = f"generation.min_new_tokens={c.generation.min_new_tokens}"
        yield f"{given}: {by} is for timing, and {only}; give generation=natural, or decoding=greedy"


def _asked(d: DecodingConfig) -> Iterator[str]:
    """What makes it more than plain greedy, as the user could have typed it."""
    if d.name != "greedy":
        yield f"decoding={d.name}"
        return
    usual = DecodingConfig()
    for key in ("do_sample", "num_beams", "repetition_penalty", "stop", "retries"):
        value = getattr(d, key)
        if value != getattr(usual, key):
            yield f"decoding.{key}={value}"
