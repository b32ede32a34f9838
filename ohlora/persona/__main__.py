"""Write the rows of a persona card, for data=jsonl.

python -m ohlora.persona persona=mine --config-dir=my --out=mine.jsonl
python -m ohlora.persona persona=mine --config-dir=my --out=mine.jsonl --with-shipped
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from ohlora.config.compose import compose_single, quote_argument
from ohlora.config.schema import DataConfig
from ohlora.data.rows import Row, load_rows
from ohlora.errors import UserError
from ohlora.files import encode_json, write_atomic
from ohlora.persona.generate import list_other_names, list_unasked, render_rows, select_shipped
from ohlora.planning.validate import validate


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m ohlora.persona", description=__doc__.splitlines()[0])
    parser.add_argument("overrides", nargs="*", help="persona=<name> and other keys, as for python -m ohlora.run")
    parser.add_argument("--config-dir", help="a folder that holds persona/<name>.yaml")
    parser.add_argument("--out", type=Path, required=True, help="the file to write, .jsonl")
    parser.add_argument("--with-shipped", action="store_true", help="add the shipped rows that fit this card")
    given = parser.parse_args(arguments)
    try:
        print(
            write_rows(
                [quote_argument(one) for one in given.overrides], given.config_dir, given.out, given.with_shipped
            )
        )
    except UserError as error:
        print(error.report(), file=sys.stderr)
        return 2
    return 0


def write_rows(overrides: list[str], config_dir: str | None, out: Path, with_shipped: bool) -> str:
    """Write the file and say in one text what it holds.

    Raises:
        UserError: the card is wrong, a file cannot be written, or the shipped rows do not fit.
    """
    card = validate(compose_single(overrides, config_dir=config_dir).node).persona
    rows = render_rows(card)
    if with_shipped:
        shipped = load_rows(DataConfig("persona", "jsonl"))
        rows += [_encode(row) for row in select_shipped(card, shipped)]
    try:
        write_atomic(out, "".join(encode_json(row) + "\n" for row in rows))
    except OSError as error:
        raise UserError(f"--out={out}: cannot be written: {error.strerror or error}") from None
    splits, kinds = (Counter(row[key] for row in rows) for key in ("split", "category"))
    lines = [
        f"{out}: {len(rows)} rows of persona={card.name} ({', '.join(f'{n} {name}' for name, n in splits.items())})",
        f"categories: {', '.join(f'{name} {n}' for name, n in kinds.most_common())}",
    ]
    if not with_shipped:
        lines.append("only facts and refusals: no memory, follow-ups or small talk")
    if unasked := list_unasked(card):
        lines.append(f"no row for {', '.join(unasked)}: no question in asks")
    if named := list_other_names(card):
        lines.append(f"{', '.join(named)} still name the shipped persona: word them anew, or set them to null")
    return "\n".join(lines)


def _encode(row: Row) -> dict[str, Any]:
    turns = [*((turn.role, turn.text) for turn in row.history), ("user", row.prompt), ("assistant", row.response)]
    return {
        "id": f"shipped-{row.id}",
        "split": row.split,
        "category": row.category,
        "memory": row.memory,
        "messages": [{"role": role, "content": text} for role, text in turns],
        "checks": dict(row.checks),
    }


if __name__ == "__main__":
    sys.exit(main())
