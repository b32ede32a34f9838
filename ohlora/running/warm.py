"""launch.warm=true: phases are forked from a process that has imported their libraries; each is a process of its own.

python -m ohlora.running.warm <back end> <socket's descriptor>      started by a sweep, not by hand

The server computes nothing, so that no thread runs in it that a fork would lose. It takes one phase at a time: a
request with the descriptors of the log and of the parent's pipes, the child's id back, its exit code at its end.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import IO

from ohlora.backends import backend as find_backend
from ohlora.backends import backends
from ohlora.files import encode_json, sha256_of
from ohlora.measure.gpus import has_driver

STARTED, ENDED = b"s", b"e"  # the server's answers, each with a number: a process id, an exit code
START_S, GRACE_S = 600.0, 5.0
HEAVY = ("trl", "datasets", "transformers.models.auto.modeling_auto")
LAZY = {"transformers": ("AutoModelForCausalLM", "AutoTokenizer", "Trainer"), "trl": ("SFTConfig", "SFTTrainer")}
PER_RUN = ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR")  # what may differ between runs


class WarmChild:
    """A forked phase, with the parts of subprocess.Popen that its launcher needs."""

    def __init__(self, server: WarmServer, pid: int) -> None:
        self.pid, self.returncode = pid, 0
        self._server, self._ended = server, False

    def poll(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def wait(self, timeout: float | None = None) -> int:
        """Raises subprocess.TimeoutExpired like Popen."""
        if not self._ended:
            self.returncode, self._ended = self._server.wait(timeout), True
        return self.returncode


class WarmServer:
    """The server of one back end. It ends when this process does, or with `close`."""

    def __init__(self, backend: str, env: dict[str, str]) -> None:
        self._socket, theirs = socket.socketpair()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  closed with the server
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "ohlora.running.warm", backend, str(theirs.fileno())],
                env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self._log,
                pass_fds=[theirs.fileno()], start_new_session=True,
            )  # fmt: skip

    def start(self, arguments: Sequence[str], env: dict[str, str], log: IO[bytes], fds: Sequence[int]) -> WarmChild:
        """Fork `python -m ohlora.worker <arguments>`; `fds` keep their numbers.

        Raises:
            OSError: the server ended, with the last line that it wrote.
        """
        asked = encode_json(
            {"arguments": list(arguments), "cwd": str(Path.cwd()), "env": env, "fds": list(fds)}
        ).encode()
        try:
            self._socket.settimeout(START_S)
            socket.send_fds(self._socket, [len(asked).to_bytes(4, "big")], [log.fileno(), *fds])
            self._socket.sendall(asked)
            return WarmChild(self, self._read(STARTED))
        except OSError:
            reason = self._explain()
            self.close()
            raise OSError(reason) from None
        except BaseException:  # Ctrl-C: its answer would be taken for that of the next phase
            self.close()
            raise

    def wait(self, timeout: float | None) -> int:
        self._socket.settimeout(timeout or None if timeout != 0 else 1e-3)
        try:
            return self._read(ENDED)
        except TimeoutError:
            raise subprocess.TimeoutExpired("ohlora.worker", timeout or 0.0) from None
        except OSError:
            return -signal.SIGKILL  # the server is gone, and its children with it

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def close(self) -> None:
        """End the server; a phase that it has forked is not touched."""
        self._socket.close()
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(GRACE_S)
        self._process.kill()
        self._process.wait()
        self._log.close()

    def _read(self, kind: bytes) -> int:
        """The number of an answer of this kind; one of another kind breaks the connection."""
        answer = self._socket.recv(5)
        if answer[:1] != kind:
            raise ConnectionError
        return int.from_bytes(answer[1:], "big", signed=True)

    def _explain(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(GRACE_S)  # it may still be writing why
        self._log.seek(0)
        lines = self._log.read().decode("utf-8", "replace").strip().splitlines()
        return f"the process with the libraries ended: {lines[-1] if lines else 'it wrote nothing'}"


_servers: dict[tuple[str, str], WarmServer] = {}


def find_server(backend: str, env: dict[str, str]) -> WarmServer | None:
    """The server of this back end and environment, started if there is none; None where a fork is not possible.

    A process that has used the GPU cannot be forked, and libraries may use it when they are imported.
    """
    if has_driver():
        _warn_of_gpu()
        return None
    per_run = (*PER_RUN, *(name for known in backends().values() for name in known.compile_caches))
    shared = {name: value for name, value in env.items() if not name.startswith(per_run)}
    key = (backend, sha256_of(sorted(shared.items())))
    if key in _servers and not _servers[key].is_alive:
        _servers.pop(key)
    if key not in _servers:
        # Compiled code of all its runs goes where that of the first does: they follow each other.
        _servers[key] = WarmServer(backend, env)
    return _servers[key]


@cache
def _warn_of_gpu() -> None:
    print("warning: launch.warm=true: this machine has a GPU, so each phase starts cold", file=sys.stderr)


@atexit.register
def close_servers() -> None:
    """End every server of this process."""
    while _servers:
        _servers.popitem()[1].close()


def serve(backend: str, connection: socket.socket) -> None:
    """Fork for every request until the parent is gone."""
    _preload(backend)
    while True:
        size, fds, _, _ = socket.recv_fds(connection, 4, 16)
        if not size:
            return
        left, asked = int.from_bytes(size, "big"), b""
        while len(asked) < left:
            part = connection.recv(left - len(asked))
            if not part:
                return
            asked += part
        child = os.fork()
        if child == 0:
            connection.close()
            _become(json.loads(asked), fds)
        for fd in fds:
            os.close(fd)
        connection.sendall(STARTED + child.to_bytes(4, "big"))
        _, status = os.waitpid(child, 0)
        connection.sendall(ENDED + os.waitstatus_to_exitcode(status).to_bytes(4, "big", signed=True))


def _preload(backend: str) -> None:
    find_backend(backend).prepare()
    for name in HEAVY:
        import_module(name)
    for module, names in LAZY.items():  # they are imported when they are first asked for
        for name in names:
            getattr(import_module(module), name)


def _become(asked: dict, fds: list[int]) -> None:
    """Be the worker that was asked for: its session, descriptors, environment and arguments; never returns."""
    os.setsid()
    log, *pipes = [_above(fd) for fd in fds]
    for number in (1, 2):
        os.dup2(log, number)
    os.close(log)
    for fd, number in zip(pipes, asked["fds"], strict=True):
        os.dup2(fd, number, inheritable=True)
        os.close(fd)
    os.environ.clear()
    os.environ |= asked["env"]
    os.chdir(asked["cwd"])
    sys.argv = ["ohlora.worker", *asked["arguments"]]
    code = 0
    try:
        runpy.run_module("ohlora.worker", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:
        traceback.print_exc()
        code = 1
    finally:
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code & 0xFF)


def _above(fd: int) -> int:
    """The descriptor under a number that none of those asked for has."""
    import fcntl

    moved = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 200)
    os.close(fd)
    return moved


if __name__ == "__main__":
    serve(sys.argv[1], socket.socket(fileno=int(sys.argv[2])))
