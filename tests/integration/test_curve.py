"""task=curve on a tiny model: real trainings on nested shares, continued with more seeds, its report and MLflow.

Run: python -m pytest tests/integration/test_curve.py
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import PREFIX, Ran

SMALL = ["task=curve", "trainer=smoke", "lora=r16", "trainer.train_rows=null", "study=c", "curve.shares=[0.5,1.0]"]


@pytest.mark.usefixtures("empty_store")
def test_a_curve_is_run_and_continued(
    ohlora: Callable[..., Ran], tiny_model: Callable[[str], Path], tmp_path: Path
) -> None:
    lines = [f"q{n},a{n} yes,{'ab'[n % 2]},{'train' if n < 8 else 'validation'}" for n in range(10)]
    (tmp_path / "mine.csv").write_text("\n".join(["prompt,response,category,split", *lines]))
    mine = ["data=csv", "data.path=mine.csv", f"model.path={tiny_model('gemma3')}", PREFIX]
    first = ohlora(*SMALL, *mine, "curve.seeds=1")
    assert first.code == 0, first.err
    assert "| 4 | 0.5 | " in first.out and "| 8 | 1 | " in first.out and "**No verdict**" in first.out
    folder = tmp_path / "outputs" / "c"
    before = {path.parent.name: path.read_text() for path in folder.glob("*/result.json")}
    again = ohlora(*SMALL, *mine, "curve.seeds=2")
    assert again.code == 0, again.err
    assert "2 of 4 runs finished in an earlier call" in again.err and "**No verdict**: 2 seeds" in again.out
    after = {path.parent.name: path.read_text() for path in folder.glob("*/result.json")}
    assert len(after) == 4 and {name: json.loads(after[name]) for name in before} == {
        name: json.loads(text) for name, text in before.items()
    }
    found = [json.loads(text) for text in after.values()]
    assert sorted(run["metrics"]["train/train_rows"] for run in found) == [4, 4, 8, 8]
    assert {run["requested"]["seed"] for run in found} == {42, 43} and {run["task"] for run in found} == {"train"}
    assert len({run["hashes"]["adapter_init"] for run in found}) == 2  # one per seed, shared by its shares
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    runs = client.search_runs([client.get_experiment_by_name("ohlora").experiment_id])
    (parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    assert len(runs) == 5 and {"curve.md", "curve.svg"} <= {i.path for i in client.list_artifacts(parent.info.run_id)}
    other = ohlora(*SMALL, *mine, "curve.seeds=1", "trainer.learning_rate=0.01")
    assert other.code == 2 and "contains another study" in other.err


def test_a_curve_needs_rows_with_answers(
    ohlora: Callable[..., Ran], tiny_model: Callable[[str], Path], tmp_path: Path
) -> None:
    (tmp_path / "mine.csv").write_text("prompt,response,split\nq1,a1,train\nq2,a2,train\n")
    mine = ["data=csv", "data.path=mine.csv", f"model.path={tiny_model('gemma3')}", "trainer.eval_rows=null"]
    ran = ohlora(*SMALL, *mine, "tracking=none")
    assert ran.code == 2 and ran.err.count("task=curve: compares the loss of validation rows") == 1, ran.err
    swept = ohlora("-m", *SMALL, *mine, "tracking=none", "lora.rank=8,16")
    assert swept.code == 2 and "-m: task=curve plans its own runs; remove -m" in swept.err
