"""On a CUDA device: both back ends do the same work, on Unsloth's fast and generic route, in 16 bit and in 4 bit."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import run_cli

from ohlora.measure.device import BF16_CAPABILITY
from ohlora.measure.gpus import visible_gpus

pytestmark = pytest.mark.gpu
ARMS = "compare.arms=[backend=hf,backend=unsloth]"
# Enough steps for a verdict on equality, which a smoke run has not; one pair, since nothing is timed here. It is not
# made again where it was disturbed: pytest itself may be a process on the GPU.
WORK = [
    "task=benchmark", "tracking=none", "compare.pairs=1", "compare.redo=0", "compare.recommended=[]", "study=s",
    "lora=r16",
    "trainer.epochs=1", "trainer.train_rows=8", "trainer.eval_rows=2", "generation.prompts=2",
]  # fmt: skip


def has_bfloat16() -> bool:
    """Asked of the driver: a pytest that starts CUDA would be one more process on the GPU."""
    return visible_gpus()[0].capability >= BF16_CAPABILITY


def compare(cwd: Path, model: Path, *settings: str) -> tuple[dict[str, Any], dict[str, dict[str, Any]], str]:
    """(the report as data, back end -> result, what was printed) of one pair."""
    ran = run_cli(ARMS, *WORK, f"model.path={model}", *settings, cwd=cwd, timeout=900)
    assert ran.code == 0, ran.err
    study = cwd / "outputs" / "s"
    runs = [json.loads(path.read_text()) for path in study.glob("*/result.json")]
    report = json.loads((study / "comparison.json").read_text())
    return report, {run["effective"]["backend"]: run for run in runs}, ran.out + ran.err


def broken(report: dict[str, Any]) -> list[dict[str, Any]]:
    checks = [check for track in report["tracks"] for one in track["contrasts"] for check in one["parity"]]
    return [check for check in checks if check["state"] == "broken"]


@pytest.mark.parametrize(
    ("name", "route", "settings"),
    [
        ("gemma3", "unsloth-generic", []),
        ("llama", "unsloth-fast", []),
        ("llama", "unsloth-fast", ["lora.quantization=nf4"]),
        ("gemma3", "unsloth-generic", ["lora.quantization=nf4"]),
    ],
)
def test_both_back_ends_do_equal_work_in_bfloat16(
    tiny_model: Callable[[str], Path], tmp_path: Path, name: str, route: str, settings: list[str]
) -> None:
    assert has_bfloat16(), "bfloat16 needs compute capability 8.0"
    report, runs, _ = compare(tmp_path, tiny_model(name), "model.dtype=bfloat16", *settings)
    assert broken(report) == [] and report["comparable"]
    assert runs["unsloth"]["effective"]["train"]["route"] == route
    for run in runs.values():
        assert run["effective"]["dtype"] == "bfloat16"
        for phase in ("load", "infer", "train", "eval"):
            assert run["metrics"][f"{phase}/peak_vram_mib"] > 0
            assert run["metrics"][f"{phase}/peak_vram_device_mib"] > run["metrics"][f"{phase}/peak_vram_reserved_mib"]
        assert 0 < run["metrics"]["train/train_mfu"] < 1
        assert run["effective"]["train"]["vram_device_source"] in ("process", "device_difference")


def test_both_back_ends_do_equal_work_in_float16(tiny_model: Callable[[str], Path], tmp_path: Path) -> None:
    """Whatever steps the loss scaler skips until it has found its scale, it skips them in both."""
    report, runs, _ = compare(tmp_path, tiny_model("llama"), "model.dtype=float16")
    assert broken(report) == [] and report["comparable"]
    for run in runs.values():
        assert run["effective"]["train"]["mixed_precision"] == "fp16"
        assert run["metrics"]["train/nonfinite_steps"] == 0
        assert run["metrics"]["train/skipped_steps"] == len(run["parity"]["scaler_skipped_steps"])
        assert 0 < run["metrics"]["train/train_mfu"] < 1


def test_each_process_had_the_same_one_gpu(tiny_model: Callable[[str], Path], tmp_path: Path) -> None:
    """The last of those that are visible, so that on a machine with several it is not the first."""
    chosen = visible_gpus()[-1]
    _, runs, _ = compare(tmp_path, tiny_model("llama"), f"device=cuda:{len(visible_gpus()) - 1}")
    for run in runs.values():
        assert run["device"]["uuid"] == chosen.uuid and run["device"]["driver"] == chosen.driver
        assert run["arguments"].get("_n_gpu", 1) == 1


def test_float32_is_warned_of_where_unsloth_mixes_precision(tiny_model: Callable[[str], Path], tmp_path: Path) -> None:
    report, _, printed = compare(tmp_path, tiny_model("llama"), "model.dtype=float32")
    mixes = has_bfloat16()
    assert ("trains in bfloat16 mixed precision on this GPU" in printed) is mixes
    assert report["comparable"] is not mixes
