"""The inputs of a run for MLflow: its data rows, the command, the commit."""

from __future__ import annotations

import functools
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ohlora.config.schema import Config
from ohlora.config.tasks import TASKS
from ohlora.data.rows import Row
from ohlora.data.run_rows import RunRows
from ohlora.data.sources import data_files
from ohlora.files import encode_json, sha256_of

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput

DIGEST_CHARS = 16


def dataset_inputs(config: Config, rows: RunRows) -> list[DatasetInput]:
    """Log the rows that the run uses, each set with its name, a digest of its texts and its row count."""
    paths = [path.absolute() for path in data_files(config.data)]
    sets = {"inference": rows.prompts}
    if TASKS[config.task.name].trains:
        sets = {"training": rows.train, "validation": rows.validation, **sets}
    return [_input(paths, context, found) for context, found in sets.items() if found]


def _input(paths: list[Path], context: str, rows: Sequence[Row]) -> DatasetInput:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    dataset = Dataset(
        name=f"{paths[0].name if len(paths) == 1 else f'{len(paths)} files'} ({context})",
        digest=sha256_of(row.tokenised() for row in rows)[:DIGEST_CHARS],
        source_type="local",
        source=encode_json({"uri": ", ".join(map(str, paths))}),
        profile=encode_json({"num_rows": len(rows)}),
    )
    return DatasetInput(dataset, [InputTag("mlflow.data.context", context)])


def source_tags() -> dict[str, str]:
    """Tags with this process's command as MLflow's source, and the commit if the package is in a checkout.

    The UI shows only the part of a source after its last slash; `ohlora.command` always has all arguments.
    """
    shown = [argument if "/" not in argument else "…" for argument in sys.argv[1:]]
    commit = _commit()
    return {
        "ohlora.command": " ".join(["python -m ohlora.run", shlex.join(sys.argv[1:])]).rstrip(),
        "mlflow.source.name": " ".join(["python -m ohlora.run", *dict.fromkeys(shown)]),
        "mlflow.source.type": "LOCAL",
        **({"mlflow.source.git.commit": commit} if commit else {}),
    }


@functools.lru_cache(maxsize=1)
def _commit() -> str:
    checkout = Path(__file__).resolve().parents[2]
    if not (checkout / ".git").exists():
        return ""
    try:
        done = subprocess.run(
            ["git", "-C", str(checkout), "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
