"""Real runs, each for one thing: how they end, how they are run again, what stands in them, when MLflow is written."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from conftest import FORKED, PREFIX, Ran, run_cli, started
from test_runs import SMALL, results

from ohlora.files import read_jsonl

ENDLESS = ["trainer.max_steps=100000", "trainer.epochs=100000"]


def mutated(what: str) -> str:
    """Children in which this is wrong, see mutate.py."""
    mutate = [*FORKED, sys.executable, str(Path(__file__).with_name("mutate.py")), what]
    return f"launch.prefix=[{','.join(mutate)}]"


@pytest.mark.usefixtures("empty_store")
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


@pytest.mark.usefixtures("empty_store")
def test_a_backend_that_is_not_installed_is_a_row(tiny_model: Callable[[str], Path], tmp_path: Path) -> None:
    """hf finishes, unsloth is unsupported with its reason; the table stands and the exit code says it."""
    model = f"model.path={tiny_model('gemma3')}"
    few = ("task=infer", "generation.split=null", mutated("unsloth_not_installed"))
    ran = run_cli("-m", "backend=unsloth,hf", "study=s", *few, model, *SMALL, cwd=tmp_path)
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


def test_a_run_directory_again_by_hand(tiny_model: Callable[[str], Path], tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    model = f"model.path={tiny_model('gemma3')}"
    ran = run_cli(model, *SMALL, "tracking=none", "hydra.run.dir=run", cwd=tmp_path / "home")
    assert ran.code == 0, ran.err
    run = tmp_path / "home" / "run"
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


def wait_for_training(process: subprocess.Popen[str], folder: Path) -> None:
    until = time.monotonic() + 120
    while not any("train/loss" in path.read_text() for path in folder.glob("**/metrics.jsonl")):
        assert time.monotonic() < until and process.poll() is None
        time.sleep(0.2)


def processes_in(folder: Path) -> list[psutil.Process]:
    """All but this one that work in this folder; those that are forked are no descendants of the command."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE and process.cwd() == str(folder):
                found.append(process)
    return found


@pytest.mark.usefixtures("empty_store")
def test_a_run_that_is_stopped_is_recorded(tiny_model: Callable[[str], Path], tmp_path: Path) -> None:
    """SIGTERM in the middle: no process is left, the result says cancelled, MLflow says KILLED."""
    arguments = ["task=train", f"model.path={tiny_model('gemma3')}", *SMALL, *ENDLESS, "hydra.run.dir=here", PREFIX]
    with started(sys.executable, "-m", "ohlora.run", *arguments, cwd=tmp_path) as process:
        wait_for_training(process, tmp_path / "here")
        assert len(processes_in(tmp_path)) >= 3  # the command, what stands in its child's place, the child
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in err, err
    until = time.monotonic() + 10
    while left := processes_in(tmp_path):
        assert time.monotonic() < until, left
        time.sleep(0.05)
    assert json.loads((tmp_path / "here" / "result.json").read_text())["status"] == "cancelled"
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    (run,) = client.search_runs([client.get_experiment_by_name("ohlora").experiment_id])
    assert run.info.status == "KILLED" and run.data.tags["status"] == "cancelled"


@pytest.mark.usefixtures("empty_store")
def test_a_sweep_that_is_stopped_still_has_its_table(tiny_model: Callable[[str], Path], tmp_path: Path) -> None:
    """Ctrl-C in the first job: no second job, the table of what there is, nothing left RUNNING."""
    arguments = ["-m", "task=train", "backend=hf,unsloth", "study=s", f"model.path={tiny_model('gemma3')}", *SMALL]
    with started(sys.executable, "-m", "ohlora.run", *arguments, *ENDLESS, PREFIX, cwd=tmp_path) as process:
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
    ran = run_cli(
        "task=train", f"model.path={tiny_model('gemma3')}", *SMALL, "generation.min_new_tokens=0",
        "trainer.batch_size=1", "tracking=none", "hydra.run.dir=x", mutated("memory_not_there"), cwd=tmp_path,
    )  # fmt: skip
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
