"""Every metric is declared, and documented, once."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest

from ohlora.config.compose import compose_config
from ohlora.measure.metrics import CURVES, METRICS, PHASES, metric_of
from ohlora.planning.validate import validate
from ohlora.records.judgement import RULES
from ohlora.tasks.job import Job

DOC = Path(__file__).resolve().parents[2] / "docs" / "result.md"
KEY = re.compile(rf"`((?:<phase>|<process>|{'|'.join(PHASES)}|estimate|quality|judge)/[a-z0-9_/<>]+)`")


def documented() -> dict[str, str]:
    """Metric -> the unit that docs/result.md gives it; '–' is none."""
    found: dict[str, str] = {}
    for line in DOC.read_text("utf-8").split("## Metrics")[1].split("## `memory.jsonl`")[0].splitlines():
        if not line.startswith("| `"):
            continue
        keys, unit = line.split("|")[1:3]
        for key in KEY.findall(keys):
            names = [key.replace("<phase>", phase) for phase in PHASES] if "<phase>" in key else [key]
            names = [name.replace("<rule>", rule) for name in names for rule in RULES] if "<rule>" in key else names
            found |= dict.fromkeys(names, unit.strip().replace("–", "", 1) if unit.strip() == "–" else unit.strip())
    return found


def test_every_metric_is_documented_with_its_unit_and_nothing_else_is() -> None:
    assert documented() == {key: metric.unit for key, metric in METRICS.items()}


def test_every_curve_is_documented_and_nothing_else_is() -> None:
    sentence = re.search(r"Curves in `metrics.jsonl`.*?\.\n", DOC.read_text("utf-8"), re.DOTALL)
    assert sentence and set(KEY.findall(sentence[0])) == set(CURVES)


def test_a_later_process_loads_by_the_same_metrics() -> None:
    assert metric_of("train_load/load_s") == metric_of("load/load_s") == METRICS["load/load_s"]
    assert metric_of("answer_load/peak_rss_mib") == METRICS["load/peak_rss_mib"]
    assert metric_of("train_load/loads_s") is None and metric_of("nothing_load/load_s") is None


@pytest.mark.parametrize(
    ("key", "step"), [("train/loss", None), ("train/train_times_s", None), ("train/train_time_s", 3)]
)
def test_an_undeclared_metric_is_refused(tmp_path: Path, key: str, step: int | None) -> None:
    file = io.StringIO()
    job = Job(validate(compose_config([])), tmp_path, "train", lambda event: None, file)
    with pytest.raises(LookupError, match=f"{key}: not a declared"):
        job.metric(key, 1.0, step)
    job.metric("train/train_time_s", 1.0)
    job.metric("train/loss", 2.0, 1)
    assert job.record.metrics == {"train/train_time_s": 1.0} and file.getvalue().count("\n") == 2
