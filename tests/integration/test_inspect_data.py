"""task=inspect_data: what it writes for a person's own file and for a published set, with a real tokenizer."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import run_cli
from hub_server import Repo, serving

HEADER = "질문,답변,구분\n"


def read_lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_rows_tokens_notes_and_page(tmp_path: Path, tiny_model: Callable[[str], Path]) -> None:
    rows = "이름이 뭐야?,오로라예요.,train_msg\n어디 살아?,화면 속이요!,train_msg\n뭐 해?,,valid\n,,\n"
    (tmp_path / "mine.csv").write_bytes((HEADER + rows).encode("cp949"))
    ask = ("task=inspect_data", "model=local", f"model.path={tiny_model('gemma')}", "data=file", "data.path=mine.csv")
    ask = (*ask, "data.columns.split=구분", "hydra.run.dir=seen")
    refused = run_cli(*ask, cwd=tmp_path)
    assert refused.code == 2 and "data.split_values.train=[train,train_msg]" in refused.err, refused.err
    ran = run_cli(*ask, "data.split_values.train=[train,train_msg]", cwd=tmp_path)
    assert ran.code == 0, ran.err
    assert "rows: 2 train, 1 validation" in ran.err
    kept, tokens = read_lines(tmp_path / "seen" / "rows.jsonl"), read_lines(tmp_path / "seen" / "tokens.jsonl")
    assert [(row["split"], row["prompt"], row["source_line"]) for row in kept] == [
        ("train", "이름이 뭐야?", 2), ("train", "어디 살아?", 3), ("validation", "뭐 해?", 4),
    ]  # fmt: skip
    for row, seen in zip(kept, tokens, strict=True):
        assert len(seen["ids"]) == len(seen["labels"]) == row["tokens"]
        with_loss = [label for label in seen["labels"] if label != -100]
        assert len(with_loss) == row["loss_tokens"]
        assert with_loss == seen["ids"][len(seen["ids"]) - len(with_loss) :]
    assert kept[0]["loss_tokens"] > 0 and kept[2]["loss_tokens"] == 0
    notes = json.loads((tmp_path / "seen" / "notes.json").read_text("utf-8"))
    assert set(notes) >= {"changed", "dropped", "cut", "notes"} and "cp949" in str(notes).lower()
    page = (tmp_path / "seen" / "data.html").read_text("utf-8")
    learned = "".join(re.findall("<mark><i>(.*?)</i></mark>", page))
    assert "오로라예요." in learned and "화면 속이요!" in learned and "이름이" not in learned


def jsonl(*pairs: tuple[str, str]) -> bytes:
    return "".join(json.dumps({"prompt": p, "response": r}) + "\n" for p, r in pairs).encode()


def test_a_published_set(tmp_path: Path, tiny_model: Callable[[str], Path]) -> None:
    """Its files name the splits; it is fetched once, and the run's id is that of the same files on the disk."""
    files = {
        "README.md": b"---\nlicense: cc-by-4.0\n---\n",
        "data/train-00000-of-00001.jsonl": jsonl(("a?", "b"), ("c?", "d")),
        "data/test-00000-of-00001.jsonl": jsonl(("e?", "f")),
        "picture.png": b"x",
    }
    ask = ("task=infer", "model=local", f"model.path={tiny_model('gemma')}", "tracking=none", "hydra.run.dir=run")
    ask = (*ask, "generation.max_new_tokens=2", "generation.split=test")
    published = ("data=hub", "data.repo=maker/pairs")
    with serving(maker__pairs=Repo(files)) as hub:
        ran = run_cli(*ask, *published, cwd=tmp_path, env=hub.env)
        assert ran.code == 0, ran.err
        assert "picture.png" not in hub.fetched
        no_file = run_cli(*ask, *published, "data.files=ko/*", "data.revision=main", cwd=tmp_path, env=hub.env)
        missing = run_cli(*ask, *published, "data.revision=v9", cwd=tmp_path, env=hub.env)
    first = json.loads((tmp_path / "run" / "result.json").read_text())
    assert "data.files=ko/*: no data file of maker/pairs matches; it has data/test-00000-of-00001.jsonl" in no_file.err
    assert "data.revision=v9: maker/pairs has no such branch, tag or commit" in missing.err
    assert "or data.revision=null for the newest" in missing.err
    for refused in (no_file, missing):
        assert refused.code == 2 and "Traceback" not in refused.err
    again = run_cli(*ask, *published, cwd=tmp_path)  # without a hub
    assert again.code == 0, again.err
    assert json.loads((tmp_path / "run" / "result.json").read_text())["run_id"] == first["run_id"]


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (["data=hub"], "data.repo=None: a published data set needs owner/name"),
        (["data=hub", "data.repo=pairs"], "data.repo=pairs: a published data set needs owner/name"),
        (["data.repo=maker/pairs"], "data.repo=maker/pairs: data=ohlora is not from the hub; add data=hub"),
    ],
)
def test_a_published_set_needs_its_name(tmp_path: Path, ask: list[str], said: str) -> None:
    ran = run_cli("task=infer", *ask, cwd=tmp_path)
    assert ran.code == 2 and said in ran.err and "Traceback" not in ran.err, ran.err
