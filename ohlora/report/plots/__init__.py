"""Numbers -> plots as SVG text, by pure functions that know nothing of run folders."""

from ohlora.report.plots.loss import loss_curves
from ohlora.report.plots.memory import MemoryPoint, memory_timeline
from ohlora.report.plots.pareto import ParetoPoint, front, pareto_plot
from ohlora.report.plots.ratios import RatioRow, ratio_intervals
from ohlora.report.plots.svg import standalone

__all__ = [
    "MemoryPoint",
    "ParetoPoint",
    "RatioRow",
    "front",
    "loss_curves",
    "memory_timeline",
    "pareto_plot",
    "ratio_intervals",
    "standalone",
]
