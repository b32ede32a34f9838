"""What is said of free answers: each defect found where it is, and in no answer that a person would give."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unicodedata import normalize

import pytest

from ohlora.config.schema import Config, DataConfig, DecodingConfig, GenerationConfig, ModelConfig, TaskConfig
from ohlora.data.rows import Row
from ohlora.data.sources import PACKAGED
from ohlora.data.tokens import Example
from ohlora.errors import UserError
from ohlora.generation.stopping import StopTexts
from ohlora.measure.quality import bits_per_character, distinct, find_defects, is_repeated, is_wrong_language, quality
from ohlora.planning.plan import Plan
from ohlora.records.samples import Sample, read_samples, write_samples
from ohlora.tasks import answer
from ohlora.tasks.job import Job

KOREAN, ENGLISH = "오늘 저녁은 김치찌개가 좋겠어요!", "A bowl of soup would be nice tonight."


def sample(text: str, reference: str = KOREAN, question: str = "뭐 먹지?", ended: bool | None = True) -> Sample:
    return Sample("1", question, reference, text, ended)


@pytest.mark.parametrize(
    "text",
    [
        "저는 오로라예요. " * 3,  # three times, twenty characters and more
        "그건 제가 잘 몰라요. 다음에 다시 물어봐 주세요. " * 2,  # long, twice
        "오늘은 ㅋㅋㅋ 정말 좋은 날 " * 3,  # a short run inside the unit hides nothing
        "ㅋ" * 20,
        "1. 오늘은 집에 가서 쉬어 2. 오늘은 집에 가서 쉬어 꼭 3. 또 오늘은 집에 가서 쉬어",  # not back to back
        "I am happy to help. I am happy to help. I am happy to help.",
        "no no no no no no no",
    ],
)
def test_loops(text: str) -> None:
    assert is_repeated(sample(text)) and find_defects(sample(text))[0] == "repeated"


@pytest.mark.parametrize(
    "text",
    [
        KOREAN,
        ENGLISH,
        "네 네 네, 알겠어요",
        "ㅋㅋㅋㅋㅋㅋ 그러게요",
        "정말정말 좋아요!!!!!!",
        "",
        "a b c a b c",
        "ㅋ" * 19,
    ],
)
def test_no_loops(text: str) -> None:
    assert not is_repeated(sample(text))


@pytest.mark.parametrize(
    ("text", "reference", "wrong"),
    [
        (ENGLISH, KOREAN, True),
        (KOREAN, ENGLISH, True),
        (KOREAN, KOREAN, False),
        ("GPU랑 LoRA는 제가 잘 알아요", KOREAN, False),
        ("今日はとても良い天気ですね", KOREAN, True),
        ("오늘은 날씨가 참 좋네요 今天天气很好", KOREAN, True),  # over half is Korean, but Chinese was in neither text
        ("韓은 나라 이름이에요 그렇죠", "韓은 한국을 뜻해요", False),  # it stands in the reference
        ("123!", KOREAN, False),
        (normalize("NFD", KOREAN), KOREAN, False),
    ],
)
def test_the_language_is_that_of_the_reference(text: str, reference: str, wrong: bool) -> None:
    assert is_wrong_language(sample(text, reference)) is wrong
    assert is_wrong_language(sample(text, "", question=reference)) is wrong  # without one that of the question


@pytest.mark.parametrize("text", ["", "  \n", "...", "?!", "😊"])
def test_empty_answers(text: str) -> None:
    assert find_defects(sample(text)) == ["empty"]


def test_no_reference_of_the_persona_set_has_a_defect() -> None:
    rows = list(csv.DictReader(io.StringIO(PACKAGED.read_text("utf-8"))))
    found = quality([Sample(row["id"], row["prompt"], row["response"], row["response"], True) for row in rows])
    assert len(rows) > 400 and found["quality/usable_share"] == 1.0
    assert found["quality/chrf"] == found["quality/usable_chrf"] == pytest.approx(100)


def test_shares_of_a_mixed_lot() -> None:
    found = quality(
        [
            sample(KOREAN),
            sample(""),
            sample(ENGLISH),
            sample("저는 오로라예요. " * 5, ended=False),
            sample(KOREAN, ended=False),
        ]
    )
    shares = {key: value for key, value in found.items() if key.endswith("_share")}
    assert shares == {
        "quality/empty_share": 0.2,
        "quality/repeated_share": 0.2,
        "quality/wrong_language_share": 0.2,
        "quality/never_ending_share": 0.4,
        "quality/usable_share": 0.2,
    }
    assert found["quality/answers"] == 5 and 0 < found["quality/usable_chrf"] < found["quality/chrf"]


def test_what_cannot_be_known_is_absent() -> None:
    unknown = quality([sample(KOREAN, ended=None)])
    assert "quality/chrf" in unknown
    assert not {"quality/never_ending_share", "quality/usable_share", "quality/usable_chrf"} & set(unknown)
    assert not any("chrf" in key for key in quality([sample(KOREAN), sample(KOREAN, reference="")]))
    assert quality([]) == {} and "quality/distinct_1" not in quality([sample("")])


def test_chrf_sees_korean_letters_and_not_how_they_are_coded() -> None:
    same = quality([sample(normalize("NFD", KOREAN))])["quality/chrf"]
    near = quality([sample("오늘 저녁은 된장찌개가 좋겠어요!")])["quality/chrf"]
    far = quality([sample("글쎄, 나도 몰라")])["quality/chrf"]
    assert same == pytest.approx(100) and far < 5 and 50 < near < 100


def test_distinct_n_grams_over_all_answers() -> None:
    assert distinct(["오로라 좋아!", "오로라, 좋아"], 1) == pytest.approx(0.5)
    assert distinct(["a b c", "c d"], 2) == 1.0 and distinct(["a"], 2) is None


def test_bits_per_character_do_not_depend_on_how_finely_a_text_is_cut() -> None:
    coarse, fine = bits_per_character(3.0, 10, ["가나다라마"]), bits_per_character(1.5, 20, ["가나다라마"])
    assert coarse == pytest.approx(fine) == pytest.approx(30 / (0.6931471805599453 * 5))


def test_samples_of_before_are_read_and_what_is_not_known_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "samples" / "x.jsonl"
    kept = [sample("a", ended=None), sample("b", ended=False)]
    write_samples(path, kept)
    assert read_samples(path) == kept and "ended" not in json.loads(path.read_text("utf-8").splitlines()[0])


def configured(rows: Path, prompts: int | None = 2) -> Config:
    generation = GenerationConfig("selection", prompts=prompts, max_new_tokens=80)
    model = ModelConfig(name="tiny", label="tiny")
    data = DataConfig("csv", "csv", str(rows))
    none: Any = None
    return Config(TaskConfig("selection"), none, model, none, data, none, generation, none)


def write_rows(path: Path, splits: str) -> Path:
    lines = [f"{i},{split},질문 {i},답변 {i}" for i, split in enumerate(splits.split())]
    path.write_text("\n".join(["id,split,prompt,response", *lines]), "utf-8")
    return path


def test_what_is_asked_was_not_trained_on(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "a.csv", "test train test validation test")
    assert [row.id for row in Plan(configured(rows)).held_out] == ["0", "2"]
    assert [row.id for row in Plan(configured(rows, None)).held_out] == ["0", "2", "4"]
    rows = write_rows(tmp_path / "b.csv", "train validation train")
    assert [row.id for row in Plan(configured(rows)).held_out] == ["1"]
    with pytest.raises(UserError, match="no new questions to answer"):
        _ = Plan(configured(write_rows(tmp_path / "c.csv", "train train"))).held_out


def test_the_fine_tuned_model_answers_and_is_graded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The phase with a stand-in for the model: the adapter of this attempt, the held-out rows, the numbers."""
    config = configured(write_rows(tmp_path / "rows.csv", "train validation test test"))
    tokens = SimpleNamespace(stop_ids=[9], validation=[Example("1", [1, 2, 3, 9], [-100, 2, 3, 9])], truncated=[])
    asked: list[Any] = []
    model = SimpleNamespace(modules=list)
    tokenizer = SimpleNamespace(decode=lambda ids, skip_special_tokens: "답변 2" if 9 in ids else "…")

    def load(job: Job, mode: str, adapter: Path) -> Any:
        asked.append((adapter, mode))
        job.record.effective = {"device": "cpu", job.phase: {}}
        memory = SimpleNamespace(phase=lambda _: SimpleNamespace(__enter__=None))
        memory.phase = __import__("contextlib").nullcontext
        return None, SimpleNamespace(model=model, tokenizer=tokenizer), tokens, memory

    class Generator:
        def __init__(self, *given: Any) -> None:
            asked.append(given[-1])
            self.decoding, self.stops, self.stop_ids = DecodingConfig(), StopTexts([], tokenizer), tokens.stop_ids

        def __call__(self, prompts: list[list[int]], advance: Any, seeds: list[int]) -> list[list[int]]:
            advance(len(prompts))
            return [[5, 9] if ids == [0] else [6] for ids in prompts]

        def in_effect(self) -> dict[str, Any]:
            return {"generation": {"max_new_tokens": asked[-1]}}

    monkeypatch.setattr(answer, "load", load)
    monkeypatch.setattr(answer, "make_generator", Generator)
    monkeypatch.setattr(answer, "encode_prompts", lambda plan, rows: [[i] for i in range(len(rows))])
    monkeypatch.setattr(answer, "record_memory", lambda *_: None)
    validation = [Row("1", "validation", "", "질문 1", "답변 1")]
    monkeypatch.setattr(Plan, "run_rows", SimpleNamespace(validation=validation))
    attempt = tmp_path / "attempt-1"
    (attempt / "phases").mkdir(parents=True)
    job = Job(Plan(config), attempt, "answer", lambda _: None, io.StringIO())
    with pytest.raises(UserError, match="no adapter found"):
        answer.run(job)
    (attempt / "adapter").mkdir()
    (attempt / "adapter" / "adapter_config.json").write_text("{}")
    (attempt / "phases" / "train.json").write_text('{"metrics": {"eval/eval_loss": 2.0}}')
    answer.run(job)
    assert asked == [(attempt / "adapter", "infer"), 80]
    assert job.record.effective["answer"]["generation"] == {"max_new_tokens": 80}
    samples = read_samples(attempt / "samples" / "answer.jsonl")
    assert [(s.id, s.answer, s.ended) for s in samples] == [("2", "답변 2", True), ("3", "…", False)]
    metrics = job.record.metrics
    assert metrics["quality/usable_share"] == metrics["quality/never_ending_share"] == 0.5
    assert metrics["eval/eval_bits_per_char"] == pytest.approx(2.0 * 3 / (0.6931471805599453 * 4))
    assert job.record.hashes["questions"]
