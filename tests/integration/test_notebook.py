"""The notebook: its very cells, run by a Jupyter kernel, on a tiny model."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from conftest import PREFIX
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from test_runs import SMALL
from test_single_runs import mutated

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "notebooks" / "unsloth_comparison_colab.ipynb"
HEADER = "| 테스트 | Inference 메모리 | Inference 시간 | Fine-Tuning 메모리 | Fine-Tuning 시간 |"


@pytest.fixture
def execute(tiny_model: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Run all cells in an empty folder; returns what each showed, by cell id, and the error that ended it, or ''."""
    spec = {"argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"], "language": "python"}
    (tmp_path / "jupyter" / "kernels" / "here").mkdir(parents=True)
    (tmp_path / "jupyter" / "kernels" / "here" / "kernel.json").write_text(json.dumps({**spec, "display_name": "here"}))
    for name, value in {
        "JUPYTER_PATH": tmp_path / "jupyter",
        "JUPYTER_RUNTIME_DIR": tmp_path / "runtime",
        "IPYTHONDIR": tmp_path / "ipython",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",  # as Colab has it
        "HF_HUB_OFFLINE": "1",
        "OHLORA_NB_SOURCE": ROOT,
        "OHLORA_NB_PYTHON": sys.executable,
        "OHLORA_NB_MODEL": "smollm2-135m-instruct",
        "OHLORA_NB_PAIRS": "1",
        "OHLORA_NB_STUDY": "small",
        "OHLORA_NB_OUTPUTS": tmp_path / "outputs",
        "OHLORA_NB_KEEP": tmp_path / "kept",
    }.items():
        monkeypatch.setenv(name, str(value))
    small = [
        f"model.path={tiny_model('llama')}",
        f"models={tmp_path / 'models'}",
        "compare.recommended=[]",
        "tracking=none",
        "compare.redo=0",
        *SMALL,
    ]

    def run(*overrides: str, prefix: str = PREFIX) -> tuple[dict[str, str], str]:
        monkeypatch.setenv("OHLORA_NB_OVERRIDES", " ".join([*small, prefix, *overrides]))
        notebook = nbformat.read(NOTEBOOK, as_version=4)
        client = NotebookClient(
            notebook, kernel_name="here", timeout=600, resources={"metadata": {"path": str(tmp_path)}}
        )
        error = ""
        try:
            client.execute()
        except CellExecutionError as raised:
            error = f"{raised.ename}: {raised.evalue}"
        return {cell.id: shown(cell) for cell in notebook.cells if cell.cell_type == "code"}, error

    return run


def shown(cell: nbformat.NotebookNode) -> str:
    """Everything a code cell has shown, as text."""
    return "".join(out.get("text", "") or json.dumps(out.get("data", {}), ensure_ascii=False) for out in cell.outputs)


def test_it_is_valid_and_holds_no_results() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == [] and cell.execution_count is None
            compile(cell.source, cell.id, "exec")
    tagged = [cell.id for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    assert tagged == ["settings"]


@pytest.mark.slow
def test_all_cells_show_the_report(execute: Callable[..., Any], tmp_path: Path) -> None:
    cells, error = execute()
    assert error == "", cells
    assert f"environment: {sys.executable}" in cells["install"] and "installing" not in cells["install"]
    assert "exit code 0" in cells["run"]
    assert HEADER in cells["report"]
    assert "**with** Unsloth" in cells["report"] and re.search(
        "backend=unsloth / backend=hf, pairs: [01]", cells["report"]
    )
    assert "image/svg+xml" in cells["report"] and ".svg)" not in cells["report"]
    assert "comparison.html" in cells["download"] and (tmp_path / "outputs" / "small" / "comparison.html").is_file()
    kept = tmp_path / "kept" / "small"
    assert (kept / "comparison.md").is_file() and len(list(kept.glob("*/result.json"))) == 2
    assert not list(kept.glob("**/adapter"))
    shutil.rmtree(tmp_path / "outputs")  # a runtime that was lost goes on from what was kept
    cells, error = execute()
    assert error == "" and "2 of 2 runs exist already" in cells["run"] and HEADER in cells["report"]


def test_a_setting_that_is_wrong_is_shown_as_a_failure(
    execute: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here the project comes out of an archive, one folder down, as a site that hosts it would pack it."""
    packed = tmp_path / "packed" / "project-main"
    shutil.copytree(ROOT / "conf", packed / "conf")
    for name in ("requirements.lock", "requirements-data.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, packed)
    monkeypatch.setenv("OHLORA_NB_SOURCE", shutil.make_archive(str(tmp_path / "project"), "zip", packed.parent))
    cells, error = execute("lora.rnk=1")
    assert f"project: {tmp_path / 'oh-lora' / 'project-main'}" in cells["install"]
    assert "did you mean lora.rank?" in cells["run"]
    assert error.startswith("RuntimeError: no report was made; exit code 2") and cells["report"] == ""


@pytest.mark.slow
def test_a_report_of_failed_runs_is_shown_before_the_failure(execute: Callable[..., Any]) -> None:
    cells, error = execute(prefix=mutated("unsloth_not_installed"))
    assert HEADER in cells["report"] and "지원되지 않음" in cells["report"]
    assert error.startswith("RuntimeError") and "exit code 2" in error


def test_a_gpu_that_torch_cannot_use_is_an_error(
    execute: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A driver too old for torch must not end in a comparison on the CPU that nobody asked for."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "nvidia-smi").write_text("#!/bin/sh\necho 'Quadro M6000, 5.2, 12288 MiB, 470.256.02'\n")
    (tmp_path / "bin" / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    cells, error = execute()
    assert "GPU: Quadro M6000 · compute capability 5.2 · 12288 MiB" in cells["device"]
    assert "rows may come out as unsupported" in cells["device"]
    assert "does not see the Quadro M6000" in error and cells["run"] == ""
