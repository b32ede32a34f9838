"""A package to which a third back end was added as its documentation says: one class file, one YAML, nothing else."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from conftest import Ran, run_cli

from ohlora.config.paths import PACKAGE, conf_dir

TOY = Path(__file__).parent / "toy"
STUB = f"launch.prefix=['{sys.executable}','{TOY / 'stub_worker.py'}']"


def add_toy(folder: Path) -> Path:
    """A copy of the package with the toy back end in it; what is run with it in front of the path has the back end."""
    for name, source in (("ohlora", PACKAGE), ("conf", conf_dir())):
        shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(TOY / "toy.py", folder / "ohlora" / "backends")
    shutil.copy(TOY / "toy.yaml", folder / "conf" / "backend")
    return folder


def run_with_toy(package: Path, *arguments: str, cwd: Path) -> Ran:
    """`python -m ohlora.run …` with the package that `add_toy` made; STUB among the arguments runs no real phase."""
    return run_cli(*arguments, cwd=cwd, env={"PYTHONPATH": str(package)})
