"""The same fine-tuning as `trainer=unsloth_test`, written with only transformers, PEFT and TRL, or Unsloth and TRL.

    python benchmarks/bare_sft.py <model folder> <output folder> <rows.json>

`benchmarks/overhead.py` and `benchmarks/speed.py` compare our process with it; it uses none of our code.
"""

import argparse
import json
import sys
import time
from typing import Any

parser = argparse.ArgumentParser()
parser.add_argument("model")
parser.add_argument("output")
parser.add_argument("rows", help="a JSON file of prompts and completions")
parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
parser.add_argument("--checkpointing", action="store_true", help="TRL's default")
parser.add_argument("--unsloth", action="store_true")
parser.add_argument("--rank", type=int, default=64)
parser.add_argument("--batch", type=int, default=2)
given = parser.parse_args()
if given.unsloth:
    import unsloth

import torch  # noqa: E402
from datasets import Dataset  # noqa: E402
from peft import LoraConfig  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback, set_seed  # noqa: E402
from trl import SFTConfig, SFTTrainer  # noqa: E402

TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


class Steps(TrainerCallback):
    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self.started = time.perf_counter()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.seconds.append(time.perf_counter() - self.started)


steps = Steps()
set_seed(42)
dtype = getattr(torch, given.dtype)
with open(given.rows, encoding="utf-8") as file:  # noqa: PTH123
    data = Dataset.from_list(json.load(file))
peft_config = None
if given.unsloth:
    fast = unsloth.FastLanguageModel
    model, tokenizer = fast.from_pretrained(
        given.model, dtype=dtype, max_seq_length=512, load_in_4bit=False, use_gradient_checkpointing=False
    )
    model = fast.get_peft_model(
        model,
        r=given.rank,
        lora_alpha=given.rank,
        lora_dropout=0,
        target_modules=TARGETS,
        use_gradient_checkpointing=False,
    )
else:
    model = AutoModelForCausalLM.from_pretrained(given.model, dtype=dtype)
    tokenizer = AutoTokenizer.from_pretrained(given.model)
    peft_config = LoraConfig(
        r=given.rank, lora_alpha=given.rank, lora_dropout=0.0, target_modules=TARGETS, task_type="CAUSAL_LM"
    )
trainer = SFTTrainer(
    model=model,
    processing_class=tokenizer,
    train_dataset=data,
    peft_config=peft_config,
    callbacks=[steps],
    args=SFTConfig(
        output_dir=given.output,
        num_train_epochs=2,
        per_device_train_batch_size=given.batch,
        gradient_accumulation_steps=1,
        learning_rate=2e-4,
        lr_scheduler_type="linear",
        warmup_steps=0,
        weight_decay=0.0,
        optim="adamw_torch_fused",
        gradient_checkpointing=given.checkpointing,
        bf16=given.dtype == "bfloat16",
        use_cpu=True,
        max_length=512,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        seed=42,
    ),
)
trainer.train()
trainer.save_model(given.output)
losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
found = {"first_loss": losses[0], "last_loss": losses[-1], "steps": trainer.state.global_step}
print(json.dumps(found | {"train_s": sum(steps.seconds)}))
sys.stdout.flush()
