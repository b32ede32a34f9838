"""task=final and task=judge as a user runs them: both sides answer, one page says what came of it.

Run: python -m pytest tests/integration/test_judge.py
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from ohlora.records.judgement import ADAPTER, BASE, EVERY_RULE, read_judgement
from ohlora.records.samples import read_samples

QUICK = [
    "tracking=none", "model=local", "model.accept_license=true", "model.dtype=float32", "launch.threads=1",
    "generation.prompts=6", "generation.max_new_tokens=8", "trainer.max_length=512",
]  # fmt: skip


def run(cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ohlora.run", *QUICK, *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def test_an_adapter_is_trained_and_judged(tiny_model: Callable[[str], Path], tmp_path: Path) -> None:
    model = f"model.path={tiny_model('gemma3')}"
    training = ["trainer.train_rows=8", "trainer.eval_rows=4", "trainer.epochs=1", "trainer.samples=0"]
    done = run(tmp_path, "experiment=ohlora_final", model, *training, "hydra.run.dir=first")
    assert done.returncode == 0, done.stderr
    assert "## Did it help?" in done.stdout and "Answers that keep every rule" in done.stdout
    assert "task=infer adapter=" in done.stdout and "judge.html" in done.stdout
    result = json.loads((tmp_path / "first" / "result.json").read_text())
    assert result["metrics"]["judge/second/not_empty"] <= 1 and "train/train_time_s" in result["metrics"]
    assert {"judge_first/peak_rss_mib", "judge_second/peak_rss_mib"} <= set(result["metrics"])
    judgement = read_judgement(tmp_path / "first" / "attempt-1" / "judge.json")
    assert [side.kind for side in judgement.sides] == [BASE, ADAPTER] and judgement.form == "merged"
    assert len([prompt for prompt in judgement.prompts if prompt.family == "rule"]) == 6
    assert judgement.rules[0].rule == EVERY_RULE and judgement.rules[0].first.of == 6
    assert judgement.cost.train_minutes and judgement.cost.memory == "RSS" and judgement.seeds == []
    base = read_samples(tmp_path / "first" / "attempt-1" / "samples" / "judge_first.jsonl")
    plain = run(tmp_path, "task=infer", "lora=none", "generation=judged", "data=persona", model, "hydra.run.dir=plain")
    assert plain.returncode == 0, plain.stderr
    same = read_samples(tmp_path / "plain" / "attempt-1" / "samples" / "infer.jsonl")
    assert base[:6] == same  # the first side is the model without an adapter

    drawn = ["decoding=sample", "judge.seeds=[1,2]", "judge.against=first", "report.lang=ko"]
    done = run(tmp_path, "task=judge", "adapter=first", model, *drawn, "hydra.run.dir=second")
    assert done.returncode == 0, done.stderr
    judgement = read_judgement(tmp_path / "second" / "attempt-1" / "judge.json")
    assert [side.kind for side in judgement.sides] == [ADAPTER, ADAPTER] and judgement.seeds == [1, 2]
    assert all(prompt.change == "same" for prompt in judgement.prompts)  # an adapter against itself
    assert judgement.rules[0].second.of == 12 and not judgement.notes
    assert "답변 비교" in (tmp_path / "second" / "attempt-1" / "judge.html").read_text("utf-8")

    other = run(tmp_path, "task=judge", "adapter=first", f"model.path={tiny_model('llama')}")
    assert other.returncode == 2 and "adapter=first: was trained on" in other.stderr
    other = run(tmp_path, "task=judge", "adapter=first", "judge.against=nowhere", model)
    assert other.returncode == 2 and "judge.against=nowhere: no adapter found" in other.stderr
    card = ["persona.facts.name=null"]
    other = run(tmp_path, "task=judge", "adapter=first", model, *card, "generation.prompts=null")
    assert other.returncode == 2 and "checks.fact=name" in other.stderr and "persona=none" in other.stderr
    assert not list(tmp_path.glob("outputs/**/config.yaml"))  # none of them began
