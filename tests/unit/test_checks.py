"""What makes two arms incomparable, what they were asked to differ in, and what was never recorded."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from ohlora.records.result import Result
from ohlora.report.comparison.contrast import compare_arms
from ohlora.report.comparison.parity import run_checks
from ohlora.report.comparison.settings import is_intended, list_differences, list_unrequested_changes
from ohlora.report.reading import ArmRuns

REQUESTED: dict[str, Any] = {
    "backend": {"name": "hf"},
    "model": {"name": "tiny", "dtype": "auto", "attention": "auto"},
    "lora": {"rank": 64},
    "trainer": {"batch_size": 2, "optimizer": "adamw_torch_fused", "gradient_checkpointing": "none", "loss": "nll"},
    "generation": {"max_new_tokens": 40},
    "launch": {"threads": None, "prefix": []},
}
PHASE = {"gradient_checkpointing": "none", "adapter_dtype": ["float32"], "optimizer": "AdamW", "optimizer_fused": True}


def run(arm: str, repeat: int = 0, **changed: Any) -> Result:
    """A whole result; `changed` maps 'field.key.key' with __ for the dots to another value."""
    made = Result(
        f"{arm}-{repeat}", "finished", "benchmark", arm, repeat, requested=deepcopy(REQUESTED),
        effective={"dtype": "float32", "train": {**PHASE, "loss": "nll", "allocator": "cpu"}},
        versions={"torch": "2", "unsloth": "1"}, device={"name": "CPU", "type": "cpu", "ram_mib": 64_000, "threads": 2},
        model={"hash": "h"}, hashes={"tokens": "t", "batches": "b", "adapter_init": "a", "prompts": "p"},
        parity={"losses": [3.0, 2.9], "grad_norms": [1.0, 1.1], "batches": ["1", "2"]},
        metrics={
            "infer/infer_time_s": 1.0, "train/train_time_s": 2.0, "eval/eval_loss": 2.5, "train/train_steps": 2.0,
            "infer/prompts": 5.0,
        },
        timings={"started": 10.0 * repeat + 5 * (arm == "B"), "ended": 10.0 * repeat + 5 * (arm == "B") + 4},
    )  # fmt: skip
    for path, value in changed.items():
        where: Any = made
        *outer, last = path.split("__")
        for key in outer:
            where = where[key] if isinstance(where, dict) else getattr(where, key)
        if isinstance(where, dict):
            where[last] = value
        else:
            setattr(where, last, value)
    return made


def states(**changed: Any) -> dict[str, str]:
    return {check.code: check.state for check in run_checks([run("A")], [run("B", **changed)])}


def test_another_gpu_of_the_same_kind_is_another_machine() -> None:
    gpu = {"name": "NVIDIA T4", "type": "cuda", "vram_mib": 15000, "cuda": "13.0", "threads": 2}
    sides = [[run("A", device={**gpu, "uuid": "GPU-1"})], [run("B", device={**gpu, "uuid": "GPU-2"})]]
    assert {check.code: check.state for check in run_checks(*sides)}["machine"] == "broken"


def test_equal_runs() -> None:
    assert set(states().values()) == {"equal"}


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"effective__train__gradient_checkpointing": "unsloth_zoo.gradient_checkpointing"},
         "setting train.gradient_checkpointing"),
        ({"effective__train__allocator": "native"}, "setting train.allocator"),
        ({"effective__train__optimizer": "SGD"}, "setting train.optimizer"),
        ({"effective__train__adapter_dtype": ["bfloat16"]}, "float32"),
        ({"effective__dtype": "bfloat16"}, "setting dtype"),
        ({"device__name": "CPU (Intel(R) Xeon(R) Platinum 8370C CPU @ 2.80GHz, 64 cores)"}, "machine"),
        ({"device__ram_mib": 8_000}, "machine"),
        ({"device__threads": 8}, "threads"),
        ({"versions__unsloth": "2"}, "versions"),
        ({"model__hash": "other"}, "weights"),
        ({"hashes__prompts": "other"}, "prompts"),
        ({"parity__losses": [3.0, 2.0]}, "losses"),
        ({"parity__grad_norms": [2.0, 1.1]}, "grad_norms"),
        ({"metrics__eval/eval_loss": 2.6}, "eval_loss"),
        ({"metrics__train/train_steps": 3.0}, "work"),
        ({"metrics__train/nonfinite_steps": 1.0}, "finite"),
        ({"metrics__train/train_loss": float("inf")}, "finite"),
    ],
)  # fmt: skip
def test_what_breaks(changed: dict[str, Any], code: str) -> None:
    assert {key for key, state in states(**changed).items() if state == "broken"} == {code}


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"device__ram_mib": 64_001}, "machine"),
        ({"effective__train__gradient_checkpointing": "none"}, "float32"),
        ({"parity__losses": [3.0005, 2.9]}, "losses"),
    ],
)
def test_what_does_not_break(changed: dict[str, Any], code: str) -> None:
    assert states(**changed)[code] == "equal"


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"versions": {}}, "versions"),
        ({"parity__losses": [3.0]}, "losses"),
        ({"effective__train__adapter_dtype": None}, "float32"),
        ({"hashes__tokens": None}, "tokens"),
        ({"effective__train__loss": None}, "setting train.loss"),
    ],
)
def test_what_was_not_recorded_is_not_equal(changed: dict[str, Any], code: str) -> None:
    assert states(**changed)[code] == "unknown"


def test_what_was_asked_excuses_only_what_follows_from_it() -> None:
    longer = states(requested__generation__max_new_tokens=80, hashes__batches="x", parity__losses=[9.0, 9.0])
    assert longer["batches"] == longer["losses"] == "broken"
    rank = states(requested__lora__rank=16, hashes__adapter_init="x", parity__losses=[9.0, 9.0])
    assert rank["adapter"] == rank["losses"] == "asked"
    optimizer = {"requested__trainer__optimizer": "adamw_8bit", "effective__train__optimizer": "AdamW8bit"}
    later = states(**optimizer, parity__losses=[3.0, 2.0])
    assert later["losses"] == "equal" and later["setting train.optimizer"] == "asked", "the first step's loss alone"
    assert states(**optimizer, parity__losses=[4.0, 2.9])["losses"] == "broken"
    (losses,) = [c for c in run_checks([run("A")], [run("B", **optimizer)]) if c.code == "losses"]
    assert losses.detail.startswith("step 0 alone: ")
    threads = states(requested__launch__threads=1, device__threads=1)
    assert threads["threads"] == "asked"
    assert not is_intended("batch_size", ["trainer.optimizer"]) and not is_intended("dtype", ["model.attention"])


def test_libraries_may_not_change_between_the_runs_of_one_arm() -> None:
    found = run_checks([run("A"), run("A", 1, versions__unsloth="2")], [run("B"), run("B", 1, versions__unsloth="2")])
    assert {check.code: check.state for check in found}["versions"] == "broken"


def test_a_loss_that_repeats_itself_is_no_finding() -> None:
    """With one seed a loss has no spread: a difference in its seventh digit is none."""
    arms = [ArmRuns("A"), ArmRuns("B")]
    for pair in range(4):
        first = pair % 2
        for turn, side in enumerate((first, 1 - first)):
            made = run("AB"[side], pair, **{"metrics__eval/eval_loss": 2.5 + 1e-6 * side})
            made.timings = {"started": 10.0 * pair + 5 * turn, "ended": 10.0 * pair + 5 * turn + 1}
            arms[side].runs.append(made)
    loss = compare_arms(arms[0], arms[1], []).figures["eval/eval_loss"]
    assert loss.p and loss.p > 0.9 and (loss.verdict, loss.why) == ("no_verdict", "one_seed")


def test_a_setting_of_one_side_alone_is_shown() -> None:
    shown = {
        d.key: d
        for d in list_differences(run("A"), run("B", effective__train__flex=True, arguments={"eos_token": "x"}))
    }
    assert (shown["train.flex"].baseline, shown["train.flex"].other) == ("—", "True")
    assert not shown["arguments.eos_token"].asked


def test_what_a_side_did_otherwise_than_asked() -> None:
    asked = run("A", requested__trainer__optimizer="adamw_8bit", requested__trainer__gradient_checkpointing="unsloth",
                effective__train__gradient_checkpointing="torch.utils.checkpoint")  # fmt: skip
    found = {key: (want, have) for key, want, have in list_unrequested_changes(ArmRuns("A", runs=[asked]))}
    assert found["trainer.optimizer"] == ("adamw_8bit", "AdamW")
    assert found["trainer.gradient_checkpointing"] == ("unsloth", "torch.utils.checkpoint")
    assert not list(list_unrequested_changes(ArmRuns("A", runs=[run("A")])))
    alpha = run("A", requested__lora__alpha=8, effective__train__lora_alpha=64)
    assert list(list_unrequested_changes(ArmRuns("A", runs=[alpha]))) == [("lora.alpha", "8", "64")]


def test_adapters_of_another_scale_are_not_compared() -> None:
    def found(**other: Any) -> dict[str, str]:
        sides = [run("A", effective__train__lora_scale=1.0), run("B", effective__train__lora_scale=8.0, **other)]
        return {check.code: check.state for check in run_checks(sides[:1], sides[1:])}

    assert found()["setting train.lora_scale"] == "broken"
    assert found(requested__lora__alpha=512)["setting train.lora_scale"] == "asked"


def test_a_warm_up_follows_from_what_was_asked() -> None:
    assert is_intended("warmup_steps", ["trainer.warmup_ratio"]) and is_intended("warmup_steps", ["trainer.epochs"])
    assert is_intended("lr_scheduler_type", ["trainer.warmup_ratio"]) and not is_intended("warmup_steps", ["seed"])
