"""Each check of parity fires in real runs that have just that wrong, and none fires where nothing is."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import FORKED, PREFIX, Ran, run_cli

MUTATE = ",".join([*FORKED, sys.executable, str(Path(__file__).with_name("mutate.py"))])
SMALL = [
    "compare.pairs=1", "tracking=none", "study=s", "generation.prompts=2", "generation.max_new_tokens=4",
    "generation.min_new_tokens=4", "trainer.train_rows=8", "trainer.eval_rows=2", "trainer.max_steps=4",
    "trainer.samples=0", "lora=r16", "compare.redo=0",
]  # fmt: skip
# What is wrong in an arm -> the checks that must fire.
MUTATIONS = {
    "another_adapter_seed": {"adapter", "grad_norms"},
    "bos_dropped": {"batches", "work"},  # a random model hardly minds; a real one babbles
    "rank_changed": {"adapter", "setting train.trainable_parameters"},
    "batch_swapped": {"batches"},
}


def compared(cwd: Path, *arguments: str) -> tuple[Ran, dict[str, dict]]:
    """The comparison's contrasts by the other arm's name."""
    ran = run_cli(*arguments, *SMALL, cwd=cwd, timeout=600)
    written = json.loads((cwd / "outputs" / "s" / "comparison.json").read_text())
    return ran, {one["other"]: one for one in written["tracks"][0]["contrasts"]}


@pytest.fixture(scope="module")
def mutated(tiny_model: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Ran, dict[str, dict]]:
    """A right arm against itself and against one arm for each mutation."""
    arms = [f"'right: {PREFIX}'", f"'again: {PREFIX}'"]
    arms += [f"'{what}: launch.prefix=[{MUTATE},{what}]'" for what in MUTATIONS]
    cwd = tmp_path_factory.mktemp("mutated")
    model = f"model.path={tiny_model('gemma3')}"
    # In float32, whose tolerances are the narrow ones, on every machine.
    return compared(cwd, f"compare.arms=[{','.join(arms)}]", "task=train", "model.dtype=float32", model)


def broken(contrast: dict) -> set[str]:
    return {check["code"] for check in contrast["parity"] if check["state"] == "broken"}


def test_nothing_fires_where_nothing_is_wrong(mutated: tuple[Ran, dict[str, dict]]) -> None:
    ran, contrasts = mutated
    assert ran.code == 0, ran.err
    again = contrasts["again"]
    assert again["comparable"] and not broken(again)
    states = {check["code"]: check["state"] for check in again["parity"]}
    for code in ("tokens", "batches", "adapter", "float32", "losses", "grad_norms", "eval_loss", "work", "versions"):
        assert states[code] == "equal", code
    assert not again["settings"], "two arms that were asked for the same differ in effect"


@pytest.mark.parametrize("what", MUTATIONS)
def test_each_check_fires(mutated: tuple[Ran, dict[str, dict]], what: str) -> None:
    ran, contrasts = mutated
    assert broken(contrasts[what]) >= MUTATIONS[what]
    assert {one["verdict"] for one in contrasts[what]["metrics"].values()} == {"not_comparable"}
    assert f"> **NOT COMPARABLE**: {what} against right: broken check:" in ran.out


def test_a_swapped_batch_is_found_at_its_step(mutated: tuple[Ran, dict[str, dict]]) -> None:
    (check,) = [c for c in mutated[1]["batch_swapped"]["parity"] if c["code"] == "batches"]
    assert check["detail"].startswith("step ")


def test_what_generation_was_given_is_checked(tiny_model: Callable[[str], Path], tmp_path: Path) -> None:
    arms = f"compare.arms=['right: {PREFIX}','wrong: launch.prefix=[{MUTATE},bos_dropped]']"
    _, contrasts = compared(tmp_path, arms, "task=infer", "generation=timed", f"model.path={tiny_model('gemma3')}")
    assert broken(contrasts["wrong"]) == {"prompts"}


def test_gemma2_under_sdpa_loses_its_cap(tiny_model: Callable[[str], Path], tmp_path: Path) -> None:
    """A model whose attention scores really reach the cap: with SDPA its gradients are others."""
    from transformers import Gemma2ForCausalLM

    folder = tmp_path / "capped"
    model = Gemma2ForCausalLM.from_pretrained(tiny_model("gemma2"))
    for layer in model.model.layers:
        layer.self_attn.q_proj.weight.data *= 40
        layer.self_attn.k_proj.weight.data *= 40
    shutil.copytree(tiny_model("gemma2"), folder)
    model.save_pretrained(folder)
    arms = "compare.arms=['eager: model.attention=eager','sdpa: model.attention=sdpa']"
    ran, contrasts = compared(tmp_path, arms, "task=train", "model=gemma2-2b-it", f"model.path={folder}")
    assert ran.code == 0, ran.err
    assert broken(contrasts["sdpa"]) >= {"softcap", "grad_norms"}
