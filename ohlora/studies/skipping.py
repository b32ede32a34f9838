"""Skip runs of a study that cannot start or are finished already; each skipped run is a row with its reason.

A single run is refused instead (`preflight.check`).
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from ohlora.config.choices import LoraMethod, Quantization, Source
from ohlora.config.schema import Config
from ohlora.measure.disturbance import find_disturbances
from ohlora.models.acceptance import explain_refusal, will_accept
from ohlora.models.folder import is_prepared
from ohlora.planning.plan import Plan
from ohlora.records.layout import attempts
from ohlora.records.manifest import SELECTION
from ohlora.records.result import Result, Status, find_result
from ohlora.running.attempt import Place


def skip_reason(plan: Plan) -> dict[str, str] | None:
    """Why this run is skipped: too large, not prepared, or its licence is not accepted; None if it may start."""
    config = plan.config
    if config.task.name == SELECTION and not will_accept(plan.model, plan.licence):
        return {"code": "licence_not_accepted", "text": explain_refusal(plan.model, plan.licence)}
    if config.task.name == SELECTION and _is_absent(plan):
        text = f"not prepared here; python -m ohlora.run task=prepare model={config.model.name} downloads it"
        return {"code": "absent", "text": text}
    problem = plan.fit_problem
    return {"code": "too_large", "text": problem.text} if problem and problem.stops else None


def write_skipped(plan: Plan, folder: Path, place: Place) -> Result | None:
    """Write the result of a skipped run; None if it may start."""
    reason = skip_reason(plan)
    if reason is None:
        return None
    task, arm, repeat = plan.config.task.name, plan.arm, plan.config.repeat
    result = Result(place.run_id, Status.skipped.value, task, arm, repeat, place.order, place.track, reason)
    result.requested = plan.resolved
    folder.mkdir(parents=True, exist_ok=True)
    result.write(folder)
    print(f"{arm}: skipped: {reason['text']}", file=sys.stderr)
    return result


def continue_candidate(plan: Plan, folder: Path, place: Place) -> tuple[Result | None, Place]:
    """(a candidate's result if an earlier call left one to keep, its place in this call); other sweeps run again.

    A finished candidate that the machine disturbed is run again, by at most `compare.redo` later calls.
    """
    found = find_finished(folder) if plan.config.task.name == SELECTION else None
    if found is None:
        return None, place
    disturbed, most = find_disturbances(found.disturbance), plan.config.compare.redo
    if disturbed and found.redo < most and skip_reason(plan) is None:
        why = "; ".join(f"{phase} {', '.join(reasons)}" for phase, reasons in disturbed.items())
        text = f"was disturbed in an earlier call, running it again ({found.redo + 1} of at most {most}; {why})"
        print(f"{found.arm}: {text}", file=sys.stderr)
        return None, replace(place, redo=found.redo + 1)
    print(f"{found.arm}: finished in an earlier call; remove {folder} to run it again", file=sys.stderr)
    found.write(folder)  # a killed repeat has removed it
    return found, place


def keep_finished(folder: Path, result: Result) -> None:
    """Put the earlier finished result back if a repeat did not finish; a cancelled repeat is not counted."""
    before = find_finished(folder) if result.redo and result.status != Status.finished.value else None
    if before:
        redo = before.redo if result.status == Status.cancelled.value else result.redo
        replace(before, redo=redo).write(folder)


def find_finished(folder: Path) -> Result | None:
    """The run directory's result if it finished, else that of the newest attempt that did."""
    results = (find_result(path) for path in (folder, *attempts(folder)[::-1]))
    return next((found for found in results if found and found.status == Status.finished.value), None)


def name_candidate(config: Config, others: list[str]) -> str:
    """A candidate's name, whichever keys the call sweeps: 'model=gemma3-270m,lora=r16' and other varied keys."""
    lora = config.lora
    method = "" if lora.method is LoraMethod.lora else f"{lora.method.value}-"
    packed = "" if lora.quantization is Quantization.none else f"-{lora.quantization.value}"
    return ",".join([f"model={config.model.name}", f"lora={method}r{lora.rank}{packed}", *sorted(others)])


def _is_absent(plan: Plan) -> bool:
    """Would the weights have to be downloaded? A selection never downloads gigabytes unasked."""
    model = plan.config.model
    return model.source is Source.hub and not model.path and not is_prepared(plan.model_folder)
