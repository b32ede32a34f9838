"""What a phase's process imports: nothing that a run on a CPU never uses."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ohlora.measure.gpus import has_driver

IMPORT = """
import sys
from ohlora.backends import backend
from ohlora.backends.imports import keep_out
from ohlora.config.choices import Quantization
keep_out(Quantization(sys.argv[1]))
backend("hf").prepare()
from transformers import AutoModelForCausalLM, Trainer
print(*(name for name in ("sklearn", "torchao", "bitsandbytes") if sys.modules.get(name)))
"""


@pytest.mark.skipif(has_driver(), reason="nothing is kept out beside a GPU")
@pytest.mark.parametrize(("quantization", "imported"), [("none", ""), ("nf4", "bitsandbytes")])
def test_unused_libraries_stay_out(quantization: str, imported: str) -> None:
    done = subprocess.run([sys.executable, "-c", IMPORT, quantization], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == imported, done.stderr
