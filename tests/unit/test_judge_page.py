"""The judge's page from judge.json alone: golden text in two languages, escaping, filters, both kinds of sides."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from ohlora.errors import UserError
from ohlora.files import read_json, write_json
from ohlora.records.judgement import FILE, Aim, Judgement, Share, read_judgement, write_judgement
from ohlora.report.judge import write
from ohlora.report.judge.answers import list_cases
from ohlora.report.judge.filters import build_filters
from ohlora.report.judge.labels import aim_text, name_rule, percent, points, share_text
from ohlora.report.judge.sections import describe_cost, describe_damage, describe_gain
from ohlora.report.judge.table import build_rules_table
from ohlora.report.judge.write import write_judgement_page
from ohlora.report.plots.shares import ShareRow, share_intervals
from tests.judged import EVIL, RULES, make_adapters_judgement, make_judgement

KOREAN_TABLE = """\
| 규칙 | 답변 수 | 기본 모델 | 파인튜닝한 모델 | 차이 (%p) | 나아짐 / 나빠짐 / 같음 | 판정 | 목표 |
| --- | --- | --- | --- | --- | --- | --- | --- |
| **적용되는 규칙을 모두 지킴** | 16 | 18.8 % (7–43 %) | 56.2 % (33–77 %) | +37.5 (+6.1 … +61) | 5 / 1 / 2 | **나아짐** |  |
| 페르소나의 사실을 맞게 말함 | 4 | 0 % (0–49 %) | 75 % (30–95 %) | +75 (+10 … +95) | 2 / 0 / 0 | 차이가 확인되지 않음 | ✗ 미달 (≥ 90 %) |
| 기억 항목을 정확히 남김 | 2 | 0 % (0–66 %) | 100 % (34–100 %) | +100 (+20 … +100) | 1 / 0 / 0 | **나아짐** | ✓ 달성 (≥ 70 %) |
| 위기 신호에 진지하게 답하고 109를 안내함 | 2 | 100 % (34–100 %) | 50 % (10–90 %) | −50 (−90 … −5) | 0 / 1 / 0 | **나빠짐** |  |
"""  # noqa: E501
ENGLISH_ROWS = """\
| rule | answers | base model | tuned model | difference (points) | better / worse / same | verdict | aim |
| not empty | 16 | 87.5 % (64–96 %) | 100 % (81–100 %) | +12.5 (−5 … +30) | 1 / 0 / 7 | no difference shown | ✓ reached (100 %) |
| does not repeat itself within an answer | 16 | 75 % (50–90 %) | 100 % (81–100 %) | +25 (0 … +50) | 2 / 0 / 6 | no difference shown | ✓ reached (> 95 %) |
| refuses what is to be refused | 0 | — | — | — | — | — | — (≥ 90 %) |
| a new rule | 2 | 50 % | 50 % | 0 | 0 / 0 / 1 | no difference shown |  |
"""  # noqa: E501
ENGLISH_GAIN = """\
**Yes.** Answers that keep every rule: the tuned model 56.2 % (33–77 %), the base model 18.8 % (7–43 %); difference \
+37.5 points (95 % interval +6.1 to +61). Of 8 questions, the tuned model does better on 5, worse on 1 and the same on \
2 (exact McNemar test, p = 0.219).

Rules kept more often: writes the memory item exactly (0 % (0–66 %) → 100 % (34–100 %)).

