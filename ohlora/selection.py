"""Choosing a model: candidates that cannot be run are rows with a reason, and those that were are not run again.

python -m ohlora.run -m experiment=model_selection
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ohlora.config.schema import Config, Source
from ohlora.errors import UserError
from ohlora.estimate.fit import too_large
from ohlora.manifest import SELECTION
from ohlora.models.acceptance import not_accepted, require, will_accept
from ohlora.models.folder import is_prepared, model_folder
from ohlora.result import Result, Status, read_result
from ohlora.runs import Place, arm_of


def skip_reason(config: Config) -> dict[str, str] | None:
    """Why this candidate is not started: absent, not accepted, or too large; None for what may start."""
    if config.task.name != SELECTION:
        return None
    folder = model_folder(config)
    if not will_accept(config):
        return {"code": "licence_not_accepted", "text": not_accepted(config)}
    if config.model.source is Source.hub and not config.model.path and not is_prepared(folder):
        return {
            "code": "absent",
            "text": f"not prepared here; python -m ohlora.run task=prepare model={config.model.name} downloads it",
        }
    large = too_large(config)
    return {"code": "too_large", "text": large} if large else None


def held_or_skipped(config: Config, resolved: dict[str, Any], folder: Path, place: Place) -> Result | None:
    """The result that an earlier call has left, or that of a candidate that is not started; None: it has to run."""
    if config.task.name != SELECTION:
        return None
    try:
        held = read_result(folder / "result.json")
    except (OSError, ValueError):
        held = None
    if held and held.status == Status.finished.value:
        print(f"{held.arm}: is there from an earlier call; remove {folder} to run it again", file=sys.stderr)
        return held
    reason = skip_reason(config)
    if reason is None:
        try:
            require(config)
        except UserError as error:
            reason = {"code": "licence_not_accepted", "text": str(error)}
    if reason is None:
        return None
    arm = arm_of(config)
    skipped = Result(place.run_id, Status.skipped.value, config.task.name, arm, config.repeat, place.order)
    skipped.reason, skipped.requested = reason, resolved
    folder.mkdir(parents=True, exist_ok=True)
    skipped.write(folder)
    print(f"{arm}: skipped: {reason['text']}", file=sys.stderr)
    return skipped
