"""The results under an MLflow run, back as a folder that can be reported: what another machine has tracked."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ohlora.errors import UserError
from ohlora.records.layout import attempts
from ohlora.records.manifest import MANIFEST
from ohlora.tracking.mlflow_tracker import RUN_FILES


def fetch(run_id: str, into: Path, uri: str | None) -> Path:
    """The results under an MLflow run, or its own, as a folder that can be reported; `uri` None: ./mlflow.db.

    Raises:
        UserError: no such run there, or it holds no result.
    """
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    store = uri or f"sqlite:///{Path.cwd() / 'mlflow.db'}"
    if uri is None and not Path("mlflow.db").is_file():
        raise UserError(f"mlflow:{run_id}: there is no mlflow.db in this folder; give --tracking-uri")
    client = MlflowClient(store)
    try:
        parent = client.get_run(run_id)
        folder = into / f"{parent.data.tags.get('ohlora.sweep', 'run')}-{run_id[:8]}"
        for run in [*_children(client, parent), parent]:
            below = run.data.tags.get("ohlora.run_id")  # several attempts of a run have the same: the last one counts
            attempt = folder / below / f"attempt-{len(attempts(folder / below)) + 1}" if below else folder
            attempt.mkdir(parents=True, exist_ok=True)
            for item in client.list_artifacts(run.info.run_id):
                if item.path in (MANIFEST, *RUN_FILES):
                    client.download_artifacts(run.info.run_id, item.path, str(attempt))
            if below and (attempt / "result.json").is_file():
                shutil.copy(attempt / "result.json", attempt.parent)
    except MlflowException as error:
        raise UserError(f"mlflow:{run_id}: {str(error).splitlines()[0]}; give the id of a run in {store}") from None
    return folder


def _children(client: Any, parent: Any) -> Iterator[Any]:
    """The runs under a run, oldest first, however many."""
    tag, token = f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'", None
    while True:
        page = client.search_runs(
            [parent.info.experiment_id], tag, order_by=["attributes.start_time ASC"], page_token=token
        )
        yield from page
        token = page.token
        if not token:
            return
