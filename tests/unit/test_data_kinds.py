"""Files as people's tools write them: every kind is read right, or refused with its line.

Run: python -m pytest tests/unit/test_data_kinds.py
"""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from ohlora.config.schema import ColumnsConfig, DataConfig, SplitValuesConfig
from ohlora.data.notes import Notes
from ohlora.data.rows import Row, load_rows
from ohlora.data.shapes import Turn
from ohlora.errors import UserError

TABLE = "prompt,response\n안녕,반가워\n잘 자,좋은 꿈 꿔\n"
PAIRS = [("안녕", "반가워"), ("잘 자", "좋은 꿈 꿔")]


def read(path: Path, content: str | bytes, notes: Notes | None = None, **asked: Any) -> list[Row]:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return load_rows(DataConfig("file", "auto", str(path), **asked), notes)


def pairs(rows: list[Row]) -> list[tuple[str, str]]:
    return [(row.prompt, row.response) for row in rows]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("comma.csv", TABLE),
        ("semicolon.csv", TABLE.replace(",", ";")),
        ("tab.tsv", TABLE.replace(",", "\t")),
        ("pipe.txt", TABLE.replace(",", "|")),
        ("two-boms.csv", b"\xef\xbb\xbf\xef\xbb\xbf" + TABLE.encode()),
        ("utf16.csv", TABLE.encode("utf-16")),
        ("cp949.csv", TABLE.encode("cp949")),
        ("decomposed.csv", unicodedata.normalize("NFD", TABLE)),
        ("windows.csv", TABLE.replace("\n", "\r\n")),
        ("blank-rows.csv", TABLE + ",\n ,\n\n"),
        ("extra-commas.csv", TABLE.replace("\n", ",,\n")),
        ("blank-after-comma.csv", TABLE.replace(",", ", ")),
        ("korean-header.csv", TABLE.replace("prompt,response", "질문,답변")),
        ("array.json", json.dumps([{"question": p, "answer": r} for p, r in PAIRS], indent=1)),
        ("wrapped.json", json.dumps({"data": [{"prompt": p, "response": r} for p, r in PAIRS]}, indent=1)),
        ("lines.jsonl", "".join(json.dumps({"prompt": p, "response": r, "meta": {"a": [1]}}) + "\n" for p, r in PAIRS)),
        (
            "messages.jsonl",
            "".join(
                json.dumps({"messages": [{"role": "user", "content": p}, {"role": "assistant", "content": r}]}) + "\n"
                for p, r in PAIRS
            ),
        ),
        (
            "sharegpt.json",
            json.dumps(
                [{"conversations": [{"from": "human", "value": p}, {"from": "gpt", "value": r}]} for p, r in PAIRS]
            ),
        ),
        ("alpaca.json", json.dumps([{"instruction": p, "input": "", "output": r} for p, r in PAIRS])),
    ],
)
def test_every_usual_file_gives_the_same_rows(tmp_path: Path, name: str, content: str | bytes) -> None:
    assert pairs(read(tmp_path / name, content)) == PAIRS


def test_excel_and_parquet(tmp_path: Path) -> None:
    import openpyxl
    import pyarrow
    import pyarrow.parquet

    book = openpyxl.Workbook()
    for line in [("prompt", "response"), *PAIRS]:
        book.active.append(line)
    book.save(tmp_path / "book.xlsx")
    columns = {"prompt": [p for p, _ in PAIRS], "response": [r for _, r in PAIRS]}
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "rows.parquet")
    for name in ("book.xlsx", "rows.parquet"):
        rows = load_rows(DataConfig("file", "auto", str(tmp_path / name)))
        assert pairs(rows) == PAIRS
    both = load_rows(DataConfig("file", "auto", [str(tmp_path / "book.xlsx"), str(tmp_path / "rows.parquet")]))
    assert pairs(both) == PAIRS * 2 and [row.id for row in both] == ["1", "2", "3", "4"]
    assert [str(row.place) for row in both[1:3]] == ["book.xlsx: line 3", "rows.parquet: line 1"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", "prompt,response\nq,a\n" + '"안녕,반가워\n' + "r,b\n" * 5, "line 3: a quotation mark opens here"),
        ("a.csv", 'prompt,response\n"안녕"이라고 말해줘,응\n', "line 2: a quotation mark ends before its cell"),
        ("a.csv", "prompt,prompt,response\na,b,c\n", "line 1: the column prompt stands there twice"),
        ("a.csv", b"PK\x03\x04\x14\x00\x06\x00\x08\x00", "Excel workbook"),
        ("a.xls", b"\xd0\xcf\x11\xe0 old", "old Excel file (.xls); save it as .xlsx"),
        ("a.parquet", b"PAR1 broken", "Parquet file that cannot be read"),
        ("a.jsonl", '{"prompt": "안녕 \\ud83d", "response": "b"}\n', "line 1: prompt holds half of a character"),
        ("a.jsonl", '{"prompt": "a", "response": NaN}\n', "line 1: response is nan, not text"),
        ("a.jsonl", '{"prompt": "a", "response": true}\n', "line 1: response is true, not text"),
        ("a.jsonl", '{"prompt": "a\\u0000", "response": "b"}\n', "line 1: prompt holds a control character"),
        ("a.jsonl", '{"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]}\n', "two user"),
        ("a.jsonl", '{"messages": [{"role": "tool", "content": "a"}]}\n', "choose from user, assistant, system"),
        ("a.jsonl", '{"messages": []}\n', "messages must be a list"),
        ("a.jsonl", '{"prompt": "a", "response": "b", "checks": {"fcat": "name"}}\n', "did you mean fact?"),
        ("a.csv", "prompt,response,checks\na,b,fact=name\n", "line 2: checks must be an object"),
        ("a.csv", "split,prompt,response\ntrain,a,b\ntrain_msg,c,d\n", "line 3: split 'train_msg' is unknown"),
        ("a.csv", "split,prompt,response\ntrain,a,\n", "line 2: a training row needs an answer"),
    ],
)
def test_bad_files_are_refused_with_their_line(tmp_path: Path, name: str, content: str | bytes, said: str) -> None:
    with pytest.raises(UserError) as raised:
        read(tmp_path / name, content)
    assert said in raised.value.report()


