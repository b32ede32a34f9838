"""One child process: its environment, its life tied to ours, its events, and how it ended."""

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

EVENT_FD, LIFE_FD = "OHLORA_EVENT_FD", "OHLORA_LIFE_FD"
GRACE_S = 5.0
# The same for every arm: set before any library reads them. Anything else of this kind is dropped.
FIXED_ENV = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "PYTHONIOENCODING": "utf-8",  # of its log, whatever the terminal's is
    "TOKENIZERS_PARALLELISM": "false",
}
# A launcher's LOCAL_RANK or WORLD_SIZE would make a child wait for others that are not there.
DROPPED_ENV = (
    "PYTORCH_ALLOC", "PYTORCH_CUDA_ALLOC", "ACCELERATE_", "OHLORA_", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "RANK",
    "WORLD_SIZE", "OMPI_COMM_WORLD", "MV2_COMM_WORLD", "PMI_",
)  # fmt: skip


@dataclass(frozen=True)
class Ended:
    """How a child ended. `code` is its exit code, negative for a signal; `by` says who ended it, '' for itself.

    `oom_kills`: how often the kernel killed for memory meanwhile; `limit_bytes`: its control group's limit.
    """

    code: int
    by: str
    seconds: float
    oom_kills: int
    limit_bytes: int | None = None


def child_env(extra: dict[str, str]) -> dict[str, str]:
    """Our environment without what would make two arms differ, plus what all arms share."""
    dropped = (*DROPPED_ENV, *env_prefixes())
    kept = {key: value for key, value in os.environ.items() if not key.startswith(dropped)}
    return {**kept, **FIXED_ENV, "PYTORCH_ALLOC_CONF": allocator_setting(), **extra}


def run(
    command: Sequence[str],
    log: Path,
    env: dict[str, str],
    timeout_s: float | None,
    on_event: Callable[[dict[str, Any]], None],
) -> Ended:
    """Start the command in a process group of its own and block on its event pipe until it has ended.

    It cannot outlive us: a pipe that only we hold open closes with us, and the child ends its group then.
    Ctrl-C, and SIGTERM under `sigterm_as_interrupt`, end the group; the call then returns with by='cancel'.
    """
    started, kills = time.monotonic(), OomKills()
    event_read, event_write = os.pipe()
    life_read, life_write = os.pipe()
    env = {**env, EVENT_FD: str(event_write), LIFE_FD: str(life_read)}
    by = ""
    try:
        with log.open("ab") as output:
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
                if not speaks:  # past its prefix, which may have put it into another control group
                    speaks = True
                    kills.follow(child.pid)
                on_event(event)

            try:
                by = _follow(child, event_read, None if timeout_s is None else started + timeout_s, taken)
            except KeyboardInterrupt:
                by = "cancel"
            finally:
                # A second Ctrl-C must not leave the child half ended.
                with _signals({signal.SIGINT: signal.SIG_IGN, signal.SIGTERM: signal.SIG_IGN}):
                    _end_group(child)
    finally:
        for fd in (event_read, event_write, life_read, life_write):
            if fd >= 0:
                os.close(fd)
    return Ended(child.returncode, by, time.monotonic() - started, kills.count(), kills.limit_bytes)


def _follow(
    child: subprocess.Popen[bytes], pipe: int, deadline: float | None, on_event: Callable[[dict[str, Any]], None]
) -> str:
    """Read events until the child has ended; 'timeout' when the deadline came first."""
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


def _end_group(child: subprocess.Popen[bytes]) -> None:
    """Ask the child to end, then make it; whatever it left behind in its group goes too."""
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
    """SIGTERM to us is Ctrl-C: the child is ended, the run recorded as cancelled, MLflow closed."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with _signals({signal.SIGTERM: interrupt}):
        yield


@contextlib.contextmanager
def _signals(handlers: dict[signal.Signals, Any]) -> Iterator[None]:
    """These handlers for the block; nothing outside the main thread, as under some launchers."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
