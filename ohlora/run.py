"""The main command: compose the configuration, validate it, run it, track it, print the result.

python -m ohlora.run backend=unsloth
python -m ohlora.run -m backend=hf,unsloth
python -m ohlora.run experiment=unsloth_comparison
python -m ohlora.run --help
"""

from __future__ import annotations

import argparse
import os
import secrets
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ohlora.config.compose import compose_config, compose_single, explain_error, quote_argument
from ohlora.config.paths import conf_dir
from ohlora.config.schema import Config, register
from ohlora.config.tasks import TASKS
from ohlora.entry import refuse_windows, replace_unprintable
from ohlora.errors import UserError
from ohlora.planning.validate import validate
from ohlora.records.result import Status, exit_code
from ohlora.running.process import sigterm_as_interrupt
from ohlora.studies.study import CANCELLED, report_runs

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from ohlora.data.rows import DataFiles
    from ohlora.records.manifest import Kind


def main() -> int:
    """Exit code: 0 all runs finished; 2 bad input or an unsupported back end; 130 cancelled; else 1."""
    replace_unprintable()
    try:
        refuse_windows()
        return _main()
    except KeyboardInterrupt:
        return CANCELLED
    except UserError as error:
        print(error.report(), file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: {error.filename or 'output'}: {error.strerror}", file=sys.stderr)
        return 1


def _main() -> int:
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises to us instead of printing and exiting
    from hydra.main import get_args_parser

    sys.argv[1:] = [quote_argument(argument) for argument in sys.argv[1:]]
    args = get_args_parser().parse_args()
    sweeping = bool(args.multirun) or "hydra.mode=MULTIRUN" in args.overrides
    os.environ.setdefault("OHLORA_STUDY", _name_sweep() if sweeping else "runs")
    with sigterm_as_interrupt():
        if args.help or args.hydra_help or args.cfg or args.info or args.shell_completion or args.resolve:
            return _show_hydra()
        return _sweep(args) if sweeping else _run(args)


def _show_hydra() -> int:
    """Print Hydra's own output: help, the configuration, shell completion."""
    try:
        _call_hydra(lambda node: None)
    except Exception as error:
        raise explain_error(error, sys.argv[1:]) from error
    return 0


def _call_hydra(task: Callable[[DictConfig], Any]) -> None:
    """Let Hydra read the command line and call `task` for each job, in the process that its launcher chooses."""
    import hydra

    register()
    hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name="config")(task)()


def _run(args: argparse.Namespace) -> int:
    """Run one command without -m: a printed table, a comparison, or a single run."""
    single = compose_single(args.overrides, args.config_dir, args.config_path, args.config_name)
    node = single.node
    if node.task.name in TASKS and TASKS[node.task.name].parent:
        return _show(validate(node), TASKS[node.task.name].parent)
    if single.sweeps:
        raise UserError("-m: this experiment is a sweep; add -m")
    if node.task.name in TASKS and TASKS[node.task.name].study:
        config = validate(node)
        module = import_module(TASKS[config.task.name].study)
        return int(module.run_study(config, single.overrides, single.folder))
    if node.compare.arms:
        return _compare(validate(node), single.overrides, single.folder)
    return _run_once(node, single.folder)


def _show(config: Config, module: str) -> int:
    """Print the output of a task that needs no child process; return its exit code."""
    code, text = import_module(module).show(config)
    print(text)
    return int(code)


def _run_once(node: DictConfig, folder: Path | None) -> int:
    from ohlora.models.acceptance import require_acceptance
    from ohlora.planning.plan import plan_run
    from ohlora.report.single import show_run
    from ohlora.running.attempt import execute
    from ohlora.running.preflight import check
    from ohlora.tracking.links import print_links

    plan = plan_run(node)
    check(plan)
    require_acceptance(plan.model, plan.licence)
    result, attempt = execute(plan, folder)
    show_run(result, attempt)
    print_links(plan.config, attempt)
    return exit_code([result])


def _compare(config: Config, overrides: list[str], folder: Path | None) -> int:
    """Run a comparison in interleaved pairs under one MLflow parent run; return its exit code."""
    from ohlora.models.acceptance import require_acceptance
    from ohlora.studies.compare import lock_folder, plan_comparison
    from ohlora.studies.pairs import run_pairs

    comparison = plan_comparison(config, overrides, folder)
    for arm in comparison.arm_plans():
        require_acceptance(arm.model, arm.licence)
    before = comparison.before.mlflow_parent if comparison.before else None
    with (
        lock_folder(comparison.folder),
        report_runs(comparison.config, comparison.folder, " ".join(overrides), before) as reported,
    ):
        comparison.manifest(overrides, reported.parent).write(comparison.folder)
        reported.finished = run_pairs(comparison, reported.parent)
    if not reported.finished:
        print("run the same command again to continue", file=sys.stderr)
    return reported.code


