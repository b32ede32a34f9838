"""Runs among others that are not started, each a row with its reason; and those that an earlier call has made.

A run alone is refused instead (`preflight.check`).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ohlora.config.schema import Config, LoraMethod, Quantization, Source
from ohlora.estimate.fit import too_large
from ohlora.models.acceptance import not_accepted, will_accept
from ohlora.models.folder import is_prepared, model_folder
from ohlora.records.manifest import SELECTION
from ohlora.records.result import Result, Status, read_result
from ohlora.running.attempt import Place, name_arm


def skip_reason(config: Config) -> dict[str, str] | None:
    """Why this run is not started: too large, or a candidate that is absent or not accepted; None: it may start."""
    if config.task.name == SELECTION and not will_accept(config):
        return {"code": "licence_not_accepted", "text": not_accepted(config)}
    if config.task.name == SELECTION and _is_absent(config):
        text = f"not prepared here; python -m ohlora.run task=prepare model={config.model.name} downloads it"
        return {"code": "absent", "text": text}
    large = too_large(config)
    return {"code": "too_large", "text": large} if large else None


def write_skipped(config: Config, resolved: dict[str, Any], folder: Path, place: Place) -> Result | None:
    """The result of a run that is not started, written; None where it may start."""
    reason = skip_reason(config)
    if reason is None:
        return None
    arm = name_arm(config)
    result = Result(
        place.run_id, Status.skipped.value, config.task.name, arm, config.repeat, place.order, place.track, reason
    )
    result.requested = resolved
    folder.mkdir(parents=True, exist_ok=True)
    result.write(folder)
    print(f"{arm}: skipped: {reason['text']}", file=sys.stderr)
    return result


def read_finished(config: Config, folder: Path) -> Result | None:
    """The finished run of a candidate that an earlier call has left; other sweeps make theirs anew."""
    if config.task.name != SELECTION:
        return None
    try:
        found = read_result(folder / "result.json")
    except (OSError, ValueError):
        return None
    if found.status != Status.finished.value:
        return None
    print(f"{found.arm}: is there from an earlier call; remove {folder} to run it again", file=sys.stderr)
    return found


def name_candidate(config: Config, others: list[str]) -> str:
    """A candidate's name, the same whatever a call sweeps: 'model=gemma3-270m,lora=r16', and what else varies."""
    lora = config.lora
    method = "" if lora.method is LoraMethod.lora else f"{lora.method.value}-"
    packed = "" if lora.quantization is Quantization.none else f"-{lora.quantization.value}"
    return ",".join([f"model={config.model.name}", f"lora={method}r{lora.rank}{packed}", *sorted(others)])


def _is_absent(config: Config) -> bool:
    """Weights that would have to be downloaded: a selection fetches gigabytes for nobody who has not asked."""
    return config.model.source is Source.hub and not config.model.path and not is_prepared(model_folder(config))
