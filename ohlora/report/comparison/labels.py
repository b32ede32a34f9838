"""How arms and figures are called in tables, sentences and plots."""

from __future__ import annotations

from collections.abc import Sequence

from ohlora.report.comparison.contrast import Figure
from ohlora.report.markdown import NO_VALUE
from ohlora.report.reading import ArmRuns
from ohlora.report.words.comparison import say

# What the back ends are called where an arm stands for one of them. The last is what the others are compared with.
BACKEND_LABELS = {"unsloth": "**with** Unsloth", "hf": "**w/o** Unsloth"}
REFERENCE = "hf"
# A route that a run took and the note that a reader needs then.
ROUTE_NOTES = {"unsloth-cpu": "unsloth_cpu"}


def label(arm: ArmRuns, arms: Sequence[ArmRuns]) -> str:
    """What the arm's back end is called where that names the arm, else the arm's name."""
    return label_markdown(arm, arms).replace("**", "")


def label_markdown(arm: ArmRuns, arms: Sequence[ArmRuns]) -> str:
    """The same with its emphasis, for the table."""
    alone = [other.backend for other in arms].count(arm.backend) == 1
    return BACKEND_LABELS.get(arm.backend, arm.name) if alone else arm.name


def are_backends(arms: Sequence[ArmRuns]) -> bool:
    """Is every arm another back end, and one of them the reference?"""
    names = [arm.backend for arm in arms]
    return len(set(names)) == len(names) and REFERENCE in names


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
