"""A third back end by one class file and one YAML: it is composed, validated, estimated and run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from toy_backend import STUB, add_toy, run_with_toy


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return add_toy(tmp_path_factory.mktemp("package"))


def test_it_can_be_chosen_and_states_its_limits(package: Path, tmp_path: Path) -> None:
    ran = run_with_toy(package, "backend=tyo", cwd=tmp_path)
    assert ran.code == 2 and "choose from hf, toy, unsloth (did you mean toy?)" in ran.err
    ran = run_with_toy(package, "backend=toy", "trainer.gradient_checkpointing=standard", cwd=tmp_path)
    assert ran.code == 2 and ran.err.strip() == (
        "error: trainer.gradient_checkpointing=standard: backend=toy lacks it; choose from auto, none, toy"
    )


def test_its_own_libraries_are_estimated(package: Path, tmp_path: Path) -> None:
    ran = run_with_toy(package, "task=estimate", "backend=toy", "device=cpu", cwd=tmp_path)
    assert ran.code == 0, ran.err
    assert "| libraries | 77 | 122 |" in ran.out  # 45 more for training


def test_it_runs_beside_another(package: Path, tmp_path: Path) -> None:
    arguments = ["-m", "backend=toy,hf", "study=s", "tracking=none", "preflight=off", STUB]
    ran = run_with_toy(package, *arguments, cwd=tmp_path)
    assert ran.code == 0, ran.err
    runs = [json.loads(path.read_text()) for path in (tmp_path / "outputs" / "s").glob("*/result.json")]
    assert {run["effective"]["backend"]: run["metrics"]["train/train_time_s"] for run in runs} == {"toy": 15, "hf": 30}


def test_its_comparison_is_a_full_report_under_its_own_name(package: Path, tmp_path: Path) -> None:
    arms = "compare.arms=[backend=hf,backend=toy]"
    arguments = [
        "experiment=unsloth_comparison",
        arms,
        "compare.recommended=[]",
        "compare.pairs=2",
        "study=s",
        "tracking=none",
    ]
    ran = run_with_toy(package, *arguments, "tracking=none", "preflight=off", STUB, cwd=tmp_path)
    assert ran.code == 0, ran.err
    rows = [line.split(" | ") for line in ran.out.splitlines() if line.startswith("| ")]
    assert [row[0] for row in rows[2:]] == [
        "| **Toy** back end", "| **w/o** Unsloth", "| **절감** (saved): Toy back end against w/o Unsloth",
    ]  # fmt: skip
    assert all(cell.startswith("+50.0 % (") for cell in rows[-1][1:])
    assert "**inference time**: " in ran.out and "(Toy back end against w/o Unsloth" in ran.out
    folder = tmp_path / "outputs" / "s"
    assert "Toy back end" in (folder / "comparison.html").read_text()
    contrast = json.loads((folder / "comparison.json").read_text())["tracks"][0]["contrasts"][0]
    assert contrast["metrics"]["train/train_time_s"]["ratio"] == 0.5
