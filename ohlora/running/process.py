"""Run one child process: its environment, its events, how it ended; it never outlives us."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ohlora.backends import env_prefixes
from ohlora.measure.cgroup import OomKills
from ohlora.running.allocator import allocator_setting
from ohlora.running.warm import WarmChild, WarmServer

EVENT_FD, LIFE_FD = "OHLORA_EVENT_FD", "OHLORA_LIFE_FD"
GRACE_S = 5.0
# Set for every arm before any library reads them. Other variables that start like DROPPED_ENV are removed.
FIXED_ENV = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "PYTHONIOENCODING": "utf-8",  # of its log, whatever the terminal's encoding is
    "TOKENIZERS_PARALLELISM": "false",
}
# A launcher's LOCAL_RANK or WORLD_SIZE would make a child wait for others that are not there.
DROPPED_ENV = (
    "PYTORCH_ALLOC", "PYTORCH_CUDA_ALLOC", "ACCELERATE_", "OHLORA_", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "RANK",
    "WORLD_SIZE", "OMPI_COMM_WORLD", "MV2_COMM_WORLD", "PMI_",
)  # fmt: skip


Child = subprocess.Popen[bytes] | WarmChild


@dataclass(frozen=True)
class Ended:
    """How a child ended. `code` is its exit code, negative for a signal; `by` says who stopped it, '' if nobody did.

    `oom_kills`: out-of-memory kills by the kernel meanwhile; `limit_bytes`: the memory limit of its control group.
    """

    code: int
    by: str
    seconds: float
    oom_kills: int
    limit_bytes: int | None = None


def child_env(extra: dict[str, str]) -> dict[str, str]:
    """Our environment without the variables that could make arms differ, plus those that all arms share."""
    dropped = (*DROPPED_ENV, *env_prefixes())
    kept = {key: value for key, value in os.environ.items() if not key.startswith(dropped)}
    return {**kept, **FIXED_ENV, "PYTORCH_ALLOC_CONF": allocator_setting(), **extra}


def run(
    command: Sequence[str],
    log: Path,
    env: dict[str, str],
    timeout_s: float | None,
    on_event: Callable[[dict[str, Any]], None],
    server: WarmServer | None = None,
) -> Ended:
    """Start the command in its own process group and follow its event pipe until it has ended.

    With `server` it is forked there; the command must be one of ohlora.worker.

    It cannot outlive us: when we exit, a pipe that only we keep open closes, and the child kills its group.
    Ctrl-C, and SIGTERM under `sigterm_as_interrupt`, stop the group; the call then returns with by='cancel'.
    """
    started, kills = time.monotonic(), OomKills()
    event_read, event_write = os.pipe()
    life_read, life_write = os.pipe()
    env = {**env, EVENT_FD: str(event_write), LIFE_FD: str(life_read)}
    by = ""
    try:
        with log.open("ab") as output:
            child: Child
            if server:
                arguments = command[command.index("ohlora.worker") + 1 :]
                child = server.start(arguments, env, output, (event_write, life_read))
            else:
                child = subprocess.Popen(
                    list(command),
                    env=env,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    pass_fds=(event_write, life_read),
                    start_new_session=True,
                )
            os.close(event_write)
            os.close(life_read)
            event_write = life_read = -1
            speaks = False

            def taken(event: dict[str, Any]) -> None:
                nonlocal speaks
                if not speaks:  # launch.prefix has run, and may have moved it into another control group
                    speaks = True
                    kills.follow(child.pid)
                on_event(event)

            try:
                by = _follow(child, event_read, None if timeout_s is None else started + timeout_s, taken)
            except KeyboardInterrupt:
                by = "cancel"
            finally:
                # A second Ctrl-C must not interrupt the stopping of the child.
                with _signals({signal.SIGINT: signal.SIG_IGN, signal.SIGTERM: signal.SIG_IGN}):
                    _end_group(child)
    finally:
        for fd in (event_read, event_write, life_read, life_write):
            if fd >= 0:
                os.close(fd)
    return Ended(child.returncode, by, time.monotonic() - started, kills.count(), kills.limit_bytes)


def _follow(child: Child, pipe: int, deadline: float | None, on_event: Callable[[dict[str, Any]], None]) -> str:
    """Read events until the child has ended; return 'timeout' if the deadline comes first."""
    with selectors.DefaultSelector() as selector, contextlib.ExitStack() as stack:
        selector.register(pipe, selectors.EVENT_READ, "pipe")
        if hasattr(os, "pidfd_open"):
            pidfd = os.pidfd_open(child.pid)
            stack.callback(os.close, pidfd)
            selector.register(pidfd, selectors.EVENT_READ, "exit")
        buffer = b""
        while True:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return "timeout"
            ready = {key.data for key, _ in selector.select(left)}
            if "pipe" in ready:
                chunk = os.read(pipe, 65536)
                if not chunk:
                    break
                *lines, buffer = (buffer + chunk).split(b"\n")
                for line in lines:
                    on_event(json.loads(line))
            elif "exit" in ready:
                break
    try:
        child.wait(None if deadline is None else max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return "timeout"
    return ""


def _end_group(child: Child) -> None:
    """Terminate the child, then kill it; also kill whatever remains in its group."""
    if child.poll() is None:
        _signal_group(child.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(GRACE_S)
    _signal_group(child.pid, signal.SIGKILL)
    child.wait()


def _signal_group(pgid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pgid, number)


@contextlib.contextmanager
def sigterm_as_interrupt() -> Iterator[None]:
    """Treat SIGTERM like Ctrl-C: stop the child, record the run as cancelled, close MLflow."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with _signals({signal.SIGTERM: interrupt}):
        yield


@contextlib.contextmanager
def _signals(handlers: dict[signal.Signals, Any]) -> Iterator[None]:
    """Use these handlers in the block; do nothing outside the main thread, where some launchers run us."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
