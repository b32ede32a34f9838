"""On a CUDA device: both back ends train the same thing, and the memory of a phase is what the allocator counted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import run_cli

pytestmark = pytest.mark.gpu


def test_the_same_losses_and_vram_in_every_phase(tiny_model: Callable[[str], Path], tmp_path: Path) -> None:
    arguments = ["experiment=smoke", "backend=hf,unsloth", "study=s", "model.dtype=float32", "tracking=none"]
    ran = run_cli("-m", *arguments, f"model.path={tiny_model('gemma3')}", cwd=tmp_path)
    assert ran.code == 0, ran.err
    runs = [json.loads(path.read_text()) for path in (tmp_path / "outputs" / "s").glob("*/result.json")]
    hf, unsloth = sorted(runs, key=lambda run: run["arm"])
    assert unsloth["effective"]["train"]["route"].startswith("unsloth-")
    assert hf["metrics"]["eval/eval_loss"] == pytest.approx(unsloth["metrics"]["eval/eval_loss"], rel=2e-2)
    for run in runs:
        for phase in ("load", "infer", "train", "eval"):
            assert run["metrics"][f"{phase}/peak_vram_mib"] > 0
            assert run["metrics"][f"{phase}/peak_vram_device_mib"] > run["metrics"][f"{phase}/peak_vram_reserved_mib"]
        assert 0 < run["metrics"]["train/train_mfu"] < 1
        assert run["effective"]["train"]["vram_device_source"] in ("process", "device_difference")
        assert run["device"]["compute_capability"]
