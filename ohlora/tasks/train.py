"""python -m ohlora.run task=train trainer=sft: LoRA SFT on the responses, by one trainer for all back ends."""

from __future__ import annotations

import math
import os
from functools import partial
from typing import Any

from ohlora.backends import Backend, Loaded
from ohlora.backends.effective import adapter_dtypes, checkpointing, find_replaced, find_replaced_forwards
from ohlora.config.choices import Schedule, Speed
from ohlora.config.schema import TrainerConfig
from ohlora.data.tokens import Tokens
from ohlora.errors import Unsupported, UserError
from ohlora.measure.matmul import matmul_peak
from ohlora.tasks.job import Job
from ohlora.tasks.loading import load, record_memory
from ohlora.tasks.sampling import write_answers
from ohlora.training.adapter import adapter_hash, initialise_adapter, keep_float32, save_adapter
from ohlora.training.batches import Collator, batches_of_step
from ohlora.training.evaluate import evaluate, has_loss
from ohlora.training.flops import TrainingCost, training_cost
from ohlora.training.monitor import Monitor, SavedWeights
from ohlora.training.steps import SkippedSteps, StepTimer

# transformers reads `warmup_steps` below 1 as a share of all steps, rounded up, and 1 as one step.
WHOLE_RUN = math.nextafter(1.0, 0.0)


def run(job: Job) -> None:
    """Fine-tune, evaluate, save the adapter, answer a few validation prompts."""
    made, loaded, tokens, memory = load(job, "train")
    config, device = job.config, job.record.effective["device"]
    collator = Collator(tokens.pad_id)
    t = config.trainer
    batches_of = partial(
        batches_of_step, rows=len(tokens.train), batch_size=t.batch_size, accumulation=t.gradient_accumulation
    )
    timer = StepTimer(job, collator, device, t.warm_steps, batches_of)
    trainer = _trainer(made, loaded, tokens, collator, timer, job)
    keep_float32(loaded.model)
    initialise_adapter(loaded.model, config.seed)  # now, since TRL rounds a quantised model's adapter to bfloat16
    job.record.hashes["adapter_init"] = adapter_hash(loaded.model)

    def compute_loss(step: int) -> float | None:
        if not any(map(has_loss, tokens.validation)):
            return None
        with memory.phase("eval"):
            loss = evaluate(loaded.model, tokens.validation)
        made.set_mode(loaded, "train")
        job.metric("eval/eval_loss", loss, step=step)
        return loss

    def answer(step: int) -> None:
        with memory.phase("eval"):
            write_answers(job, made, loaded, tokens, step)
        made.set_mode(loaded, "train")

    monitor = Monitor(t, compute_loss, answer, SavedWeights(loaded.model, job.attempt / "best.safetensors"))
    trainer.add_callback(monitor.callback())
    timer.was_skipped = SkippedSteps(trainer.accelerator)
    made.set_mode(loaded, "train")
    with memory.phase("train"):
        trainer.train()
    cost = training_cost(loaded.model)
    job.record.effective["train"] |= _in_effect(trainer, loaded)
    job.stage("evaluating")
    loss = monitor.finish(trainer.state.global_step)
    if (said := monitor.describe(trainer.state.global_step)) is not None:
        job.note(said)
    job.record.hashes |= {"batches": timer.batches_hash(), "adapter": adapter_hash(loaded.model)}
    job.record.parity = timer.parity()
    job.metric("train/train_rows", len(tokens.train))
    for key, value in {**timer.metrics(), **monitor.metrics()}.items():
        job.metric(f"train/{key}", value)
    if loss is not None:
        job.metric("eval/eval_loss", loss)
    save_adapter(loaded, job.attempt / "adapter", job.plan, job.record.hashes["adapter"])
    job.record.effective["train"] |= write_answers(job, made, loaded, tokens)
    record_memory(job, memory)
    _utilisation(job, cost, timer, device)


def sft_settings(trainer: TrainerConfig, seed: int, device: str, dtype: str, output: str) -> dict[str, Any]:
    """Set every SFTConfig field for which TRL or a back end has its own default."""
    t = trainer
    warming = t.warmup_ratio > 0  # "constant" ignores warm-up
    return {
        "output_dir": output,
        "num_train_epochs": t.epochs,
        "max_steps": t.max_steps or -1,
        "per_device_train_batch_size": t.batch_size,
        "gradient_accumulation_steps": t.gradient_accumulation,
        "learning_rate": t.learning_rate,
        "lr_scheduler_type": "constant_with_warmup"
        if warming and t.schedule is Schedule.constant
        else t.schedule.value,
        "warmup_steps": min(t.warmup_ratio, WHOLE_RUN),
        "weight_decay": t.weight_decay,
        "max_grad_norm": t.max_grad_norm,
        "neftune_noise_alpha": t.neftune_alpha,
        "optim": t.optimizer,
        "loss_type": t.loss.value,
        "gradient_checkpointing": t.gradient_checkpointing != "none",
        "gradient_checkpointing_kwargs": {"use_reentrant": False} if t.gradient_checkpointing == "standard" else None,
        "max_length": None,  # rows were cut once before, for all arms
        "packing": False,
        "eval_packing": False,
        "padding_free": False,
        "completion_only_loss": False,
        "dataset_kwargs": {"skip_prepare_dataset": True},
        "remove_unused_columns": False,
        "train_sampling_strategy": "random",
        "bf16": dtype == "bfloat16",
        "fp16": dtype == "float16" and device == "cuda",
        "use_cpu": device == "cpu",
        "seed": seed,
        "data_seed": seed,
        "dataloader_num_workers": 0,
        "dataloader_pin_memory": False,
        "eval_strategy": "no",
        "save_strategy": "no",
        "logging_strategy": "steps",
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "report_to": "none",
        "disable_tqdm": True,
        "use_liger_kernel": False,
        "torch_compile": False,
        "average_tokens_across_devices": False,
    }


