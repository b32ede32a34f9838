"""A share of the training rows: nested, stratified by category, drawn by seed; and the keys of a watched training.

Run: python -m pytest tests/unit/test_shares.py
"""

from __future__ import annotations

from collections import Counter

import pytest

from ohlora.config.compose import compose_config
from ohlora.data.rows import Row
from ohlora.data.shares import select_share
from ohlora.errors import UserError
from ohlora.planning.plan import Plan
from ohlora.planning.validate import validate

SIZES = {"facts": 40, "greetings": 12, "crisis": 4}
ROWS = [Row(f"{name}-{n}", "train", name, f"q{n}", f"a{n}") for name, size in SIZES.items() for n in range(size)]


@pytest.mark.parametrize("seed", [0, 1, 42])
def test_shares_are_nested_and_hold_every_category(seed: int) -> None:
    parts = {share: select_share(ROWS, share, seed) for share in (0.25, 0.5, 1.0)}
    assert [len(part) for part in parts.values()] == [14, 28, 56] and parts[1.0] == ROWS
    ids = {share: {row.id for row in part} for share, part in parts.items()}
    assert ids[0.25] < ids[0.5] < ids[1.0]
    for share, part in parts.items():
        assert Counter(row.category for row in part) == {name: round(share * size) for name, size in SIZES.items()}
        assert part == [row for row in ROWS if row.id in ids[share]]  # in the order of the file


def test_another_seed_draws_other_rows() -> None:
    drawn = [{row.id for row in select_share(ROWS, 0.5, seed)} for seed in range(5)]
    assert all(one != other for i, one in enumerate(drawn) for other in drawn[:i])
    assert drawn[0] == {row.id for row in select_share(list(ROWS), 0.5, 0)}


def test_a_share_of_nothing_is_refused() -> None:
    with pytest.raises(UserError, match=r"trainer.train_share=0.001: leaves none of 56 training rows"):
        select_share(ROWS, 0.001, 0)


def test_a_run_trains_on_its_share_only() -> None:
    def rows(*overrides: str) -> tuple[list[str], list[str]]:
        chosen = Plan(validate(compose_config(["task=train", "trainer=persona", *overrides]))).run_rows
        return [row.id for row in chosen.train], [row.id for row in chosen.validation]

    whole, half = rows(), rows("trainer.train_share=0.5")
    assert set(half[0]) < set(whole[0]) and len(half[0]) == round(len(whole[0]) / 2) and half[1] == whole[1]
    assert rows("trainer.train_share=0.5", "seed=7")[0] != half[0]


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["trainer.keep=first"], "trainer.keep=first: must be last | best"),
        (["trainer.patience=0"], "trainer.patience=0: must be >= 1"),
        (["trainer.eval_every=0"], "trainer.eval_every=0: must be >= 1"),
        (["trainer.sample_every=-1"], "trainer.sample_every=-1: must be >= 1"),
        (["trainer.neftune_alpha=0"], "trainer.neftune_alpha=0.0: must be > 0, or null for no noise"),
        (["trainer.neftune_alpha=nan"], "trainer.neftune_alpha=nan: must be > 0"),
        (["trainer.train_share=0"], "trainer.train_share=0.0: must be > 0 and <= 1"),
        (["trainer.train_share=1.5"], "trainer.train_share=1.5: must be > 0 and <= 1"),
        (["trainer.train_share=nan"], "trainer.train_share=nan: must be > 0 and <= 1"),
        (
            ["trainer.eval_rows=0", "trainer.keep=best"],
            "trainer.keep=best: needs an eval loss, and trainer.eval_rows=0",
        ),
        (["trainer.eval_rows=0", "trainer.patience=2"], "trainer.patience=2: needs an eval loss"),
        (["trainer.eval_rows=0", "trainer.eval_every=2"], "trainer.eval_every=2: needs an eval loss"),
        (["trainer.sample_every=5", "trainer.samples=0"], "trainer.sample_every=5: trainer.samples=0 leaves no prompt"),
        (["trainer.sample_every=5", "trainer.eval_rows=0"], "trainer.sample_every=5: trainer.eval_rows=0 leaves no"),
        (["curve.shares=[1.0]"], "curve.shares=[1.0]: must be two or more shares"),
        (["curve.shares=[0.5,0.25]"], "curve.shares=[0.5, 0.25]: must be two or more shares > 0 and <= 1, ascending"),
        (["curve.shares=[0,1]"], "curve.shares=[0.0, 1.0]: must be"),
        (["curve.seeds=0"], "curve.seeds=0: must be >= 1"),
        (["task=curve", "trainer.eval_rows=0"], "task=curve: compares the eval loss, and trainer.eval_rows=0"),
        (["task=curve", "trainer.train_share=0.5"], "trainer.train_share=0.5: task=curve sets it for each run"),
        (["task=curve", "compare.arms=['lora=r16','lora=r32']"], "compare.arms: task=curve plans its own runs"),
    ],
)
def test_a_wrong_value_is_said(overrides: list[str], said: str) -> None:
    with pytest.raises(UserError) as raised:
        validate(compose_config(["task=train", *overrides]))
    assert said in "\n".join(raised.value.problems) and len(raised.value.problems) == 1
