"""What is wrong with an answer, where a stop text cuts it, and which decoding a configuration may ask for.

Run: python -m pytest tests/unit/test_faults.py
"""

from __future__ import annotations

import pytest

from ohlora.config.choices import Fault
from ohlora.config.compose import compose_config, quote_argument
from ohlora.errors import UserError
from ohlora.generation.choice import seed_of
from ohlora.generation.faults import find_faults
from ohlora.generation.stopping import cut_text
from ohlora.planning.validate import validate

ASKED = "오늘 뭐 했어?"
NATURAL = ["task=infer", "generation=natural", "adapter=none"]


@pytest.mark.parametrize(
    ("answer", "ended", "faults"),
    [
        ("하루 종일 말동무를 했어요.", True, []),
        ("네! 네! 저 오로라예요.", True, []),  # a short word twice is how people talk
        ("ㅎㅎ 저도 좋아요", None, []),
        ("LoRA 이야기를 했어요", True, []),
        ("", True, ["empty"]),
        ("… !", True, ["empty"]),
        ("I talked with people all day.", True, ["wrong_language"]),
        ("今天我和大家聊天了。", True, ["wrong_language"]),
        ("저는 좋아요. 저는 좋아요.", True, ["repeated"]),
        ("나는 정말 좋아 그래 나는 정말 좋아 그럼 나는 정말 좋아", True, ["repeated"]),
        ("좋아요 좋아요 좋아요 좋아요 좋아요 좋아요 좋아요", False, ["repeated", "cut_off"]),
        ("오늘은 아침부터 저녁까지", False, ["cut_off"]),
    ],
)
def test_faults_of_an_answer(answer: str, ended: bool | None, faults: list[str]) -> None:
    assert [fault.value for fault in find_faults(ASKED, answer, ended)] == faults
    assert find_faults(ASKED, answer, ended, []) == []


def test_an_english_question_has_no_wrong_language() -> None:
    assert find_faults("Who are you?", "저는 오로라예요.", True, [Fault.wrong_language]) == []


def test_a_stop_text_cuts_the_answer_where_it_begins_first() -> None:
    assert cut_text("네.\n질문: 뭐?", ["질문:", "\n질문:"]) == ("네.", "\n질문:")
    assert cut_text("가나다", ["나", "나다"]) == ("가", "나다")
    assert cut_text("가나다", ["라"]) == ("가나다", None)


def test_a_seed_belongs_to_run_question_and_attempt() -> None:
    seeds = {seed_of(*given) for given in [(1, "a", 0), (2, "a", 0), (1, "b", 0), (1, "a", 1)]}
    assert len(seeds) == 4 and all(0 <= seed < 2**63 for seed in seeds)
    assert seed_of(42, "test-001") == 6484847139874401191


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["decoding=sample", "decoding.temperature=0"], "decoding.temperature=0.0: must be > 0"),
        (["decoding=sample", "decoding.top_p=0"], "decoding.top_p=0.0: must be > 0 and <= 1"),
        (["decoding=sample", "decoding.top_k=-1"], "decoding.top_k=-1: must be >= 0"),
        (["decoding=sample", "decoding.num_beams=2"], "beams are not drawn"),
        (["decoding.repetition_penalty=0"], "decoding.repetition_penalty=0.0: must be > 0"),
        (["decoding=beam", "decoding.num_beams=0"], "decoding.num_beams=0: must be >= 1"),
        (["decoding.temperature=0.5"], "decoding.temperature=0.5: has no effect unless tokens are drawn"),
        (["decoding.retries=1"], "would give the same answer again"),
        (["decoding=sample", "decoding.retries=-1"], "decoding.retries=-1: must be >= 0"),
        (["decoding=sample", "decoding.retries=1", "decoding.retry_on=[]"], "decoding.retry_on=[]: names no fault"),
        (["decoding.retry_on=[boring]"], "decoding.retry_on[0]: must be a list of empty | wrong_language"),
        (["decoding.stop=['']"], "an empty text would end every answer at once"),
    ],
)
def test_what_cannot_be_is_refused(given: list[str], told: str) -> None:
    with pytest.raises(UserError) as caught:
        validate(compose_config([*NATURAL, *given]))
    assert told in str(caught.value)


@pytest.mark.parametrize(
    "given",
    [
        ["task=benchmark", "decoding=sample"],
        ["task=infer", "generation=timed", "decoding=beam"],
        ["task=infer", "generation=timed", "decoding.stop=['끝']"],
        ["task=infer", "generation=natural", "decoding=sample", "compare.arms=[{backend: hf},{backend: unsloth}]"],
    ],
)
def test_timed_runs_are_greedy(given: list[str]) -> None:
    with pytest.raises(UserError, match="only decoding=greedy can be timed"):
        validate(compose_config(given))


def test_what_is_right_is_taken() -> None:
    stop = quote_argument(r"decoding.stop=['\n질문:']")
    config = validate(compose_config([*NATURAL, "decoding=sample", "decoding.retries=2", stop]))
    assert config.decoding.stop == ["\n질문:"] and config.decoding.retry_on == list(Fault)
    assert validate(compose_config([*NATURAL, "decoding=beam"])).decoding.num_beams == 4
    assert validate(compose_config(["task=train", "decoding=sample"])).decoding.do_sample  # its samples while training
