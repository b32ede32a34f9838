"""The user's own file: every way it can be wrong is said with its line; the shipped set is what it claims to be."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest

from ohlora.config.compose import compose_config
from ohlora.config.schema import ColumnsConfig, DataConfig
from ohlora.data.rows import Row, load_rows
from ohlora.data.sources import PACKAGED
from ohlora.errors import UserError
from ohlora.planning.plan import Plan
from ohlora.planning.validate import validate

MEMORY = re.compile(r"\[[^\[\]:]+: [^\[\]]+\]")


def read(path: Path, text: str | bytes, **columns: str) -> list[Row]:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_rows(DataConfig("mine", "auto", str(path), columns=ColumnsConfig(**columns)))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", "", "the file is empty"),
        ("a.csv", "prompt,response\n", "it has a header but no rows"),
        ("a.csv", "greeting,back\nhi,you\n", "name yours with data.columns.prompt=… and data.columns.response=…"),
        ("a.csv", "안녕,반가워\n잘 자,응\n", "see that the first row of a table is its header"),
        ("a.csv", "prompt,response,split\nhi,,train\n", "line 2: a training row needs an answer"),
        ("a.csv", "prompt,response\nhi,you,more\n", "line 2 has 3 cells, the header 2"),
        ("a.csv", "prompt,response,split\nhi,you,train_msg\n", "data.split_values.train=[train,train_msg]"),
        ("a.csv", "prompt,response,split\nhi,you,연습\n", """'data.split_values.train=["train","연습"]'"""),
        ("a.csv", "prompt,response,split\nhi,you,train\nyo,ho,\n", "line 3: the split is empty"),
        ("a.csv", "id,prompt,response\n1,a,b\n1,c,d\n", "duplicate ids: 1"),
        ("a.csv", "prompt,response\n안녕하세요 반가워요,네".encode() + b"\xff\n", "line 2 is not UTF-8"),
        ("a.jsonl", '{"prompt": "a", "response": "b"}\n{broken\n', "line 2 is not JSON"),
        ("a.jsonl", '{"prompt": ["a"], "response": "b"}\n', "line 1: prompt is a list, not text"),
        ("a.jsonl", "[1, 2]\n", "line 1 is not a JSON object"),
    ],
)
def test_bad_files(tmp_path: Path, name: str, content: str | bytes, said: str) -> None:
    with pytest.raises(UserError) as raised:
        read(tmp_path / name, content)
    assert said in raised.value.report()


def test_a_column_that_was_named_and_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="data.columns.split=part: .* has no such column"):
        read(tmp_path / "a.csv", "prompt,response\na,b\n", split="part")


def test_line_separators_within_json_are_text(tmp_path: Path) -> None:
    (row,) = read(tmp_path / "a.jsonl", '{"prompt": "a\u2028b", "response": "c"}\n')
    assert row.prompt == "a\u2028b"


def test_columns_are_renamed_and_a_fifth_is_held_out(tmp_path: Path) -> None:
    text = "\ufeffquestion,answer\n" + "".join(f"q{n},a{n}\n" for n in range(10))
    rows = read(tmp_path / "mine.csv", text, prompt="question", response="answer")
    assert Counter(row.split for row in rows) == {"train": 8, "validation": 2}
    assert (rows[0].id, rows[0].prompt, rows[9].response) == ("1", "q0", "a9")


def test_jsonl_with_memory(tmp_path: Path) -> None:
    line = {"prompt": "뭐 해?", "response": "응원해요", "memory": "[오늘 일정: 발표]", "split": "train"}
    (row,) = read(tmp_path / "mine.jsonl", json.dumps(line, ensure_ascii=False))
    assert row.question == "[오늘 일정: 발표] 뭐 해?"


def test_too_many_rows_asked_for(tmp_path: Path) -> None:
    read(tmp_path / "mine.csv", "prompt,response\n" + "".join(f"q{n},a{n}\n" for n in range(10)))
    config = validate(compose_config(["data=csv", f"data.path={tmp_path / 'mine.csv'}"]))
    with pytest.raises(UserError, match="trainer.train_rows=20: there are only 8 such rows"):
        _ = Plan(config).run_rows


def test_questions_of_ones_own() -> None:
    config = validate(compose_config(["task=infer", 'generation.ask=["오늘 뭐 먹지?","이름이 뭐야?"]']))
    assert [row.question for row in Plan(config).run_rows.prompts] == ["오늘 뭐 먹지?", "이름이 뭐야?"]


def test_the_users_test_is_a_fixed_list() -> None:
    config = validate(compose_config([]))
    chosen = Plan(config).run_rows
    listed = json.loads(PACKAGED.with_name("unsloth_test.json").read_text())
    assert [row.id for row in chosen.train] == listed["train"] and len(chosen.train) == 20
    assert [row.id for row in chosen.validation] == listed["validation"] and len(chosen.validation) == 5
    assert [row.id for row in chosen.prompts] == listed["train"] + listed["validation"]
    assert {row.split for row in chosen.validation} == {"validation"}


def test_the_whole_set_is_used_by_sft() -> None:
    config = validate(compose_config(["trainer=sft", "generation=natural"]))
    chosen = Plan(config).run_rows
    assert len(chosen.train) >= 240 and len(chosen.validation) >= 60
    assert {row.split for row in chosen.prompts} == {"test"}


class TestPersonaSet:
    rows = load_rows(DataConfig("ohlora", "csv"))

    def test_sizes_and_columns(self) -> None:
        with PACKAGED.open(encoding="utf-8") as file:
            assert next(csv.reader(file)) == ["id", "split", "category", "prompt", "response", "memory"]
        sizes = Counter(row.split for row in self.rows)
        assert sizes["train"] >= 240 and sizes["validation"] >= 60 and sizes["test"] >= 60

    def test_every_split_has_every_category(self) -> None:
        for split in ("train", "validation", "test"):
            here = {row.category for row in self.rows if row.split == split}
            assert here == {row.category for row in self.rows}
        assert {"love", "meeting", "abuse", "ai_coding", "memory_use", "memory_write"} <= {
            r.category for r in self.rows
        }

    def test_answers_are_short_korean(self) -> None:
        for row in self.rows:
            assert re.search("[가-힣]", row.prompt) and re.search("[가-힣]", row.response), row
            assert len(row.response) <= 90, row
            assert not re.search("[\u4e00-\u9fff]", row.prompt + row.response), row

    def test_memory_items(self) -> None:
        for row in self.rows:
            assert not row.memory or MEMORY.fullmatch(row.memory), row
            if row.category == "memory_use":
                assert row.memory
            if row.category == "memory_write":
                assert re.search(MEMORY.pattern + "$", row.response), row

    def test_no_near_duplicates(self) -> None:
        """No two prompts and no two answers share half of their three-letter pieces, in or across splits."""
        for texts in ([r.question for r in self.rows], [r.response for r in self.rows]):
            grams = [{text[i : i + 3] for i in range(len(text) - 2)} or {text} for text in texts]
            for a, b in combinations(range(len(texts)), 2):
                shared = len(grams[a] & grams[b]) / len(grams[a] | grams[b])
                assert shared < 0.5, (texts[a], texts[b])
