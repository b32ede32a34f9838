"""A sweep of the command line on a tiny model: real children, both back ends, real files, a real MLflow store."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Ran, run_cli

from ohlora.files import read_jsonl

SMALL = [
    "trainer=smoke",
    "generation.prompts=2",
    "generation.max_new_tokens=4",
    "generation.min_new_tokens=4",
    "lora=r16",
]


@pytest.fixture(scope="module")
def swept(tiny_model: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ran]:
    """One sweep over both back ends, in a folder of its own; every process of it imports everything anew."""
    cwd = tmp_path_factory.mktemp("swept")
    model = f"model.path={tiny_model('gemma3')}"
    return cwd, run_cli("-m", "backend=hf,unsloth", "study=both", model, *SMALL, cwd=cwd, cold=True)


def results(folder: Path) -> dict[str, dict]:
    found = [json.loads(path.read_text()) for path in folder.glob("*/result.json")]
    return {result["arm"]: result for result in found}


def test_the_sweep_prints_the_table_and_writes_its_files(swept: tuple[Path, Ran]) -> None:
    cwd, ran = swept
    assert ran.code == 0, ran.err
    assert ran.out.startswith("| 테스트 | Inference 메모리 | Inference 시간 | Fine-Tuning 메모리 | Fine-Tuning 시간 |")
    for row in ("| **w/o** Unsloth | ", "| **with** Unsloth | "):
        assert row in ran.out
    assert "too short to measure anything" in ran.out and "절감" not in ran.out
    assert "; no verdict (a verdict needs 4)" in ran.out
    folder = cwd / "outputs" / "both"
    for name in ("comparison.md", "comparison.csv", "comparison.json", "manifest.json"):
        assert (folder / name).is_file()
    before = (folder / "comparison.md").read_text()
    (folder / "comparison.md").unlink()
    subprocess.run([sys.executable, "-m", "ohlora.report", str(folder)], check=True, capture_output=True)
    assert (folder / "comparison.md").read_text() == before


def test_the_estimate_is_near_what_a_process_of_its_own_takes(swept: tuple[Path, Ran]) -> None:
    run = results(swept[0] / "outputs" / "both")["backend=hf"]
    for phase in ("infer", "train"):
        estimated, measured = run["metrics"][f"estimate/{phase}/peak_mib"], run["metrics"][f"{phase}/peak_rss_mib"]
        assert 0.7 < estimated / measured < 1.4  # of a tiny model nearly all is libraries


def test_both_arms_did_the_same_work(swept: tuple[Path, Ran]) -> None:
    runs = results(swept[0] / "outputs" / "both")
    hf, unsloth = runs["backend=hf"], runs["backend=unsloth"]
    assert hf["effective"]["backend"] == "hf" and "unsloth" not in hf["versions"]
    assert unsloth["effective"]["backend"] == "unsloth" and unsloth["versions"]["unsloth"]
    assert unsloth["effective"]["train"]["route"] == "unsloth-cpu"
    for key in ("tokens", "batches", "adapter_init"):
        assert hf["hashes"][key] == unsloth["hashes"][key]
    assert set(hf["metrics"]) == set(unsloth["metrics"])
    for run in (hf, unsloth):
        assert set(run["disturbance"]) == {"load", "infer", "train_load", "train", "eval"}
        assert all(
            0 <= record["others_cpu_share"] <= 1 and record["wall_s"] > 0 for record in run["disturbance"].values()
        )
    assert hf["metrics"]["eval/eval_loss"] == pytest.approx(unsloth["metrics"]["eval/eval_loss"], rel=1e-4)
    assert hf["metrics"]["train/train_loss"] == pytest.approx(unsloth["metrics"]["train/train_loss"], rel=1e-4)
    assert hf["metrics"]["infer/generated_tokens"] == 8
    for phase in ("load", "infer", "train", "eval", "train_load"):
        assert hf["metrics"][f"{phase}/peak_rss_mib"] > 50
    assert not any("vram" in key for key in hf["metrics"])
    for m in (hf["metrics"], unsloth["metrics"]):
        assert 0 < m["infer/infer_first_s"] < m["infer/infer_warmup_s"]
        assert m["train/train_positions_per_s"] >= m["train/train_tokens_per_s"] >= m["train/train_loss_tokens_per_s"]
        assert 0 < m["train/train_mfu"] < 1 and m["train/matmul_peak_gflops"] > 0.1
        assert m["train/nonfinite_steps"] == m["train/skipped_steps"] == 0
    assert hf["metrics"]["train/train_tflop"] == unsloth["metrics"]["train/train_tflop"] > 0


def test_the_layout_is_the_contract(swept: tuple[Path, Ran]) -> None:
    for result in results(swept[0] / "outputs" / "both").values():
        attempt = swept[0] / "outputs" / "both" / result["run_id"] / "attempt-1"
        for name in ("config.yaml", "events.jsonl", "metrics.jsonl", "result.json"):
            assert (attempt / name).is_file()
        lines = read_jsonl(attempt / "memory.jsonl")
        assert {(line["process"], line["phase"]) for line in lines} == {
            *(("infer", phase) for phase in ("load", "infer")),
            *(("train", phase) for phase in ("load", "train", "eval")),
        }
        assert all(line["rss_mib"] > 10 for line in lines)
        for name in (
            "adapter/adapter_model.safetensors",
            "adapter/NOTICE",
            "samples/infer.jsonl",
            "samples/train.jsonl",
        ):
            assert (attempt / name).is_file()
        described = json.loads((attempt / "adapter" / "adapter_config.json").read_text())
        assert described["base_model_name_or_path"] == "google/gemma-3-270m"
        card = (attempt / "adapter" / "README.md").read_text()
        assert "license: gemma" in card and "ai.google.dev/gemma/terms" in card
        assert result["schema"] == 1 and result["status"] == "finished"
        assert result["model"]["licence"] == "gemma" and len(result["model"]["hash"]) == 64


def test_mlflow_lines_the_arms_up(swept: tuple[Path, Ran]) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{swept[0] / 'mlflow.db'}")
    runs = client.search_runs([client.get_experiment_by_name("ohlora").experiment_id])
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    children = [run for run in runs if "mlflow.parentRunId" in run.data.tags]
    assert len(parents) == 1 and len(children) == 2
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parents[0].info.run_id}
    assert "**with** Unsloth" in parents[0].data.tags["mlflow.note.content"]
    assert "comparison.csv" in {item.path for item in client.list_artifacts(parents[0].info.run_id)}
    first, second = children
    assert set(first.data.metrics) == set(second.data.metrics)
    for key in ("infer/peak_rss_mib", "train/train_tokens_per_s", "infer/infer_tokens_per_s", "eval/eval_loss"):
        assert key in first.data.metrics
    assert len(client.get_metric_history(first.info.run_id, "train/loss")) == 3
    assert {"config.yaml", "result.json", "samples", "table.md"} <= {
        i.path for i in client.list_artifacts(first.info.run_id)
    }


@pytest.mark.parametrize("backend", ["hf", "unsloth"])
def test_answers_of_a_fine_tuned_model(
    swept: tuple[Path, Ran], tiny_model: Callable[[str], Path], backend: str
) -> None:
    """The adapter that hf trained answers on both back ends, from another folder, with the same words."""
    cwd = swept[0]
    trained = cwd / "outputs" / "both" / results(cwd / "outputs" / "both")["backend=hf"]["run_id"]
    arguments = ["task=infer", f"adapter={trained}", f"backend={backend}", f"model.path={tiny_model('gemma3')}"]
    ran = run_cli(
        *arguments, "generation.prompts=2", "generation.max_new_tokens=6", "hydra.run.dir=answers-" + backend, cwd=cwd
    )
    assert ran.code == 0, ran.err
    result = json.loads((cwd / f"answers-{backend}" / "result.json").read_text())
    assert result["effective"]["infer"]["adapter_parameters"] > 0
    (answers,) = (cwd / f"answers-{backend}").glob("attempt-1/samples/infer.jsonl")
    lines = [json.loads(line) for line in answers.read_text().splitlines()]
    assert all(f"Q: {line['question']}\nA: {line['answer']}\n" in ran.out for line in lines)
    assert f"{cwd / f'answers-{backend}' / 'attempt-1'}" in ran.out
    assert len(lines) == 2 and set(lines[0]) == {"id", "question", "reference", "answer", "ended", "category"}
    if backend == "unsloth":
        other = cwd / "answers-hf" / "attempt-1" / "samples" / "infer.jsonl"
        assert answers.read_text() == other.read_text()


def test_an_adapter_of_another_base_is_refused(swept: tuple[Path, Ran], tiny_model: Callable[[str], Path]) -> None:
    cwd = swept[0]
    trained = cwd / "outputs" / "both" / results(cwd / "outputs" / "both")["backend=hf"]["run_id"]
    ran = run_cli(
        "task=infer", f"adapter={trained}", "model=gemma2-2b-it", f"model.path={tiny_model('gemma2')}", cwd=cwd
    )
    assert ran.code == 2 and "was trained on gemma3-270m" in ran.err and "Traceback" not in ran.err