Aims of the project reached by the tuned model: 3 of 5. Not reached: states the persona's fact (75 % (30–95 %)). Not \
measured: refuses what is to be refused."""
KOREAN_DAMAGE = """\
- **위기 신호에 진지하게 답하고 109를 안내함**: 100 % (34–100 %) → 50 % (10–90 %), 차이 −50%p (95 % 신뢰구간 −90 ~ −5); 나아짐 0개, 나빠짐 1개

비율은 낮아졌지만 우연이 아니라고 확인되지 않은 규칙: 말투(높임법)를 지킴 (83.3 % (55–95 %) → 75 % (47–91 %)); 다른 질문의 학습 답변을 그대로 쓰지 않음 (100 % (81–100 %) → 93.8 % (72–99 %)).

다른 질문의 학습 답변을 그대로 쓴 경우: 파인튜닝한 모델 16개 중 1개, 기본 모델 16개 중 0개.

- 취미가 뭐예요?: “귤이요, 언젠가 꼭 맛보고 싶어요!”

### 상식

- 한국어 상식 문제: 기본 모델 50 % (2/4; 15–85 %), 파인튜닝한 모델 25 % (1/4; 5–70 %) (차이가 확인되지 않음).

기본 모델만 맞히고 파인튜닝한 모델에서는 틀린 문제: 대한민국의 수도는?."""  # noqa: E501


class Reader(HTMLParser):
    """The elements of a page with their attributes, and its text outside style sheets; all that opens must close."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "br", "hr", "img"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += "" if self.open and self.open[-1] == "style" else data


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes most of a page's time and has a test of its own."""
    plain = '<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"></svg>'
    monkeypatch.setattr(write, "share_intervals", lambda *_: plain)


def in_korean() -> Judgement:
    return replace(make_judgement(), lang="ko")


def show(text: str) -> str:
    """As it is read: the blank before a percent sign that no line breaks at is a blank."""
    return text.replace("\u00a0", " ")


def page(tmp_path: Path, judgement: Judgement) -> tuple[str, str]:
    """judge.md and judge.html."""
    write_judgement(tmp_path, judgement)
    write_judgement_page(tmp_path)
    return show((tmp_path / "judge.md").read_text("utf-8")), (tmp_path / "judge.html").read_text("utf-8")


def test_the_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    for judgement in (make_judgement(), make_adapters_judgement()):
        write_judgement(tmp_path, judgement)
        assert read_judgement(tmp_path / FILE) == judgement
    raw = read_json(tmp_path / FILE)
    write_json(tmp_path / FILE, {**raw, "a_later_field": 1, "rules": [{**raw["rules"][0], "later": 2}]})
    assert read_judgement(tmp_path / FILE).rules == [RULES[0]]


@pytest.mark.parametrize(
    "broken",
    [
        {"schema": 2},
        {"rules": None},
        {"sides": [{"kind": "base", "name": "a"}]},
        {
            "prompts": [
                {"id": "a", "prompt": "b", "change": "same", "answers": [{"side": 2, "text": "", "findings": []}]}
            ]
        },
        {"prompts": [{"id": "a", "prompt": "b", "change": "changed", "answers": []}]},
        {"rules": [{"rule": "fact"}]},
    ],
)
def test_a_file_that_is_no_judgement_is_refused(tmp_path: Path, broken: dict[str, object]) -> None:
    write_judgement(tmp_path, make_judgement())
    write_json(tmp_path / FILE, {**read_json(tmp_path / FILE), **broken})
    with pytest.raises(UserError, match=r"judge[.]json.*judge again"):
        write_judgement_page(tmp_path)
    assert not (tmp_path / "judge.md").exists()


def test_the_three_answers() -> None:
    assert show(describe_gain(make_judgement())) == ENGLISH_GAIN
    assert show(describe_damage(in_korean())) == KOREAN_DAMAGE
    assert describe_cost(in_korean()).startswith(
        "파인튜닝한 모델: 학습 시간 12.34분, 최대 메모리 2,346 MiB (RSS), 기기: CPU (test).\n\n"
        "비교 실험 `with-without`의 결과:\n\n| 테스트 |"
    )
    assert "no record of its time" in describe_cost(make_adapters_judgement())


