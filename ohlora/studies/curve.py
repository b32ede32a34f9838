"""The learning curve: the same training on nested shares of the training rows, over several seeds; a call resumes it.

python -m ohlora.run task=curve trainer=persona study=curve
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ohlora.config.compose import compose_config
from ohlora.config.schema import Config
from ohlora.data.rows import DataFiles
from ohlora.errors import UserError
from ohlora.files import sha256_of
from ohlora.models.acceptance import require_acceptance
from ohlora.planning.plan import Plan, plan_run
from ohlora.records.manifest import CURVE, MANIFEST, Manifest, PlannedRun, read_manifest
from ohlora.records.result import Status
from ohlora.running.attempt import Place, execute
from ohlora.running.preflight import check
from ohlora.studies.compare import lock_folder
from ohlora.studies.skipping import find_finished, write_skipped
from ohlora.studies.study import report_runs
from ohlora.studies.sweep import merge_problems

SHARE = "trainer.train_share"
OWN = {"task", SHARE, "seed", "repeat", "arm"}  # keys that each run of the curve sets itself


@dataclass
class CurvePlan:
    """A checked curve, ready to start: its runs in order, each with its plan, and what an earlier call planned."""

    folder: Path
    runs: list[tuple[PlannedRun, Plan]]
    before: Manifest | None

    def manifest(self, config: Config, command: Sequence[str], parent: str | None) -> Manifest:
        """The manifest of this call, plus the runs that an earlier call with more seeds planned."""
        jobs = [job for job, _ in self.runs]
        here = {job.run_id for job in jobs}
        more = [job for job in self.before.jobs if job.run_id not in here] if self.before else []
        return Manifest(CURVE, [*jobs, *more], list(command), config.report.lang.value, parent)


def run_study(config: Config, overrides: list[str], folder: Path | None) -> int:
    """Run every missing run of the curve under one MLflow parent run; return the exit code."""
    curve = plan_curve(config, overrides, folder)
    first = curve.runs[0][1]
    require_acceptance(first.model, first.licence)
    parent = curve.before.mlflow_parent if curve.before else None
    with (
        lock_folder(curve.folder),
        report_runs(config, curve.folder, " ".join(overrides), parent) as reported,
    ):
        curve.manifest(config, overrides, reported.parent).write(curve.folder)
        reported.finished = _run_missing(curve, reported.parent)
    if not reported.finished:
        print("run the same command again to continue", file=sys.stderr)
    return reported.code


def plan_curve(config: Config, overrides: Sequence[str], folder: Path | None) -> CurvePlan:
    """Compose and check every run: all shares with the first seed, then all with the next; `study` names the folder.

    Raises:
        UserError: every problem of every share; or the folder contains other runs.
    """
    base = [o for o in overrides if o.lstrip("+~").split("=")[0] not in OWN]
    files, plans, problems = DataFiles(), list[tuple[PlannedRun, Plan]](), list[str]()
    for number in range(config.curve.seeds):
        for share in config.curve.shares:
            arm, own = f"{SHARE}={share:g}", ["task=train", f"seed={config.seed + number}", f"repeat={number}"]
            job = PlannedRun([*base, *own, f"{SHARE}={share:g}"], arm, number, "")
            try:
                plan = plan_run(compose_config(job.overrides), files, arm=arm)
                if number == 0:
                    check(plan, alone=False)
                    _require_eval_loss(plan)
                plans.append((plan.record_request(job), plan))
            except UserError as error:
                problems += [f"[{arm}] {problem}" for problem in error.problems]
        if problems:
            raise UserError(merge_problems(problems, len(config.curve.shares)))
    folder = folder or Path(config.outputs) / _name_study(config, [job for job, _ in plans])
    return CurvePlan(folder, plans, _read_earlier_manifest(folder, [job for job, _ in plans]))


def _require_eval_loss(plan: Plan) -> None:
    if not any(row.response for row in plan.run_rows.validation):
        raise UserError(
            "task=curve: compares the loss of validation rows, and there are none with an answer; add rows with split "
            "validation, and leave trainer.eval_rows=null"
        )


def _run_missing(curve: CurvePlan, parent: str | None) -> bool:
    """Run what no earlier call finished; False if cancelled."""
    todo = [(order, job, plan) for order, (job, plan) in enumerate(curve.runs) if not _is_finished(curve, job)]
    done = len(curve.runs) - len(todo)
    if done:
        print(f"{curve.folder}: {done} of {len(curve.runs)} runs finished in an earlier call", file=sys.stderr)
    for number, (order, job, plan) in enumerate(todo, 1):
        print(f"[{number}/{len(todo)}] {job.arm}, seed {plan.config.seed}", file=sys.stderr)
        folder, place = curve.folder / job.run_id, Place(job.run_id, order, parent)
        fresh = plan.refresh()  # earlier runs may have prepared the model
        result = write_skipped(fresh, folder, place) or execute(fresh, folder, place)[0]
        if result.status == Status.cancelled.value:
            return False
    return True


def _is_finished(curve: CurvePlan, job: PlannedRun) -> bool:
    """Also if a later attempt broke off."""
    found = find_finished(curve.folder / job.run_id)
    if found:
        found.write(curve.folder / job.run_id)
    return found is not None


def _read_earlier_manifest(folder: Path, jobs: Sequence[PlannedRun]) -> Manifest | None:
    """The manifest in the folder, if it belongs to this curve: the same runs, possibly over fewer or more seeds."""
    other = f"{folder}: contains {{}}; give study=<another name>, or remove that folder"
    try:
        before = read_manifest(folder)
    except ValueError as error:
        raise UserError(other.format(f"a {MANIFEST} that cannot be read ({error})")) from None
    if before is None:
        if any(folder.glob("*/result.json")) or any(folder.glob("*/attempt-*")):
            raise UserError(other.format("other runs"))
        return None
    first = [{job.run_id for job in side if job.repeat == 0} for side in (before.jobs, jobs)]
    if before.kind != CURVE or first[0] != first[1]:
        raise UserError(other.format("another study (other shares or settings)"))
    return before


def _name_study(config: Config, jobs: Sequence[PlannedRun]) -> str:
    """The study, or else a name made from the first runs, so that the same command finds it again."""
    if config.study != "runs":
        return config.study
    return f"curve-{sha256_of(job.run_id for job in jobs if job.repeat == 0)[:6]}"
