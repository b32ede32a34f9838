"""What a judgement found: judge.json (schema 1), documented in docs/judge.md. The page is made from it alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, get_args

from ohlora.files import read_json, restore_numbers, write_json

FILE: Final = "judge.json"
SCHEMA: Final = 1
BASE: Final = "base"
ADAPTER: Final = "adapter"
EVERY_RULE: Final = "keeps_every_rule"
RULES: Final = (
    "keeps_every_rule",
    "fact",
    "memory_written",
    "nothing_written",
    "memory_key",
    "memory_used",
    "memory_ignored",
    "refuses",
    "answers_harmless",
    "crisis",
    "emergency",
    "contains",
    "unknown",
    "no_meeting",
    "speech_level",
    "ends",
    "not_empty",
    "not_repeated",
    "not_same_answer",
    "language",
    "not_memorised",
    "probe_ko",
    "probe_en",
)  # the codes of the rules, in the order in which they are shown
Verdict = Literal["better", "worse", "none"]  # none: no difference shown
Change = Literal["better", "worse", "same"]
Family = Literal["rule", "probe"]
CHOICES = {
    "verdict": get_args(Verdict),
    "change": get_args(Change),
    "family": get_args(Family),
    "kind": (BASE, ADAPTER),
    "lang": ("en", "ko"),
}
T = TypeVar("T")


@dataclass(frozen=True)
class Side:
    """One of the two models: `kind` is BASE or ADAPTER; `name` is shown; `source` is the adapter as it was given."""

    kind: str
    name: str
    source: str = ""
    run_id: str = ""


@dataclass(frozen=True)
class Finding:
    """What one rule says of one answer; a rule that does not apply to an answer leaves none. `evidence`: the words."""

    rule: str
    kept: bool
    evidence: str = ""


@dataclass(frozen=True)
class JudgedAnswer:
    """`side` 0 is the first side, 1 the second. `seed` None: greedy. `ended`: with a stop token; None if not known."""

    side: int
    text: str
    seed: int | None = None
    ended: bool | None = None
    findings: list[Finding] = field(default_factory=list)

    @property
    def broken(self) -> list[Finding]:
        return [finding for finding in self.findings if not finding.kept]


@dataclass(frozen=True)
class JudgedPrompt:
    """One question with both sides' answers. `history` are (role, text), oldest first; `change`: second against first.

    `family`: 'probe' for the built-in questions of plain knowledge; their `category` is 'ko' or 'en'.
    """

    id: str
    prompt: str
    change: Change
    answers: list[JudgedAnswer]
    category: str = ""
    memory: str = ""
    system: str = ""
    history: list[tuple[str, str]] = field(default_factory=list)
    reference: str = ""
    family: Family = "rule"


@dataclass(frozen=True)
class Share:
    """`kept` of `of` answers, and the 95 % interval of the share (0–1) where it can be computed."""

    kept: int
    of: int
    low: float | None = None
    high: float | None = None

    @property
    def value(self) -> float | None:
        return self.kept / self.of if self.of else None


@dataclass(frozen=True)
class Aim:
    """The share kept (0–1) that the project wants: at least `share`, or with `above` more than it."""

    share: float
    above: bool = False

    def is_reached(self, share: float) -> bool:
        return share > self.share if self.above else share >= self.share


@dataclass(frozen=True)
class RuleResult:
    """One rule over all answers to which it applies, second side against first.

    `difference` = second share − first share (−1 to 1), `low`, `high` its 95 % interval; `better`, `worse`, `same`
    count prompts; `p` is McNemar's exact p, `p_holm` corrected over the family. The aim is one for the second side.
    """

    rule: str
    first: Share
    second: Share
    better: int
    worse: int
    same: int
    verdict: Verdict
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_holm: float | None = None
    aim: Aim | None = None
    family: Family = "rule"


@dataclass(frozen=True)
class Cost:
    """What fine-tuning took: of the second side's run. `memory` is 'VRAM' or 'RSS'; None or '' where not recorded.

    `table` is the with/without table of the comparison `comparison`, header first, cells as Markdown.
    """

    device: str = ""
    train_minutes: float | None = None
    peak_mib: float | None = None
    memory: str = ""
    comparison: str = ""
    table: list[list[str]] = field(default_factory=list)


@dataclass(frozen=True)
class Judgement:
    """A whole judgement. `sides` are (first, second): base and tuned, or the adapter judged against and the judged one.

    `decoding`, `form` ('unmerged' or 'merged', the same on both sides), `split`, `seeds` ([] when greedy) say how the
    answers were made; `statistics` are codes of the methods (`j.method.<code>` of ohlora/report/words/judge.py: wilson,
    newcombe, clustered, mcnemar, holm) or sentences; `rules` begins with EVERY_RULE; `notes` are for the reader.
    """

    sides: tuple[Side, Side]
    rules: list[RuleResult]
    prompts: list[JudgedPrompt]
    model: str
    device: str
    split: str
    decoding: str = "greedy"
    form: str = "unmerged"
    seeds: list[int] = field(default_factory=list)
    cost: Cost = field(default_factory=Cost)
    statistics: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    lang: str = "en"

    @property
    def every_rule(self) -> RuleResult | None:
        return next((result for result in self.rules if result.rule == EVERY_RULE), None)


def write_judgement(folder: Path, judgement: Judgement) -> None:
    """Write judge.json into the folder."""
    write_json(folder / FILE, {"schema": SCHEMA, **asdict(judgement)})


def read_judgement(path: Path) -> Judgement:
    """Read a judge.json; fields that this version does not know are dropped.

    Raises:
        ValueError: it is not a complete judgement of schema 1.
    """
    raw = restore_numbers(read_json(path))
    if not isinstance(raw, dict) or raw.get("schema") != SCHEMA:
        raise ValueError(f"{path}: not a judgement of schema {SCHEMA}")
    try:
        first, second = (_make(Side, side) for side in raw["sides"])
        return _make(
            Judgement,
            raw,
            sides=(first, second),
            rules=[_rule(rule) for rule in raw["rules"]],
            prompts=[_prompt(prompt) for prompt in raw["prompts"]],
            cost=_make(Cost, raw.get("cost") or {}),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{path}: {type(error).__name__}: {error}") from None


def _make(kind: type[T], raw: Mapping[str, Any], **ready: Any) -> T:
    """The dataclass from its known fields; `ready` ones are taken as they are."""
    known = set(kind.__dataclass_fields__)  # type: ignore[attr-defined]
    for key, words in CHOICES.items():
        if key in known and raw.get(key, words[0]) not in words:
            raise ValueError(f"{key}={raw[key]!r}: choose from {', '.join(words)}")
    return kind(**{**{key: value for key, value in raw.items() if key in known}, **ready})


def _rule(raw: Mapping[str, Any]) -> RuleResult:
    aim = _make(Aim, raw["aim"]) if raw.get("aim") else None
    return _make(RuleResult, raw, first=_make(Share, raw["first"]), second=_make(Share, raw["second"]), aim=aim)


def _prompt(raw: Mapping[str, Any]) -> JudgedPrompt:
    answers = [
        _make(JudgedAnswer, one, findings=[_make(Finding, found) for found in one["findings"]])
        for one in raw["answers"]
    ]
    if not {answer.side for answer in answers} <= {0, 1}:
        raise ValueError(f"{raw['id']}: an answer of a side that is neither 0 nor 1")
    history = [(str(role), str(text)) for role, text in raw.get("history") or []]
    return _make(JudgedPrompt, raw, answers=answers, history=history)
