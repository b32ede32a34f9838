"""Probe, import and load, the same way for every task; time each and record the settings in effect."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

from ohlora.backends import Backend, Loaded, LoadSpec, LoraSpec, Mode, backend
from ohlora.backends.interface import AUTO
from ohlora.config.choices import Attention, Speed
from ohlora.data.tokens import Tokens, load_tokens
from ohlora.errors import Unsupported, UserError
from ohlora.estimate.capacity import Capacity
from ohlora.estimate.fit import Estimate
from ohlora.measure.clock import process_age_s
from ohlora.measure.device import describe, resolve_device, resolve_dtype
from ohlora.measure.memory import PhaseMemory
from ohlora.measure.resident import process_peak_mib
from ohlora.measure.sampler import MEMORY_TIMELINE
from ohlora.planning.plan import Plan
from ohlora.tasks.job import WARM, Job

# How libraries word what they do not support, in exceptions of any class; matched in the first sentence.
REFUSALS = ("not supported", "does not support", "not yet implemented")
SENTENCE_END = re.compile(r"(?<=[.!])\s")
SAMPLE_TOKENS = 64  # of an answer generated after training


def load(job: Job, mode: Mode, adapter: Path | None = None) -> tuple[Backend, Loaded, Tokens, PhaseMemory]:
    """Load the model in this process and record `load/…`; with `adapter`, else with the run's own.

    Raises:
        Unsupported: the back end cannot run here.
    """
    config = job.config
    there = job.plan.capacity  # before this process uses any memory
    tokens = load_tokens(job.plan.tokens_path)
    made = backend(config.backend.name)
    job.stage("importing libraries")
    device = resolve_device(config.device)
    support = made.probe(device)
    if not support.supported:
        raise Unsupported(support.code, support.reason)
    memory = PhaseMemory(device, job.attempt / MEMORY_TIMELINE, job.phase)
    with memory.phase("load"):
        try:
            job.record.versions |= made.prepare()
            if mode == "train" and config.trainer.speed is Speed.plain:
                import trl  # noqa: F401  imported after the back end has patched it
        except NotImplementedError as error:  # libraries raise any class for what they do not support
            raise _make_unsupported(config.backend.name, "import_refused", error) from None
        imported = process_age_s()
        estimate = _record_estimate(job, device, tokens, there)
        if mode == "train" and config.trainer.gradient_checkpointing == AUTO:
            _choose_checkpointing(job, estimate)
        job.stage("loading the model")
        spec = make_spec(job.plan, device, mode, tokens, adapter)
        _seed(config.seed)
        try:
            loaded = made.load(spec)
        except (NotImplementedError, ImportError, RuntimeError, ValueError) as error:
            if isinstance(error, UserError) or not _is_refusal(error):
                raise
            raise _make_unsupported(config.backend.name, "load_refused", error) from None
        ready = process_age_s()
    job.metric("load/import_s", imported)
    job.metric("load/weights_s", ready - imported)
    job.metric("load/load_s", ready)
    job.record.device = describe(device)
    job.record.hashes["tokens"] = tokens.hash
    job.record.effective = {
        "backend": config.backend.name,
        "device": device,
        "dtype": loaded.effective["dtype"],
        "truncated_rows": len(tokens.truncated),
        **({"start": "warm"} if WARM in os.environ else {}),
        **({"chat_date": tokens.chat_date} if tokens.chat_date else {}),
        job.phase: loaded.effective,
    }
    return made, loaded, tokens, memory


def _is_refusal(error: Exception) -> bool:
    """Does the error say that something is not supported, rather than that something failed?"""
    said = str(error).lower()
    return isinstance(error, NotImplementedError) or any(words in said for words in REFUSALS)


def _make_unsupported(backend: str, code: str, error: Exception) -> Unsupported:
    """The first sentence of the library's own message."""
    said = str(error).strip() or type(error).__name__
    return Unsupported(code, f"backend={backend}: {SENTENCE_END.split(said)[0]}")


def make_spec(plan: Plan, device: str, mode: Mode, tokens: Tokens, adapter: Path | None = None) -> LoadSpec:
    """What the back end has to load. `max_length` fits every row, and every prompt with its answer."""
    config = plan.config
    rows = [len(example.input_ids) for example in tokens.train + tokens.validation]
    answers = [len(ids) + config.generation.max_new_tokens for _, ids in tokens.prompts]
    new_adapter, attention, saved = None, plan.attention, adapter or config.adapter
    if mode == "train":
        new_adapter = LoraSpec(
            config.lora.method.value, config.lora.rank, config.lora.alpha, config.lora.dropout, plan.lora_targets
        )
    return LoadSpec(
        path=plan.model_folder,
        mode=mode,
        device=device,
        dtype=resolve_dtype(config.model.dtype, device),
        quantization=config.lora.quantization.value,
        attention=None if attention is Attention.auto else attention.value,
        max_length=max([config.trainer.max_length, *answers, *(length + SAMPLE_TOKENS for length in rows)]),
        gradient_checkpointing=config.trainer.gradient_checkpointing if mode == "train" else "none",
        seed=config.seed,
        remote_code=config.model.remote_code is not None,
        new_adapter=new_adapter,
        saved_adapter=Path(saved) if saved else None,
    )


def _record_estimate(job: Job, device: str, tokens: Tokens, there: Capacity) -> Estimate | None:
    """Record the estimate for this process before anything is loaded, to be compared with the measurement; None if the
    model's shape is unknown."""
    dtype = resolve_dtype(job.config.model.dtype, device)
    there = replace(there, device=device, dtype=dtype)
    found = job.plan.estimate_on(there, tokens)
    if found is None or job.phase not in found.phases:
        return found
    parts = {name: round(size, 1) for name, size in found.phases[job.phase].items()}
    job.metric(f"estimate/{job.phase}/peak_mib", found.peak(job.phase))
    job.record.estimate[job.phase] = {"parts_mib": parts, "device_mib": there.mib, "verdict": found.verdict}
    return found


def _choose_checkpointing(job: Job, estimate: Estimate | None) -> None:
    """Put the choice in the place of `auto` in this process's plan, and say it with its reason."""
    if estimate is None:
        chosen, why = "standard", "the memory needed is unknown"
    else:
        chosen = estimate.settings.checkpointing
        needed, there = estimate.needed, estimate.there
        why = f"the run then needs about {needed:,.0f} MiB; available: {there.said}"
    trainer = replace(job.config.trainer, gradient_checkpointing=chosen)
    job.plan = replace(job.plan, config=replace(job.config, trainer=trainer))
    job.note(f"trainer.gradient_checkpointing=auto: {chosen}; {why}")


def record_memory(job: Job, memory: PhaseMemory) -> None:
    """Record all memory peaks of this process, its disturbances, and the source of the driver's numbers."""
    for key, value in memory.metrics().items():
        job.metric(key, value)
    job.record.disturbance = memory.disturbance.records()
    whole = process_peak_mib()
    if whole is not None:
        job.metric(f"{job.phase}/process_peak_rss_mib", whole)
    if memory.nvml:
        job.record.effective[job.phase]["vram_device_source"] = memory.nvml.source
        if memory.nvml.reason:
            job.record.effective[job.phase]["vram_device_reason"] = memory.nvml.reason


def _seed(seed: int) -> None:
    from transformers import set_seed

    set_seed(seed)
