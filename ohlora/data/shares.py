"""A share of the training rows: drawn by seed, with every category in proportion, a smaller one part of a larger."""

from __future__ import annotations

from collections import defaultdict

from ohlora.data.rows import Row
from ohlora.errors import UserError
from ohlora.files import sha256_of


def select_share(rows: list[Row], share: float, seed: int) -> list[Row]:
    """This share of the rows, rounded, in their order.

    Each row gets a place between 0 and 1 within its category, drawn by seed and id; those with the lowest places are
    taken, so that each category has its share and half of the rows contains the quarter.

    Raises:
        UserError: no row would be left.
    """
    if share == 1:
        return rows
    count = round(share * len(rows))
    if rows and not count:
        raise UserError(f"trainer.train_share={share}: leaves none of {len(rows)} training rows; give a larger share")
    drawn = {row.id: sha256_of([seed, row.id]) for row in rows}
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: drawn[row.id]):
        groups[row.category].append(row)
    places = {
        row.id: ((position + 0.5) / len(group), drawn[row.id])
        for group in groups.values()
        for position, row in enumerate(group)
    }
    taken = {row.id for row in sorted(rows, key=lambda row: places[row.id])[:count]}
    return [row for row in rows if row.id in taken]
