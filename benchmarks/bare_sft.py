"""The same fine-tuning as `trainer=unsloth_test`, written with only transformers, PEFT and TRL.

    python benchmarks/bare_sft.py <model folder> <output folder> <rows.json>

`benchmarks/overhead.py` compares our process with it; it uses none of our code.
"""

import json
import sys

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, set_seed
from trl import SFTConfig, SFTTrainer

model_folder, output, rows = sys.argv[1:]
set_seed(42)
with open(rows, encoding="utf-8") as file:  # noqa: PTH123
    data = Dataset.from_list(json.load(file))
trainer = SFTTrainer(
    model=AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.float32),
    processing_class=AutoTokenizer.from_pretrained(model_folder),
    train_dataset=data,
    peft_config=LoraConfig(
        r=64,
        lora_alpha=64,
        lora_dropout=0.0,
        target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
        task_type="CAUSAL_LM",
    ),
    args=SFTConfig(
        output_dir=output,
        num_train_epochs=2,
        per_device_train_batch_size=2,
        learning_rate=2e-4,
        lr_scheduler_type="linear",
        gradient_checkpointing=False,
        bf16=False,
        use_cpu=True,
        max_length=512,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        seed=42,
    ),
)
trainer.train()
trainer.save_model(output)
losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
print(json.dumps({"first_loss": losses[0], "last_loss": losses[-1], "steps": trainer.state.global_step}))