def _sweep(args: argparse.Namespace) -> int:
    """Plan and check every job of -m, then let Hydra's launcher run them; return the exit code."""
    from ohlora.models.acceptance import offer_acceptance, require_acceptance, will_accept
    from ohlora.records.manifest import SELECTION, SWEEP, Manifest
    from ohlora.studies.compare import lock_folder
    from ohlora.studies.sweep import add_presets, plan_sweep, read_earlier_manifest

    if args.config_dir or args.config_name or args.config_path:
        raise UserError("-m: --config-dir, --config-name and --config-path are for single runs only")
    if any(o.startswith("hydra/sweeper=") for o in args.overrides):
        raise UserError("hydra/sweeper: only Hydra's basic sweeper is supported with -m; list the values with commas")
    overrides = add_presets(list(args.overrides))
    sys.argv[1:] = ["-m", *overrides]
    jobs, plans = plan_sweep(overrides)
    first = plans[0].config
    kind: Kind = SELECTION if first.task.name == SELECTION else SWEEP
    of_hydra = [o for o in overrides if o.lstrip("+~").startswith("hydra")]
    folder = Path(compose_config([*jobs[0].overrides, *of_hydra], hydra=True).hydra.sweep.dir)
    if kind == SELECTION:  # a candidate whose licence is not accepted is skipped, with that reason
        offer_acceptance(plan.model for plan in plans)
    for plan in plans:
        if kind == SWEEP or will_accept(plan.model, plan.licence):
            require_acceptance(plan.model, plan.licence)
    manifest_of = partial(Manifest, kind, command=["-m", *overrides], lang=first.report.lang.value)
    with lock_folder(folder):
        before = read_earlier_manifest(folder) if kind == SELECTION else None
        here = {job.run_id for job in jobs}
        jobs += [job for job in before.jobs if job.run_id not in here] if before else []
        manifest_of(jobs=jobs).write(folder)
        with report_runs(first, folder, " ".join(overrides), before.mlflow_parent if before else None) as reported:
            manifest_of(jobs=jobs, mlflow_parent=reported.parent).write(folder)
            reported.finished = _launch(plans[0].files)
            reported.broken = not reported.finished
    return reported.code


def _launch(files: DataFiles) -> bool:
    """Let Hydra's launcher run every job; False if the launcher fails, as when one of its processes is killed."""
    try:
        _call_hydra(lambda node: _run_job(node, files))
    except Exception as error:
        name = type(error).__name__
        print(f"error: hydra/launcher: {name}: {str(error).strip() or name}", file=sys.stderr)
        return False
    return True


def _run_job(node: DictConfig, files: DataFiles) -> float:
    """Run one job of a sweep, in the process that Hydra's launcher chose; return its eval loss, for sweepers."""
    from hydra.core.hydra_config import HydraConfig

    from ohlora.planning.plan import plan_run
    from ohlora.running.attempt import execute
    from ohlora.studies.compare import lock_folder
    from ohlora.studies.skipping import continue_candidate, keep_finished, write_skipped
    from ohlora.studies.sweep import find_planned_run

    under = HydraConfig.get()
    try:
        arm, place = find_planned_run(Path(under.sweep.dir), list(under.overrides.task))
        plan, folder = plan_run(node, files, arm=arm), Path(under.sweep.dir) / place.run_id
        with lock_folder(folder):  # a job of an earlier call may still run if its launcher gave up
            kept, place = continue_candidate(plan, folder, place)
            result = kept or write_skipped(plan, folder, place) or execute(plan, folder, place)[0]
            keep_finished(folder, result)
    except (UserError, OSError) as error:  # report it and go on with the next job
        print(f"error: {error}", file=sys.stderr)
        return float("inf")
    except Exception:  # a bug: a run that had begun is recorded as failed, another is missing; go on with the next job
        traceback.print_exc()
        return float("inf")
    if result.status == Status.cancelled.value:
        raise KeyboardInterrupt
    return float(result.metrics.get("eval/eval_loss", float("inf")))


def _name_sweep() -> str:
    return f"sweep-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"


if __name__ == "__main__":
    sys.exit(main())
