"""Which folder of a model is which: its hash covers every file that decides what a run computes, and no other.

Run: python -m pytest tests/unit/test_folder_hash.py
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from ohlora.config.compose import compose_config
from ohlora.files import sha256_file
from ohlora.models import folder as folders
from ohlora.models.folder import folder_hash, model_hash, source_hash, write_marker
from ohlora.planning.plan import Plan, plan_run

# Of folders without template and other vocabularies, as they have always been: their runs stay found.
IDENTITY = "8fdb5d7ad37e22dfbab620753e432f2d161a6719be861ad2e6f91a04acec443e"
IDENTITY_OF_PICKLES = "60c434bb8930b735db9e65c0cc164afee2ce4ded2260bd4c1fb92c7a1620b8fb"
READ = [
    "chat_template.jinja", "merges.txt", "vocab.txt", "bpe.codes", "source.spm", "qwen.tiktoken", "vocab.json",
    "added_tokens.json", "special_tokens_map.json", "tokenizer.model", "tokenization_own.py",
]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "model"
    made.mkdir()
    for name in ("config.json", "tokenizer.json"):
        (made / name).write_text("{}")
    (made / "model.safetensors").write_text("weights")
    return made


def plan(folder: Path, *overrides: str) -> Plan:
    return plan_run(compose_config(["model=local", "model.label=mine", f"model.path={folder}", *overrides]))


def test_a_folder_without_a_template_keeps_its_identity(folder: Path) -> None:
    assert source_hash(plan(folder).model) == model_hash(plan(folder).model) == IDENTITY
    for name in ("README.md", "LICENSE.txt", "notes.html"):
        (folder / name).write_text("decides nothing")
    assert source_hash(plan(folder).model) == IDENTITY
    write_marker(folder)
    assert source_hash(plan(folder).model) == model_hash(plan(folder).model) == IDENTITY
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    assert source_hash(plan(folder, "model.weights=bin").model) == IDENTITY_OF_PICKLES


@pytest.mark.parametrize("name", READ)
@pytest.mark.parametrize("prepared", [False, True])
def test_another_file_that_is_read_is_another_run(folder: Path, name: str, prepared: bool) -> None:
    ids = {plan(folder).identify()}
    for text in ("one", "the other"):
        (folder / name).write_text(text)
        if prepared:
            write_marker(folder)
        ids.add(plan(folder).identify())
    assert len(ids) == 3
    copy = shutil.copytree(folder, folder.with_name("copy"))  # elsewhere it is the same
    assert plan(copy).identify() in ids


def test_a_file_added_to_a_prepared_folder_counts(folder: Path) -> None:
    write_marker(folder)
    before = plan(folder).identify()
    (folder / "README.md").write_text("decides nothing")
    assert plan(folder).identify() == before
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    assert plan(folder).identify() != before


def test_adapters_fit_whatever_the_template(folder: Path) -> None:
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    assert model_hash(plan(folder).model) == IDENTITY


def test_each_file_is_hashed_once(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []
    monkeypatch.setattr(folders, "sha256_file", lambda path: hashed.append(path.name) or sha256_file(path))
    (folder / "chat_template.jinja").write_text("a")
    model = plan(folder).model
    first = source_hash(model), model_hash(model), folder_hash(folder, model.hashes)
    assert sorted(hashed) == ["chat_template.jinja", "config.json", "model.safetensors", "tokenizer.json"]
    (folder / "chat_template.jinja").write_text("b")
    os.utime(folder / "chat_template.jinja", ns=(1, 1))
    assert source_hash(model) != first[0] and hashed[4:] == ["chat_template.jinja"]
    assert sha256_file(folder / "model.safetensors") in json.loads(model.hashes.read_text()).values()
