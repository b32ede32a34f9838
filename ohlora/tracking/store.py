"""The MLflow store of runs: choose it, open it, and tell whether `mlflow ui` can show it."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from ohlora.config.schema import Config

if TYPE_CHECKING:
    from mlflow import MlflowClient

ENVIRONMENT = "MLFLOW_TRACKING_URI"
SERVERS = ("http://", "https://")
DATABASES = ("sqlite", "postgresql", "mysql", "mssql")  # accepted by `mlflow ui --backend-store-uri`
# MLflow's own mark for training experiments; without it the UI treats an experiment as GenAI.
KIND, MODEL_TRAINING = "mlflow.experimentKind", "custom_model_development"
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_DISABLE_AGENT_SKILLS_HINT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # a dead server must not delay a run for minutes
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}


def store_uri(config: Config) -> str:
    """The store of this configuration: tracking.uri, else MLFLOW_TRACKING_URI, else mlflow.db in this folder."""
    return config.tracking.uri or default_uri()


def default_uri() -> str:
    """MLFLOW_TRACKING_URI, else the absolute path of mlflow.db in this folder, as plain `mlflow ui` opens it."""
    return os.environ.get(ENVIRONMENT) or f"sqlite:///{Path.cwd() / 'mlflow.db'}"


def is_server(uri: str) -> bool:
    return uri.startswith(SERVERS)


def has_ui(uri: str) -> bool:
    """Can an MLflow UI show this store? A server has its own; `mlflow ui` can show a database."""
    return is_server(uri) or uri.split(":", 1)[0].split("+", 1)[0] in DATABASES


def connect(uri: str) -> MlflowClient:
    """A client of the store, without MLflow's telemetry, hints and log lines."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    for name in ("alembic", "mlflow", "mlflow.store.db.utils"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return MlflowClient(uri)


def open_store(uri: str, experiment: str, say: Callable[[str], None]) -> tuple[MlflowClient, str]:
    """A client and the id of the experiment, which is created, or restored if it was deleted."""
    path = local_path(uri)
    # Two processes creating one database at the same time break it, so the second waits.
    with FileLock(f"{path}.lock") if path else contextlib.nullcontext():
        client = connect(uri)
        found = client.get_experiment_by_name(experiment)
        if found is None:
            location = (path.parent / "mlruns").as_uri() if path else None
            made = client.create_experiment(experiment, artifact_location=location, tags={KIND: MODEL_TRAINING})
            return client, made
        if found.lifecycle_stage == "deleted":
            client.restore_experiment(found.experiment_id)
            say(
                f"MLflow: the experiment {experiment!r} had been deleted; it is restored, with its runs "
                "(tracking.experiment=<another name> starts a new one)"
            )
        if KIND not in found.tags:
            client.set_experiment_tag(found.experiment_id, KIND, MODEL_TRAINING)
        return client, found.experiment_id


def local_path(uri: str) -> Path | None:
    """The absolute path of an SQLite store; None for any other store."""
    return Path(uri.removeprefix("sqlite:///")).absolute() if uri.startswith("sqlite:///") else None


def shorten(error: Exception) -> str:
    """Shorten an error to one line."""
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:200]
