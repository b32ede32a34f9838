"""What experiments/fit-estimate says is what its figures say: judged only on runs that no term was fitted on."""

from __future__ import annotations

import csv
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
EVIDENCE = ROOT / "experiments" / "fit-estimate"


@pytest.fixture
def fit(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """benchmarks/fit.py, which is no part of the package."""
    spec = importlib.util.spec_from_file_location("fit", ROOT / "benchmarks" / "fit.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "fit", module)  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_the_summary_is_that_of_the_figures(fit: ModuleType) -> None:
    with (EVIDENCE / "fit.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    summary = fit.summarise(lines)
    assert summary in (EVIDENCE / "README.md").read_text("utf-8")
    judged = [line["case"] for line in lines if line["fitted on"] == "no"]
    fitted_cases = {case.name for case in fit.list_cases() if case.is_fitted}
    assert len(judged) == 4 and {line["case"] for line in lines if line["fitted on"] == "yes"} >= fitted_cases


def test_fitted_runs_never_judge(fit: ModuleType) -> None:
    lines = [
        {"phase": "train", "error %": "-12.0", "fitted on": "no"},
        {"phase": "train", "error %": "1.0", "fitted on": "yes"},
        {"phase": "infer", "error %": "2.0", "fitted on": "yes"},
    ]
    assert fit.summarise(lines).splitlines() == [
        "- Judged, on runs that no term was fitted on: fine-tuning: 1 figures; error at most 12.0 %, mean 12.0 %; "
        "1 within 15 %",
        "- Judged, on runs that no term was fitted on: inference: none",
        "- Fit, no judgement: fine-tuning: 1 figures; error at most 1.0 %, mean 1.0 %; 1 within 15 %",
        "- Fit, no judgement: inference: 1 figures; error at most 2.0 %, mean 2.0 %; 1 within 15 %",
    ]
