"""python -m ohlora.run task=estimate: will it fit? Part by part, and for every model of the group, without weights."""

from __future__ import annotations

from collections.abc import Iterable

from ohlora.backends.interface import AUTO
from ohlora.config.schema import Config, ModelConfig
from ohlora.data.run_rows import RunRows
from ohlora.errors import UserError
from ohlora.estimate.fit import ERROR, Estimate, find_remedy
from ohlora.planning.plan import Plan
from ohlora.report.markdown import NO_VALUE, markdown

PHASES = {"infer": "inference", "train": "fine-tuning"}


def show(config: Config) -> tuple[int, str]:
    """The memory of this run part by part, then one row per model; exit code 2 if this run does not fit.

    Raises:
        UserError: the data cannot be used (such as a missing column), or the model's shape is unknown.
    """
    plan = Plan(config)
    found, there = plan.estimate, plan.capacity
    if found is None:
        raise UserError(
            f"model={config.model.name}: its shape is unknown; prepare it (task=prepare), or give model.shape"
        )
    others = [(one.config.model, one.estimate_on(there)) for one in plan.other_models()]
    remedy = ""
    if found.verdict in ("too large", "tight"):
        remedy = f"; {find_remedy(found, config.trainer, (one for _, one in others))}"
    parts = [
        f"{config.model.label}, {config.backend.name}, {there.dtype} on {there.device}: {there.said}",
        _settings(config, found, plan.run_rows),
        "",
        _parts(found),
        "",
        f"{config.model.name}: **{found.verdict}** (the estimate may be off by {ERROR:.0%}){remedy}",
        "",
        _models(others),
    ]
    return (2 if found.verdict == "too large" else 0), "\n".join(parts)


def _settings(config: Config, found: Estimate, rows: RunRows) -> str:
    work = found.work
    chosen = " (auto)" if config.trainer.gradient_checkpointing == AUTO else ""
    how = "counted" if work.exact else "guessed from the text"
    return (
        f"rank {config.lora.rank}, {len(rows.train)} rows to train on, batch {work.batch} rows of up to {work.row} "
        f"tokens, prompts of up to {work.prompt} and answers of {work.answer} ({how}); checkpointing "
        f"{found.settings.checkpointing}{chosen}, {config.trainer.optimizer}, loss {config.trainer.loss.value}, "
        f"quantisation {config.lora.quantization.value}"
    )


def _parts(found: Estimate) -> str:
    names = list(dict.fromkeys(name for parts in found.phases.values() for name in parts))
    rows = [
        [name.replace("_", " "), *(_mib(parts.get(name)) for parts in found.phases.values())]
        for name in sorted(names, key=lambda name: -max(p.get(name, 0.0) for p in found.phases.values()))
    ]
    rows.append(["**together**", *(f"**{_mib(sum(parts.values()))}**" for parts in found.phases.values())])
    return markdown(["MiB", *(PHASES[phase] for phase in found.phases)], rows)


def _models(estimates: Iterable[tuple[ModelConfig, Estimate | None]]) -> str:
    """Every model of the group under the same settings, smallest first."""
    rows = []
    for model, one in estimates:
        if one is None:
            rows.append((0.0, [model.name, NO_VALUE, NO_VALUE, NO_VALUE, "shape unknown"]))
            continue
        cells = [_mib(sum(one.phases[phase].values())) if phase in one.phases else NO_VALUE for phase in PHASES]
        params = NO_VALUE if model.params_m is None else f"{model.params_m:,.0f}"
        rows.append((one.needed, [model.name, params, *cells, one.verdict]))
    header = ["model", "million parameters", *(f"{word}, MiB" for word in PHASES.values()), "here"]
    return markdown(header, [cells for _, cells in sorted(rows, key=lambda row: row[0])])


def _mib(size: float | None) -> str:
    return NO_VALUE if size is None else f"{size:,.0f}"
