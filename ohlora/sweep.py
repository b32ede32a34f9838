"""A multirun: expanded and checked whole before its first job starts, its plan written down, its table at the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ohlora.config.compose import composed
from ohlora.config.schema import Config
from ohlora.config.validate import validated
from ohlora.errors import UserError
from ohlora.files import read_json, write_json
from ohlora.preflight import check
from ohlora.runs import Place, identity, plain

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Job:
    """One planned run. `overrides` are as the launcher will hand them to the job."""

    overrides: list[str]
    arm: str
    repeat: int
    run_id: str


def plan(overrides: Sequence[str]) -> tuple[list[Job], Config]:
    """Every job of the sweep, composed and checked.

    Raises:
        UserError: every problem of every job, each with the job it belongs to.
    """
    expanded, swept = expand(overrides)
    jobs: list[Job] = []
    first: Config | None = None
    problems: list[str] = []
    for job_overrides in expanded:
        arm = ",".join(o for o in job_overrides if o.split("=")[0] in swept) or "all"
        try:
            node = composed(job_overrides)
            config = validated(node)
            check(config)
        except UserError as error:
            problems += [f"[{arm}] {problem}" for problem in error.problems]
            continue
        first = first or config
        arm = config.arm or arm
        jobs.append(Job(job_overrides, arm, config.repeat, identity(config, plain(node), arm)))
    if problems:
        raise UserError(_shared(problems, len(expanded)))
    assert first is not None
    return jobs, first


def expand(overrides: Sequence[str]) -> tuple[list[list[str]], set[str]]:
    """What Hydra's basic sweeper will run, and the keys that vary (`repeat` makes no arm of its own)."""
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    from ohlora.config.compose import explained

    try:
        parsed = OverridesParser.create().parse_overrides(list(overrides))
        task = [o for o in parsed if not o.get_key_element().lstrip("+~").startswith("hydra")]
        (jobs,) = BasicSweeper.split_arguments(task, max_batch_size=None)
    except HydraException as error:
        raise explained(error, overrides) from error
    swept = {o.get_key_element() for o in task if o.is_sweep_override()} - {"repeat"}
    return [list(job) for job in jobs], swept


def write_plan(folder: Path, jobs: Sequence[Job], overrides: Sequence[str], parent: str | None) -> None:
    """manifest.json: the arms with their overrides, the planned runs in order, the MLflow run above them."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        arms: dict[str, list[str]] = {}
        for job in jobs:
            arms.setdefault(job.arm, [o for o in job.overrides if not o.startswith("repeat=")])
        write_json(
            folder / MANIFEST,
            {
                "schema": 1,
                "command": ["-m", *overrides],
                "arms": [{"name": name, "overrides": given} for name, given in arms.items()],
                "planned": [asdict(job) for job in jobs],
                "order": [job.run_id for job in jobs],
                "mlflow_parent": parent,
            },
        )
    except OSError as error:
        raise UserError(
            f"hydra.sweep.dir={folder}: cannot be written ({error.strerror}); choose another folder"
        ) from None


def planned_job(folder: Path, overrides: Sequence[str]) -> tuple[str, Place]:
    """(arm, place) of the planned run that has these overrides.

    Raises:
        UserError: the folder holds no plan for them.
    """
    try:
        manifest = read_json(folder / MANIFEST)
    except (OSError, ValueError) as error:
        raise UserError(f"{folder / MANIFEST}: cannot be read ({error})") from None
    for order, job in enumerate(manifest["planned"]):
        if sorted(job["overrides"]) == sorted(overrides):
            return job["arm"], Place(job["run_id"], order, manifest.get("mlflow_parent"))
    raise UserError(f"{folder / MANIFEST}: plans no run with {' '.join(overrides)}")


def _shared(problems: list[str], jobs: int) -> list[str]:
    """A problem that every job has is said once, without the job."""
    texts = [problem.split("] ", 1)[1] for problem in problems]
    common = [text for text in dict.fromkeys(texts) if texts.count(text) == jobs]
    return common + [problem for problem, text in zip(problems, texts, strict=True) if text not in common]
