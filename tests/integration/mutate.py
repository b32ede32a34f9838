"""A child with one thing wrong: `python mutate.py <what> <python> -m ohlora.worker <attempt> --phase <phase>`.

Put before the child's command by `launch.prefix`, it changes what a check is there to notice.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from importlib import util

from ohlora.data.tokens import Tokens
from ohlora.tasks import loading, train
from ohlora.worker import main


def another_adapter_seed() -> None:
    right = train.initialise_adapter
    train.initialise_adapter = lambda model, seed: right(model, seed + 1)


def bos_dropped() -> None:
    right = loading.load_tokens

    def wrong(path) -> Tokens:
        tokens = right(path)
        cut = {
            name: [replace(e, input_ids=e.input_ids[1:], labels=e.labels[1:]) for e in getattr(tokens, name)]
            for name in ("train", "validation")
        }
        return replace(tokens, **cut, prompts=[(row, ids[1:]) for row, ids in tokens.prompts])

    loading.load_tokens = wrong


def rank_changed() -> None:
    right = loading.LoraSpec
    loading.LoraSpec = lambda method, rank, *rest: right(method, rank // 2, *rest)


def batch_swapped() -> None:
    right = loading.load_tokens

    def wrong(path) -> Tokens:
        tokens = right(path)
        return replace(tokens, train=[tokens.train[-1], *tokens.train[1:-1], tokens.train[0]])

    loading.load_tokens = wrong


def unsloth_not_installed() -> None:
    right = util.find_spec
    util.find_spec = lambda name, package=None: None if name == "unsloth" else right(name, package)


def memory_not_there() -> None:
    """An allocation that no machine can give."""

    def wrong(*_) -> None:
        import torch

        torch.empty(2**46)

    train.initialise_adapter = wrong


MUTATIONS = (
    another_adapter_seed, bos_dropped, rank_changed, batch_swapped, unsloth_not_installed, memory_not_there,
)  # fmt: skip

if __name__ == "__main__":
    {mutation.__name__: mutation for mutation in MUTATIONS}[sys.argv[1]]()
    sys.argv = ["ohlora.worker", *sys.argv[sys.argv.index("ohlora.worker") + 1 :]]
    sys.exit(main())
