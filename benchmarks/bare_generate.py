"""The user's inference test with only transformers: one prompt at a time, greedy, a fixed number of new tokens.

    python benchmarks/bare_generate.py <model folder> <prompts.json>

`benchmarks/speed.py` compares our inference with it; it uses none of our code.
"""

import json
import sys
import time

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

NEW_TOKENS = 40
folder, file = sys.argv[1:]
with open(file, encoding="utf-8") as opened:  # noqa: PTH123
    prompts = json.load(opened)
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).eval()


def answer(prompt: str) -> str:
    given = tokenizer(prompt, return_tensors="pt")
    output = model.generate(**given, do_sample=False, min_new_tokens=NEW_TOKENS, max_new_tokens=NEW_TOKENS)
    return tokenizer.decode(output[0, given.input_ids.shape[1] :], skip_special_tokens=True).strip()


answer(prompts[0])
started = time.perf_counter()
answers = [answer(prompt) for prompt in prompts]
print(json.dumps({"infer_s": time.perf_counter() - started, "answers": answers}))
