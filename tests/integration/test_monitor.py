"""Training that is watched: the best adapter is kept, training stops early, sample answers, NEFTune's noise.

Run: python -m pytest tests/integration/test_monitor.py
"""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from conftest import PREFIX, Ran, run_cli

from ohlora.files import read_jsonl
from ohlora.records.samples import read_samples

STEPS = ["trainer=smoke", "lora=r16", "task=train", "tracking=none", "trainer.max_steps=8", "trainer.epochs=8"]
# A learning rate so high that the loss soon rises again; four rows with batch size 1 are learned by heart.
LONG = [*STEPS, "trainer.max_steps=32", "trainer.epochs=32", "trainer.schedule=constant"]
STEEP = [*LONG, "trainer.learning_rate=0.03", "trainer.eval_every=4"]


@pytest.fixture(scope="module")
def train(tiny_model: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """The attempt of a training run with these settings, each set run once."""
    made: dict[tuple[str, ...], Path] = {}

    def run(*settings: str) -> Path:
        if settings not in made:
            cwd = tmp_path_factory.mktemp("trained")
            ran = run_cli(f"model.path={tiny_model('gemma3')}", *settings, "hydra.run.dir=here", cwd=cwd)
            assert ran.code == 0, ran.err
            (cwd / "err.txt").write_text(ran.err)
            made[settings] = cwd / "here" / "attempt-1"
        return made[settings]

    return run


def result(attempt: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((attempt / "result.json").read_text())
    return found


def losses(attempt: Path) -> dict[int, float]:
    return {
        line["step"]: float(line["value"])
        for line in read_jsonl(attempt / "metrics.jsonl")
        if line["key"] == "eval/eval_loss" and line["step"] is not None
    }


def test_the_best_adapter_is_the_one_that_is_saved(train: Callable[..., Path]) -> None:
    """Its hash is that of a training that ends at that step, and the reported loss is its loss."""
    kept = train(*STEEP, "trainer.keep=best")
    curve, found = losses(kept), result(kept)
    best = min(curve, key=lambda step: curve[step])
    assert list(curve) == [*range(4, 33, 4)] and best < 32
    assert found["metrics"]["train/best_step"] == best and found["metrics"]["eval/eval_loss"] == curve[best]
    assert found["metrics"]["train/train_steps"] == 32 and not (kept / "best.safetensors").exists()
    until = train(*STEEP, f"trainer.max_steps={best}")
    assert result(until)["hashes"]["adapter"] == found["hashes"]["adapter"]
    last = train(*STEEP)
    assert losses(last) == curve and result(last)["metrics"]["eval/eval_loss"] == curve[32]
    assert result(last)["hashes"]["adapter"] != found["hashes"]["adapter"]
    assert result(last)["hashes"]["batches"] == found["hashes"]["batches"]


def test_training_stops_when_nothing_improves(train: Callable[..., Path]) -> None:
    stopped, whole = (train(*STEEP, "trainer.keep=best", *more) for more in (["trainer.patience=1"], []))
    found, curve = result(stopped), list(losses(whole).items())
    stop, _ = next(point for before, point in pairwise(curve) if point[1] >= before[1])
    best = stop - 4
    assert list(losses(stopped).items()) == [point for point in curve if point[0] <= stop] and stop < 32
    assert found["metrics"]["train/train_steps"] == found["effective"]["train"]["steps"] == stop
    said = (stopped.parents[1] / "err.txt").read_text()
    assert "stopped early by trainer.patience=1; the lowest eval loss, " in said
    assert f" was at step {best} of {stop}; that adapter is saved" in said
    assert found["metrics"]["train/stopped_early"] == 1 and found["metrics"]["train/best_step"] == best
    assert found["hashes"]["adapter"] == result(train(*STEEP, f"trainer.max_steps={best}"))["hashes"]["adapter"]


def test_without_an_interval_it_evaluates_each_epoch(train: Callable[..., Path]) -> None:
    """Four rows with batch size 1: an epoch has four steps; the patience is never used up."""
    run = train(*STEPS, "trainer.patience=3")
    assert list(losses(run)) == [4, 8] and result(run)["metrics"]["train/stopped_early"] == 0


@pytest.mark.parametrize("backend", ["hf", "unsloth"])
def test_samples_during_training_change_nothing(train: Callable[..., Path], backend: str) -> None:
    settings = [*STEPS, f"backend={backend}", "trainer.samples=2"]
    sampled, plain = train(*settings, "trainer.sample_every=3"), train(*settings)
    assert sorted(path.name for path in (sampled / "samples").iterdir()) == [
        "train-3.jsonl", "train-6.jsonl", "train.jsonl",
    ]  # fmt: skip
    first, last = (read_samples(sampled / "samples" / f"{name}.jsonl") for name in ("train-3", "train"))
    assert [one.question for one in first] == [one.question for one in last] and len(first) == 2
    for key in ("adapter", "batches"):
        assert result(sampled)["hashes"][key] == result(plain)["hashes"][key]
    said = (sampled.parents[1] / "err.txt").read_text()
    assert f"train: step 3: {first[0].question[:20]}" in said and "step 6: " in said


@pytest.mark.parametrize("speed", ["plain", "fast"])
def test_noise_on_the_embeddings_is_drawn_by_seed(train: Callable[..., Path], speed: str) -> None:
    settings = [*STEPS, f"trainer.speed={speed}", "trainer.learning_rate=0.003"]
    clean, noisy = result(train(*settings)), result(train(*settings, "trainer.neftune_alpha=5"))
    again = result(train(*settings, "trainer.neftune_alpha=5.0"))
    assert noisy["hashes"]["batches"] == clean["hashes"]["batches"]
    assert noisy["parity"]["losses"] != clean["parity"]["losses"]
    assert noisy["hashes"]["adapter"] == again["hashes"]["adapter"] != clean["hashes"]["adapter"]
    assert noisy["arguments"]["neftune_noise_alpha"] == 5


def test_both_speeds_add_the_same_noise(train: Callable[..., Path]) -> None:
    """One row at a time: the same positions in both, so that the same seed draws the same noise."""
    plain, fast = (
        result(train(*STEPS, f"trainer.speed={speed}", "trainer.learning_rate=0.003", "trainer.neftune_alpha=5"))
        for speed in ("plain", "fast")
    )
    assert fast["parity"]["losses"] == pytest.approx(plain["parity"]["losses"], rel=1e-3)


@pytest.mark.usefixtures("empty_store")
def test_mlflow_shows_the_loss_of_the_saved_adapter(
    ohlora: Callable[..., Ran], tiny_model: Callable[[str], Path], tmp_path: Path
) -> None:
    settings = [*STEEP, "trainer.keep=best", "tracking=mlflow", "hydra.run.dir=here"]
    sampling = ["trainer.samples=1", "trainer.sample_every=20"]
    ran = ohlora(f"model.path={tiny_model('gemma3')}", *settings, *sampling, PREFIX)
    assert ran.code == 0, ran.err
    from mlflow import MlflowClient

    attempt = tmp_path / "here" / "attempt-1"
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    run = json.loads((attempt / "mlflow.json").read_text())["run_id"]
    curve = losses(attempt)
    assert client.get_run(run).data.metrics["eval/eval_loss"] == min(curve.values()) < curve[32]
    history = [(point.step, point.value) for point in client.get_metric_history(run, "eval/eval_loss")]
    assert history[: len(curve)] == list(curve.items())
    names = {item.path for item in client.list_artifacts(run, "samples")}
    assert names == {"samples/train-20.jsonl", "samples/train.jsonl"}


def test_a_loss_needs_rows(ohlora: Callable[..., Ran], tiny_model: Callable[[str], Path], tmp_path: Path) -> None:
    """A file without validation rows: said before anything starts."""
    (tmp_path / "mine.csv").write_text("prompt,response,split\n안녕,네,train\n뭐 해,쉬어요,train\n")
    data = [
        "data=csv",
        "data.path=mine.csv",
        "generation.split=train",
        "trainer.train_rows=2",
        "trainer.eval_rows=null",
    ]
    ran = ohlora(f"model.path={tiny_model('gemma3')}", *STEPS, *data, "trainer.keep=best", "trainer.patience=1")
    assert ran.code == 2 and "trainer.keep=best: needs the loss of validation rows" in ran.err, ran.err
    assert "remove trainer.keep, trainer.patience" in ran.err and not list(tmp_path.rglob("attempt-*"))
    ran = ohlora(f"model.path={tiny_model('gemma3')}", *STEPS, *data, PREFIX)
    assert ran.code == 0, ran.err
