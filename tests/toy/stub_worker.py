"""Put before the child's command as `launch.prefix`: it writes the phase's record itself, without a model or torch."""

from __future__ import annotations

import sys
from pathlib import Path

from ohlora.backends import backend
from ohlora.files import write_json
from ohlora.records.result import PhaseRecord, Status
from ohlora.tasks.job import read_config

METRICS = {
    "infer": {"load/load_s": 2.0, "infer/infer_time_s": 20.0, "infer/peak_rss_mib": 1000.0, "infer/prompts": 25.0,
              "infer/generated_tokens": 1000.0},
    "train": {"load/load_s": 3.0, "train/train_time_s": 30.0, "train/train_warm_time_s": 28.0,
              "train/train_steps": 16.0, "train/peak_rss_mib": 2000.0, "eval/eval_loss": 3.0},
}  # fmt: skip
FACTOR = {"toy": 0.5}  # of every number that is no count, by back end


def main() -> None:
    attempt, phase = Path(sys.argv[-3]), sys.argv[-1]
    name = read_config(attempt).backend.name
    assert backend(name).name == name
    record = PhaseRecord(Status.finished.value)
    for key, value in METRICS.get(phase, {}).items():
        record.metrics[key] = value * (FACTOR.get(name, 1.0) if key.endswith(("_s", "_mib")) else 1.0)
    if phase in METRICS:
        record.effective = {"backend": name, "device": "cpu", "dtype": "float32", phase: {"route": name}}
        record.device = {"type": "cpu", "name": "CPU (stub, 2 cores)", "ram_mib": 8000, "threads": 2}
        record.versions = {"stub": "1"}
    write_json(attempt / "phases" / f"{phase}.json", vars(record))


main()
