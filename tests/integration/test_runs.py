"""Real runs of the command line on a tiny model: real children, both back ends, real files, a real MLflow store."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from conftest import PREFIX, Ran, run_cli, started

from ohlora.files import read_jsonl

SMALL = [
    "trainer=smoke",
    "generation.prompts=2",
    "generation.max_new_tokens=4",
    "generation.min_new_tokens=4",
    "lora=r16",
]
HIDE_UNSLOTH = """
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name == "unsloth" else found(name, package)
"""


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


def test_mlflow_is_written_while_no_process_of_a_run_works(
    ohlora: Callable[..., Ran], tiny_model: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every request to the store falls before the first process, between two, or after the last."""
    from mlflow import MlflowClient

    calls: list[float] = []
    for name in ("log_batch", "log_inputs", "create_run", "set_tag", "log_artifact", "set_terminated"):
        asked = getattr(MlflowClient, name)

        def timed(*arguments: object, asked: Callable[..., object] = asked, **named: object) -> object:
            began = time.time()
            try:
                return asked(*arguments, **named)
            finally:
                calls.extend((began, time.time()))

        monkeypatch.setattr(MlflowClient, name, timed)
    ran = ohlora(f"model.path={tiny_model('gemma3')}", *SMALL, PREFIX)
    assert ran.code == 0, ran.err
    (attempt,) = tmp_path.glob("outputs/runs/*/attempt-1")
    events = read_jsonl(attempt / "events.jsonl")
    starts = [event["time"] for event in events if event["event"] == "process"]
    ends = [event["time"] for event in events if event["event"] == "end"]
    assert len(starts) == len(ends) >= 2 and len(calls) > 10
    assert any(ends[-2] < call < starts[-1] for call in calls)  # fed between two phases
    for start, end in zip(starts, ends, strict=True):
        assert not [call for call in calls if start < call < end]
    run = json.loads((attempt / "mlflow.json").read_text())["run_id"]
    assert f"/runs/{run}?workflowType=machine_learning" in ran.err.splitlines()[-1]


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


