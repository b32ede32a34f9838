"""The choice of a model on each machine, in a sentence, and what speaks against it, from the numbers."""

from __future__ import annotations

from collections.abc import Iterator

from ohlora.models.licences import LICENCES
from ohlora.report.selection.ranking import Score
from ohlora.report.selection.selection import MachineRanking
from ohlora.report.words.comparison import say

CLOSE = 0.02  # of a score of 1: a smaller lead is called small
UNITS = {"train_memory": " MiB", "infer_memory": " MiB", "train_time": " s", "infer_time": " s"}
DIGITS = {"usable_chrf": ".1f", "bits": ".3f", "train_memory": ",.0f", "infer_memory": ",.0f", "grade": "g"}


def describe_choice(machine: MachineRanking, lang: str) -> str:
    """One sentence."""
    first, other = machine.winner, machine.runner_up
    if first is None:
        return say(lang, "s.none")
    score = f"{first.score:.3f}"
    if len({machine.model(one.index) for one in machine.ranking.winners}) > 1:
        names = "; ".join(machine.candidate_name(one.index, lang) for one in machine.ranking.winners)
        return say(lang, "s.tied", names=names, score=score)
    name = machine.candidate_name(first.index, lang)
    if other is None:
        return say(lang, "s.only", name=name, score=score)
    weights = machine.ranking.weights
    part = max(weights, key=lambda one: weights[one] * _lead(first, other, one))
    return say(
        lang,
        "s.chosen",
        name=name,
        score=score,
        other=machine.candidate_name(other.index, lang),
        other_score=f"{other.score:.3f}",
        part=say(lang, f"s.part.{part}"),
        texts=_compare_figures(machine, part, first.index, other.index, lang),
    )


def list_objections(machine: MachineRanking, lang: str) -> list[str]:
    """What speaks against the choice in the numbers and the licence, and what the numbers cannot show."""
    first = machine.winner
    if first is None:
        return []
    found = [
        *_licence(machine, first, lang),
        *_dominated(machine, first.index, lang),
        *_behind(machine, first, lang),
        *_sensitive(machine, first, lang),
    ]
    candidate = machine.finished[first.index]
    usable = candidate.metrics.get("quality/usable_share", 1.0)
    if usable < 1:
        found.append(say(lang, "s.against.malformed", share=f"{100 * (1 - usable):.0f} %"))
    lost = [group.model for group in machine.models if not any(one.finished for one in group.candidates)]
    if lost:
        counts = {"count": len(lost), "total": len(machine.models), "names": ", ".join(lost)}
        found.append(say(lang, "s.against.unmeasured", **counts))
    if any(result.device.get("type") == "cpu" for result in candidate.results):
        found.append(say(lang, "cpu"))
    if all(len(one.results) == 1 for one in machine.finished):
        found.append(say(lang, "s.against.once"))
    if machine.floor is not None:
        found.append(say(lang, "s.against.words", floor=f"{machine.floor:.1f}"))
    return found


def format_figure(figure: str, value: float) -> str:
    return f"{value:{DIGITS.get(figure, '.1f')}}{UNITS.get(figure, '')}"


def _licence(machine: MachineRanking, first: Score, lang: str) -> Iterator[str]:
    tag = next(group.licence for group in machine.models if group.model == machine.model(first.index))
    known = LICENCES.get(tag)
    if known is None or tag == "unknown":
        yield say(lang, "s.against.unknown")
    elif known.restrictions:
        yield say(lang, "s.against.licence", title=known.title, restrictions=known.restrictions)


def _dominated(machine: MachineRanking, index: int, lang: str) -> Iterator[str]:
    """Candidates that are at least as good by chrF at no greater cost, and better in one of both."""
    for cost in ("train_memory", "train_time"):
        pairs = {
            i: (one.figures["usable_chrf"], -one.figures[cost])
            for i, one in enumerate(machine.finished)
            if {"usable_chrf", cost} <= set(one.figures)
        }
        own = pairs.get(index)
        better = [i for i, pair in pairs.items() if own and pair != own and pair[0] >= own[0] and pair[1] >= own[1]]
        if better:
            others = "; ".join(machine.candidate_name(i, lang) for i in better)
            yield say(lang, "s.against.dominated", others=others, cost=say(lang, f"s.{cost}"))


def _behind(machine: MachineRanking, first: Score, lang: str) -> Iterator[str]:
    """Parts in which the best other model is ahead, and a small lead over it."""
    other = machine.runner_up
    if other is None:
        return
    name = machine.candidate_name(other.index, lang)
    for part in machine.ranking.weights:
        if _lead(first, other, part) < 0:
            texts = _compare_figures(machine, part, other.index, first.index, lang)
            yield say(lang, "s.against.behind", other=name, part=say(lang, f"s.part.{part}"), texts=texts)
    lead = first.score - other.score
    if lead < CLOSE:
        yield say(lang, "s.against.close", other=name, lead=f"{lead:.3f}")


def _sensitive(machine: MachineRanking, first: Score, lang: str) -> Iterator[str]:
    """Weights that would change the choice if they were doubled or halved."""
    for part, factors in machine.changed.items():
        for factor, indices in factors.items():
            if first.index not in indices:
                values = {"part": say(lang, f"s.part.{part}"), "factor": say(lang, f"s.factor.{factor:g}")}
                names = "; ".join(machine.candidate_name(index, lang) for index in indices)
                yield say(lang, "s.against.sensitive", names=names, **values)


def _lead(first: Score, other: Score, part: str) -> float:
    return first.parts[part] - other.parts[part]


def _compare_figures(machine: MachineRanking, part: str, own: int, other: int, lang: str) -> str:
    """'chrF of well-formed answers 21.3 against 15.0', for each figure of a part that counts."""
    return "; ".join(
        say(
            lang,
            "s.versus",
            figure=say(lang, f"s.{figure}"),
            own=format_figure(figure, machine.finished[own].figures[figure]),
            other=format_figure(figure, machine.finished[other].figures[figure]),
        )
        for figure in machine.ranking.figures[part]
    )
