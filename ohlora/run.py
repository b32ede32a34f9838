"""The one entry: compose -> validate -> launch -> track -> print.

python -m ohlora.run backend=unsloth
python -m ohlora.run -m backend=hf,unsloth
python -m ohlora.run --help
"""

from __future__ import annotations

import os
import secrets
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ohlora.config.compose import explained
from ohlora.config.paths import conf_dir
from ohlora.config.schema import Config, register
from ohlora.config.validate import validated
from ohlora.errors import UserError
from ohlora.result import Result, Status, exit_code

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from ohlora.track import Tracker

CANCELLED = 130


def main() -> int:
    """Exit code: 0 all runs finished; 2 the user can fix it, or a back end is unsupported; 130 cancelled; else 1."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises to us instead of printing and exiting
    from hydra._internal.utils import get_args_parser

    args = get_args_parser().parse_args()
    overrides = list(args.overrides)
    sweeping = bool(args.multirun)
    os.environ.setdefault("OHLORA_STUDY", _sweep_name() if sweeping else "runs")
    try:
        if sweeping and not (args.help or args.hydra_help or args.cfg or args.info):
            return _sweep(overrides)
        _hydra()
        if _refused:
            raise _refused
    except KeyboardInterrupt:
        return CANCELLED
    except Exception as error:
        print(explained(error, overrides).report(), file=sys.stderr)
        return 2
    return exit_code([_done.status]) if _done else 0


# What the task function leaves for main(): Hydra gives its return value to nobody and prints what it raises.
_done: Result | None = None
_refused: UserError | None = None


def _hydra() -> None:
    import hydra

    register()
    hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name="config")(_job)()


def _job(composed: DictConfig) -> float:
    """One run under Hydra, in whatever process its launcher chose. Never raises for a run that failed."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    global _refused  # noqa: PLW0603
    if HydraConfig.get().mode is RunMode.MULTIRUN:
        return _sweep_job(composed)
    try:
        _single_job(composed)
    except UserError as error:
        _refused = error
    return 0.0


def _single_job(composed: DictConfig) -> None:
    from hydra.core.hydra_config import HydraConfig

    from ohlora.preflight import check
    from ohlora.runs import execute, plain

    global _done  # noqa: PLW0603
    config = validated(composed)
    check(config)
    _show_licence(config)
    under = HydraConfig.get()
    chosen = any(override.startswith("hydra.run.dir=") for override in under.overrides.hydra)
    _done = execute(config, plain(composed), Path(under.runtime.output_dir) if chosen else None)
    print(_single(_done))


def _sweep_job(composed: DictConfig) -> float:
    """Returns the eval loss, infinite where there is none, for sweepers that minimise it."""
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import open_dict

    from ohlora.runs import execute, plain
    from ohlora.sweep import planned_job

    under = HydraConfig.get()

    sweep_folder = Path(under.sweep.dir)
    planned, order, parent = planned_job(sweep_folder, list(under.overrides.task))
    with open_dict(composed):
        composed.arm = planned.get("arm") or ",".join(under.overrides.task) or None
    config = validated(composed)
    resolved = plain(composed)
    identity = planned.get("run_id")
    result = execute(config, resolved, sweep_folder / identity if identity else None, order, parent)
    if result.status == Status.cancelled.value:
        raise KeyboardInterrupt
    return float(result.metrics.get("eval/eval_loss", float("inf")))


def _sweep(overrides: list[str]) -> int:
    from ohlora.report.write import write_comparison
    from ohlora.sweep import plan, write_plan
    from ohlora.track import open_tracker

    if not any(o.startswith("hydra/sweeper=") for o in overrides):
        jobs, first = plan(overrides)
    else:
        raise UserError("hydra/sweeper: only Hydra's basic sweeper is supported with -m; list the values with commas")
    folder = _sweep_folder(overrides, first)
    _show_licence(first)
    tracker: Tracker | None = open_tracker(first, lambda text: print(text, file=sys.stderr))
    parent = tracker.begin_sweep(folder.name, " ".join(overrides)) if tracker else None
    write_plan(folder, jobs, overrides, parent)
    cancelled = False
    try:
        _hydra()
    except KeyboardInterrupt:
        cancelled = True
    comparison, text = write_comparison(folder)
    print(text)
    runs = [run for arm in comparison.arms for run in arm.runs]
    complete = len(runs) == sum(arm.planned for arm in comparison.arms)
    code = CANCELLED if cancelled else exit_code([run.status for run in runs]) or int(not complete)
    if tracker:
        tracker.run_id = parent
        tracker.end_sweep(folder, (folder / "comparison.md").read_text("utf-8"), finished=code == 0)
    return code


def run_again(directory: Path) -> int:
    """Run a run directory again, as a new attempt beside the old ones."""
    from omegaconf import DictConfig, OmegaConf

    from ohlora.preflight import check
    from ohlora.runs import execute, newest_attempt, plain

    try:
        attempt = newest_attempt(directory)
        register()
        loaded = OmegaConf.load(attempt / "config.yaml")
        node = OmegaConf.merge(OmegaConf.structured(Config), loaded)
        assert isinstance(node, DictConfig)
        config = validated(node)
        check(config)
        folder = attempt.parent if attempt.name.startswith("attempt-") else attempt
        result = execute(config, plain(node), folder)
    except UserError as error:
        print(error.report(), file=sys.stderr)
        return 2
    print(_single(result))
    return exit_code([result.status])


def _show_licence(config: Config) -> None:
    from ohlora.models.licences import screen_notice

    notice = screen_notice(config.model.license, config.model.label)
    if notice:
        print(notice, file=sys.stderr)


def _single(result: Result) -> str:
    from ohlora.report.table import single_table

    if result.status != Status.finished.value:
        reason = result.reason or {}
        lines = [f"error: {result.status}: {reason.get('text', '')}"]
        return "\n".join(lines + ([reason["log"]] if reason.get("log") else []))
    if result.task == "prepare":
        return f"{result.model.get('label')}: {result.effective.get('folder')}"
    return single_table(result)


def _sweep_name() -> str:
    return f"sweep-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"


def _sweep_folder(overrides: list[str], config: Any) -> Path:
    chosen = [o.split("=", 1)[1] for o in overrides if o.startswith("hydra.sweep.dir=")]
    return Path(chosen[-1]) if chosen else Path(config.outputs) / config.study


if __name__ == "__main__":
    sys.exit(main())
