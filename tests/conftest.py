"""Fixtures of all tests: a folder of its own for each, and the command line in this process or in a real one."""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import checkout
import composition
import forked
import hydra
import pytest

pytest_plugins = ["tiny_models"]

# Files of tests that take long, the longest first.
LONGEST = (
    "test_embedded", "test_runs", "test_architectures", "test_single_runs", "test_notebook", "test_hub",
    "test_comparison", "test_parity", "test_selection_run", "test_skip", "test_toy_backend", "test_compose",
    "test_compare",
)  # fmt: skip

# Before a child's command: it is forked from a process that has its libraries, see forked.py.
FORKED = [sys.executable, "-I", "-S", str(Path(__file__).with_name("forked.py"))]
PREFIX = f"launch.prefix=[{','.join(FORKED)}]"


def pytest_configure(config: pytest.Config) -> None:
    """A folder that all test processes share; one thread each, since they share the cores too."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if not hasattr(config, "workerinput"):
        os.environ[forked.FOLDER] = tempfile.mkdtemp(prefix="ohlora-tests-")
        os.environ[forked.OWNER] = json.dumps([os.getpid(), forked.import_env()])


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        shutil.rmtree(os.environ.pop(forked.FOLDER))  # the fork servers end with it


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """A test marked `alone` waits until the other test processes are between two tests, and they wait for it."""
    folder = os.environ[forked.FOLDER]
    with open(f"{folder}/door", "w") as door, open(f"{folder}/room", "w") as room:  # noqa: PTH123
        fcntl.flock(door, fcntl.LOCK_EX)  # nobody passes who waits behind one that wants the room for itself
        fcntl.flock(room, fcntl.LOCK_EX if item.get_closest_marker("alone") else fcntl.LOCK_SH)
        fcntl.flock(door, fcntl.LOCK_UN)
        return (yield)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, so that all workers end together; those that run alone last, so that one waits once.

    GPU tests run where there is a GPU.
    """
    alone = {item.path for item in items if item.get_closest_marker("alone")}

    def turn(item: pytest.Item) -> tuple[bool, int]:
        name = item.path.stem
        return item.path in alone, LONGEST.index(name) if name in LONGEST else len(LONGEST)

    items.sort(key=turn)
    marked = [item for item in items if item.get_closest_marker("gpu")]  # keywords hold the folders' names too
    if not marked:
        return
    import torch

    if not torch.cuda.is_available():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="no CUDA device here"))


@pytest.fixture(scope="session", autouse=True)
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The checkout's results, models and MLflow store are out of reach; gives the file that names what touched them."""
    touched, before = tmp_path_factory.mktemp("guard") / "touched.txt", Path.cwd()
    checkout.guard(touched)
    os.chdir(tmp_path_factory.mktemp("nowhere"))  # where fixtures of a whole session or module begin
    yield touched
    os.chdir(before)
    del os.environ[checkout.TOUCHED]


@pytest.fixture(autouse=True)
def own_folder(guarded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test works in a folder of its own; one that touched the checkout fails, whatever swallowed the error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("OHLORA_STUDY", "")  # restored afterwards: a sweep sets it for its jobs
    monkeypatch.delenv("OHLORA_STUDY")
    yield
    if guarded.exists():
        told = guarded.read_text()
        guarded.unlink()
        pytest.fail(f"the checkout was touched: {told}", pytrace=False)


@pytest.fixture(scope="session", autouse=True)
def quick_composition() -> Iterator[None]:
    """Configurations are composed quickly in this process, see composition.py; `hydra_itself` has it the usual way."""
    hydra.compose = composition.compose
    yield
    hydra.compose = composition.HYDRAS


@pytest.fixture
def hydra_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hydra, "compose", composition.HYDRAS)


@dataclass
class Ran:
    code: int
    out: str
    err: str


@pytest.fixture
def ohlora(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """`python -m ohlora.run …` in this process, in an empty working directory."""
    monkeypatch.delenv("OHLORA_STUDY", raising=False)
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)

    accept_licences(tmp_path)

    def call(*arguments: str) -> Ran:
        from ohlora import run

        monkeypatch.delenv("OHLORA_STUDY", raising=False)
        monkeypatch.setattr(sys, "argv", ["ohlora", *arguments])
        root = logging.getLogger()
        handlers, level = root.handlers[:], root.level
        try:
            code = run.main()
        finally:  # Hydra's logging writes to a captured stream that is closed after this test
            root.handlers[:] = handlers
            root.setLevel(level)
        printed = capsys.readouterr()
        return Ran(code, printed.out, printed.err)

    return call


def accept_licences(cwd: Path) -> None:
    """As after somebody has accepted every licence in this working directory."""
    from ohlora.models.acceptance import REMEMBERED
    from ohlora.models.licences import LICENCES

    (cwd / "models").mkdir(exist_ok=True)
    record = {
        tag: {"version": entry.version, "accepted": "2026-01-01", "how": "test"} for tag, entry in LICENCES.items()
    }
    (cwd / "models" / REMEMBERED).write_text(json.dumps(record))


def run_cli(
    *arguments: str,
    cwd: Path,
    env: dict[str, str] | None = None,
    timeout: float = 300,
    accepting: bool = True,
    cold: bool = False,
) -> Ran:
    """`python -m ohlora.run …` as a user runs it: a process of its own; licences are accepted unless told otherwise.

    `cold`: it and its children import everything anew; else they are forked from processes that have.
    """
    if accepting:
        accept_licences(cwd)
    whole = {**os.environ, "HF_HUB_OFFLINE": "1", **(env or {})}
    forking = [] if cold else FORKED
    arguments = arguments if cold or "launch.prefix" in " ".join(arguments) else (*arguments, PREFIX)
    done = subprocess.run(
        [*forking, sys.executable, "-m", "ohlora.run", *arguments],
        cwd=cwd,
        env=whole,
        timeout=timeout,
        capture_output=True,
        text=True,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


@contextlib.contextmanager
def started(*command: str, cwd: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that will be signalled: it takes SIGINT even where we were started with it ignored, as by `nohup`.

    Licences are accepted.
    """
    accept_licences(cwd)

    def take_sigint() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    pipe = subprocess.PIPE
    process = subprocess.Popen(command, cwd=cwd, stdout=pipe, stderr=pipe, text=True, preexec_fn=take_sigint)  # noqa: PLW1509
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def made_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database with its tables and nothing in them, which take seconds to make."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    folder = tmp_path_factory.mktemp("store")
    store = SqlAlchemyStore(f"sqlite:///{folder / 'mlflow.db'}", str(folder / "mlruns"))
    store.engine.dispose()
    return folder / "mlflow.db"


@pytest.fixture
def empty_store(own_folder: None, made_store: Path) -> None:
    """A copy of it in the test's folder, where a run looks for its store."""
    shutil.copy(made_store, "mlflow.db")


@pytest.fixture
def read_json() -> Callable[[Path], dict]:
    return lambda path: json.loads(path.read_text("utf-8"))
