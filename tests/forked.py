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
import selectors
import signal
import socket
import subprocess
import sys
import time

FOLDER, OWNER = (
    "TESTS_FORK_SERVERS",
    "TESTS_FORK_OWNER",
)  # where the servers' sockets lie, and the process they end with
INHERITED = ("OHLORA_EVENT_FD", "OHLORA_LIFE_FD")
# Read while libraries are imported: a child that has another value is started cold.
IMPORT_ENV = (
    "CUDA_VISIBLE_DEVICES", "HF_HOME", "HF_MODULES_CACHE", "LANG", "LC_ALL", "MPLBACKEND", "PYTHONIOENCODING",
    "PYTHONPATH", "PYTHONUTF8", "PYTHONWARNINGS",
)  # fmt: skip
START_S = 120.0
HEAVY = ("torch", "transformers", "peft", "trl", "datasets", "bitsandbytes", "transformers.models.auto.modeling_auto")
TASKS = tuple(f"ohlora.tasks.{name}" for name in ("answer", "infer", "prepare", "tokenize", "train"))
PRELOADED = {
    "parent": (
        "matplotlib.figure", "mlflow.store.tracking.sqlalchemy_store", "sacrebleu.metrics", "scipy.stats",
        "ohlora.report.comparison.write", "ohlora.report.selection.write", "ohlora.studies.sweep",
        "ohlora.tracking.mlflow_tracker",
    ),
    "bare": (),
    "hf": (*HEAVY, *TASKS),
    "unsloth": ("unsloth", *HEAVY, *TASKS),
}  # fmt: skip


def kind_of(arguments: list[str]) -> str | None:
    """What it is to have imported: 'parent' for the command itself, else of the back end; 'bare' for a script."""
    if "ohlora.run" in arguments:
        return "parent"
    if "ohlora.worker" not in arguments and len(arguments) > 1 and arguments[1].endswith(".py"):
        return "bare"
    if "ohlora.worker" not in arguments or "--phase" not in arguments:
        return None
    attempt, phase = arguments[arguments.index("ohlora.worker") + 1], arguments[arguments.index("--phase") + 1]
    if phase in ("prepare", "tokenize"):
        return "hf"
    with open(f"{attempt}/config.yaml", encoding="utf-8") as file:
        return "unsloth" if "\nbackend:\n  name: unsloth\n" in f"\n{file.read()}" else "hf"


