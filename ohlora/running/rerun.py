"""Run a run directory again by hand: `python -m ohlora.worker <run directory>`."""

from __future__ import annotations

import sys
from pathlib import Path

from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from ohlora.errors import UserError
from ohlora.models.acceptance import require_acceptance
from ohlora.planning.plan import Plan, plan_run
from ohlora.records.layout import newest_attempt
from ohlora.records.result import exit_code, find_result
from ohlora.report.single import show_run
from ohlora.running.attempt import Place, execute
from ohlora.running.preflight import check
from ohlora.running.process import sigterm_as_interrupt
from ohlora.tasks.job import read_node
from ohlora.tracking.links import print_links


def rerun(directory: Path) -> int:
    """Run it in a new attempt, with the same run id; return the exit code."""
    try:
        attempt = newest_attempt(directory)
        plan = _checked_plan(attempt / "config.yaml")
        folder = attempt.parent if attempt.name.startswith("attempt-") else attempt
        with sigterm_as_interrupt():
            result, attempt = execute(plan, folder, _place_before(attempt))
    except UserError as error:
        print(error.report(), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    show_run(result, attempt)
    print_links(plan.config, attempt)
    return exit_code([result])


def _checked_plan(path: Path) -> Plan:
    """The plan of an attempt, after all checks, with its model's licence accepted.

    Raises:
        UserError: with every problem, and the file to edit, since this command takes no options.
    """
    try:
        node = read_node(path.parent)
    except (OmegaConfBaseException, YAMLError, ValueError) as error:
        raise UserError(f"{path}: {str(error).splitlines()[0]}") from None
    try:
        plan = plan_run(node)
        check(plan)
        require_acceptance(plan.model, plan.licence)
    except UserError as error:
        hint = f"this command takes no options, change them in {path}"
        raise UserError(f"{problem}; {hint}" for problem in error.problems) from None
    return plan


def _place_before(attempt: Path) -> Place | None:
    """The place of the earlier attempt in its study, if it left a result."""
    before = find_result(attempt)
    return Place(before.run_id, before.order, track=before.track, redo=before.redo) if before else None
