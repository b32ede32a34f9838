"""Fetch the results under an MLflow run into a folder for a report, such as those of another machine."""

from __future__ import annotations

import shutil
from pathlib import Path

from ohlora.errors import UserError
from ohlora.records.layout import attempts
from ohlora.records.manifest import MANIFEST
from ohlora.tracking.mlflow_tracker import RUN_FILES
from ohlora.tracking.store import connect, default_uri, local_path
from ohlora.tracking.studies import runs_under


def fetch(run_id: str, into: Path, uri: str | None) -> Path:
    """Fetch the results under an MLflow run, or its own, into a folder for a report; `uri` None: as in `make ui`.

    Raises:
        UserError: the store has no such run, or the run has no result.
    """
    from mlflow.exceptions import MlflowException

    store = uri or default_uri()
    path = local_path(store)
    if path and not path.is_file():
        raise UserError(f"mlflow:{run_id}: there is no {path}; give --tracking-uri")
    client = connect(store)
    try:
        parent = client.get_run(run_id)
        folder = into / f"{parent.data.tags.get('ohlora.sweep', 'run')}-{run_id[:8]}"
        for run in [*runs_under(client, parent.info.experiment_id, run_id), parent]:
            below = run.data.tags.get("ohlora.run_id")  # attempts of one run share an id; the last one counts
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
