"""Which model, on each machine: the ranking, the choice in a sentence, and what speaks against it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from unicodedata import normalize

from ohlora.models.licences import LICENCES
from ohlora.records.samples import Sample
from ohlora.report.selection.ranking import PARTS, Ranking, Scored, rank_candidates, winners_by_weight
from ohlora.report.selection.rows import Candidate, Entry
from ohlora.report.words.comparison import say

CLOSE = 0.02  # of a score of 1: a lead below it is called small
UNITS = {"train_memory": " MiB", "infer_memory": " MiB", "train_time": " s", "infer_time": " s"}
DIGITS = {"usable_chrf": ".1f", "bits": ".3f", "train_memory": ",.0f", "infer_memory": ",.0f", "grade": "g"}


@dataclass
class Machine:
    """What was measured on one machine. `rows` finished and are ranked; `figures` are theirs, in the same order.

    `floor`: the chrF of fitting answers to other questions, which a model has for nothing.
    """

    name: str
    candidates: list[Candidate]
    rows: list[tuple[Candidate, Entry]]
    figures: list[dict[str, float]]
    ranking: Ranking
    changed: dict[str, dict[float, list[int]]] = field(default_factory=dict)
    floor: float | None = None

    @property
    def winner(self) -> Scored | None:
        """The row of the first place, of several the one that was planned first."""
        return next(iter(self.ranking.rows), None)

    @property
    def runner_up(self) -> Scored | None:
        """The best row of another model than the winner's."""
        first = self.winner
        rows = [r for r in self.ranking.rows if first and self.model(r.index) != self.model(first.index)]
        return next(iter(rows), None)

    def model(self, index: int) -> str:
        return self.rows[index][1].model

    def named(self, index: int, lang: str) -> str:
        entry = self.rows[index][1]
        return f"{entry.model}, {say(lang, 's.rank')} {entry.rank}"

    def best_entries(self) -> list[Entry]:
        """Of each model the entry with the highest score, else the first one that has answers."""
        places = {id(self.rows[row.index][1]): place for place, row in enumerate(self.ranking.rows)}
        found = []
        for candidate in self.candidates:
            with_answers = [entry for entry in candidate.entries if entry.samples]
            found += sorted(with_answers, key=lambda entry: places.get(id(entry), len(places)))[:1]
        return found


def machine(name: str, candidates: Sequence[Candidate], weights: Mapping[str, float]) -> Machine:
    """Rank what finished on this machine."""
    own = [candidate for candidate in candidates if candidate.machine == name]
    rows = [(candidate, entry) for candidate in own for entry in candidate.entries if entry.finished]
    figures = [candidate.figures(entry) for candidate, entry in rows]
    floor = next((value for _, entry in rows if (value := chrf_floor(entry.samples)) is not None), None)
    floors = {} if floor is None else {"usable_chrf": floor}
    ranking, changed = rank_candidates(figures, weights, floors), winners_by_weight(figures, weights, floors)
    return Machine(name, own, rows, figures, ranking, changed, floor)


def choice(made: Machine, lang: str) -> str:
    """One sentence, derived from the numbers."""
    first, other = made.winner, made.runner_up
    if first is None:
        return say(lang, "s.none")
    score = f"{first.score:.3f}"
    if len({made.model(row.index) for row in made.ranking.winners}) > 1:
        names = "; ".join(made.named(row.index, lang) for row in made.ranking.winners)
        return say(lang, "s.tied", names=names, score=score)
    name = made.named(first.index, lang)
    if other is None:
        return say(lang, "s.only", name=name, score=score)
    part = max(made.ranking.weights, key=lambda one: made.ranking.weights[one] * _lead(first, other, one))
    return say(
        lang,
        "s.chosen",
        name=name,
        score=score,
        other=made.named(other.index, lang),
        other_score=f"{other.score:.3f}",
        part=say(lang, f"s.part.{part}"),
        texts=_versus(made, part, first.index, other.index, lang),
    )


def against(made: Machine, lang: str) -> list[str]:
    """Everything that the numbers and the licence say against the choice, and what they cannot say."""
    return list(_against(made, lang)) if made.winner else []