def _trainer(made: Backend, loaded: Loaded, tokens: Tokens, collator: Any, timer: Any, job: Job) -> Any:
    from datasets import Dataset

    device, dtype = job.record.effective["device"], loaded.effective["dtype"]
    settings = sft_settings(job.config.trainer, job.config.seed, device, dtype, str(job.attempt / "checkpoints"))
    rows = [{"input_ids": e.input_ids, "labels": e.labels} for e in tokens.train]
    arguments = {
        "model": loaded.model,
        "train_dataset": Dataset.from_list(rows),
        "data_collator": collator,
        "processing_class": loaded.tokenizer,
        "callbacks": [timer.callback()],
    }
    is_fast = job.config.trainer.speed is Speed.fast
    if is_fast and made.has_own_kernels(loaded):
        raise Unsupported(
            "untried_speed",
            f"trainer.speed=fast: backend={made.name} computes the loss in kernels of its own here, beside which ours "
            "was never tried; use trainer.speed=plain",
        )
    try:
        args = _fast_settings(settings) if is_fast else _trl_settings(settings)
    except ValueError as error:
        raise UserError(f"trainer: {error}") from None
    if is_fast:
        from ohlora.training.fast import FastTrainer

        trainer: Any = FastTrainer(
            [len(e.input_ids) for e in tokens.train], job.config.trainer.compile, args=args, **arguments
        )
    else:
        from trl import SFTTrainer

        trainer = SFTTrainer(args=args, **arguments)
    job.record.arguments = trainer.args.to_dict()
    return trainer


def _fast_settings(settings: dict[str, Any]) -> Any:
    from ohlora.training.fast import fast_settings

    return fast_settings(settings)


def _trl_settings(settings: dict[str, Any]) -> Any:
    from trl import SFTConfig

    return SFTConfig(**settings)


def _in_effect(trainer: Any, loaded: Loaded) -> dict[str, Any]:
    """The settings that training really used, read from the trainer afterwards."""
    optimizer = trainer.optimizer
    optimizer = getattr(optimizer, "optimizer", optimizer)
    compute_loss = getattr(trainer.compute_loss, "__func__", trainer.compute_loss)
    return {
        "trainer_class": f"{type(trainer).__module__}.{type(trainer).__qualname__}",
        "optimizer": type(optimizer).__name__,
        "optimizer_fused": bool(optimizer.defaults.get("fused")),
        "loss": _loss_in_effect(trainer),
        "layers_compiled": bool(getattr(trainer, "compiled", False)),
        "mixed_precision": str(trainer.accelerator.mixed_precision),
        "adapter_dtype": adapter_dtypes(loaded.model),
        "gradient_checkpointing": checkpointing(loaded.model),
        "loss_kernel": f"{compute_loss.__module__}.{compute_loss.__qualname__}",
        "patches": find_replaced_forwards(loaded.model)
        + find_replaced(trainer, ("compute_loss", "training_step", "create_optimizer", "get_train_dataloader")),
        "allocator": _allocator(loaded),
        "batch_size": trainer.args.per_device_train_batch_size,
        "steps": trainer.state.global_step,
        "warmup_steps": trainer.args.get_warmup_steps(trainer.state.max_steps),
    }


def _loss_in_effect(trainer: Any) -> str:
    """TRL's name of its loss, or our own, which only the tokens with loss pass."""
    loss = getattr(trainer.args, "loss_type", "head_loss")
    return str(getattr(loss, "value", loss))


def _allocator(loaded: Loaded) -> str:
    """The device's allocator and its setting."""
    import torch

    if next(loaded.model.parameters()).device.type != "cuda":
        return "cpu"
    return f"{torch.cuda.get_allocator_backend()} ({os.environ.get('PYTORCH_ALLOC_CONF', '')})"


def _utilisation(job: Job, cost: TrainingCost, timer: StepTimer, device: str) -> None:
    """Record the share of the device's matmul speed that the warm steps reached. Last: it takes memory and time."""
    job.stage("measuring the device's matmul speed")
    job.metric("train/train_tflop", cost.of(batch for step in timer.fed for batch in step) / 1e12)
    in_effect = job.record.effective["train"]
    dtype = {"bf16": "bfloat16", "fp16": "float16"}.get(in_effect["mixed_precision"], in_effect["dtype"])
    peak = matmul_peak(device, dtype)
    if peak:
        seconds, batches = timer.warm()
        job.metric("train/matmul_peak_gflops", peak / 1e9)
        job.metric("train/train_mfu", cost.of(batches) / (sum(seconds) * peak))
