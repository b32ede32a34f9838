"""Figures of several candidates -> scores, places, and whether the winner depends on the weights. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from statistics import fmean

from ohlora.errors import UserError, suggest

# The figures whose mean is a part of the score.
PARTS: dict[str, tuple[str, ...]] = {
    "quality": ("usable_chrf", "bits"),  # its own answers, and the likelihood it gives to the references
    "memory": ("train_memory", "infer_memory"),
    "time": ("train_time", "infer_time"),
    "grade": ("grade",),
}
MORE_IS_BETTER = ("usable_chrf", "grade")
# `report.words` has the reason of each as 's.why.<part>'. They are divided by the sum of those that count.
WEIGHTS: dict[str, float] = {"quality": 0.7, "memory": 0.15, "time": 0.15, "grade": 0.4}
TIE = 1e-9  # of a score
FACTORS = (2.0, 0.5)  # each weight is multiplied by these to see whether the winner changes

Figures = Mapping[str, float]


@dataclass(frozen=True)
class Score:
    """The score of one candidate. `index` is its position in the input; equal scores share a `place`."""

    index: int
    place: int
    score: float
    parts: dict[str, float]


@dataclass(frozen=True)
class Ranking:
    """Best first. `weights` (sum 1) and `figures` are those that count; `left_out`: figures that a candidate lacks."""

    scores: list[Score]
    weights: dict[str, float]
    figures: dict[str, list[str]]
    left_out: list[str]

    @property
    def winners(self) -> list[Score]:
        """All that share the first place."""
        return [score for score in self.scores if score.place == 1]


def rank_candidates(rows: Sequence[Figures], weights: Mapping[str, float], floors: Figures | None = None) -> Ranking:
    """Score every row by its ratio to the best, figure by figure.

    The ratio is own ÷ best where more is better, best ÷ own where less is. `floors`: what an unrelated answer would get
    of a figure, subtracted first. A part is the mean of its figures, the score the mean of the parts by their weights.
    A figure that one row lacks counts for none: nothing is filled in.
    """
    floors = floors or {}
    known = [figure for figures in PARTS.values() for figure in figures]
    seen = [figure for figure in known if any(figure in row for row in rows)]
    whole = [figure for figure in seen if all(figure in row for row in rows)]
    above = {figure: [row[figure] - floors.get(figure, 0.0) for row in rows] for figure in whole}
    ratios = {figure: _ratios(values, figure in MORE_IS_BETTER) for figure, values in above.items()}
    figures = {part: [one for one in names if one in whole] for part, names in PARTS.items()}
    counted = {part: weights.get(part, 0.0) for part, names in figures.items() if names and weights.get(part, 0.0) > 0}
    total = sum(counted.values())
    shares = {part: weight / total for part, weight in counted.items()}
    scored = []
    for index in range(len(rows)):
        parts = {part: fmean(ratios[figure][index] for figure in names) for part, names in figures.items() if names}
        scored.append((sum(share * parts[part] for part, share in shares.items()), index, parts))
    scored.sort(key=lambda one: (-one[0], one[1]))
    placed: list[Score] = []
    for number, (score, index, parts) in enumerate(scored, 1):
        same = bool(placed) and placed[-1].score - score <= TIE
        placed.append(Score(index, placed[-1].place if same else number, score, parts))
    left_out = [figure for figure in seen if figure not in whole]
    return Ranking(placed, shares, {part: figures[part] for part in shares}, left_out)


def vary_weights(
    rows: Sequence[Figures], weights: Mapping[str, float], floors: Figures | None = None
) -> dict[str, dict[float, list[int]]]:
    """Part -> factor on its weight -> the winners with it."""
    counted = rank_candidates(rows, weights, floors).weights

    def winners(part: str, factor: float) -> list[int]:
        return [row.index for row in rank_candidates(rows, {**counted, part: factor * counted[part]}, floors).winners]

    return {part: {factor: winners(part, factor) for factor in FACTORS} for part in counted}


def parse_weights(text: str) -> dict[str, float]:
    """'quality=0.6,memory=0.2,time=0.2' as numbers; a part that is not named does not count.

    Raises:
        UserError: everything that is wrong with it.
    """
    found: dict[str, float] = {}
    problems = []
    for item in filter(None, (one.strip() for one in text.split(","))):
        part, _, value = (one.strip() for one in item.partition("="))
        if part not in PARTS:
            problems.append(f"--weights: {part}: choose from {', '.join(PARTS)}{suggest(part, list(PARTS))}")
            continue
        try:
            found[part] = float(value)
        except ValueError:
            found[part] = -1.0
        if not isfinite(found[part]) or found[part] < 0:
            problems.append(f"--weights: {item}: must be a number of at least 0, for example {part}=0.5")
    if not problems and not any(found.values()):
        problems.append(f"--weights={text}: one weight must be above 0, for example quality=0.6,memory=0.2,time=0.2")
    if problems:
        raise UserError(problems)
    return found


def _ratios(values: Sequence[float], more_is_better: bool) -> list[float]:
    """Each value's ratio to the best, 0–1; 0 for what is not finite, and for all where nothing is above 0."""
    usable = [value for value in values if isfinite(value) and value > 0]
    if not usable:
        return [0.0] * len(values)
    best = max(usable) if more_is_better else min(usable)
    return [0.0 if not isfinite(v) or v <= 0 else v / best if more_is_better else best / v for v in values]
