"""No test sees what a user's runs left in the checkout, and a test that reaches for it fails."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import checkout
import pytest
from checkout import ROOT, CheckoutTouched


def test_a_test_works_in_a_folder_of_its_own(tmp_path: Path) -> None:
    assert Path.cwd() == tmp_path and not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("touch", "name"),
    [
        (Path.read_text, "outputs/runs/result.json"),
        (Path.read_bytes, "models/gemma3-270m/ohlora-model.json"),
        (Path.mkdir, "outputs/new"),
        (os.scandir, "mlruns"),
        (lambda path: list(path.iterdir()), "models"),
        (lambda path: path.rename("taken"), "outputs"),
        (sqlite3.connect, "mlflow.db"),
        (lambda path: Path(os.path.relpath(path)).unlink(), "mlflow.db-wal"),
    ],
)
def test_the_checkout_is_out_of_reach(touch: Callable[[Path], object], name: str, guarded: Path) -> None:
    with pytest.raises(CheckoutTouched, match="a test works in a folder of its own"):
        touch(ROOT / name)
    assert str(ROOT / name) in guarded.read_text()  # this fails a test whose own code swallowed the error
    guarded.unlink()


def test_the_rest_of_the_checkout_can_be_read() -> None:
    assert (ROOT / "pyproject.toml").read_text() and list((ROOT / "ohlora" / "models").iterdir())


def test_what_is_planted_is_what_a_wrong_reader_would_find(tmp_path: Path) -> None:
    """In a folder of its own: the estimate counts its tokens, and reading them is seen."""
    from ohlora.config.compose import compose_config
    from ohlora.models.folder import is_prepared
    from ohlora.planning.plan import plan_run

    plan = plan_run(compose_config([]))
    assert not plan.refresh().work.exact and not is_prepared(plan.model_folder)
    assert checkout.plant(tmp_path) == 0 and is_prepared(plan.model_folder)
    assert checkout.remove(tmp_path) == int(checkout.keeps_access_times(tmp_path)), "the model's marker was read"
    assert checkout.plant(tmp_path) == 0 and checkout.remove(tmp_path) == 0 and not any(tmp_path.iterdir())
    checkout.plant(tmp_path)
    assert plan.refresh().work.exact
    (tmp_path / "outputs" / "mine.txt").write_text("a user's")
    assert checkout.plant(tmp_path) == 0 and checkout.remove(tmp_path) == 1
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["mine.txt"]
