"""Settings of speed: what they do to a run's identity, what is refused, and the stored table.

Run: python -m pytest tests/unit/test_speed.py
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import Ran

from ohlora.backends import Loaded
from ohlora.config.compose import compose_config
from ohlora.config.identity import run_id, select_measured
from ohlora.data.tokens import Example, Tokens
from ohlora.errors import Unsupported
from ohlora.planning.validate import validate
from ohlora.tasks.train import _trainer

ROOT = Path(__file__).resolve().parents[2]


def test_earlier_runs_keep_their_identity() -> None:
    """The keys are newer than stored runs, which had neither."""
    before = {"trainer": {"name": "sft"}, "generation": {"name": "timed"}}
    now = {"trainer": {"name": "sft", "speed": "plain"}, "generation": {"name": "timed", "batch": "1"}}
    fast = {**now, "trainer": {"name": "sft", "speed": "fast"}}
    batched = {**now, "generation": {"name": "timed", "batch": "8"}}
    assert run_id(before, "hf", 0) == run_id(now, "hf", 0)
    assert len({run_id(one, "hf", 0) for one in (now, fast, batched)}) == 3
    assert select_measured(now) == before and now["trainer"]["speed"] == "plain"  # left as it was


@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5", "01"])
def test_a_batch_is_a_number_or_auto(ohlora: Callable[..., Ran], value: str) -> None:
    ran = ohlora("task=infer", f"generation.batch={value}")
    assert ran.code == 2 and f"generation.batch={value}: must be auto, or a number >= 1" in ran.err


def test_fast_training_has_a_loss_of_its_own(ohlora: Callable[..., Ran]) -> None:
    ran = ohlora("task=train", "trainer.speed=fast", "trainer.loss=nll")
    assert ran.code == 2 and "trainer.loss=nll: trainer.speed=fast has a loss of its own" in ran.err


def test_fast_training_is_refused_beside_kernels_of_a_back_end(tmp_path: Path) -> None:
    config = validate(compose_config(["task=train", "trainer.speed=fast", "backend=unsloth"]))
    record = SimpleNamespace(effective={"device": "cuda"})
    job: Any = SimpleNamespace(config=config, record=record, attempt=tmp_path)
    made: Any = SimpleNamespace(name="unsloth", has_own_kernels=lambda loaded: True)
    timer = SimpleNamespace(callback=lambda: None)
    tokens = Tokens([Example("a", [1, 2], [-100, 2])], [], [], [1], 0, [], "")
    with pytest.raises(
        Unsupported, match="trainer.speed=fast: backend=unsloth computes the loss in kernels of its own"
    ):
        _trainer(made, Loaded(None, None, {"dtype": "bfloat16"}), tokens, None, timer, job)


def test_a_speed_is_plain_or_fast(ohlora: Callable[..., Ran]) -> None:
    ran = ohlora("task=train", "trainer.speed=faster")
    assert ran.code == 2 and "trainer.speed" in ran.err and "plain" in ran.err and "fast" in ran.err
    assert "Traceback" not in ran.err


def test_the_stored_table_is_what_the_code_makes_of_the_stored_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    folder = ROOT / "experiments" / "speed"
    speed = __import__("speed")
    record = json.loads((folder / "speed.json").read_text("utf-8"))
    assert speed.write_table(record) == (folder / "speed.md").read_text("utf-8")
    assert len(record["runs"]) == 3 * len(speed.CONTENDERS) + 2 * len(speed.grown())
    sys.modules.pop("speed")
    sys.modules.pop("overhead")


def test_a_disturbed_run_is_in_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    speed = __import__("speed")
    runs = [
        {"name": name, "round": number, "wall_s": wall, "disturbed": disturbed}
        for name, number, wall, disturbed in (
            ("a", 0, 2.0, []), ("b", 0, 1.0, []), ("a", 1, 2.0, []), ("b", 1, 99.0, ["stolen_share=0.5"]),
        )
    ]  # fmt: skip
    assert speed._ratio(runs, "a", "b", "wall_s") == "0.50"
    assert speed._ratio(runs, "a", "a", "wall_s") == "1" and speed._ratio(runs[3:], "a", "b", "wall_s") == "–"
    sys.modules.pop("speed")
    sys.modules.pop("overhead")
