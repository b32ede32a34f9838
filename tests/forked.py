"""Children that need no import: a Python that has imported torch, transformers, PEFT and TRL once and forks for each.

python tests/forked.py <python> -m ohlora.worker …    as `launch.prefix`, or before `<python> -m ohlora.run …`

Importing takes 8-18 s, a fork 50 ms. This process hands its arguments, environment and file descriptors to the server
of its kind (which the first one starts) and stays in the child's place: signals go on to the child, its exit code or
signal comes back, and the child cannot outlive it. What must be imported anew (another PYTHONPATH, say) really is.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time

FOLDER, OWNER = "TESTS_FOLDER", "TESTS_OWNER"  # where the sockets lie; the process that the servers end with
KIND = "TESTS_FORK_KIND"  # of a script that needs what a phase imports: "hf" or "unsloth"
INHERITED = ("OHLORA_EVENT_FD", "OHLORA_LIFE_FD")
# Read while libraries are imported: a child that has another value is started cold.
IMPORT_ENV = (
    "HF_HOME", "LANG", "LC_ALL", "MPLBACKEND", "PYTHONPATH", "PYTHONUTF8", "PYTHONWARNINGS",
)  # fmt: skip
START_S = 120.0
DRIVERS = ("/proc/driver/nvidia", "/dev/dxg")  # of an NVIDIA GPU; the second on WSL2
SERVER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fork_server.py")


def kind_of(arguments: list[str]) -> str | None:
    """What it is to have imported: 'parent' for the command itself, else of the back end; 'bare' for a script."""
    if "ohlora.run" in arguments:
        return "parent"
    is_phase = "ohlora.worker" in arguments and "--phase" in arguments
    is_script = "ohlora.worker" not in arguments and len(arguments) > 1 and arguments[1].endswith(".py")
    if not is_phase and not (is_script and KIND in os.environ):
        return "bare" if is_script else None
    # Unsloth and bitsandbytes use the GPU that they see when they are imported; a process that has cannot be forked.
    if any(os.path.exists(path) for path in DRIVERS):
        return None
    if not is_phase:
        return os.environ[KIND]
    attempt, phase = arguments[arguments.index("ohlora.worker") + 1], arguments[arguments.index("--phase") + 1]
    if phase in ("prepare", "tokenize"):
        return "hf"
    with open(f"{attempt}/config.yaml", encoding="utf-8") as file:
        return "unsloth" if "\nbackend:\n  name: unsloth\n" in f"\n{file.read()}" else "hf"


def main() -> int:
    command = sys.argv[1:]
    kind = kind_of(command)
    folder = os.environ.get(FOLDER)
    is_cold = kind is None or not folder or not hasattr(os, "pidfd_open") or command[0] != sys.executable
    if is_cold or import_env() != json.loads(os.environ[OWNER])[1]:
        os.execv(command[0], command)
    connection = connected(f"{folder}/{kind}.sock", kind)
    fds = [0, 1, 2, *(int(os.environ[name]) for name in INHERITED if name in os.environ)]
    asked = json.dumps({"command": command[1:], "cwd": os.getcwd(), "env": dict(os.environ), "fds": fds}).encode()
    socket.send_fds(connection, [len(asked).to_bytes(4, "big")], fds)
    connection.sendall(asked)
    for fd in fds[3:]:
        os.close(fd)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, _: connection.send(bytes([number])))
    ended = connection.recv(4)
    if not ended:
        raise SystemExit(f"the fork server is gone: see {folder}/{kind}.sock.log")
    code = int.from_bytes(ended, "big", signed=True)
    if code >= 0:
        return code
    with contextlib.suppress(ImportError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if -code != signal.SIGKILL:
        signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
    return 1


def import_env() -> list[str | None]:
    return [os.environ.get(name) for name in IMPORT_ENV]


def connected(path: str, kind: str) -> socket.socket:
    """A connection to the server, which is started where there is none."""
    import fcntl

    connection = socket.socket(socket.AF_UNIX)
    with open(f"{path}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(path):
            own = (*INHERITED, KIND, "HF_MODULES_CACHE")  # of this child, not of those that follow
            env = {key: value for key, value in os.environ.items() if key not in own}
            with open(f"{path}.log", "wb") as log:
                subprocess.Popen(
                    [sys.executable, SERVER, path, kind],
                    cwd=os.path.dirname(path), env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                    start_new_session=True,
                )  # fmt: skip
            until = time.monotonic() + START_S
            while not os.path.exists(path):
                if time.monotonic() > until:
                    raise SystemExit(f"no fork server: see {path}.log")
                time.sleep(0.05)
    connection.connect(path)
    return connection


if __name__ == "__main__":
    sys.exit(main())
