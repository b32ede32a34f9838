"""Links into MLflow's UI (routes of version 3.17), printed at the end of a command."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from ohlora.config.schema import Config
from ohlora.files import read_json
from ohlora.records.layout import MLFLOW_RUN
from ohlora.tracking.store import has_ui, is_server, store_uri

HOST, PORT = "127.0.0.1", 5000
LOCAL = f"http://{HOST}:{PORT}"
MODE = "workflowType=machine_learning"  # without it the UI opens in GenAI mode, which shows no runs
START = "start its UI with: make ui, or python -m ohlora.tracking.ui"


@dataclass(frozen=True)
class Shown:
    """The parts of a run or a study to link: `view` is the key of its saved view, `compared` its runs."""

    experiment: str
    run: str
    view: str = ""
    compared: Sequence[str] = ()


def ui_address(uri: str, port: int = PORT) -> str:
    """The address of the store's UI: that of a server, else of `mlflow ui` on this machine."""
    return uri.rstrip("/") if is_server(uri) else f"http://{HOST}:{port}"


def run_link(base: str, experiment: str, run: str) -> str:
    return f"{base}/#/experiments/{experiment}/runs/{run}?{MODE}"


def view_link(base: str, experiment: str, view: str) -> str:
    """Link to the list of runs in the saved view."""
    return f"{base}/#/experiments/{experiment}/runs?viewStateShareKey={view}&{MODE}"


def compare_link(base: str, experiment: str, runs: Sequence[str]) -> str:
    """Link to runs side by side: parameters, metrics and plots."""
    return f"{base}/#/compare-runs?runs={_listed(runs)}&experiments={_listed([experiment])}&{MODE}"


def _listed(ids: Sequence[str]) -> str:
    """A JSON list encoded for an address, so that a terminal recognises the whole link."""
    return quote("[" + ",".join(f'"{one}"' for one in ids) + "]", safe="")


def list_links(base: str, shown: Shown) -> list[tuple[str, str]]:
    """(title, address) of each link, the most useful first."""
    links = [("the runs as a table", view_link(base, shown.experiment, shown.view))] if shown.view else []
    if len(shown.compared) > 1:
        links.append(("side by side", compare_link(base, shown.experiment, shown.compared)))
    title = "the report" if links else "the run"
    return [*links, (title, run_link(base, shown.experiment, shown.run))]


def print_links(config: Config, attempt: Path) -> None:
    """Print the links to one run on stderr; nothing if it was not tracked."""
    if config.tracking.name == "none" or not (attempt / MLFLOW_RUN).is_file():
        return
    known = read_json(attempt / MLFLOW_RUN)
    shown = Shown(known["experiment_id"], known["run_id"])
    for line in link_lines(store_uri(config), shown, config.tracking.uri is not None):
        print(line, file=sys.stderr)


def link_lines(uri: str, shown: Shown, given: bool = False) -> list[str]:
    """The lines for a terminal; none if no UI can show the store. `given`: tracking.uri names the store."""
    if not has_ui(uri):
        return []
    start = "" if is_server(uri) else f" ({START}{' --uri <your tracking.uri>' if given else ''})"
    links = list_links(ui_address(uri), shown)
    width = max(len(title) for title, _ in links)
    return [f"MLflow{start}:", *(f"  {title:<{width}}  {link}" for title, link in links)]