def test_a_backend_that_is_not_installed_is_a_row(tiny_model: Callable[[str], Path], tmp_path: Path) -> None:
    """hf finishes, unsloth is unsupported with its reason; the table stands and the exit code says it."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(HIDE_UNSLOTH)
    env = {"PYTHONPATH": str(tmp_path / "site")}
    model = f"model.path={tiny_model('gemma3')}"
    ran = run_cli(
        "-m",
        "backend=unsloth,hf",
        "study=s",
        "task=infer",
        "generation.split=null",
        model,
        *SMALL,
        cwd=tmp_path,
        env=env,
    )
    assert ran.code == 2, ran.err
    assert "| **with** Unsloth (0/1, unsupported: " in ran.out
    runs = results(tmp_path / "outputs" / "s")
    assert (
        runs["backend=unsloth"]["status"] == "unsupported"
        and "not installed" in runs["backend=unsloth"]["reason"]["text"]
    )
    assert runs["backend=hf"]["status"] == "finished"
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    found = client.search_runs([client.get_experiment_by_name("ohlora").experiment_id])
    assert sorted(run.info.status for run in found) == ["FAILED", "FAILED", "FINISHED"]


def test_a_run_directory_again_by_hand(swept: tuple[Path, Ran], tmp_path: Path) -> None:
    run = swept[0] / "outputs" / "both" / results(swept[0] / "outputs" / "both")["backend=hf"]["run_id"]
    first = json.loads((run / "attempt-1" / "result.json").read_text())
    command = [sys.executable, "-m", "ohlora.worker", str(run)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    again = json.loads((run / "attempt-2" / "result.json").read_text())
    assert again["run_id"] == first["run_id"]
    assert again["hashes"] == first["hashes"]
    assert again["metrics"]["eval/eval_loss"] == first["metrics"]["eval/eval_loss"]


def test_four_bit_is_the_same_on_both_sides(tiny_model: Callable[[str], Path], tmp_path: Path) -> None:
    arguments = ["task=train", "backend=hf,unsloth", "lora.quantization=nf4", "study=q", "tracking=none"]
    ran = run_cli("-m", *arguments, f"model.path={tiny_model('gemma3')}", *SMALL, cwd=tmp_path)
    assert ran.code == 0, ran.err
    assert "differs in effect" not in ran.out
    hf, unsloth = (run for _, run in sorted(results(tmp_path / "outputs" / "q").items()))
    for run in (hf, unsloth):
        assert run["effective"]["train"]["quantization"] == "nf4"
        assert run["effective"]["train"]["adapter_dtype"] == ["float32"]
    assert hf["metrics"]["eval/eval_loss"] == pytest.approx(unsloth["metrics"]["eval/eval_loss"], rel=1e-3)


def test_chat_format_and_softcapped_architecture(tiny_model: Callable[[str], Path], tmp_path: Path) -> None:
    arguments = ["task=train", "model=gemma2-2b-it", f"model.path={tiny_model('gemma2')}", "tracking=none"]
    ran = run_cli(*arguments, *SMALL, "hydra.run.dir=here", cwd=tmp_path)
    assert ran.code == 0, ran.err
    result = json.loads((tmp_path / "here" / "result.json").read_text())
    assert result["effective"]["train"]["attention"] == "eager"
    assert result["effective"]["train"]["model_class"] == "Gemma2ForCausalLM"


ENDLESS = ["trainer.max_steps=100000", "trainer.epochs=100000"]


def wait_for_training(process: subprocess.Popen[str], folder: Path) -> None:
    until = time.monotonic() + 120
    while not any("train/loss" in path.read_text() for path in folder.glob("**/metrics.jsonl")):
        assert time.monotonic() < until and process.poll() is None
        time.sleep(0.2)


def test_a_run_that_is_stopped_is_recorded(tiny_model: Callable[[str], Path], tmp_path: Path) -> None:
    """SIGTERM in the middle: the child goes, the result says cancelled, MLflow says KILLED."""
    arguments = ["task=train", f"model.path={tiny_model('gemma3')}", *SMALL, *ENDLESS, "hydra.run.dir=here"]
    with started(sys.executable, "-m", "ohlora.run", *arguments, cwd=tmp_path) as process:
        wait_for_training(process, tmp_path / "here")
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in err, err
    assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
    assert json.loads((tmp_path / "here" / "result.json").read_text())["status"] == "cancelled"
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    (run,) = client.search_runs([client.get_experiment_by_name("ohlora").experiment_id])
    assert run.info.status == "KILLED" and run.data.tags["status"] == "cancelled"


def test_a_sweep_that_is_stopped_still_has_its_table(tiny_model: Callable[[str], Path], tmp_path: Path) -> None:
    """Ctrl-C in the first job: no second job, the table of what there is, nothing left RUNNING."""
    arguments = ["-m", "task=train", "backend=hf,unsloth", "study=s", f"model.path={tiny_model('gemma3')}", *SMALL]
    with started(sys.executable, "-m", "ohlora.run", *arguments, *ENDLESS, cwd=tmp_path) as process:
        wait_for_training(process, tmp_path / "outputs" / "s")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in err, err
    assert "| **w/o** Unsloth (0/1, cancelled: " in out and "| cancelled | cancelled | cancelled | cancelled |" in out
    assert "| backend=unsloth (0/1) | not run |" in out
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    runs = client.search_runs([client.get_experiment_by_name("ohlora").experiment_id])
    assert sorted(run.info.status for run in runs) == ["FAILED", "KILLED"]


def test_a_python_out_of_memory_is_oom(tiny_model: Callable[[str], Path], tmp_path: Path) -> None:
    """An allocation that the machine cannot give, in a real child."""
    huge = ["generation.min_new_tokens=0", "trainer.batch_size=1"]
    (tmp_path / "site").mkdir()
    code = """
    import sys
    class Finder:
        def find_spec(self, name, path=None, target=None):
            if name == "ohlora.training.steps":
                import torch
                torch.empty(2**46)
    sys.meta_path.insert(0, Finder())
    """
    (tmp_path / "site" / "sitecustomize.py").write_text(textwrap.dedent(code))
    env = {"PYTHONPATH": os.pathsep.join([str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")])}
    ran = run_cli(
        "task=train",
        f"model.path={tiny_model('gemma3')}",
        *SMALL,
        *huge,
        "tracking=none",
        "hydra.run.dir=x",
        cwd=tmp_path,
        env=env,
    )
    assert ran.code == 1
    result = json.loads((tmp_path / "x" / "result.json").read_text())
    assert result["status"] == "oom", result["reason"]
    assert "asked for 268,435,456 MiB; " in result["reason"]["text"]


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("config.json", "config.json is missing"),
        ("tokenizer.json", "has neither tokenizer.json nor tokenizer.model"),
        ("model.safetensors", "model.safetensors is missing"),
        ("cut", "the file is truncated"),
        ("torn", "config.json cannot be read as JSON"),
        ("other", "contains Gemma3ForCausalLM, but this model option says Gemma2ForCausalLM"),
    ],
)
def test_broken_model_folders(
    ohlora, tiny_model: Callable[[str], Path], tmp_path: Path, broken: str, said: str
) -> None:
    import shutil

    folder = tmp_path / "model"
    shutil.copytree(tiny_model("gemma3"), folder)
    if broken == "cut":
        data = (folder / "model.safetensors").read_bytes()
        (folder / "model.safetensors").write_bytes(data[: len(data) // 2])
    elif broken == "torn":
        (folder / "config.json").write_text('{"architectures": [')
    elif broken != "other":
        (folder / broken).unlink()
    model = ["model=gemma2-2b-it"] if broken == "other" else []
    ran = ohlora(*model, f"model.path={folder}")
    assert ran.code == 2 and said in ran.err and "Traceback" not in ran.err