def test_a_cell_that_swallowed_rows_is_noted(tmp_path: Path) -> None:
    notes = Notes()
    rows = read(tmp_path / "a.csv", 'prompt,response\n안녕,"반가워\nq1,a1\nq2,a2"\nq3,a3\n', notes)
    assert pairs(rows) == [("안녕", "반가워\nq1,a1\nq2,a2"), ("q3", "a3")] and [row.line for row in rows] == [2, 5]
    assert any("line 2" in line and "look like rows" in line for line in notes.lines())


def test_several_turns_and_a_system_text(tmp_path: Path) -> None:
    said = [("system", "짧게"), ("user", "안녕"), ("assistant", "반가워"), ("user", "왜?"), ("assistant", "그냥")]
    line = json.dumps({"messages": [{"role": role, "content": text} for role, text in said]})
    (row,) = read(tmp_path / "a.jsonl", line + "\n")
    assert (row.system, row.prompt, row.response) == ("짧게", "왜?", "그냥")
    assert row.history == (Turn("user", "안녕"), Turn("assistant", "반가워"))


def test_split_words(tmp_path: Path) -> None:
    notes = Notes()
    text = "data_type,prompt,response\ntraining,a,b\nvalid,c,\nval,d,e\ndev,f,g\neval,h,i\n"
    rows = read(tmp_path / "a.csv", text, notes, columns=ColumnsConfig(split="data_type"))
    assert [row.split for row in rows] == ["train", "validation", "validation", "validation", "test"]
    assert rows[1].response == "" and any("without an answer" in line for line in notes.lines())
    own = SplitValuesConfig(train=["train", "train_msg"])
    (row,) = read(tmp_path / "b.csv", "split,prompt,response\nTrain_msg,a,b\n", split_values=own)
    assert row.split == "train"


def test_splits_are_drawn_by_category_and_questions_stay_together(tmp_path: Path) -> None:
    lines = [f"{category},질문 {category}{n // 2},답 {n}" for category in ("a", "b") for n in range(20)]
    text = "category,prompt,response\n" + "\n".join(lines) + "\nb,답 없는 질문,\n"
    notes = Notes()
    rows = read(tmp_path / "a.csv", text, notes)
    held = [row for row in rows if row.split == "validation"]
    assert {name: sum(row.category == name for row in held) for name in ("a", "b")} == {"a": 4, "b": 5}
    assert not {row.prompt for row in held} & {row.prompt for row in rows if row.split == "train"}
    assert rows[-1].split == "validation" and any("split_seed=42" in line for line in notes.lines())
    again = read(tmp_path / "a.csv", text, split_seed=7)
    assert [row.split for row in again] != [row.split for row in rows]


def test_one_question_in_every_row_is_also_in_training(tmp_path: Path) -> None:
    notes = Notes()
    rows = read(tmp_path / "a.csv", "prompt,response\n" + "안녕,반가워\n" * 10, notes)
    assert [row.split for row in rows].count("validation") == 1
    assert any("also in training" in line for line in notes.lines())


@pytest.mark.parametrize(("separator", "mark"), [("tab", "\t"), ("semicolon", ";"), ("pipe", "|")])
def test_a_separator_that_is_given(tmp_path: Path, separator: str, mark: str) -> None:
    from ohlora.config.choices import Separator

    (row,) = read(tmp_path / "a.csv", f"prompt{mark}response\na,b,c{mark}d\n", separator=Separator(separator))
    assert (row.prompt, row.response) == ("a,b,c", "d")


def test_files_that_name_their_splits(tmp_path: Path) -> None:
    for name, prompt in (("train", "a"), ("my-valid", "b"), ("test_00000", "c")):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps({"prompt": prompt, "response": "r"}) + "\n")
    folder = DataConfig("file", "auto", str(tmp_path))
    assert {row.prompt: row.split for row in load_rows(folder)} == {"a": "train", "b": "validation", "c": "test"}
    (tmp_path / "more.jsonl").write_text('{"prompt": "d", "response": "r"}\n')  # one that says none: all are drawn
    assert {row.split for row in load_rows(folder)} == {"train", "validation"}
