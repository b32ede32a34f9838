"""Find studies in MLflow: the runs under a parent, and the newest study of a store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ohlora.records.manifest import RECOMMENDED
from ohlora.tracking.links import Shown
from ohlora.tracking.view import TAG

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

MAX_COMPARED = 16  # runs that a person can still read side by side


def runs_under(client: MlflowClient, experiment: str, parent: str) -> list[Run]:
    """All runs under a run, oldest first."""
    found: list[Run] = []
    token = None
    while True:
        page = client.search_runs(
            [experiment],
            f"tags.`mlflow.parentRunId` = '{parent}'",
            order_by=["attributes.start_time ASC"],
            page_token=token,
        )
        found += page
        token = page.token
        if not token:
            return found


def newest_finished(runs: Sequence[Run]) -> list[str]:
    """The ids of the runs to compare: the newest finished attempts with equal settings."""
    newest = {run.data.tags.get("ohlora.run_id", run.info.run_id): run for run in runs}
    finished = [run for run in newest.values() if run.info.status == "FINISHED"]
    headline = [run for run in finished if run.data.tags.get("track") != RECOMMENDED]
    named = sorted(headline or finished, key=lambda run: run.info.run_name or "")
    return [run.info.run_id for run in named[:MAX_COMPARED]]


def newest_study(client: MlflowClient) -> Shown | None:
    """The newest comparison or sweep of the store, else its newest run; None if it has no runs."""
    experiments = [found.experiment_id for found in client.search_experiments()]
    for only in ("tags.`ohlora.sweep` != ''", ""):
        page = client.search_runs(experiments, only, order_by=["attributes.start_time DESC"], max_results=1)
        if page:
            return _show(client, page[0])
    return None


def _show(client: MlflowClient, run: Run) -> Shown:
    experiment, parent = run.info.experiment_id, run.info.run_id
    has_view = f"{TAG}{parent}" in client.get_experiment(experiment).tags
    compared = newest_finished(runs_under(client, experiment, parent))
    return Shown(experiment, parent, parent if has_view else "", compared)
