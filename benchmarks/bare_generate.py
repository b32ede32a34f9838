"""The user's inference test with only transformers: one prompt at a time, greedy, a fixed number of new tokens.

    python benchmarks/bare_generate.py <model folder> <prompts.json> [--continuous]

With --continuous by transformers' continuous batching, its first call untimed like the first prompt of the loop.
`benchmarks/speed.py` compares our inference with it; it uses none of our code.
"""

import json
import sys
import time

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

NEW_TOKENS = 40
folder, file, *flags = sys.argv[1:]
with open(file, encoding="utf-8") as opened:  # noqa: PTH123
    prompts = json.load(opened)
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).eval()


def answer(prompt: str) -> str:
    given = tokenizer(prompt, return_tensors="pt")
    output = model.generate(**given, do_sample=False, min_new_tokens=NEW_TOKENS, max_new_tokens=NEW_TOKENS)
    return tokenizer.decode(output[0, given.input_ids.shape[1] :], skip_special_tokens=True).strip()


def answer_continuously(prompts: list[str]) -> list[str]:
    """It knows no least number of tokens; without a stop token every answer has the most."""
    settings = GenerationConfig(do_sample=False, max_new_tokens=NEW_TOKENS, eos_token_id=-1, pad_token_id=0)
    found = model.generate_batch(inputs=tokenizer(prompts)["input_ids"], generation_config=settings)
    by_number = sorted(found.values(), key=lambda one: int(one.request_id.rpartition("_")[2]))
    return [tokenizer.decode(one.generated_tokens, skip_special_tokens=True).strip() for one in by_number]


def answer_singly(prompts: list[str]) -> list[str]:
    return [answer(prompt) for prompt in prompts]


answer_all = answer_continuously if "--continuous" in flags else answer_singly
answer_all(prompts[:1])
started = time.perf_counter()
answers = answer_all(prompts)
print(json.dumps({"infer_s": time.perf_counter() - started, "answers": answers}))
