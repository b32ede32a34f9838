"""What a person should look at in a data set: near-duplicates, contradictions, personal data."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from ohlora.data.rows import Row

NEAR = 0.8  # share of common letter triples (Jaccard) from which two prompts ask the same
FAR = 0.2  # and below which their answers say something else
COMMON = 200  # a triple in more prompts than this says nothing about two of them
LEAST_RISK = 3  # ko-pii's MEDIUM: an address, an e-mail address; 4 and 5 are telephone and resident numbers


@dataclass(frozen=True)
class Finding:
    """`kind`: near_duplicate, across_splits, contradiction or personal; `rows`: the ids of its rows."""

    kind: str
    rows: tuple[str, ...]
    text: str


def find_all(rows: list[Row]) -> list[Finding]:
    """Every finding, in the order of the rows."""
    return [*find_alike(rows), *find_personal(rows)]


def find_alike(rows: list[Row]) -> list[Finding]:
    """Pairs of rows that ask nearly the same: within a split, across splits, or with answers that differ."""
    asked = [_triples("".join(turn.text for turn in row.history) + row.question) for row in rows]
    found = []
    for one, other in _near_pairs(asked):
        first, second = rows[one], rows[other]
        places = f"{first.place} and {second.place}"
        answers = _alike(_triples(first.response), _triples(second.response))
        if first.split != second.split:
            text = f"{first.split} and {second.split} ask nearly the same ({places})"
            found.append(Finding("across_splits", (first.id, second.id), text))
        else:
            found.append(Finding("near_duplicate", (first.id, second.id), f"asked nearly alike ({places})"))
        if first.response and second.response and answers < FAR:
            text = f"nearly the same question, other answers ({places})"
            found.append(Finding("contradiction", (first.id, second.id), text))
    return found


def find_personal(rows: Iterable[Row]) -> list[Finding]:
    """Telephone numbers, resident numbers, addresses and the like, by the rules of ko-pii."""
    from ko_pii import detect_all  # rules for Korean personal data, no model

    found = []
    for row in rows:
        text = "\n".join([row.system, *(turn.text for turn in row.history), row.question, row.response])
        for hit in detect_all(text):
            if hit.risk_level >= LEAST_RISK:
                found.append(Finding("personal", (row.id,), f"{hit.label} ({row.place}): {hit.text[:2]}…"))
    return found


def _triples(text: str) -> frozenset[str]:
    letters = re.sub(r"[\W_]+", "", text.lower())
    return frozenset(letters[at : at + 3] for at in range(max(1, len(letters) - 2)))


def _alike(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / len(one | other)


def _near_pairs(asked: list[frozenset[str]]) -> list[tuple[int, int]]:
    """Pairs at least NEAR alike. Only those that share one of their rarest triples are compared: of two sets that are
    NEAR alike, the rarest fifth of one (and one more) always holds a triple of the other."""
    counts = Counter(triple for triples in asked for triple in triples)
    index: dict[str, list[int]] = defaultdict(list)
    found = []
    for at, triples in enumerate(asked):
        rare = sorted(triples, key=lambda triple: (counts[triple], triple))[: int((1 - NEAR) * len(triples)) + 1]
        near = {other for triple in rare for other in index[triple][-COMMON:]}
        found += [(other, at) for other in sorted(near) if _alike(asked[other], triples) >= NEAR]
        for triple in rare:
            index[triple].append(at)
    return found
