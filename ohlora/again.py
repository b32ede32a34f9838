"""A run directory again, by hand: `python -m ohlora.worker <run directory>`."""

from __future__ import annotations

import sys
from pathlib import Path

from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from ohlora.config.validate import validated
from ohlora.errors import UserError
from ohlora.job import read_node
from ohlora.preflight import check
from ohlora.process import sigterm_as_interrupt
from ohlora.report.single import show_run
from ohlora.result import exit_code, read_result
from ohlora.runs import Place, execute, newest_attempt, plain


def run_again(directory: Path) -> int:
    """Run it in a new attempt beside the old ones, under the same identity; returns the exit code."""
    try:
        attempt = newest_attempt(directory)
        try:
            node = read_node(attempt)
        except (OmegaConfBaseException, YAMLError, ValueError) as error:
            raise UserError(f"{attempt / 'config.yaml'}: {str(error).splitlines()[0]}") from None
        config = validated(node)
        check(config)
        folder = attempt.parent if attempt.name.startswith("attempt-") else attempt
        with sigterm_as_interrupt():
            result, attempt = execute(config, plain(node), folder, _place_before(attempt))
    except UserError as error:
        print(error.report(), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    show_run(result, attempt)
    return exit_code([result])


def _place_before(attempt: Path) -> Place | None:
    """The identity that an earlier attempt ran under, if it left a result."""
    try:
        before = read_result(attempt / "result.json")
    except (OSError, ValueError):
        return None
    return Place(before.run_id, before.order, track=before.track)
