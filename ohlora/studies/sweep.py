"""A sweep (-m): expand and check every job before the first one starts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ohlora.config.compose import compose_config
from ohlora.config.tasks import TASKS
from ohlora.data.rows import DataFiles
from ohlora.errors import UserError
from ohlora.planning.plan import Plan, plan_run
from ohlora.records.manifest import SELECTION, Manifest, PlannedRun, read_manifest
from ohlora.running.attempt import Place
from ohlora.running.preflight import check
from ohlora.studies.skipping import name_candidate

# Keys that a candidate's name already contains.
NAMED = {"model", "lora", "lora.rank", "lora.method", "lora.quantization"}

# An explicit lora.rank replaces the preset's sweep over lora, and so on for these keys.
CHOSEN_BY = {"model": ("model.path", "model.repo"), "lora": ("lora.rank", "lora.method", "lora.quantization")}


def add_presets(overrides: Sequence[str]) -> list[str]:
    """Add the values that an experiment itself sweeps (`hydra.sweeper.params`), unless the overrides replace them."""
    mine = [o for o in overrides if not _is_sweep(o)]
    params = compose_config(mine, hydra=True).hydra.sweeper.get("params") or {}
    given = {o.lstrip("+~").split("=")[0] for o in overrides}
    preset = [f"{key}={value}" for key, value in params.items() if not given & {key, *CHOSEN_BY.get(key, ())}]
    return [*overrides, *preset, *(["hydra.sweeper.params=null"] if params else [])]


def plan_sweep(overrides: Sequence[str]) -> tuple[list[PlannedRun], list[Plan]]:
    """Compose and check every job of the sweep, each with its plan; a job that does not fit is skipped later.

    Raises:
        UserError: every problem of every job, each with its job.
    """
    expanded, swept = expand(overrides)
    jobs: list[PlannedRun] = []
    plans: list[Plan] = []
    problems: list[str] = []
    files = DataFiles()
    for job_overrides in expanded:
        arm = ",".join(o for o in job_overrides if _key(o) in swept) or "all"
        try:
            plan = plan_run(compose_config(job_overrides), files)
            config = plan.config
            if TASKS[config.task.name].parent:
                raise UserError(f"-m: task={config.task.name} prints everything in one call; remove -m")
            if TASKS[config.task.name].study:
                raise UserError(f"-m: task={config.task.name} plans its own runs; remove -m")
            check(plan, alone=False)
            if config.compare.arms:
                raise UserError("-m: compare.arms plans its own runs; remove -m, or give compare.arms=[]")
        except UserError as error:
            problems += [f"[{arm}] {problem}" for problem in error.problems]
            continue
        plans.append(plan)
        if config.task.name == SELECTION:
            arm = name_candidate(config, [o for o in job_overrides if _key(o) in swept - NAMED])
        arm = config.arm or arm
        jobs.append(plan.record_request(PlannedRun(job_overrides, arm, config.repeat, "")))
    if problems:
        raise UserError(merge_problems(problems, len(expanded)))
    tasks = sorted({plan.config.task.name for plan in plans})
    if SELECTION in tasks and len(tasks) > 1:
        raise UserError(f"-m: task={','.join(tasks)}: task=selection cannot be mixed with other tasks; sweep one task")
    return jobs, plans


def expand(overrides: Sequence[str]) -> tuple[list[list[str]], set[str]]:
    """The jobs that Hydra's basic sweeper will run, and the keys that vary (without `repeat`, which makes no arm)."""
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    from ohlora.config.compose import explain_error

    try:
        parsed = OverridesParser.create().parse_overrides(list(overrides))
        task = [o for o in parsed if not o.get_key_element().lstrip("+~").startswith("hydra")]
        (jobs,) = BasicSweeper.split_arguments(task, max_batch_size=None)
    except HydraException as error:
        raise explain_error(error, overrides) from error
    swept = {o.get_key_element() for o in task if o.is_sweep_override()} - {"repeat"}
    return [list(job) for job in jobs], swept


def _key(override: str) -> str:
    return override.split("=", maxsplit=1)[0]


def _is_sweep(override: str) -> bool:
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        return bool(OverridesParser.create().parse_overrides([override])[0].is_sweep_override())
    except HydraException:
        return False  # composing it reports the error


def read_earlier_manifest(folder: Path) -> Manifest | None:
    """The manifest of earlier calls in this folder, which a selection continues.

    Raises:
        UserError: the folder contains runs of another kind.
    """
    before = _manifest(folder)
    if before and before.kind != SELECTION:
        raise UserError(f"{folder}: contains other runs; give study=<another name>, or remove that folder")
    return before


def find_planned_run(folder: Path, overrides: Sequence[str]) -> tuple[str, Place]:
    """(arm, place) of the planned run that has these overrides.

    Raises:
        UserError: the folder has no such run in its manifest.
    """
    manifest = _manifest(folder)
    for order, job in enumerate(manifest.jobs if manifest else []):
        if sorted(job.overrides) == sorted(overrides):
            assert manifest
            return job.arm, Place(job.run_id, order, manifest.mlflow_parent)
    raise UserError(f"{folder}: the manifest has no run with {' '.join(overrides)}")


def _manifest(folder: Path) -> Manifest | None:
    try:
        return read_manifest(folder)
    except ValueError as error:
        raise UserError(f"{folder}: {error}; give study=<another name>, or remove that folder") from None


def merge_problems(problems: list[str], jobs: int) -> list[str]:
    """Report a problem that every job has once, without the job."""
    texts = [problem.split("] ", 1)[1] for problem in problems]
    common = [text for text in dict.fromkeys(texts) if texts.count(text) == jobs]
    return common + [problem for problem, text in zip(problems, texts, strict=True) if text not in common]
