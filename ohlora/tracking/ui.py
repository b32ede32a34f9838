"""Open MLflow's UI for this folder's runs, at the newest comparison.

python -m ohlora.tracking.ui                 same as make ui
python -m ohlora.tracking.ui --port 5001     on another port
python -m ohlora.tracking.ui --uri <store>   another store instead of MLFLOW_TRACKING_URI or mlflow.db in this folder
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import webbrowser
from collections.abc import Iterator
from typing import NamedTuple

from ohlora.entry import refuse_windows, replace_unprintable
from ohlora.errors import UserError
from ohlora.tracking.links import HOST, PORT, Shown, list_links, ui_address
from ohlora.tracking.store import connect, default_uri, has_ui, is_server, local_path, shorten
from ohlora.tracking.studies import newest_study

STARTS_WITHIN_S = 120
# One process instead of four, and no log line per request, which would scroll the links off the screen.
SERVER = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # jobs of GenAI evaluations
FOR_ONE_PERSON = ("--workers", "1", "--uvicorn-opts", "--log-level warning")


class PortUse(NamedTuple):
    """The state of a port: is something listening, and is it an MLflow UI that knows a run?"""

    taken: bool
    same_store: bool = False


def main() -> int:
    """Exit code: 0 stopped by Ctrl-C; 2 bad input; else that of `mlflow ui`."""
    replace_unprintable()
    parser = argparse.ArgumentParser(
        prog="python -m ohlora.tracking.ui",
        description=(__doc__ or "").strip(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--uri", help="the store (default: MLFLOW_TRACKING_URI, else mlflow.db in this folder)")
    parser.add_argument("--port", type=int, default=PORT, help=f"port of the UI on this machine (default: {PORT})")
    parser.add_argument("--no-browser", action="store_true", help="print the links without opening a browser")
    given = parser.parse_args()
    try:
        refuse_windows()
        return show_ui(given.uri or default_uri(), given.port, not given.no_browser and at_desktop())
    except UserError as error:
        print(error.report(), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 0


def show_ui(uri: str, port: int, browser: bool) -> int:
    """Start the UI of this store, print the links to its newest study, open the first; return when it ends.

    Raises:
        UserError: there is no such store, it has no runs, no UI can show it, or the port is in use.
    """
    shown = find_newest(uri)
    links = list_links(ui_address(uri, port), shown)
    if is_server(uri):
        announce(links, browser)
        return 0
    use = ask_port(port, shown)
    if use.same_store:
        print(f"the UI of this store is already running on port {port}")
        announce(links, browser)
        return 0
    if use.taken:
        raise UserError(
            f"port {port} of {HOST} is in use by another program; choose another port: "
            f"make ui ARGS='--port {port + 1}', or python -m ohlora.tracking.ui --port {port + 1}"
        )
    print("starting MLflow's UI, which takes some seconds", flush=True)
    # In its own session, so that Ctrl-C reaches only us: each MLflow process would print a traceback.
    server = subprocess.Popen(
        server_command(port), env={**os.environ, **SERVER, "MLFLOW_BACKEND_STORE_URI": uri}, start_new_session=True
    )
    try:
        with end_on_signals():
            wait_until_ready(server, port, shown)
            announce(links, browser)
            print("Ctrl-C ends it", flush=True)
            return server.wait()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGTERM)
        server.wait()


def server_command(port: int) -> list[str]:
    return [sys.executable, "-m", "mlflow", "ui", "--host", HOST, "--port", str(port), *FOR_ONE_PERSON]


@contextlib.contextmanager
def end_on_signals() -> Iterator[None]:
    """Treat SIGTERM and SIGHUP (a closed terminal) like Ctrl-C: stop the server and exit."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def find_newest(uri: str) -> Shown:
    """The newest study of the store.

    Raises:
        UserError: there is no such store, it cannot be read, it has no runs, or no UI can show it.
    """
    if not has_ui(uri):
        raise UserError(f"{uri}: no MLflow UI can show this store; give --uri sqlite:///<file>, a database or a server")
    path = local_path(uri)
    if path and not path.is_file():
        raise UserError(f"there is no {path}: no run has been tracked in this folder; start one with make compare")
    try:
        shown = newest_study(connect(uri))
    except Exception as error:
        raise UserError(f"the store cannot be read: {shorten(error)}") from None
    if shown is None:
        raise UserError("the store has no runs yet; start one with make compare")
    return shown


def ask_port(port: int, shown: Shown) -> PortUse:
    """Find out who uses the port: nobody, a UI that knows this run, or another program."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(2)
        if probe.connect_ex((HOST, port)) != 0:
            return PortUse(taken=False)
    try:
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(f"http://{HOST}:{port}/api/2.0/mlflow/runs/get?run_id={shown.run}", timeout=10) as found:
            return PortUse(taken=True, same_store=shown.run.encode() in found.read())
    except (OSError, http.client.HTTPException):
        return PortUse(taken=True)


def wait_until_ready(server: subprocess.Popen[bytes], port: int, shown: Shown) -> None:
    """Return once the UI answers.

    Raises:
        UserError: the UI has exited, or does not answer in time.
    """
    ends = time.monotonic() + STARTS_WITHIN_S
    while not ask_port(port, shown).same_store:
        if server.poll() is not None:
            raise UserError(f"mlflow ui ended with exit code {server.returncode}; see its message above")
        if time.monotonic() > ends:
            raise UserError(f"mlflow ui does not answer on port {port} after {STARTS_WITHIN_S} s")
        time.sleep(0.5)


def announce(links: list[tuple[str, str]], browser: bool) -> None:
    """Print the links and, at a desktop, open the first."""
    width = max(len(title) for title, _ in links)
    for title, link in links:
        print(f"  {title:<{width}}  {link}", flush=True)
    if browser:
        webbrowser.open(links[0][1])


def at_desktop() -> bool:
    """Can a browser window open on the user's screen?"""
    if not sys.stdout.isatty() or os.environ.get("SSH_CONNECTION"):
        return False
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


if __name__ == "__main__":
    sys.exit(main())
