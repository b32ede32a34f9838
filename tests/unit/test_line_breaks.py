r"""Line breaks on the command line: `\n` in a text that a model reads is one; in a YAML file nothing is changed.

Run: python -m pytest tests/unit/test_line_breaks.py
"""

from __future__ import annotations

from pathlib import Path

import pytest

from ohlora.config.compose import compose_config, quote_argument, split_arguments
from ohlora.config.schema import Config
from ohlora.planning.validate import validate
from ohlora.studies.compare import plan_comparison
from ohlora.studies.sweep import plan_sweep


def config(*arguments: str) -> Config:
    return validate(compose_config([quote_argument(argument) for argument in arguments]))


@pytest.mark.parametrize(
    ("typed", "template"),
    [
        (r"질문: {prompt}\n답변:\n", "질문: {prompt}\n답변:\n"),
        (r"'질문: {prompt}\n답변:\n'", "질문: {prompt}\n답변:\n"),
        (r'"Q: {prompt}\nA:"', "Q: {prompt}\nA:"),
        ("Q: {prompt}\nA:", "Q: {prompt}\nA:"),
        (r"{prompt}\t\\n", "{prompt}\t\\n"),
        (r"It's {prompt}, (a=b) [c]\n", "It's {prompt}, (a=b) [c]\n"),
        (r"{prompt}\d", r"{prompt}\d"),
        ("{prompt}", "{prompt}"),
    ],
)
def test_a_prompt_template_has_its_line_breaks(typed: str, template: str) -> None:
    assert config(f"model.prompt_template={typed}").model.prompt_template == template


def test_a_template_can_be_left_to_the_model() -> None:
    assert config("model.prompt_template=null").model.prompt_template is None


def test_a_question_has_its_line_breaks() -> None:
    asked = config("task=infer", r'generation.ask=["오늘\n뭐 먹지?","b\\n"]').generation.ask
    assert asked == ["오늘\n뭐 먹지?", r"b\n"]


def test_other_keys_keep_their_backslashes(tmp_path: Path) -> None:
    assert quote_argument(r"data.path=a\new") == r"data.path=a\new"


def test_a_file_says_what_it_says() -> None:
    from ohlora.config.paths import conf_dir

    text = (conf_dir() / "model" / "gemma3-270m.yaml").read_text("utf-8")
    assert r'{prompt}\n답변:\n"' in text and config().model.prompt_template == "질문: {prompt}\n답변:\n"
    node = compose_config([])
    node.model.prompt_template = r"{prompt}\n"  # as a YAML file would have it in single quotes
    assert validate(node).model.prompt_template == r"{prompt}\n"


def test_a_sweep_keeps_it_in_every_run() -> None:
    typed = ["lora.rank=8,16", "task=train", "tracking=none", r"model.prompt_template=Q: {prompt}\nA:"]
    jobs, plans = plan_sweep([quote_argument(argument) for argument in typed])
    assert len(jobs) == 2 and {one.config.model.prompt_template for one in plans} == {"Q: {prompt}\nA:"}


def test_several_templates_are_a_sweep() -> None:
    plans = plan_sweep([quote_argument(r"model.prompt_template='{prompt}\n','Q: {prompt}\n'"), "task=train"])[1]
    assert [one.config.model.prompt_template for one in plans] == ["{prompt}\n", "Q: {prompt}\n"]


def test_an_arm_can_have_its_own_template(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    arms = r"""compare.arms=["plain: lora=r16","asked: lora=r16 model.prompt_template='Q: {prompt}\nA:' seed=1"]"""
    made = config(arms, "task=train", "tracking=none")
    plans = plan_comparison(made, [arms, "task=train", "tracking=none"], None).arm_plans()
    assert [one.config.model.prompt_template for one in plans] == ["질문: {prompt}\n답변:\n", "Q: {prompt}\nA:"]
    assert [one.config.seed for one in plans] == [42, 1]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("backend=hf lora.rank=8", ["backend=hf", "lora.rank=8"]),
        ("a='b c'  d=\"e f\"", ["a='b c'", 'd="e f"']),
        (r"a='it\'s b' c=1", [r"a='it\'s b'", "c=1"]),
        ("a=[1,2] it's", ["a=[1,2]", "it's"]),
        ("", []),
    ],
)
def test_an_arm_is_taken_apart_at_blanks_outside_quotes(text: str, words: list[str]) -> None:
    assert split_arguments(text) == words