def figure_text(figure: str, value: float) -> str:
    return f"{value:{DIGITS.get(figure, '.1f')}}{UNITS.get(figure, '')}"


def chrf_floor(samples: Sequence[Sample]) -> float | None:
    """chrF of fitting answers to other questions: each reference is given as the answer to the question before."""
    references = [normalize("NFC", sample.reference) for sample in samples]
    if len(references) < 2 or not all(references):
        return None
    from sacrebleu.metrics import CHRF

    return float(CHRF().corpus_score([*references[1:], references[0]], [references]).score)


def _against(made: Machine, lang: str) -> Iterator[str]:
    first, other = made.winner, made.runner_up
    assert first
    candidate, entry = made.rows[first.index]
    yield from _licence(candidate.licence, lang)
    yield from _dominated(made, first.index, lang)
    if other:
        for part in made.ranking.weights:
            if _lead(first, other, part) < 0:
                texts = _versus(made, part, other.index, first.index, lang)
                name = made.named(other.index, lang)
                yield say(lang, "s.against.behind", other=name, part=say(lang, f"s.part.{part}"), texts=texts)
        if first.score - other.score < CLOSE:
            lead = f"{first.score - other.score:.3f}"
            yield say(lang, "s.against.close", other=made.named(other.index, lang), lead=lead)
    for part, factors in made.changed.items():
        for factor, indices in factors.items():
            if first.index not in indices:
                values = {"part": say(lang, f"s.part.{part}"), "factor": say(lang, f"s.factor.{factor:g}")}
                names = "; ".join(made.named(index, lang) for index in indices)
                yield say(lang, "s.against.sensitive", names=names, **values)
    usable = entry.metrics.get("quality/usable_share", 1.0)
    if usable < 1:
        yield say(lang, "s.against.unusable", share=f"{100 * (1 - usable):.0f} %")
    lost = [one.model for one in made.candidates if not any(e.finished for e in one.entries)]
    if lost:
        yield say(lang, "s.against.unmeasured", count=len(lost), total=len(made.candidates), names=", ".join(lost))
    if any(result.device.get("type") == "cpu" for result in candidate.results):
        yield say(lang, "cpu")
    if all(len(row.runs) == 1 for _, row in made.rows):
        yield say(lang, "s.against.once")
    if made.floor is not None:
        yield say(lang, "s.against.words", floor=f"{made.floor:.1f}")


def _licence(tag: str, lang: str) -> Iterator[str]:
    known = LICENCES.get(tag)
    if known is None or tag == "unknown":
        yield say(lang, "s.against.unknown")
    elif known.restrictions:
        yield say(lang, "s.against.licence", title=known.title, restrictions=known.restrictions)


def _dominated(made: Machine, index: int, lang: str) -> Iterator[str]:
    """What is at least as good by chrF at no greater cost, and better in one of both."""
    own = made.figures[index]
    for cost in ("train_memory", "train_time"):
        if not {"usable_chrf", cost} <= set(own):
            continue
        beaten_by = [
            made.named(i, lang)
            for i, one in enumerate(made.figures)
            if {"usable_chrf", cost} <= set(one)
            and one["usable_chrf"] >= own["usable_chrf"]
            and one[cost] <= own[cost]
            and (one["usable_chrf"], one[cost]) != (own["usable_chrf"], own[cost])
        ]
        if beaten_by:
            yield say(lang, "s.against.dominated", others="; ".join(beaten_by), cost=say(lang, f"s.{cost}"))


def _lead(first: Scored, other: Scored, part: str) -> float:
    return first.parts[part] - other.parts[part]


def _versus(made: Machine, part: str, own: int, other: int, lang: str) -> str:
    """'chrF of usable answers 21.3 against 15.0', for each figure of a part that counts."""
    return "; ".join(
        say(
            lang,
            "s.versus",
            figure=say(lang, f"s.{figure}"),
            own=figure_text(figure, made.figures[own][figure]),
            other=figure_text(figure, made.figures[other][figure]),
        )
        for figure in PARTS[part]
        if figure in made.ranking.figures[part]
    )
