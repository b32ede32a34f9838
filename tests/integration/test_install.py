"""Installed from a wheel, from any working directory: configuration, data and both commands are there."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    built = tmp_path_factory.mktemp("wheel")
    run = lambda *command, cwd=ROOT: subprocess.run(command, cwd=cwd, check=True, capture_output=True)  # noqa: E731
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(built))
    (wheel,) = built.glob("*.whl")
    target = built / "site"
    run(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target), str(wheel))
    return target


def test_the_wheel_brings_its_configuration_and_data(site: Path, tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(site)}
    code = "import ohlora.config.paths as p, ohlora.data.sources as r; print(p.conf_dir()); print(r.PACKAGED)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True, check=True
    )
    conf, data = done.stdout.split()
    assert conf == str(site / "ohlora" / "conf") and Path(data).is_file() and data.startswith(str(site))


@pytest.mark.parametrize("command", ["module", "script"])
def test_both_commands_are_the_same_thing(site: Path, tmp_path: Path, command: str) -> None:
    env = {**os.environ, "PYTHONPATH": str(site)}
    start = [sys.executable, "-m", "ohlora.run"] if command == "module" else [str(site / "bin" / "ohlora")]
    done = subprocess.run([*start, "--cfg", "job"], cwd=tmp_path, env=env, capture_output=True, text=True, check=True)
    assert "name: unsloth_test" in done.stdout
    done = subprocess.run([*start, "lora.rnk=1"], cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "did you mean lora.rank?" in done.stderr


@pytest.mark.parametrize("target", ["compare", "select", "prepare", "train"])
def test_make_hands_the_acceptance_on(target: str) -> None:
    command = ["make", "-n", target, "ACCEPT_LICENSE=gemma", "ARGS=lora=r16", f"VENV={sys.prefix}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    (line,) = (line for line in done.stdout.splitlines() if "ohlora.run" in line)
    assert line.endswith(" model.accept_license=gemma lora=r16")
    assert " -m " not in line.split("ohlora.run", 1)[1] or line.split()[3] == "-m"  # flags stand before overrides


def test_help_names_groups_and_commands(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ohlora.run", "--help"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    for part in (
        "python -m ohlora.run -m backend=hf,unsloth",
        "backend: hf, unsloth",
        "trainer: persona, selection, sft, smoke, unsloth_test",
    ):
        assert part in done.stdout


def test_bars_at_a_terminal() -> None:
    """On a real pseudo-terminal the bars draw and end; the events are those a run sends."""
    code = """
from ohlora.running import progress
with progress.show_progress("train · backend=hf") as show:
    show.event({"event": "process", "phase": "train"})
    show.event({"event": "stage", "name": "training", "total": 2, "unit": "step"})
    show.event({"event": "progress", "done": 1, "loss": 3.25})
    show.event({"event": "progress", "done": 2, "loss": 2.5})
    show.event({"event": "end", "phase": "train", "status": "oom", "reason": {"text": "[too] big"}})
"""
    ours, theirs = pty.openpty()
    env = {**os.environ, "TERM": "xterm", "COLUMNS": "160"}
    done = subprocess.run([sys.executable, "-c", code], stderr=theirs, stdin=theirs, env=env, check=True)
    os.close(theirs)
    shown = ""
    with contextlib.suppress(OSError):  # what Linux says at the end of a terminal
        while chunk := os.read(ours, 65536):
            shown += chunk.decode()
    os.close(ours)
    assert done.returncode == 0
    for part in ("train · backend=hf", "train: training", "2/2", "loss 2.500", "oom ([too] big)"):
        assert part in shown