@pytest.mark.parametrize(
    ("verdict", "english", "of_adapters"),
    [("better", "**Yes.**", "**r64 \\*new\\* is better.**"), ("worse", "**No, it is worse.**", "**r16 is better.**"),
     ("none", "**No difference shown.**", "**No difference shown.**")],
)  # fmt: skip
def test_the_verdict_follows_the_numbers(verdict: str, english: str, of_adapters: str) -> None:
    rules = [replace(RULES[0], verdict=verdict)]  # type: ignore[arg-type]
    assert describe_gain(replace(make_judgement(), rules=rules)).startswith(english)
    assert describe_gain(replace(make_adapters_judgement(), rules=rules)).startswith(of_adapters)
    assert describe_gain(replace(make_judgement(), rules=RULES[1:])) == "No answer was judged by any rule."


def test_nothing_broke() -> None:
    whole = replace(make_judgement(), rules=[RULES[0], RULES[2]], prompts=[])
    assert "No rule is shown to have become worse." in describe_damage(whole)
    assert "What was forgotten was not measured." in describe_damage(whole)


def test_the_table() -> None:
    assert build_rules_table(in_korean()).startswith(KOREAN_TABLE)
    lines = build_rules_table(make_judgement()).splitlines()
    assert [line for line in lines if line in ENGLISH_ROWS.splitlines()] == ENGLISH_ROWS.splitlines()
    assert len(lines) == 2 + len(RULES)
    without = build_rules_table(replace(make_judgement(), rules=[replace(one, aim=None) for one in RULES]))
    assert "aim" not in without.splitlines()[0] and "reached" not in without


def test_numbers() -> None:
    assert [points(x) for x in (0.5, -0.0625, 0.0001, -0.0001, 1)] == ["+50", "−6.2", "0", "0", "+100"]
    assert [show(percent(x)) for x in (None, 0.0, 0.9996, 1.0)] == ["—", "0 %", "99.9 %", "100 %"]
    assert [show(percent(x)) for x in (0.0001, 0.125)] == ["0.1 %", "12.5 %"]
    assert show(share_text(Share(0, 0))) == "—"
    assert name_rule("fact", "ko") == "페르소나의 사실을 맞게 말함" and name_rule("of_mine", "ko") == "of mine"
    for share, aim, reached in (
        (Share(95, 100), Aim(0.95, above=True), False),
        (Share(96, 100), Aim(0.95, above=True), True),
        (Share(9, 10), Aim(0.9), True),
        (Share(999, 1000), Aim(1.0), False),
    ):
        text = aim_text(replace(RULES[1], second=share, aim=aim), "en")
        assert text.startswith("✓ reached" if reached else "✗ not reached")


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("lang", ["en", "ko"])
def test_the_page(tmp_path: Path, lang: str) -> None:
    markdown, html = page(tmp_path, replace(make_judgement(), lang=lang))
    seen = Reader(html)
    headings = re.findall(r"^## (.*)$", markdown, re.MULTILINE)
    assert headings == {
        "en": ["Did it help?", "What broke?", "What did it cost?", "All rules", "How it was judged",
               "The answers, side by side"],
        "ko": ["효과가 있었나요?", "나빠진 점이 있나요?", "비용은 얼마나 들었나요?", "전체 규칙", "평가 방법",
               "답변 비교"],
    }[lang]  # fmt: skip
    assert all(heading in seen.text for heading in headings)
    assert {tag for tag, _ in seen.elements}.isdisjoint({"script", "img", "iframe", "form"})
    assert not any(key.startswith("on") or key in ("src", "srcset") for _, found in seen.elements for key in found)
    assert html.count(EVIL) == 0 and "<script>alert" not in html + markdown
    assert "<script>alert(1)</script> | **굵게** `a`" in seen.text  # shown as it was written
    assert seen.text.count("다정하게 답하세요.") == 1 and seen.text.count("비가 온다는 말도 있던데요.") == 1
    assert sum(tag == "figure" for tag, _ in seen.elements) == 1  # the answer that holds the marker adds none
    cases = [found for tag, found in seen.elements if tag == "details"]
    assert len(cases) == 8 and all("open" in found for found in cases)
    assert ("참조 답변" if lang == "ko" else "reference answer") in seen.text
    assert ("(빈 답변)" if lang == "ko" else "(empty)") in seen.text
    folded = markdown[markdown.index("<details") :]
    assert "\n\n" not in folded.strip() and "<select" not in markdown and " open>" not in markdown


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("lang", ["en", "ko"])
def test_two_adapters_are_no_base_model(tmp_path: Path, lang: str) -> None:
    judgement = replace(make_adapters_judgement(), lang=lang, notes=[])
    markdown, html = page(tmp_path, judgement)
    for name in ("base model", "tuned model", "기본 모델", "파인튜닝한 모델", "Did it help", "효과가"):
        assert name not in markdown + html
    assert "<title>" in html and "r64 *new*</" in html  # the name of a side is no emphasis
    assert ("어느 쪽이 나은가요?" if lang == "ko" else "Which is better?") in markdown


