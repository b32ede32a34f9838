"""python -m ohlora.report <sweep folder>: the table and comparison.{md,csv,json} again, from the run folders alone."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ohlora.errors import UserError
from ohlora.report.write import write_comparison
from ohlora.result import exit_code


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m ohlora.report", description=(__doc__ or "").split(": ", 1)[1])
    parser.add_argument("folder", type=Path, help="a sweep folder (or one run directory), for example outputs/<study>")
    try:
        comparison, text = write_comparison(parser.parse_args().folder)
    except UserError as error:
        print(error.report(), file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: {error.filename}: cannot be written ({error.strerror})", file=sys.stderr)
        return 2
    print(text)
    return exit_code([run.status for arm in comparison.arms for run in arm.runs])


if __name__ == "__main__":
    sys.exit(main())
