"""The process that forked.py's children are forked from: it has imported what they would.

python tests/fork_server.py <socket> <kind>      started by forked.py; ends with the tests
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import importlib
import json
import os
import random
import runpy
import selectors
import signal
import socket
import sys
import traceback

import checkout
import forked

from ohlora.running.process import child_env

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


def serve(path: str, kind: str) -> int:
    """Fork for every connection until the tests' process has ended. No thread may run here, so nothing is computed."""
    owner = json.loads(os.environ[forked.OWNER])[0]
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
    os.environ |= {"OMP_NUM_THREADS": "1", **({} if kind == "parent" else child_env({"HF_HUB_OFFLINE": "1"}))}
    for name in PRELOADED[kind]:
        importlib.import_module(name)
    if "trl" in PRELOADED[kind]:  # they import on first use
        for name in ("AutoModelForCausalLM", "AutoTokenizer", "MODEL_FOR_CAUSAL_LM_MAPPING"):
            getattr(sys.modules["transformers"], name)
        for name in ("SFTConfig", "SFTTrainer"):
            getattr(sys.modules["trl"], name)
        # Other tests keep this machine busy: what disturbs a run is looked at in tests of its own, on cold children.
        sys.modules["ohlora.measure.disturbance"].DisturbanceWatch.records = lambda self: {}


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
    """What libraries read of the environment when they are imported, once more.

    Tests share the machine, so their runs disturb each other; what follows from that is for unit tests.
    """
    importlib.import_module("ohlora.measure.disturbance").JUDGED = ()  # type: ignore[attr-defined]
    if "huggingface_hub.constants" in sys.modules:
        importlib.reload(sys.modules["huggingface_hub.constants"])
    if "torch" in sys.modules and os.environ.get("OMP_NUM_THREADS", "1") != "1":
        sys.modules["torch"].set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    for name in ("unsloth_zoo.compiler", "unsloth_zoo.patching_utils"):
        if name in sys.modules and "UNSLOTH_COMPILE_LOCATION" in os.environ:
            sys.modules[name].UNSLOTH_COMPILE_LOCATION = os.environ["UNSLOTH_COMPILE_LOCATION"]
    for name in ("transformers.utils", "transformers.utils.hub", "transformers.dynamic_module_utils"):
        if name in sys.modules and "HF_MODULES_CACHE" in os.environ:
            sys.modules[name].HF_MODULES_CACHE = os.environ["HF_MODULES_CACHE"]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(serve(sys.argv[1], sys.argv[2]))
