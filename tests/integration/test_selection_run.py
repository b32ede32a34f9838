"""A selection as a user makes it, on tiny models: real runs, rows with reasons, going on, one report, MLflow."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Ran, run_cli

from ohlora.models.acceptance import REMEMBERED

SMALL = [
    "trainer.epochs=1", "generation.prompts=2", "generation.max_new_tokens=6", "generation.min_new_tokens=6",
    "model.prompt_format=plain",
    "compare.redo=0",  # the machine of a test is not quiet
]  # fmt: skip


@pytest.fixture(scope="module")
def chosen(
    tiny_model: Callable[[str], Path], made_store: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Ran, Ran]:
    """(working directory, a first call with one rank, a second with another and one model more)."""
    cwd = tmp_path_factory.mktemp("chosen")
    shutil.copy(made_store, cwd)
    (cwd / "models").mkdir()
    ask = ["-m", "experiment=model_selection", *SMALL]
    first = run_cli(*ask, "model=local", f"model.path={tiny_model('llama')}", "lora=r16", cwd=cwd, accepting=False)
    path = f"model.path={tiny_model('llama')}"
    second = run_cli(*ask, "model=local,llama1b", path, "lora=r16", cwd=cwd, accepting=False)
    return cwd, first, second


def results(cwd: Path) -> dict[str, dict]:
    found = [json.loads(path.read_text()) for path in cwd.glob("outputs/model_selection/*/result.json")]
    return {result["arm"]: result for result in found}


def test_it_runs_goes_on_and_reports(chosen: tuple[Path, Ran, Ran]) -> None:
    cwd, first, second = chosen
    assert first.code == 0, first.err
    assert "no other model finished" in first.out
    assert second.code == 0, second.err
    assert "model=local,lora=r16: finished in an earlier call" in second.err
    assert "model=llama1b,lora=r16: skipped: model.license=llama3.2" in second.err
    both = results(cwd)
    assert {arm: result["status"] for arm, result in both.items()} == {
        "model=local,lora=r16": "finished",
        "model=llama1b,lora=r16": "skipped",
    }
    assert not (cwd / "models" / REMEMBERED).exists()
    text = (cwd / "outputs" / "model_selection" / "selection.md").read_text()
    assert "**llama1b** (skipped: model.license=llama3.2" in text and "**local**" in text
    for name in ("selection.html", "selection.csv", "selection.json", "grades.csv", "pareto-memory.svg"):
        assert (cwd / "outputs" / "model_selection" / name).is_file()


def test_a_candidate_is_timed_trained_and_asked(chosen: tuple[Path, Ran, Ran]) -> None:
    cwd = chosen[0]
    run = results(cwd)["model=local,lora=r16"]
    metrics = run["metrics"]
    assert metrics["infer/generated_tokens"] == 12 and metrics["train/train_steps"] == 5
    assert metrics["quality/answers"] == 2 and 0 <= metrics["quality/chrf"] <= 100
    assert metrics["eval/eval_bits_per_char"] > 0
    assert 0 <= metrics["quality/usable_share"] <= 1
    (answers,) = cwd.glob("outputs/model_selection/*/attempt-1/samples/answer.jsonl")
    lines = [json.loads(line) for line in answers.read_text().splitlines()]
    assert len(lines) == 2 and all("ended" in line for line in lines)
    trained = json.loads((answers.parent.parent / "phases" / "train.json").read_text())
    assert trained["status"] == "finished" and "questions" in run["hashes"]


def test_estimates_stand_in_the_result(chosen: tuple[Path, Ran, Ran]) -> None:
    run = results(chosen[0])["model=local,lora=r16"]
    assert set(run["estimate"]) == {"infer", "train"}
    assert run["estimate"]["train"]["verdict"] == "fits" and run["estimate"]["train"]["parts_mib"]["libraries"] > 0
    for phase in ("infer", "train"):  # a forked child shares its libraries, so test_runs compares with what is measured
        assert run["metrics"][f"estimate/{phase}/peak_mib"] > 0 and run["metrics"][f"{phase}/peak_rss_mib"] > 0


def test_mlflow_has_one_parent_with_the_report(chosen: tuple[Path, Ran, Ran]) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{chosen[0] / 'mlflow.db'}")
    runs = client.search_runs([client.get_experiment_by_name("ohlora").experiment_id])
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    (child,) = (run for run in runs if "mlflow.parentRunId" in run.data.tags)
    assert len(parents) == 1 and child.data.tags["mlflow.parentRunId"] == parents[0].info.run_id
    assert "selection.html" in {item.path for item in client.list_artifacts(parents[0].info.run_id)}
    assert "quality/chrf" in child.data.metrics and child.data.tags["licence"] == "unknown"