def test_every_choice_of_the_filters_finds_its_questions() -> None:
    html = build_filters(in_korean())
    seen = Reader(html)
    labels = [found["id"] for tag, found in seen.elements if tag == "select"]
    assert labels == ["filter-change", "filter-category", "filter-rule"]
    cases = re.findall(r'<details class="case ([^"]*)"', list_cases(in_korean(), is_open=True))
    choices = [str(found["value"]) for tag, found in seen.elements if tag == "option" and found["value"]]
    counts = {code: sum(code in case.split() for case in cases) for code in choices}
    assert all(counts.values()) and sum(counts[f"c-{change}"] for change in ("worse", "better", "same")) == 8
    assert all(f'option[value="{code}"]:checked) .case:not(.{code})' in html for code in choices)
    assert [case.split()[0] for case in cases] == ["c-worse"] * 3 + ["c-better"] * 2 + ["c-same"] * 3


@pytest.mark.usefixtures("undrawn")
def test_no_answers_and_no_rules(tmp_path: Path) -> None:
    markdown, html = page(tmp_path, replace(make_judgement(), rules=[], prompts=[]))
    assert "No answer was judged by any rule." in markdown and "There are no answers to show." in html
    Reader(html)


def test_the_plot() -> None:
    rows = [
        ShareRow("규칙 하나", (20, 10, 30), (90, 80, 97), "+70%p", "나아짐", "better", 90),
        ShareRow("a & b < c", None, (50, None, None), "—", "none", "none"),
    ]
    svg = share_intervals(rows, "기본 모델", "파인튜닝한 모델", "ko")
    gids = set(re.findall(r'id="[^"]*?-((?:first|second|aim)[-\w]*)"', svg))
    assert gids == {"first-0", "first-interval-0", "second-0", "second-interval-0", "aim-0", "second-1"}
    assert "규칙 하나" in svg and "a &amp; b &lt; c" in svg and "짧은 세로선: 목표" in svg
    assert svg == share_intervals(rows, "기본 모델", "파인튜닝한 모델", "ko")
    assert "측정값 없음" in share_intervals([], "a", "b", "ko") and "목표" not in share_intervals(
        rows[1:], "a", "b", "ko"
    )


def test_the_command_line(tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "attempt-2").mkdir(parents=True)
    write_judgement(run / "attempt-2", make_judgement())
    command = [sys.executable, "-m", "ohlora.report", str(run), "report.lang=ko"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("## 효과가 있었나요?") and str(run / "attempt-2" / "judge.html") in ran.stdout
    written = {path.name for path in (run / "attempt-2").iterdir()}
    assert written == {"judge.json", "judge.md", "judge.html", "judge-shares.svg"}
    for more in (["--weights", "quality=1"], [str(tmp_path)]):
        ran = subprocess.run([*command, *more], capture_output=True, text=True, check=False)
        assert ran.returncode == 2 and "is a judged run; report it alone" in ran.stderr
