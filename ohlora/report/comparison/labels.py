"""How arms and figures are called in tables, sentences and plots."""

from __future__ import annotations

from collections.abc import Sequence

from ohlora.backends import backends
from ohlora.report.comparison.contrast import Figure
from ohlora.report.markdown import NO_VALUE
from ohlora.report.reading import ArmRuns
from ohlora.report.words.comparison import say


def label(arm: ArmRuns, arms: Sequence[ArmRuns]) -> str:
    """What the arm's back end is called where that names the arm, else the arm's name."""
    return label_markdown(arm, arms).replace("**", "")


def label_markdown(arm: ArmRuns, arms: Sequence[ArmRuns]) -> str:
    """The same with its emphasis, for the table."""
    known = backends().get(arm.backend)
    return known.label if known and [other.backend for other in arms].count(arm.backend) == 1 else arm.name


def are_backends(arms: Sequence[ArmRuns]) -> bool:
    """Is every arm another back end?"""
    names = {arm.backend for arm in arms}
    return len(names) == len(arms) > 1 and "" not in names


def is_with_and_without(other: ArmRuns, arms: Sequence[ArmRuns]) -> bool:
    """Are there two arms, `other` with and the baseline without the same thing, as their labels say?"""
    with_it, without = label_markdown(other, arms), label_markdown(arms[0], arms)
    return len(arms) == 2 and without.startswith("**w/o** ") and with_it == without.replace("w/o", "with")


def headline_name(figure: Figure, lang: str) -> str:
    phase, what = figure.key.split("/")[0], "memory" if "peak" in figure.key else "time"
    return say(lang, f"{phase} {what}")


def change(figure: Figure) -> str:
    """'-12.3 %': by how much the other arm's figure differs from the baseline's; one pair gives no percentage."""
    if figure.paired.pairs == 1:
        return NO_VALUE
    return f"{100 * (figure.paired.ratio - 1):+.1f} %"


def value_text(key: str, value: float) -> str:
    """'2,296 MiB' or '60.4 s'."""
    return f"{value:,.0f} MiB" if key.endswith("_mib") else seconds_text(value)


def seconds_text(value: float) -> str:
    """Enough digits that a percentage of it can be followed."""
    return f"{value:.{1 if value >= 10 else 2}f} s"
