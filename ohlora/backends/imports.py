"""Libraries that transformers, PEFT and Unsloth import when they are installed, and that a run on a CPU never uses."""

from __future__ import annotations

import sys

from ohlora.config.choices import Quantization
from ohlora.measure.gpus import has_driver

UNUSED = ("sklearn", "torchao")
QUANTISED = "bitsandbytes"  # used for 4-bit weights


def keep_out(quantization: Quantization) -> None:
    """Let this process find them as not installed, before it imports anything heavy: what None in sys.modules means.

    Nothing is hidden on a machine with a GPU's driver, where Unsloth uses them.
    """
    if has_driver():
        return
    for name in UNUSED if quantization is Quantization.nf4 else (*UNUSED, QUANTISED):
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]