def main() -> int:
    if sys.argv[1] == "serve":
        return serve(sys.argv[2], sys.argv[3])
    command = sys.argv[1:]
    kind = kind_of(command)
    folder = os.environ.get(FOLDER)
    if (
        kind is None
        or folder is None
        or command[0] != sys.executable
        or import_env() != json.loads(os.environ[OWNER])[1]
    ):
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
            env = {key: value for key, value in os.environ.items() if key not in INHERITED}
            with open(f"{path}.log", "wb") as log:
                subprocess.Popen(
                    [sys.executable, os.path.abspath(__file__), "serve", path, kind],
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


def serve(path: str, kind: str) -> int:
    """Fork for every connection until the tests' process has ended. No thread may run here, so nothing is computed."""
    import checkout

    owner = json.loads(os.environ[OWNER])[0]
    preload(kind)
    sys.addaudithook(checkout.audit)
    sys.stdout.flush()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{path}.new")
    listener.listen(64)
    os.rename(f"{path}.new", path)
    listener.settimeout(1.0)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that look after a child
    while is_alive(owner) and os.path.exists(path):
        with contextlib.suppress(TimeoutError):
            connection, _ = listener.accept()
            if os.fork() == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                listener.close()
                look_after(connection)
                os._exit(0)
            connection.close()
    return 0


def preload(kind: str) -> None:
    """What such a process imports sooner or later, under the environment that it would have."""
    import importlib

    from ohlora.running.process import child_env

    os.environ |= {"OMP_NUM_THREADS": "1", **({} if kind == "parent" else child_env({"HF_HUB_OFFLINE": "1"}))}
    for name in PRELOADED[kind]:
        importlib.import_module(name)
    if "trl" in PRELOADED[kind]:  # they import on first use
        for name in ("AutoModelForCausalLM", "AutoTokenizer", "MODEL_FOR_CAUSAL_LM_MAPPING"):
            getattr(sys.modules["transformers"], name)
        for name in ("SFTConfig", "SFTTrainer"):
            getattr(sys.modules["trl"], name)


def look_after(connection: socket.socket) -> None:
    """Fork the child of this connection; pass signals to it, and its end back; end it when the other side has gone."""
    size, fds, _, _ = socket.recv_fds(connection, 4, 16)
    left, asked = int.from_bytes(size, "big"), b""
    while len(asked) < left:
        asked += connection.recv(left - len(asked))
    child = os.fork()
    if child == 0:
        connection.close()
        become(json.loads(asked), fds)
    for fd in fds:
        os.close(fd)
    ended = os.pidfd_open(child)
    with selectors.DefaultSelector() as selector:
        selector.register(connection, selectors.EVENT_READ)
        selector.register(ended, selectors.EVENT_READ)
        while True:
            ready = {key.fileobj for key, _ in selector.select()}
            if ended in ready:
                break
            signals = connection.recv(16)
            for number in signals or [signal.SIGKILL]:
                try:
                    os.killpg(child, number)
                except ProcessLookupError:  # it has no group of its own yet
                    os.kill(child, number)
            if not signals:
                break
    _, status = os.waitpid(child, 0)
    with contextlib.suppress(OSError):
        connection.sendall(os.waitstatus_to_exitcode(status).to_bytes(4, "big", signed=True))
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)  # what it left behind in its group


def become(asked: dict, fds: list[int]) -> None:
    """Be the process that was asked for: its session, descriptors, environment, folder and arguments; never returns."""
    import fcntl
    import random
    import runpy
    import traceback

    os.setsid()
    moved = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 100) for fd in fds]
    for fd in fds:
        os.close(fd)
    for fd, number in zip(moved, asked["fds"], strict=True):
        os.dup2(fd, number)
        os.close(fd)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ |= asked["env"]
    os.chdir(asked["cwd"])
    open_streams()
    settle()
    random.seed()
    first, *rest = asked["command"]
    code = 0
    try:
        if first == "-m":
            sys.argv, sys.path[0] = rest, asked["cwd"]
            sys.modules.pop(rest[0], None)
            runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
        else:
            sys.argv, sys.path[0] = [first, *rest], os.path.dirname(os.path.abspath(first))
            runpy.run_path(first, run_name="__main__")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException:
        traceback.print_exc()
        code = 1
    finally:
        import atexit

        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code & 0xFF)


def open_streams() -> None:
    """Standard streams of these descriptors: those of the server remember that theirs were files."""
    encoding, _, errors = os.environ.get("PYTHONIOENCODING", "").partition(":")
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        usual = "backslashreplace" if name == "stderr" else "strict"
        line = 1 if name == "stderr" else -1
        stream = open(number, mode, line, encoding or "utf-8", errors or usual, closefd=False)  # noqa: SIM115
        setattr(sys, name, stream)


def settle() -> None:
    """What libraries read of the environment when they are imported, once more."""
    import importlib

    if "huggingface_hub.constants" in sys.modules:
        importlib.reload(sys.modules["huggingface_hub.constants"])
    if "torch" in sys.modules and os.environ.get("OMP_NUM_THREADS", "1") != "1":
        sys.modules["torch"].set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    for name in ("unsloth_zoo.compiler", "unsloth_zoo.patching_utils"):
        if name in sys.modules and "UNSLOTH_COMPILE_LOCATION" in os.environ:
            sys.modules[name].UNSLOTH_COMPILE_LOCATION = os.environ["UNSLOTH_COMPILE_LOCATION"]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
