"""A study's saved view in MLflow's list of runs: its runs as rows, the columns of the user's table first.

The UI stores a view as a tag of the experiment and lists it in its views menu. It folds child runs, and a view cannot
unfold them; but in a list sorted by anything except time the parent is left out and each run is a row.
"""

from __future__ import annotations

from collections.abc import Sequence

from ohlora.files import encode_json

TAG = "mlflow.sharedViewState."
MEMORY = ("peak_vram_mib", "peak_rss_mib")
ALSO = ("train/train_warm_time_s", "eval/eval_loss", "quality/usable_chrf")
NAME, CREATED = "attributes.`Run Name`", "runDateAndNestInfo"
NAME_PX, NUMBER_PX = 400, 165


def saved_view(study: str, parent: str, metrics: Sequence[str], now_ms: int) -> tuple[str, str]:
    """The (tag, value) that stores a view of the runs under `parent`, with columns for these metrics."""
    columns = [f"metrics.`{key}`" for key in table_metrics(metrics)]
    others = ["tags.`status`", "attributes.`Source`", "attributes.`Dataset`"]
    state = {
        "searchFilter": f"tags.`mlflow.parentRunId` = '{parent}'",
        "orderByKey": "tags.`mlflow.runName`",
        "orderByAsc": True,
        "selectedColumns": [*columns, *others],
        "columnOrder": [NAME, *columns, "tags.`status`", CREATED, "duration", *others[1:]],
        "columnWidths": {NAME: NAME_PX, **dict.fromkeys(columns, NUMBER_PX)},
    }
    envelope = {"name": study, "createdAt": now_ms, "updatedAt": now_ms, "state": encode_json(state)}
    return f"{TAG}{parent}", encode_json(envelope)


def table_metrics(there: Sequence[str]) -> list[str]:
    """The available columns of the user's table; GPU memory if it was measured."""
    found = []
    for phase in ("infer", "train"):
        memory = next((f"{phase}/{key}" for key in MEMORY if f"{phase}/{key}" in there), None)
        found += [key for key in (memory, f"{phase}/{phase}_time_s") if key and key in there]
    return [*found, *(key for key in ALSO if key in there)]
